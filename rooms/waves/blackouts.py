"""Hours in which a wave moves nothing. Local times of one zone; no database.

They may cross midnight, and the clock may be put forward or back: a window is the span between two moments, so a
repeated hour is inside twice and a skipped one is simply not there: what begins or ends in it does so at the leap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Blackout:
    """From ``begins`` until ``ends`` of the same day, or of the next day when ``ends`` is not later than ``begins``.

    ``days`` are those on which it begins, 0 is Monday.
    """

    days: frozenset[int]
    begins: time
    ends: time
    zone: tzinfo

    def windows(self, around: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Its spans, in UTC, that touch the week from ``around`` on."""
        today = around.astimezone(self.zone).date()
        for offset in range(-1, 9):
            day = today + timedelta(days=offset)
            if day.weekday() not in self.days:
                continue
            last = day if self.ends > self.begins else day + timedelta(days=1)
            # of an hour that comes twice: from its first beginning to its last end
            begins = _moment(datetime.combine(day, self.begins.replace(fold=0), self.zone))
            ends = _moment(datetime.combine(last, self.ends.replace(fold=1), self.zone))
            yield begins, ends


def _moment(local: datetime) -> datetime:
    """In UTC. A local time that the clock skips, which ``zoneinfo`` takes for an hour too early or too late by its
    ``fold``, is the moment at which the clock leaps over it."""
    zone, early = local.tzinfo, local.replace(fold=1).astimezone(UTC)
    late = local.replace(fold=0).astimezone(UTC)
    if early >= late:  # there is such a time, or it comes twice
        return local.astimezone(UTC)
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        early, late = (middle, late) if middle.astimezone(zone).utcoffset() == before else (early, middle)
    return late.replace(microsecond=0)


def end_of_blackout(blackouts: Iterable[Blackout], moment: datetime) -> datetime | None:
    """The first moment from ``moment`` on that is in no blackout: ``moment`` itself when it is in none.

    None when the whole week to come is blacked out.
    """
    windows = sorted(window for blackout in blackouts for window in blackout.windows(moment))
    free = moment
    for begins, ends in windows:
        if begins <= free < ends:
            free = ends
    return free if free < moment + timedelta(days=7) else None
