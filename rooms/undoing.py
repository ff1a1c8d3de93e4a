"""Taking moves back: soon after, once, and only while nothing else happened to the room."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from rooms.models import Move, MoveOrder, MoveOrderRoom, Room
from rooms.planning import PINNED_SINCE, MoveRefused, pinned_after, what_changed
from rooms.services import move_room

#: how long staff can take a move back with one click
UNDO_WINDOW = timedelta(minutes=10)


def undo_move(*, move: Move, actor: Any, now: datetime | None = None) -> Move:
    """Take a move back, within ``UNDO_WINDOW``. Raises ``MoveRefused``."""
    now = now or timezone.now()
    if move.source == Move.Source.UNDO:
        raise MoveRefused(f"“{move.room}” was moved back already; move it again if you changed your mind.")
    if move.moved_at < now - UNDO_WINDOW:
        raise MoveRefused(f"“{move.room}” was moved more than {UNDO_WINDOW.seconds // 60} minutes ago.")
    with transaction.atomic():
        room = Room.objects.select_for_update(of=("self",)).select_related("pinned_by").get(pk=move.room_id)
        latest = room.moves.order_by("-pk").first()
        if latest is None or latest.pk != move.pk:
            raise MoveRefused(what_changed(room, move.to_platform), code="stale")
        if pinned := pinned_after([room], move.moved_at, now=now).get(room.pk):
            raise MoveRefused(f"{pinned} {PINNED_SINCE}", code="pinned")
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


def undo_order(*, order: MoveOrder, actor: Any, now: datetime | None = None) -> list[MoveOrder]:
    """Take back every move of an order, in the background: one new order for each platform that its rooms came from.

    Within ``UNDO_WINDOW`` of its end, once. Raises ``MoveRefused``.
    """
    now = now or timezone.now()
    with transaction.atomic():
        order = MoveOrder.objects.select_for_update().get(pk=order.pk)
        if order.kind == MoveOrder.Kind.UNDO or order.undone_by.exists():
            raise MoveRefused("These rooms were moved back already; move them again if you changed your mind.")
        if order.finished_at is None:
            raise MoveRefused("Rooms are still being moved: cancel that first, or wait for its end.")
        if order.finished_at < now - UNDO_WINDOW:
            raise MoveRefused(f"These rooms were moved more than {UNDO_WINDOW.seconds // 60} minutes ago.")
        came_from: dict[str, list[int]] = {}
        for room_id, platform in order.moves.order_by("room_id").values_list("room_id", "from_platform"):
            came_from.setdefault(platform, []).append(room_id)
        if not came_from:
            raise MoveRefused("No room was moved, so there is nothing to take back.")
        return [_back_to(platform, room_ids, order, actor, now) for platform, room_ids in sorted(came_from.items())]


def _back_to(platform: str, room_ids: list[int], order: MoveOrder, actor: Any, now: datetime) -> MoveOrder:
    back = MoveOrder.objects.create(
        kind=MoveOrder.Kind.UNDO,
        platform=platform,
        reason=f"Taken back: {order.reason}",
        actor=actor,
        created_at=now,
        due_at=now,
        undoes=order,
    )
    MoveOrderRoom.objects.bulk_create(
        (MoveOrderRoom(order=back, room_id=room_id, seen_on=order.platform) for room_id in room_ids), batch_size=1000
    )
    back.wake_after_commit()
    return back
