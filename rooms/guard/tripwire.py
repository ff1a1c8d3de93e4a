"""The tripwire of waves: some failures in a row hold a wave at once. No statistics: it is for outages.

In a row means: in the order in which the meetings were opened, counting one kind of outcome, with no success between
them. Failures are often known before successes (a meeting that cannot be opened fails in seconds, one that goes well
is judged after its end). So where "nothing yet" means that nothing has gone wrong, a meeting that has lasted longer
than the failures took to show breaks the row too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rooms.models import Outcome, Wave, WaveRoom
from rooms.models.rooms import Room
from rooms.words import label_of

#: the latest outcomes that are looked at, all kinds together
LOOK_BACK = 2000
#: kinds whose pending rows have seen nothing go wrong so far
SURVIVES = frozenset({Outcome.Kind.JOINED, Outcome.Kind.ERRORS})
COUNTED = (Outcome.Status.PENDING, Outcome.Status.SUCCESS, Outcome.Status.FAILURE)
NAMED = 3


@dataclass(frozen=True)
class Trip:
    """Why a wave is held. ``words`` are for staff, ``numbers`` plain values for the log."""

    words: str
    numbers: dict[str, Any]


def tripped(wave: Wave, now: datetime) -> Trip | None:
    """Whether the tripwire of a running wave has been touched, and by what. One query, or two when it has."""
    since = max((at for at in (wave.started_at, wave.guarded_from) if at is not None), default=None)
    if since is None or wave.trip_after < 1:
        return None
    moved = WaveRoom.objects.filter(wave=wave, state=WaveRoom.State.MOVED).values("room")
    # kinds and statuses are named one by one so that the index that begins with them finds the newest rows
    rows = Outcome.objects.filter(platform=wave.platform, kind__in=Outcome.Kind.values, status__in=COUNTED)
    rows = rows.filter(room__in=moved, met_at__gte=wave.started_at)
    latest = list(rows.order_by("-met_at", "-pk")[:LOOK_BACK])
    latest.reverse()
    for kind in Outcome.Kind:
        run = _run([row for row in latest if row.kind == kind], wave.trip_after, since, now)
        if run:
            return _trip(wave, kind, run)
    return None


def _run(rows: Iterable[Outcome], needed: int, since: datetime, now: datetime) -> list[Outcome]:
    """The first ``needed`` failures in a row that were decided after ``since``; empty when there are none."""
    run: list[Outcome] = []
    for row in rows:
        if row.status == Outcome.Status.FAILURE:
            if row.decided_at is not None and row.decided_at >= since:
                run.append(row)
        elif row.status == Outcome.Status.SUCCESS or (run and _survives(row, run, now)):
            run = []
        if len(run) >= needed:
            return run
    return []


def _survives(row: Outcome, run: list[Outcome], now: datetime) -> bool:
    return row.kind in SURVIVES and now - row.met_at > max(_age(failure) for failure in run)


def _age(failure: Outcome) -> timedelta:
    return (failure.decided_at or failure.met_at) - failure.met_at


def _trip(wave: Wave, kind: Outcome.Kind, run: list[Outcome]) -> Trip:
    names = dict(Room.objects.filter(pk__in={row.room_id for row in run}).values_list("pk", "name"))
    told = "; ".join(f"“{names.get(row.room_id, '?')}”: {row.words or 'no reason known'}" for row in run[-NAMED:])
    return Trip(
        words=f"{len(run)} failures in a row of “{kind.label}” on {label_of(wave.platform)}: {told}.",
        numbers={
            "kind": kind.value,
            "failures": len(run),
            "trip_after": wave.trip_after,
            "meetings": [str(row.meeting_id) for row in run],
            "rooms": sorted({row.room_id for row in run}),
            "first_met_at": run[0].met_at.isoformat(),
            "last_met_at": run[-1].met_at.isoformat(),
        },
    )
