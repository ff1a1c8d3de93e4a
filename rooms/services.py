"""Where a room's next meeting opens, and the one way to change that.

``Room.platform`` has one writer: ``move_room``. Every door (a toggle or a bulk action in the admin, an undo, the
command line) ends there, and each change leaves a ``Move`` that says who, when and why. ``Room.save`` never writes the
column of an existing room and refuses a changed value; ``QuerySet.update`` cannot be stopped, so nobody else uses it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.text import Truncator

from platforms import registry
from rooms.models import Move, Room

#: how long staff can take a move back with one click
UNDO_WINDOW = timedelta(minutes=10)
#: most rooms in one bulk move: one transaction, which on SQLite keeps every other writer waiting, the door included
MOST_AT_ONCE = 200


class MoveRefused(Exception):
    """A move that cannot be. The text is one sentence for staff."""


class NoPlatform(Exception):
    """No meeting can open in this room: its platform is not configured. The text is one sentence for staff."""


@dataclass(frozen=True, kw_only=True)
class MoveRow:
    room: Room
    from_platform: str
    to_platform: str
    refused: str | None  #: why this room stays where it is, in words that follow the room's name

    @property
    def goes(self) -> bool:
        return self.refused is None


@dataclass(frozen=True, kw_only=True)
class MovePlan:
    """What a move would do, room by room, in the order of their primary keys."""

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
        """What staff are shown and agree to, as plain values: ``[room pk, platform now, refusal or None]``."""
        return [[row.room.pk, row.from_platform, row.refused] for row in self.rows]

    @property
    def hash(self) -> str:
        """Equal for two plans exactly when they would do the same to the same rooms."""
        return hashlib.sha256(json.dumps([self.platform, self.facts]).encode()).hexdigest()


def label_of(platform: str) -> str:
    return dict(registry.platform_choices()).get(platform, platform)


def day_of(moment: datetime, *, now: datetime | None = None) -> str:
    """E.g. "3 March", with the year when it is not this one."""
    local = timezone.localtime(moment)
    year = "" if local.year == timezone.localtime(now or timezone.now()).year else f" {local.year}"
    return f"{local.day} {local:%B}{year}"


def choose_platform(room: Room) -> tuple[str, str]:
    """Where the next meeting opens, and why: e.g. "room is set to <label> by Ann on 3 March: pilot".

    At most 200 characters of why. Raises ``NoPlatform``.
    """
    platform = Room.objects.values_list("platform", flat=True).get(pk=room.pk)
    label = label_of(platform)
    if platform not in {adapter.slug for adapter in registry.configured()}:
        raise NoPlatform(f"{label}, where this room is set to meet, is not configured.")
    move = room.moves.select_related("actor").first()
    if move is None or move.to_platform != platform:
        why = f"room is set to {label} since it was made"
    else:
        why = f"room is set to {label} {move.by_whom} on {day_of(move.moved_at)}: {move.reason}"
    return platform, Truncator(why).chars(200)


def preview_move(*, room_ids: Iterable[int], platform: str) -> MovePlan:
    """What moving these rooms would do. Changes nothing; rooms that do not exist are left out.

    Raises ``MoveRefused`` when the platform is unknown.
    """
    return _plan(Room.objects.filter(pk__in=list(room_ids)).order_by("pk"), platform)


def _plan(rooms: Iterable[Room], platform: str) -> MovePlan:
    if platform not in dict(registry.platform_choices()):
        known = ", ".join(slug for slug, _ in registry.platform_choices())
        raise MoveRefused(f"No platform is called “{platform}”; known: {known}.")
    ready = platform in {adapter.slug for adapter in registry.configured()}
    return MovePlan(
        platform=platform,
        rows=tuple(
            MoveRow(
                room=room,
                from_platform=room.platform,
                to_platform=platform,
                refused=_refusal(room, platform, ready=ready),
            )
            for room in rooms
        ),
    )


def _refusal(room: Room, platform: str, *, ready: bool) -> str | None:
    if room.archived_at is not None:
        return "is archived"
    if room.platform == platform:
        return f"is already on {label_of(platform)}"
    if not ready:
        return f"cannot go to {label_of(platform)}, which is not configured"
    return None


def move_room(
    *,
    room_id: int,
    platform: str,
    reason: str,
    source: str,
    actor: Any = None,
    expected_platform: str | None = None,
    undoes: Move | None = None,
    batch: uuid.UUID | None = None,
    now: datetime | None = None,
) -> Move:
    """Set where the room's next meeting opens and write down why. A live meeting stays where it is.

    ``expected_platform`` is where whoever asks saw the room last; ``batch`` groups the moves of one decision.
    Raises ``MoveRefused``; then nothing has changed.
    """
    reason = reason.replace("\x00", "").strip()
    if not reason:
        raise MoveRefused("A move needs a reason.")
    with transaction.atomic():
        # the row is locked (on SQLite the whole database is, by the immediate transaction)
        room = Room.objects.select_for_update().filter(pk=room_id).first()
        if room is None:
            raise MoveRefused("This room does not exist any more.")
        if expected_platform is not None and room.platform != expected_platform:
            raise MoveRefused(f"{what_changed(room, expected_platform)} Look again before you move it.")
        row = _plan([room], platform).rows[0]
        if row.refused:
            raise MoveRefused(f"“{room}” {row.refused}.")
        move = Move.objects.create(
            room=room,
            from_platform=room.platform,
            to_platform=platform,
            reason=reason,
            source=source,
            actor=actor,
            moved_at=now or timezone.now(),
            undoes=undoes,
            batch=batch or uuid.uuid4(),
        )
        Room.objects.filter(pk=room.pk).update(platform=platform)
    return move


def what_changed(room: Room, expected_platform: str) -> str:
    """One sentence on who moved the room since somebody saw it on ``expected_platform``, and when."""
    move = room.moves.select_related("actor").first()
    if move is None:
        return f"“{room}” is on {label_of(room.platform)}, not on {label_of(expected_platform)}."
    at = timezone.localtime(move.moved_at)
    return (
        f"“{room}” was moved from {label_of(move.from_platform)} to {label_of(move.to_platform)} {move.by_whom} "
        f"on {day_of(move.moved_at)} at {at:%H:%M %Z}: {move.reason.rstrip('.')}."
    )


class PlanChanged(MoveRefused):
    """What staff agreed to is not what would happen any more; nothing was moved. ``changes`` has a sentence each."""

    def __init__(self, changes: list[str]) -> None:
        super().__init__("Something changed since you looked, so nothing was moved.")
        self.changes = changes


def move_as_planned(
    *,
    platform: str,
    seen: list[list[Any]],
    seen_hash: str,
    reason: str,
    actor: Any,
    now: datetime | None = None,
) -> list[Move]:
    """Carry out exactly the plan that was shown, or nothing.

    ``seen`` and ``seen_hash`` are ``MovePlan.facts`` and ``.hash`` of the preview. Raises ``PlanChanged``, and
    ``MoveRefused`` when the reason is empty or no room would move.
    """
    if len(seen) > MOST_AT_ONCE:
        raise MoveRefused(f"Choose at most {MOST_AT_ONCE} rooms at a time.")
    batch = uuid.uuid4()
    with transaction.atomic():
        rooms = list(Room.objects.select_for_update().filter(pk__in=[fact[0] for fact in seen]).order_by("pk"))
        plan = _plan(rooms, platform)
        if plan.hash != seen_hash:
            raise PlanChanged(_changes(plan, seen))
        if not plan.moving:
            raise MoveRefused(f"No room would move to {plan.label}.")
        return [
            move_room(
                room_id=row.room.pk,
                platform=platform,
                reason=reason,
                source=Move.Source.ADMIN,
                actor=actor,
                expected_platform=row.from_platform,
                batch=batch,
                now=now,
            )
            for row in plan.moving
        ]


def _changes(plan: MovePlan, seen: list[list[Any]]) -> list[str]:
    now = {row.room.pk: row for row in plan.rows}
    changes = []
    for pk, platform, refused in seen:
        row = now.get(pk)
        if row is None:
            changes.append("A room that you chose was deleted.")
        elif row.from_platform != platform:
            changes.append(what_changed(row.room, platform))
        elif row.refused != refused:
            changes.append(f"“{row.room}” {row.refused or 'can be moved now'}.")
    return changes or ["The page that you sent is not the one that was shown."]


def undo_move(*, move: Move, actor: Any, now: datetime | None = None) -> Move:
    """Take a move back, within ``UNDO_WINDOW``, once, and only while nothing else happened to the room.

    Raises ``MoveRefused``.
    """
    now = now or timezone.now()
    if move.source == Move.Source.UNDO:
        raise MoveRefused(f"“{move.room}” was moved back already; move it again if you changed your mind.")
    if move.moved_at < now - UNDO_WINDOW:
        raise MoveRefused(f"“{move.room}” was moved more than {UNDO_WINDOW.seconds // 60} minutes ago.")
    with transaction.atomic():
        room = Room.objects.select_for_update().get(pk=move.room_id)
        latest = room.moves.order_by("-pk").first()
        if latest is None or latest.pk != move.pk:
            raise MoveRefused(what_changed(room, move.to_platform))
        return move_room(
            room_id=room.pk,
            platform=move.from_platform,
            reason=f"Taken back: {move.reason}",
            source=Move.Source.UNDO,
            actor=actor,
            expected_platform=move.to_platform,
            undoes=move,
            now=now,
        )
