"""The one way to change where rooms meet.

``Room.platform`` has one writer: ``move_rooms``, of which ``move_room`` is the case of one. Every door (a toggle or a
bulk action in the admin, an undo, an order, a wave, the API, the command line) ends there, and each change leaves a
``Move`` that says who, when and why. ``Room.save`` never writes the column of an existing room and refuses a changed
value; so does ``QuerySet.update``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from rooms.models import Move, MoveOrder, Room, Wave
from rooms.planning import MovePlan, MoveRefused, changes_of, pinned_after, plan_move, preview_move, what_changed
from rooms.words import given

__all__ = [
    "MOST_AT_ONCE",
    "MovePlan",
    "MoveRefused",
    "Moved",
    "PlanChanged",
    "given_reason",
    "move_as_planned",
    "move_room",
    "move_rooms",
    "preview_move",
    "what_changed",
]

#: most rooms in one transaction, which on SQLite keeps every other writer waiting, the door included
MOST_AT_ONCE = 200
#: changes of the same kind that are told one by one
TOLD = 5


@dataclass(frozen=True, kw_only=True)
class Moved:
    moves: list[Move]
    refused: list[tuple[int, str]]  #: primary key of a room that was not moved, and why, in a sentence for staff
    codes: dict[int, str]  #: the same rooms, and why in a stable word for programs


def given_reason(reason: str) -> str:
    """The reason without what no database takes. Raises ``MoveRefused`` when nothing is left of it."""
    reason = given(reason)
    if not reason:
        raise MoveRefused("A move needs a reason.", code="reason_missing")
    return reason


def move_rooms(
    *,
    rooms: Sequence[tuple[int, str | None]],
    platform: str,
    reason: str,
    source: str,
    actor: Any = None,
    wave: Wave | None = None,
    order: MoveOrder | None = None,
    batch: uuid.UUID | None = None,
    undoes: Mapping[int, Move] | None = None,
    now: datetime | None = None,
) -> Moved:
    """Set where the next meetings of rooms open and write down why. Live meetings stay where they are.

    ``rooms`` are pairs of a primary key and of the platform on which whoever asks saw the room last (None: they did not
    look); ``batch`` groups the moves of one decision; ``undoes`` has the move that each room's new one takes back. Each
    room is moved or refused by itself, all in one transaction, locked in the order of primary keys. Raises
    ``MoveRefused`` when no room could be moved, whatever its state: no reason, unknown platform.
    """
    reason = given_reason(reason)
    now = now or timezone.now()
    seen = dict(rooms)
    with transaction.atomic():
        # the rows are locked (on SQLite the whole database is, by the immediate transaction)
        locked = list(Room.objects.select_for_update().filter(pk__in=list(seen)).order_by("pk"))
        plan = plan_move(locked, platform, source=source, checks=_checks(wave), now=now)
        stale = changes_of({room: there for room in locked if (there := seen[room.pk]) not in (None, room.platform)})
        going = [row for row in plan.moving if row.room not in stale]
        batch = batch or uuid.uuid4()
        moves = Move.objects.bulk_create(
            Move(
                room=row.room,
                from_platform=row.from_platform,
                to_platform=platform,
                reason=reason,
                source=source,
                actor=actor,
                moved_at=now,
                undoes=(undoes or {}).get(row.room.pk),
                wave=wave,
                order=order,
                batch=batch,
            )
            for row in going
        )
        Room.objects.filter(pk__in=[row.room.pk for row in going]).write_platform(platform)
    refused: dict[int, tuple[str, str]] = {}
    for pk in seen.keys() - {room.pk for room in locked}:
        refused[pk] = ("This room does not exist any more.", "gone")
    for row in plan.rows:
        if row.room in stale:
            refused[row.room.pk] = (f"{stale[row.room]} Look again before you move it.", "stale")
        elif row.refusal is not None:
            refused[row.room.pk] = (f"“{row.room}” {row.refusal.words}.", row.refusal.code)
    return Moved(
        moves=moves,
        refused=[(pk, words) for pk, (words, _) in sorted(refused.items())],
        codes={pk: code for pk, (_, code) in refused.items()},
    )


def _checks(wave: Wave | None) -> list[str]:
    """A wave may name checks that must have passed, besides those that stop every move."""
    return list(wave.required_checks) if wave is not None else []


def move_room(
    *,
    room_id: int,
    platform: str,
    reason: str,
    source: str,
    actor: Any = None,
    expected_platform: str | None = None,
    wave: Wave | None = None,
    order: MoveOrder | None = None,
    undoes: Move | None = None,
    batch: uuid.UUID | None = None,
    now: datetime | None = None,
) -> Move:
    """Move one room, as ``move_rooms`` does. Raises ``MoveRefused``; then nothing has changed."""
    moved = move_rooms(
        rooms=[(room_id, expected_platform)],
        platform=platform,
        reason=reason,
        source=source,
        actor=actor,
        wave=wave,
        order=order,
        batch=batch,
        undoes=None if undoes is None else {room_id: undoes},
        now=now,
    )
    for pk, words in moved.refused:
        raise MoveRefused(words, code=moved.codes[pk])
    return moved.moves[0]


class PlanChanged(MoveRefused):
    """What staff agreed to is not what would happen any more; nothing was moved. ``changes`` has a sentence each."""

    def __init__(self, changes: list[str]) -> None:
        super().__init__("Something changed since you looked, so nothing was moved.", code="stale")
        self.changes = changes


def move_as_planned(
    *,
    platform: str,
    seen: list[list[Any]],
    seen_hash: str,
    reason: str,
    actor: Any,
    looked_at: datetime | None = None,
    now: datetime | None = None,
) -> list[Move]:
    """Carry out exactly the plan that was shown, or nothing.

    ``seen`` and ``seen_hash`` are ``MovePlan.facts`` and ``.hash`` of the preview; a pin that was set or changed after
    ``looked_at`` was not shown. Raises ``PlanChanged``, and ``MoveRefused`` when the reason is empty or no room would
    move.
    """
    if len(seen) > MOST_AT_ONCE:
        raise MoveRefused(f"Choose at most {MOST_AT_ONCE} rooms at a time.")
    with transaction.atomic():
        plan = locked_plan(platform=platform, seen=seen, seen_hash=seen_hash, now=now)
        if looked_at is not None and (pins := pins_since(plan, looked_at, now=now or timezone.now())):
            raise PlanChanged(pins)
        moved = move_rooms(
            rooms=[(row.room.pk, row.from_platform) for row in plan.moving],
            platform=platform,
            reason=reason,
            source=Move.Source.ADMIN if len(plan.moving) == 1 else Move.Source.BULK,
            actor=actor,
            now=now,
        )
        # rooms are locked, the platform is not: it can be closed, or fail a check, this very moment
        if moved.refused:
            raise PlanChanged([words for _, words in moved.refused])
    return moved.moves


def pins_since(plan: MovePlan, looked_at: datetime, *, now: datetime) -> list[str]:
    """Pins that were set or changed since, a sentence each, the first few: the plan says only that there is one."""
    return list(pinned_after((row.room for row in plan.moving), looked_at, now=now).values())[:TOLD]


def locked_plan(*, platform: str, seen: list[list[Any]], seen_hash: str, now: datetime | None = None) -> MovePlan:
    """The plan that was shown, computed anew with its rooms locked. Call inside a transaction.

    Raises ``PlanChanged`` when it is another one, ``MoveRefused`` when no room would move.
    """
    found = Room.objects.select_for_update(of=("self",)).select_related("pinned_by")
    rooms = list(found.filter(pk__in=[fact[0] for fact in seen]).order_by("pk"))
    plan = plan_move(rooms, platform, now=now)
    if plan.hash != seen_hash:
        raise PlanChanged(changes_since(plan, seen))
    if not plan.moving:
        raise MoveRefused(f"No room would move to {plan.label}.")
    return plan


def changes_since(plan: MovePlan, seen: list[list[Any]]) -> list[str]:
    """One sentence for each room of ``seen`` (``MovePlan.facts`` of an earlier look) that is not as it was."""
    rows = {row.room.pk: row for row in plan.rows}
    changes = []
    for fact in seen:
        pk, platform, code, was_pinned = fact
        row = rows.get(pk)
        if row is None:
            changes.append("A room that you chose was deleted.")
        elif row.from_platform != platform:
            changes.append(what_changed(row.room, platform))
        elif row.fact[2] != code:
            changes.append(f"“{row.room}” {row.refused or 'can be moved now'}.")
        elif row.is_pinned != was_pinned:
            changes.append(f"“{row.room}” {'was pinned' if row.is_pinned else 'is not pinned any more'}.")
    return changes or ["The page that you sent is not the one that was shown."]
