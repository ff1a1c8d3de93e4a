"""Links to a moment: ``t=754``, ``t=12m34s``, ``t=1h2m3s``."""

import re

PARTS = re.compile(r"(?:(\d{1,3})h)?(?:(\d{1,4})m)?(?:(\d{1,6})s?)?$")


def seconds(text: str) -> int | None:
    """Seconds that the text names; None when it names none."""
    match = PARTS.match(text.strip())
    if not match or not any(match.groups()):
        return None
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + rest
