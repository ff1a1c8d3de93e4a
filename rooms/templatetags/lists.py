"""What lists of millions of rows show instead of what Django would have to read them all for."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from typing import Any

from django import template
from django.db.models import Max, Min
from django.utils import timezone
from django.utils.formats import date_format

register = template.Library()

PARTS = ("year", "month", "day")
FORMATS = ("", "Y", "F Y", "j F Y")


@register.inclusion_tag("admin/date_hierarchy.html")
def periods(cl: Any) -> dict[str, Any]:
    """Years, then months, then days between the table's first row and its last, whether or not each has rows.

    Two look-ups in an index; finding out which days have rows would read every one.
    """
    name = cl.date_hierarchy
    ends = cl.model._base_manager.aggregate(first=Min(name), last=Max(name))
    if ends["first"] is None:
        return {"show": False}
    first, last = (_parts(timezone.localtime(ends[end]).date()) for end in ("first", "last"))
    chosen = _chosen(cl.params, name)
    has_chosen = bool(chosen)
    if not chosen and first[0] == last[0]:
        chosen = first[:1]
    below = [(*chosen, number) for number in _numbers(chosen, first[0], last[0])]

    def link(period: tuple[int, ...]) -> str:
        filters = {f"{name}__{part}": number for part, number in zip(PARTS, period, strict=False)}
        return str(cl.get_query_string(filters, [f"{name}__"]))

    shown = [period for period in below if first[: len(period)] <= period <= last[: len(period)]]
    choices = [{"link": link(period), "title": _title(period)} for period in shown]
    back = {"link": link(chosen[:-1]), "title": _title(chosen[:-1]) or "All dates"}
    return {"show": True, "back": back if has_chosen else None, "choices": choices or [{"title": _title(chosen)}]}


def _parts(day: date) -> tuple[int, ...]:
    return day.year, day.month, day.day


def _chosen(params: dict[str, Any], name: str) -> tuple[int, ...]:
    """The period of the address: (), (year,), (year, month) or (year, month, day)."""
    chosen: tuple[int, ...] = ()
    for part in PARTS:
        value = str(params.get(f"{name}__{part}", ""))
        if not value.isdecimal():
            break
        chosen += (int(value),)
    return chosen


def _numbers(chosen: tuple[int, ...], first_year: int, last_year: int) -> range:
    if not chosen:
        return range(first_year, last_year + 1)
    if len(chosen) == 1:
        return range(1, 13)
    if len(chosen) == 2:
        return range(1, monthrange(chosen[0], chosen[1])[1] + 1)
    return range(0)


def _title(period: tuple[int, ...]) -> str:
    year, month, day = (*period, 1, 1, 1)[:3]
    return date_format(date(year, month, day), FORMATS[len(period)]) if period else ""
