"""How staff see times: the time itself, with its zone, and how long ago that is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

NOTHING = "–"


def exact(moment: datetime | None) -> str:
    """E.g. "22 Nov 2026 14:03:05 UTC"."""
    if moment is None:
        return NOTHING
    local = timezone.localtime(moment)
    return f"{local.day} {local:%b %Y %H:%M:%S %Z}"


def when(moment: datetime | None) -> str | SafeString:
    """E.g. "22 Nov 2026 14:03:05 UTC", and how long ago that is."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}">{}</time> <span class="ago">{}</span>',
        moment.isoformat(),
        exact(moment),
        ago(moment),
    )


def ago(moment: datetime) -> str:
    """E.g. "3 minutes ago", "2 hours from now"."""
    return str(naturaltime(moment)).replace("\xa0", " ")


def column(field: str, description: str = "") -> Callable[[Any, Any], str | SafeString]:
    """A method of an admin page that shows the time in this field of a row."""

    @admin.display(description=description or field.removesuffix("_at").replace("_", " "), ordering=field)
    def shown(page: Any, row: Any) -> str | SafeString:
        return when(getattr(row, field))

    return shown
