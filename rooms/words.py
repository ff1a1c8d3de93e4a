"""How rooms, platforms and moments are named in sentences for staff."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any

from django.utils import timezone

from platforms import registry

#: letters to Unicode, and yet nothing to see
BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"


def given(text: str) -> str:
    """What somebody typed, without what no database takes and without space around it; empty when nothing of it can be
    seen (zero-width characters are no reason)."""
    text = text.replace("\x00", "").strip()
    seen = (one for one in text if unicodedata.category(one)[0] not in "CZM" and one not in BLANK_LETTERS)
    return text if any(seen) else ""


def label_of(platform: str) -> str:
    return dict(registry.platform_choices()).get(platform, platform)


def name_of(user: Any) -> str:
    """A staff member's full name, else what they sign in with."""
    return str(user.get_full_name() or user.get_username())


def day_of(moment: datetime, *, now: datetime | None = None) -> str:
    """E.g. "3 March", with the year when it is not this one."""
    local = timezone.localtime(moment)
    year = "" if local.year == timezone.localtime(now or timezone.now()).year else f" {local.year}"
    return f"{local.day} {local:%B}{year}"


def minute_of(moment: datetime, *, now: datetime | None = None) -> str:
    """E.g. "3 March at 14:03 UTC"."""
    return f"{day_of(moment, now=now)} at {timezone.localtime(moment):%H:%M %Z}"


def count_of(number: int, one: str, many: str = "") -> str:
    """E.g. "1 room", "1,200 rooms"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
