"""How staff see values: never by colour alone, times both ways round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from platforms import registry
from platforms.moments import NOTHING
from rooms.words import name_of

#: one shape per platform, in the order of the registry
PLATFORM_SHAPES = "●◆▲■★"
STATUS_SHAPES = {"good": "✓", "busy": "◔", "live": "●", "bad": "✕", "off": "○"}
#: the words of ``Work.Status``
WORK_KINDS = {"pending": "busy", "running": "busy", "done": "good", "quarantined": "bad"}


def platform_badge(slug: str) -> SafeString:
    """The platform's name after a shape of its own."""
    names = dict(registry.platform_choices())
    number = list(names).index(slug) if slug in names else len(PLATFORM_SHAPES) - 1
    number = min(number, len(PLATFORM_SHAPES) - 1)
    return format_html(
        '<span class="badge platform-{}"><span aria-hidden="true">{} </span>{}</span>',
        number,
        PLATFORM_SHAPES[number],
        names.get(slug, slug),
    )


def status_badge(words: str, kind: str) -> SafeString:
    """``kind`` is one of ``STATUS_SHAPES``."""
    return format_html(
        '<span class="badge is-{}"><span aria-hidden="true">{} </span>{}</span>', kind, STATUS_SHAPES[kind], words
    )


def work_badge(work: Any) -> SafeString:
    return status_badge(work.get_status_display(), WORK_KINDS[work.status])


def length(seconds: float | None) -> str:
    """E.g. "1 h 02 min", "3 min 20 s", "4.2 s"."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: int | None) -> str:
    """Bytes in the largest unit that leaves a number above one."""
    if count is None:
        return NOTHING
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def link(url: str, text: Any) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


def page_of(row: models.Model | None, text: Any = None) -> str | SafeString:
    """A link to the row's own admin page; only its name where it has none."""
    if row is None:
        return NOTHING
    return page_at(row._meta.label_lower, row.pk, str(row) if text is None else text)


def page_at(label: str, pk: Any, text: Any) -> str | SafeString:
    """A link to an admin page by model label ("meetings.meeting"), for apps that cannot import the model."""
    app_label, model_name = label.lower().split(".")
    try:
        return link(reverse(f"admin:{app_label}_{model_name}_change", args=[pk]), text)
    except NoReverseMatch:
        return format_html("{}", text)


def numbered(label: str, pks: Sequence[Any]) -> SafeString:
    """E.g. "no. 1, no. 2 …", each a link to the row with this key."""
    return format_html_join(", ", "{}", ((page_at(label, pk, f"no. {number}"),) for number, pk in enumerate(pks, 1)))


def list_at(label: str, text: Any, **filters: Any) -> str | SafeString:
    """A link to an admin list by model label, filtered; empty where that list does not exist."""
    app_label, model_name = label.lower().split(".")
    try:
        url = reverse(f"admin:{app_label}_{model_name}_changelist")
    except NoReverseMatch:
        return ""
    return link(f"{url}?{urlencode(filters)}" if filters else url, text)


def person(user: Any) -> str:
    return NOTHING if user is None else name_of(user)
