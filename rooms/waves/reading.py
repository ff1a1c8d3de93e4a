"""What the database says about a wave: its rooms by what is to be done with them, and the engine's ``State``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from platforms.models import ReadinessResult
from rooms.guard.tripwire import Trip, tripped
from rooms.models import Move, Outcome, Room, Wave, WaveRoom
from rooms.planning import Standing, refusal_of_all
from rooms.readiness import CHECKED_WITHIN
from rooms.waves.blackouts import Blackout
from rooms.waves.engine import State, Step
from rooms.words import count_of, label_of, minute_of

#: a wave in one of these holds its rooms: no other wave takes them
HOLDING_ROOMS = (Wave.Status.RUNNING, Wave.Status.HELD)
STILL_TO_BE_SORTED = (WaveRoom.State.WAITING, WaveRoom.State.RETURNED)
BY_THE_WAVE = (WaveRoom.State.MOVED, WaveRoom.State.RETURNED)
ANSWERED = (Outcome.Status.SUCCESS, Outcome.Status.FAILURE)
#: outcomes are judged every few seconds: one that is still open so long after its time was not looked at
OVERDUE_AFTER = timedelta(minutes=2)


def locked(wave_id: int, *, unless_taken: bool = False) -> Wave | None:
    """The wave, locked until the end of the transaction. ``unless_taken``: None at once when somebody else works on it.

    On SQLite the whole database is locked already, by the immediate transaction.
    """
    skip = unless_taken and connection.features.has_select_for_update_skip_locked
    return Wave.objects.select_for_update(no_key=True, skip_locked=skip).filter(pk=wave_id).first()


def reach_of(step: dict[str, Any]) -> int:
    return round(float(step["percent"]) * 100)


def steps_of(wave: Wave) -> list[Step]:
    return [
        Step(
            reach=reach_of(step),
            dwell=timedelta(minutes=step["dwell_minutes"]),
            min_meetings=step["min_meetings"],
        )
        for step in wave.steps
    ]


def blackouts_of(wave: Wave) -> list[Blackout]:
    """In the installation's own time zone, whoever looks."""
    zone = timezone.get_default_timezone()
    return [
        Blackout(
            days=frozenset(row["days"]),
            begins=time.fromisoformat(row["from"]),
            ends=time.fromisoformat(row["to"]),
            zone=zone,
        )
        for row in wave.blackouts
    ]


# -- rooms by what is to be done ------------------------------------------------------------------------


def was_touched() -> Exists:
    """Somebody else moved the room after the wave last saw it. ``WaveRoom.move`` is the move that the wave knows of:
    the room's latest when the wave started, then the wave's own."""
    return Exists(Move.objects.filter(room=OuterRef("room_id"), pk__gt=Coalesce(OuterRef("move_id"), Value(0))))


def _is_to_move(reached: Any) -> Q:
    return Q(state__in=STILL_TO_BE_SORTED, bucket__lt=reached)


def unhindered(now: datetime) -> Q:
    """Rooms that the wave may move: not pinned, not archived, and moved by nobody else since it last saw them."""
    unpinned = Q(room__pinned_at__isnull=True) | Q(room__pin_until__lte=now)
    return Q(room__archived_at__isnull=True) & unpinned & Q(~was_touched())


def _may_follow(reached: Any, now: datetime) -> Q:
    """Left alone, and what stood in the way (an archive, a pin) has ended."""
    left = Q(state=WaveRoom.State.LEFT, bucket__lt=reached, room__platform=F("from_platform"))
    return left & unhindered(now)


def _is_to_return(reached: Any) -> Q:
    return Q(state=WaveRoom.State.MOVED, bucket__gte=reached)


def to_move(wave: Wave, now: datetime, *, reached: int | None = None) -> QuerySet[WaveRoom]:
    """Rooms that go to the target, or are found to be left alone, when the wave reaches so far."""
    reached = wave.reached if reached is None else reached
    return wave.rooms.filter(_is_to_move(reached) | _may_follow(reached, now)).order_by("bucket", "pk")


def to_return(wave: Wave, *, reached: int | None = None) -> QuerySet[WaveRoom]:
    """Rooms that the wave moved and that lie beyond what it reaches."""
    return wave.rooms.filter(_is_to_return(wave.reached if reached is None else reached)).order_by("bucket", "pk")


def astray(wave: Wave) -> QuerySet[WaveRoom]:
    """Rooms that the wave moved and that somebody else moved away since."""
    moved = wave.rooms.filter(state=WaveRoom.State.MOVED).exclude(room__platform=wave.platform)
    return moved.filter(was_touched()).order_by("bucket", "pk")


def with_something_to_do() -> QuerySet[Wave]:
    """Waves that hold rooms, and those that were rolled back while rooms are still to be moved back."""
    moved = Exists(WaveRoom.objects.filter(wave=OuterRef("pk"), state=WaveRoom.State.MOVED))
    return Wave.objects.filter(Q(status__in=HOLDING_ROOMS) | Q(moved, status=Wave.Status.ROLLED_BACK))


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Rooms that cannot go back yet: where they came from takes no room now."""

    platform: str
    code: str
    rooms: int
    why: str  #: e.g. "A platform is closed for new meetings by Ann since 3 March at 14:03 UTC: outage; they follow …"

    @property
    def words(self) -> str:
        return f"{count_of(self.rooms, 'room')} cannot go back yet: {self.why}."

    @property
    def waits(self) -> str:
        """What follows "waits for"."""
        return f"{count_of(self.rooms, 'room')} to go back: {self.why}"


def kept_among(rooms: QuerySet[WaveRoom], now: datetime) -> list[Kept]:
    """Of rooms that are to go back: those that cannot yet, and are not left alone for reasons of their own.

    One query, and one or none for each place they came from.
    """
    counts = rooms.filter(unhindered(now)).order_by("from_platform").values_list("from_platform")
    return _kept(dict(counts.annotate(count=Count("pk"))), now)


def but_for(kept: Sequence[Kept], rooms: QuerySet[WaveRoom], now: datetime) -> QuerySet[WaveRoom]:
    """The other ones of these rooms: they go back now, or are left alone."""
    if not kept:
        return rooms
    from_there = rooms.filter(unhindered(now), from_platform__in=[one.platform for one in kept])
    return rooms.exclude(pk__in=from_there.order_by().values("pk"))


def _kept(counts: dict[str, int], now: datetime, standing: Standing | None = None) -> list[Kept]:
    """``counts``: rooms that are to go back, by where they came from."""
    found = []
    for platform, count in counts.items():
        # the very refusal that ``move_rooms`` would give; what the source is makes no difference to it
        source = Move.Source.ROLLBACK
        refusal = refusal_of_all(platform, source=source, checks=(), now=now, standing=standing)
        if refusal is not None:
            label = label_of(platform)
            why = f"{label} {refusal.words.removeprefix(f'cannot go to {label}, which ').rstrip('.')}"
            follow = "it follows by itself" if count == 1 else "they follow by themselves"
            found.append(Kept(platform=platform, code=refusal.code, rooms=count, why=f"{why}; {follow}"))
    return found


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A wave's rooms, counted."""

    total: int
    waiting: int
    moved: int
    there: int
    left: int
    returned: int
    within: int  #: rooms whose bucket lies within what the wave reaches
    on_target: int  #: rooms that are on the target now, whoever moved them
    to_move: int
    to_follow: int
    to_return: int
    astray: int
    ever_moved: int  #: rooms that the wave has moved, wherever they are now


def numbers_of(wave: Wave, now: datetime) -> Numbers:
    """One query."""
    return Numbers(**wave.rooms.aggregate(**_counts(wave.reached, wave.platform, now)))


def _counts(reached: Any, platform: Any, now: datetime) -> dict[str, Count]:
    """The fields of ``Numbers``. ``reached`` and ``platform`` are a wave's, or lead to them."""
    return {
        "total": Count("pk"),
        **{state.value: Count("pk", filter=Q(state=state)) for state in WaveRoom.State},
        "within": Count("pk", filter=Q(bucket__lt=reached)),
        "on_target": Count("pk", filter=Q(room__platform=platform)),
        "to_move": Count("pk", filter=_is_to_move(reached)),
        "to_follow": Count("pk", filter=_may_follow(reached, now)),
        "to_return": Count("pk", filter=_is_to_return(reached)),
        "ever_moved": Count("pk", filter=Q(state__in=BY_THE_WAVE) | Q(move__wave=F("wave"))),
        "astray": Count("pk", filter=Q(state=WaveRoom.State.MOVED) & ~Q(room__platform=platform)),
    }


# -- state ----------------------------------------------------------------------------------------------


def meetings_matured(wave: Wave) -> int:
    """Meetings on the target, in rooms that the wave moved, that were judged in full since the step was applied.

    A meeting that only has questions that do not apply (nobody came) does not count.
    """
    if wave.step_started_at is None:
        return 0
    moved = WaveRoom.objects.filter(wave=wave, state=WaveRoom.State.MOVED).values("room_id")
    answered = _judged().filter(room_id__in=moved, platform=wave.platform, decided_at__gte=wave.step_started_at)
    return answered.order_by().values("meeting_id").distinct().count()


def _judged() -> QuerySet[Outcome]:
    """Answers about meetings of which no question is open any more."""
    of_meeting = Outcome.objects.filter(meeting_id=OuterRef("meeting_id"), status=Outcome.Status.PENDING)
    return Outcome.objects.filter(~Exists(of_meeting), status__in=ANSWERED)


def blockers_of(wave: Wave, now: datetime, standing: Standing | None = None) -> list[str]:
    """Why no room can be moved to the target now: the very refusal that ``move_rooms`` would give."""
    checks = list(wave.required_checks)
    refusal = refusal_of_all(wave.platform, source=Move.Source.WAVE, checks=checks, now=now, standing=standing)
    return [f"Rooms {refusal.words.rstrip('.')}."] if refusal else []


def _has_overdue(now: datetime) -> Q:
    """Of a wave: a meeting of one of its rooms, on its target, that should have been judged, or asked about."""
    of_wave: dict[str, Any] = {"platform": OuterRef("platform"), "room__wave_rooms__wave": OuterRef("pk")}
    long_ago = now - OVERDUE_AFTER
    unanswered = Outcome.objects.filter(status=Outcome.Status.PENDING, mature_at__lte=long_ago, **of_wave)
    # meetings are known to rooms by the name of their relation alone. One that opened, or failed to, has no outcomes
    # before somebody asks for them: without a sweeper nobody does
    meetings: Any = Room._meta.get_field("meetings").related_model
    unasked = meetings.objects.filter(outcomes_expected_at__isnull=True, created_at__lte=long_ago, **of_wave)
    return Exists(unanswered) | Exists(unasked.exclude(status="opening"))


def _checked_at() -> Subquery:
    """Of a wave: when its target was last checked; None when it never was."""
    checked = ReadinessResult.objects.filter(platform=OuterRef("platform")).order_by("-checked_at")
    return Subquery(checked.values("checked_at")[:1])


def _catching_up(platform: str, has_overdue: bool, checked_at: datetime | None, now: datetime) -> list[str]:
    """What happened while nobody looked and is not looked at yet, as after days without a scheduler."""
    found = []
    if has_overdue:
        found.append("outcomes of the last meetings, which are still being looked at")
    if checked_at is not None and now - checked_at > CHECKED_WITHIN:
        found.append(f"{label_of(platform)} to be checked again: it was last on {minute_of(checked_at, now=now)}")
    return found


def catching_up(wave: Wave, now: datetime) -> list[str]:
    """One query."""
    waves = Wave.objects.filter(pk=wave.pk).annotate(has_overdue=_has_overdue(now), checked_at=_checked_at())
    has_overdue, checked_at = waves.values_list("has_overdue", "checked_at").get()
    return _catching_up(wave.platform, has_overdue, checked_at, now)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Everything about a wave at one moment. About nine queries, however many rooms."""

    state: State
    numbers: Numbers
    trip: Trip | None
    kept: Sequence[Kept]  #: among the rooms that are to go back


def read(wave: Wave, now: datetime) -> Reading:
    numbers = numbers_of(wave, now)
    trip = tripped(wave, now) if wave.status == Wave.Status.RUNNING else None
    blockers = blockers_of(wave, now) if wave.status in (Wave.Status.DRAFT, *HOLDING_ROOMS) else []
    behind = catching_up(wave, now) if wave.status == Wave.Status.RUNNING else []
    kept = kept_among(to_return(wave), now) if numbers.to_return else []
    meetings = meetings_matured(wave)
    return _reading(wave, numbers, trip=trip, meetings=meetings, blockers=blockers, behind=behind, kept=kept)


def _reading(
    wave: Wave,
    numbers: Numbers,
    *,
    trip: Trip | None,
    meetings: int,
    blockers: list[str],
    behind: list[str],
    kept: list[Kept],
) -> Reading:
    state = State(
        running=wave.status == Wave.Status.RUNNING,
        steps=steps_of(wave),
        step=wave.step,
        applied_at=wave.step_started_at,
        reached=wave.reached,
        to_move=numbers.to_move,
        to_follow=numbers.to_follow,
        to_return=numbers.to_return,
        meetings=meetings,
        has_moved=numbers.ever_moved > 0,
        tripped=trip is not None,
        catching_up=behind,
        blockers=blockers,
        blackouts=blackouts_of(wave),
    )
    return Reading(state=state, numbers=numbers, trip=trip, kept=kept)


def read_all_with_something_to_do(now: datetime, standing: Standing | None = None) -> list[tuple[Wave, Reading]]:
    """Those waves, the oldest first. Two queries (four without ``standing``), however many.

    The tripwire is not looked at: the next tick does, and holds the wave.
    """
    matured = (
        _judged()
        .filter(
            room__wave_rooms__wave=OuterRef("pk"),
            room__wave_rooms__state=WaveRoom.State.MOVED,
            platform=OuterRef("platform"),
            decided_at__gte=OuterRef("step_started_at"),
        )
        .order_by()
        .values("room__wave_rooms__wave")
        .annotate(count=Count("meeting_id", distinct=True))
        .values("count")
    )
    waves = list(
        with_something_to_do()
        .annotate(matured=Coalesce(Subquery(matured), 0), has_overdue=_has_overdue(now), checked_at=_checked_at())
        .order_by("started_at", "pk")
    )
    standing = standing or Standing.at(now)
    numbers, back = _counted(waves, now)
    return [
        (
            wave,
            _reading(
                wave,
                numbers[wave.pk],
                trip=None,
                meetings=wave.matured,
                blockers=blockers_of(wave, now, standing) if wave.status in HOLDING_ROOMS else [],
                kept=_kept(back[wave.pk], now, standing),
                behind=_catching_up(wave.platform, wave.has_overdue, wave.checked_at, now),
            ),
        )
        for wave in waves
    ]


def _counted(waves: list[Any], now: datetime) -> tuple[dict[int, Numbers], dict[int, dict[str, int]]]:
    """Wave → its rooms, counted; and wave → where rooms that are to go back came from → how many. One query."""
    sums = {wave.pk: Counter(dict.fromkeys(Numbers.__dataclass_fields__, 0)) for wave in waves}
    back: dict[int, dict[str, int]] = {wave.pk: {} for wave in waves}
    rooms = WaveRoom.objects.filter(wave__in=waves).order_by("from_platform").values("wave", "from_platform")
    going_back = Count("pk", filter=_is_to_return(F("wave__reached")) & unhindered(now))
    counts = _counts(F("wave__reached"), F("wave__platform"), now)
    rows: Any = rooms.annotate(going_back=going_back, **counts) if waves else []
    for row in rows:
        wave, platform, going = row.pop("wave"), row.pop("from_platform"), row.pop("going_back")
        sums[wave].update(row)
        if going:
            back[wave][platform] = going
    return {wave: Numbers(**count) for wave, count in sums.items()}, back


def held_by_others(rooms: Iterable[int] | QuerySet[Any], *, but: Wave) -> QuerySet[WaveRoom]:
    """Rooms among these that another wave holds, or that it has still to move back."""
    going_back = Q(wave__status=Wave.Status.ROLLED_BACK, state=WaveRoom.State.MOVED)
    others = WaveRoom.objects.filter(Q(wave__status__in=HOLDING_ROOMS) | going_back).exclude(wave=but.pk)
    return others.filter(room__in=rooms).select_related("wave")


def meetings_by_platform(wave: Wave, since: datetime) -> dict[str, int]:
    """Meetings of all rooms of the wave that opened since then, by where they took place."""
    rows = (
        Room.objects.filter(wave_rooms__wave=wave, meetings__created_at__gte=since)
        .order_by()
        .values_list("meetings__platform")
        .annotate(count=Count("meetings"))
    )
    return dict(rows.values_list("meetings__platform", "count"))
