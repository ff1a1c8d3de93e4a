"""Reading what providers send: JSON, text, numbers and times, tolerant of anything.

Webhook bodies are signed but not trusted to be well formed: every function here takes whatever ``json.loads`` can
answer and gives a clean value or an empty one. None of them raises, ``read_json`` excepted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MAX_TEXT = 500
#: numbers above this are milliseconds: as seconds they would lie beyond the year 5000
FIRST_MILLISECOND = 1e11
UNWANTED = re.compile("[\x00\ud800-\udfff]")
EMPTY: Mapping[str, Any] = {}


class Unreadable(ValueError):
    """Not JSON, or deeper than the parser goes. The text says which, in words for staff."""


def read_json(body: bytes) -> Any:
    """The body as Python values; NaN and infinities become None. Raises ``Unreadable``."""
    try:
        return json.loads(body.decode("utf-8-sig", errors="replace"), parse_constant=lambda _: None)
    except RecursionError:
        raise Unreadable("the JSON is nested too deeply") from None
    except ValueError:
        raise Unreadable("the body is not JSON") from None


def text(value: Any, limit: int = MAX_TEXT) -> str:
    """Strings and numbers as clean text: no NUL, no lone surrogate, at most ``limit`` characters; else empty."""
    if isinstance(value, str):
        return UNWANTED.sub("\ufffd", value[: limit * 2].replace("\x00", "")).strip()[:limit]
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return str(value)[:limit]
        except ValueError:  # an integer of more than 4300 digits
            return ""
    return ""


def number(value: Any) -> float | None:
    """A finite number, also when it comes as a string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def whole(value: Any) -> int | None:
    result = number(value)
    return None if result is None else int(result)


def seconds(value: Any) -> float | None:
    """A duration: a number that is not negative and less than ten years."""
    result = number(value)
    return result if result is not None and 0 <= result < 3.2e8 else None


def truth(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else EMPTY


def sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def moment(value: Any) -> datetime | None:
    """A time as aware UTC: Unix seconds or milliseconds (told apart by size), or ISO 8601 (without zone: UTC)."""
    stamp = number(value)
    try:
        if stamp is not None:
            result = datetime.fromtimestamp(stamp / 1000 if abs(stamp) > FIRST_MILLISECOND else stamp, tz=UTC)
        elif isinstance(value, str) and len(value) <= 64:
            result = datetime.fromisoformat(value.strip())
            result = result.replace(tzinfo=UTC) if result.tzinfo is None else result.astimezone(UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return result if 1990 <= result.year < 2200 else None
