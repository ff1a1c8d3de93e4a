"""Outcomes of meetings: asked for, answered once, and kept as they were answered.

``meetings`` and ``recordings`` look at the facts of a meeting and say what they see (``Verdict``); what becomes of the
row is decided here. A decided row never changes its status again: guards have counted it. A success that comes after a
failure by silence only adds to the words when it came.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from rooms.models import Outcome

Kind = Outcome.Kind
Status = Outcome.Status

#: pauses between two looks at an unanswered question grow with its age
SOONEST, LATEST = timedelta(seconds=10), timedelta(minutes=10)
#: what failed by silence is looked at for this long, in case it comes late
LATE_FOR = timedelta(days=2)
LATE_EVERY = timedelta(hours=1)
MOST_WORDS = 300


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the facts say now. ``status`` pending: nothing yet; then ``words`` say what a failure would be.

    ``mature_at`` replaces the row's while it is pending. ``answered_at`` is when the fact came about, which may be
    long before somebody looked.
    """

    status: str
    words: str = ""
    value: float | None = None
    mature_at: datetime | None = None
    answered_at: datetime | None = None


def pending(words: str, *, mature_at: datetime | None = None) -> Verdict:
    return Verdict(status=Status.PENDING, words=words, mature_at=mature_at)


def success(
    words: str = "",
    *,
    value: float | None = None,
    answered_at: datetime | None = None,
    mature_at: datetime | None = None,
) -> Verdict:
    return Verdict(status=Status.SUCCESS, words=words, value=value, answered_at=answered_at, mature_at=mature_at)


def failure(words: str, *, value: float | None = None) -> Verdict:
    return Verdict(status=Status.FAILURE, words=words, value=value)


def excluded(words: str) -> Verdict:
    return Verdict(status=Status.EXCLUDED, words=words)


def expect(rows: Iterable[Outcome]) -> None:
    """Write down pending questions. Idempotent: one that is there already stays as it is."""
    Outcome.objects.bulk_create(rows, ignore_conflicts=True)


def due(kinds: Collection[str], *, now: datetime, most: int) -> list[Outcome]:
    """Questions to look at now, those waiting longest first."""
    return list(Outcome.objects.filter(kind__in=kinds, look_at__lte=now).order_by("look_at", "pk")[:most])


def record(verdicts: Mapping[int, Verdict], *, now: datetime) -> list[Outcome]:
    """Write what was seen of the rows with these primary keys. Idempotent; returns the rows as they are now."""
    changed = ["status", "value", "words", "mature_at", "decided_at", "look_at", "updated_at"]
    with transaction.atomic():
        rows = list(Outcome.objects.select_for_update().filter(pk__in=verdicts).order_by("pk"))
        for row in rows:
            _take_in(row, verdicts[row.pk], now)
            row.updated_at = now
        Outcome.objects.bulk_update(rows, changed, batch_size=200)
    return rows


def decided(*, platform: str, kind: str, since: datetime | None = None) -> QuerySet[Outcome]:
    """Successes and failures of meetings that were opened, or failed to, from ``since`` on."""
    found = Outcome.objects.filter(platform=platform, kind=kind, status__in=[Status.SUCCESS, Status.FAILURE])
    return found if since is None else found.filter(met_at__gte=since)


def of_meetings(meeting_ids: Iterable[uuid.UUID], kind: str) -> dict[uuid.UUID, Outcome]:
    """Meeting id → its row of this kind. One query."""
    rows = Outcome.objects.filter(meeting_id__in=list(meeting_ids), kind=kind)
    return {row.meeting_id: row for row in rows}


def _take_in(row: Outcome, seen: Verdict, now: datetime) -> None:
    if row.status != Status.PENDING:
        _after_the_decision(row, seen, now)
        return
    row.mature_at = seen.mature_at or row.mature_at
    is_late = seen.answered_at is not None and seen.answered_at > row.mature_at
    if seen.status == Status.SUCCESS and is_late:
        _decide(row, Status.FAILURE, f"{_late(row, seen)}: {seen.words}", seen.value, now)
    elif seen.status != Status.PENDING:
        _decide(row, seen.status, seen.words, seen.value, now)
    elif now >= row.mature_at:
        _decide(row, Status.FAILURE, seen.words, seen.value, now)
        row.look_at = now + LATE_EVERY
    else:
        row.words = seen.words[:MOST_WORDS]
        pause = min(max((now - row.met_at) / 20, SOONEST), LATEST)
        row.look_at = min(now + pause, max(row.mature_at, now + SOONEST))


def _decide(row: Outcome, status: str, words: str, value: float | None, now: datetime) -> None:
    row.status, row.words, row.value = status, words[:MOST_WORDS], value
    row.decided_at = now
    row.look_at = None


def _after_the_decision(row: Outcome, seen: Verdict, now: datetime) -> None:
    if row.status == Status.FAILURE and seen.status == Status.SUCCESS:
        row.words = f"{row.words} – {_late(row, seen)}"[:MOST_WORDS]
        row.look_at = None
    elif row.status == Status.FAILURE and seen.status == Status.PENDING and now < row.mature_at + LATE_FOR:
        row.look_at = now + LATE_EVERY
    else:
        row.look_at = None


def _late(row: Outcome, seen: Verdict) -> str:
    if seen.answered_at is None:
        return "came too late"
    return f"came {in_words(seen.answered_at - row.mature_at)} too late"


def in_words(length: timedelta) -> str:
    """E.g. "40 s", "12 min", "3 h 5 min"."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
