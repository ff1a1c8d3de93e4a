"""What a move would do, room by room: computed here for the preview, and again by the code that moves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max
from django.utils import timezone

from platforms import registry
from platforms.models import ReadinessResult
from rooms import readiness, switching
from rooms.models import Move, PlatformSwitch, Room
from rooms.words import label_of, minute_of, name_of

#: back to where rooms were: readiness checks do not stand in the way of somebody who flees
GOING_BACK = frozenset({Move.Source.UNDO, Move.Source.ROLLBACK, Move.Source.GUARD})
#: nobody looks at each room, so pinned ones are left alone
BY_WAVES = frozenset({Move.Source.WAVE, Move.Source.ROLLBACK, Move.Source.GUARD})


class MoveRefused(Exception):
    """A move that cannot be. The text is one sentence for staff, ``code`` a stable word for programs."""

    def __init__(self, sentence: str, *, code: str = "refused") -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Refusal:
    code: str  #: a stable word; after a colon there may be more that tells two refusals apart
    words: str  #: what follows the room's name


@dataclass(frozen=True, kw_only=True)
class MoveRow:
    room: Room
    from_platform: str
    to_platform: str
    refusal: Refusal | None
    is_pinned: bool

    @property
    def goes(self) -> bool:
        return self.refusal is None

    @property
    def refused(self) -> str | None:
        """Why this room stays where it is, in words that follow its name."""
        return self.refusal.words if self.refusal else None

    @property
    def fact(self) -> list[Any]:
        """What staff are shown and agree to: ``[room pk, platform now, code of the refusal or None, pinned]``.

        Codes, not words: words tell ages, which grow between looking and agreeing.
        """
        return [self.room.pk, self.from_platform, self.refusal.code if self.refusal else None, self.is_pinned]


@dataclass(frozen=True, kw_only=True)
class MovePlan:
    """What a move would do, in the order of the rooms' primary keys."""

    platform: str
    rows: tuple[MoveRow, ...]

    @property
    def label(self) -> str:
        return label_of(self.platform)

    @property
    def moving(self) -> list[MoveRow]:
        return [row for row in self.rows if row.goes]

    @property
    def refused(self) -> list[MoveRow]:
        return [row for row in self.rows if not row.goes]

    @property
    def facts(self) -> list[list[Any]]:
        return [row.fact for row in self.rows]

    @property
    def hash(self) -> str:
        """Equal for two plans exactly when they would do the same to the same rooms."""
        return hashlib.sha256(json.dumps([self.platform, self.facts]).encode()).hexdigest()


def preview_move(*, room_ids: Iterable[int], platform: str, now: datetime | None = None) -> MovePlan:
    """What moving these rooms by hand would do. Changes nothing; rooms that do not exist are left out.

    Raises ``MoveRefused`` when the platform is unknown.
    """
    return plan_move(Room.objects.filter(pk__in=list(room_ids)).order_by("pk"), platform, now=now)


def plan_move(
    rooms: Iterable[Room],
    platform: str,
    *,
    source: str = Move.Source.ADMIN,
    checks: Collection[str] = (),
    now: datetime | None = None,
) -> MovePlan:
    """``checks`` are the keys of readiness checks that must have passed, besides the blocking ones.

    Raises ``MoveRefused``.
    """
    now = now or timezone.now()
    if platform not in dict(registry.platform_choices()):
        known = ", ".join(slug for slug, _ in registry.platform_choices())
        raise MoveRefused(f"No platform is called “{platform}”; known: {known}.", code="unknown_platform")
    closed_to_all = refusal_of_all(platform, source=source, checks=checks, now=now)
    return MovePlan(
        platform=platform,
        rows=tuple(
            MoveRow(
                room=room,
                from_platform=room.platform,
                to_platform=platform,
                refusal=_refusal_of_one(room, platform, source=source, now=now) or closed_to_all,
                is_pinned=room.is_pinned(now),
            )
            for room in rooms
        ),
    )


def _refusal_of_one(room: Room, platform: str, *, source: str, now: datetime) -> Refusal | None:
    if room.archived_at is not None:
        return Refusal(code="archived", words="is archived")
    if room.platform == platform:
        return Refusal(code="already_there", words=f"is already on {label_of(platform)}")
    if source in BY_WAVES and room.is_pinned(now):
        return Refusal(code="pinned", words=f"is pinned to {label_of(room.platform)}: {room.pin_reason}")
    return None


def pinned_after(rooms: Iterable[Room], moment: datetime, *, now: datetime) -> dict[int, str]:
    """Primary key → one sentence on the pin, for rooms that are pinned now by a pin set or changed after ``moment``.

    Nobody who agreed to something at ``moment`` has seen these pins. ``Room.pinned_by`` should have been read.
    """
    return {
        room.pk: pin_in_words(room, now)
        for room in rooms
        if room.is_pinned(now) and room.pinned_at is not None and room.pinned_at > moment
    }


def pin_in_words(room: Room, now: datetime) -> str:
    """E.g. "“Board” was pinned to <platform> by Ann on 3 March at 14:03 UTC, without an end: hearing aids."."""
    by = f" by {name_of(room.pinned_by)}" if room.pinned_by else ""
    since = minute_of(room.pinned_at or now, now=now)
    until = f"until {minute_of(room.pin_until, now=now)}" if room.pin_until else "without an end"
    return f"“{room}” was pinned to {label_of(room.platform)}{by} on {since}, {until}: {room.pin_reason.rstrip('.')}."


#: follows that sentence where a move would be taken back
PINNED_SINCE = "That was after it was moved there: unpin it and move it."


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What stands in the way of moves to any platform, read once for many questions."""

    closed: Mapping[str, PlatformSwitch]  #: platform → what closed it for new meetings
    results: Mapping[str, Sequence[ReadinessResult]]  #: platform → its readiness results
    waived: Collection[tuple[str, str]]  #: (platform, key) of the checks that are waived

    @classmethod
    def at(cls, now: datetime) -> Standing:
        """Two queries."""
        results, waived = readiness.results_of_all(now=now)
        return cls(closed=switching.closed(), results=results, waived=waived)


def refusal_of_all(
    platform: str, *, source: str, checks: Collection[str], now: datetime, standing: Standing | None = None
) -> Refusal | None:
    """Why no room at all can go there now, in words that follow a room's name; None when rooms can.

    Two queries, or none with ``standing``.
    """
    label = label_of(platform)
    if platform not in {adapter.slug for adapter in registry.configured()}:
        return Refusal(code="not_configured", words=f"cannot go to {label}, which is not configured")
    closed = switching.closed() if standing is None else standing.closed
    if switch := closed.get(platform):
        return Refusal(code="closed", words=f"cannot go to {label}, which is {switching.in_words(switch)}")
    if source in GOING_BACK:
        return None
    results, waived = readiness.results_of_all(now=now) if standing is None else (standing.results, standing.waived)
    if blockers := readiness.blockers_among(results.get(platform, ()), waived, now=now, named=checks):
        return Refusal(
            code=f"checks_failed:{','.join(sorted(blocker.key for blocker in blockers))}",
            words=f"cannot go to {label}: {' '.join(blocker.words for blocker in blockers).rstrip('.')}",
        )
    return None


def what_changed(room: Room, expected_platform: str) -> str:
    """One sentence on who moved the room since somebody saw it on ``expected_platform``, and when."""
    return changes_of({room: expected_platform})[room]


def latest_moves(rooms: Iterable[Room]) -> dict[int, Move]:
    """Primary key of a room → its latest move, for those that were ever moved. Two queries, however many rooms."""
    latest = Move.objects.filter(room__in=list(rooms)).order_by().values("room").annotate(latest=Max("pk"))
    moves = Move.objects.filter(pk__in=[row["latest"] for row in latest]).select_related("actor", "wave", "order")
    return {move.room_id: move for move in moves}


def changes_of(seen: dict[Room, str]) -> dict[Room, str]:
    """``what_changed`` for each room and where it was seen."""
    if not seen:
        return {}
    moves = latest_moves(seen)
    return {room: _change(room, moves.get(room.pk), platform) for room, platform in seen.items()}


def _change(room: Room, move: Move | None, expected_platform: str) -> str:
    if move is None:
        return f"“{room}” is on {label_of(room.platform)}, not on {label_of(expected_platform)}."
    return (
        f"“{room}” was moved from {label_of(move.from_platform)} to {label_of(move.to_platform)} {move.by_whom} "
        f"on {minute_of(move.moved_at)}: {move.reason.rstrip('.')}."
    )
