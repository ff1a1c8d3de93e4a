"""Moves that somebody agreed to and that happen later, or in the background because there are many.

An order is a row of work (``platforms.work``): carried out in chunks, each a transaction that locks the order, moves
its rooms by ``move_rooms`` and writes what became of each. A worker that is killed leaves whole chunks behind; whoever
claims the order next goes on with the rooms that are still waiting.

Whoever pins a room after it was ordered wins: nobody who agreed to the order has seen that pin. A pin that was there
already was shown, so its room is moved as ordered.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone

from platforms import alerts
from platforms.models import Alert
from platforms.work import Hopeless, Lease, LeaseLost, Work
from rooms.models import Move, MoveOrder, MoveOrderRoom, Room
from rooms.planning import PINNED_SINCE, MovePlan, MoveRefused, latest_moves, pinned_after, plan_move, what_changed
from rooms.services import MOST_AT_ONCE, TOLD, PlanChanged, changes_since, given_reason, move_rooms, pins_since
from rooms.words import count_of, minute_of

#: most rooms in one order
MOST_ORDERED = 20_000
#: a move further away than this is a slip of the finger
FURTHEST = timedelta(days=366)
LEFTOVERS_ARE_NEWS = timedelta(days=1)
SOURCES = {
    MoveOrder.Kind.SCHEDULED: Move.Source.SCHEDULE,
    MoveOrder.Kind.BULK: Move.Source.BULK,
    MoveOrder.Kind.UNDO: Move.Source.UNDO,
}


# -- placing ----------------------------------------------------------------------------------------------------------


def order_as_planned(
    *,
    platform: str,
    room_ids: list[int],
    seen_hash: str,
    reason: str,
    actor: Any,
    seen: list[list[Any]] | None = None,
    looked_at: datetime | None = None,
    at: datetime | None = None,
    now: datetime | None = None,
) -> MoveOrder:
    """Order exactly the plan that was shown: for ``at``, or as soon as a worker is free.

    What changed since is told from ``seen`` (``MovePlan.facts``), or for plans too large to send to and fro from the
    moves after ``looked_at``; a pin that was set or changed after ``looked_at`` was not shown either. Raises
    ``PlanChanged`` and ``MoveRefused``; then nothing was ordered.
    """
    now = now or timezone.now()
    is_many = len(room_ids) > MOST_AT_ONCE
    # few are locked, so that what was shown is what is ordered; each of many is looked at again by its chunk
    with nullcontext() if is_many else transaction.atomic():
        rooms = Room.objects.filter(pk__in=room_ids).order_by("pk")
        plan = plan_move(rooms if is_many else rooms.select_for_update(), platform, now=now)
        if plan.hash != seen_hash:
            raise PlanChanged(changes_since(plan, seen) if seen else _moves_since(plan, looked_at))
        if looked_at is not None and (pins := pins_since(plan, looked_at, now=now)):
            raise PlanChanged(pins)
        return _place(plan, reason=reason, actor=actor, at=at, now=now)


def schedule_move(
    *,
    room_id: int,
    platform: str,
    reason: str,
    at: datetime,
    actor: Any = None,
    expected_platform: str | None = None,
    now: datetime | None = None,
) -> MoveOrder:
    """Order one room's move for ``at``. Raises ``MoveRefused``."""
    now = now or timezone.now()
    with transaction.atomic():
        room = Room.objects.select_for_update().filter(pk=room_id).first()
        if room is None:
            raise MoveRefused("This room does not exist any more.", code="gone")
        if expected_platform not in (None, room.platform):
            raise MoveRefused(
                f"{what_changed(room, str(expected_platform))} Look again before you move it.", code="stale"
            )
        plan = plan_move([room], platform, now=now)
        refusal = plan.rows[0].refusal
        if refusal is not None:
            raise MoveRefused(f"“{room}” {refusal.words}.", code=refusal.code)
        return _place(plan, reason=reason, actor=actor, at=at, now=now)


def _place(plan: MovePlan, *, reason: str, actor: Any, at: datetime | None, now: datetime) -> MoveOrder:
    reason = given_reason(reason)
    if at is not None and at <= now:
        raise MoveRefused(f"{minute_of(at, now=now)} has passed: choose a time to come, or move now.", code="at_passed")
    if at is not None and at > now + FURTHEST:
        raise MoveRefused(f"Choose a time within {FURTHEST.days} days.", code="at_too_far")
    if len(plan.rows) > MOST_ORDERED:
        raise MoveRefused(f"Choose at most {MOST_ORDERED:,} rooms at a time.", code="too_many")
    if not plan.moving:
        raise MoveRefused(f"No room would move to {plan.label}.")
    with transaction.atomic():
        return _written(plan, reason=reason, actor=actor, at=at, now=now)


def _written(plan: MovePlan, *, reason: str, actor: Any, at: datetime | None, now: datetime) -> MoveOrder:
    order = MoveOrder.objects.create(
        kind=MoveOrder.Kind.BULK if at is None else MoveOrder.Kind.SCHEDULED,
        platform=plan.platform,
        reason=reason,
        actor=actor,
        is_from_shell=actor is None,
        created_at=now,
        scheduled_for=at,
        due_at=at or now,
        # the sweeper wakes what is due and was not woken yet; nobody else does when the time comes
        woken_at=None if at else now,
    )
    states = MoveOrderRoom.State
    MoveOrderRoom.objects.bulk_create(
        (
            MoveOrderRoom(
                order=order,
                room=row.room,
                seen_on=row.from_platform,
                state=states.WAITING if row.refusal is None else _left(row.refusal.code),
                words="" if row.refusal is None else f"“{row.room}” {row.refusal.words}.",
            )
            for row in plan.rows
        ),
        batch_size=1000,
    )
    if at is None:
        order.wake_after_commit()
    return order


def _left(code: str) -> str:
    return MoveOrderRoom.State.SKIPPED if code == "already_there" else MoveOrderRoom.State.REFUSED


def _moves_since(plan: MovePlan, looked_at: datetime | None) -> list[str]:
    """Why a large plan is not the one that was shown: how many would move now, and who moved some of its rooms."""
    changes = [f"Now {count_of(len(plan.moving), 'room')} of {len(plan.rows):,} would move."]
    if looked_at is not None:
        moves = Move.objects.filter(room__in=[row.room.pk for row in plan.rows], moved_at__gte=looked_at)
        changes += [
            f"“{move.room}” was moved to {move.get_to_platform_display()} {move.by_whom}: {move.reason.rstrip('.')}."
            for move in moves.select_related("room", "actor", "wave", "order")[:5]
        ]
    return changes


# -- carrying out -----------------------------------------------------------------------------------------------------


def carry_out(lease: Lease[MoveOrder]) -> None:
    """Move what is still waiting. For ``platforms.work.work_on``."""
    while _move_some(lease):
        lease.check()
    with lease.finishing():
        _tell_of_leftovers(lease.row)


def _tell_of_leftovers(order: MoveOrder) -> None:
    """Nobody looks on while a scheduled move is carried out: say that rooms were not moved, and why."""
    left = list(order.rooms.filter(state=MoveOrderRoom.State.REFUSED).values_list("words", flat=True))
    if not left or order.kind != MoveOrder.Kind.SCHEDULED:
        return
    alerts.alert(
        f"order:{order.pk}",
        title=f"A scheduled move to {order.get_platform_display()} did not move {count_of(len(left), 'room')}",
        words=" ".join(left[:TOLD]),
        evidence={"not moved": len(left), "moved": order.rooms.filter(state=MoveOrderRoom.State.MOVED).count()},
        inverse="Look at why, and move them by hand",
        inverse_url=reverse("admin:rooms_moveorder_change", args=[order.pk]),
    )


def settle_leftovers(now: datetime) -> None:
    """What nobody cared about for a day is no news any more."""
    for key in Alert.objects.filter(
        key__startswith="order:", settled_at__isnull=True, opened_at__lt=now - LEFTOVERS_ARE_NEWS
    ).values_list("key", flat=True):
        alerts.settle(key, words="A day has gone by since.", now=now)


def _move_some(lease: Lease[MoveOrder]) -> bool:
    """One chunk, in one transaction; False when nothing was left to do."""
    with transaction.atomic():
        order = MoveOrder.objects.select_for_update(of=("self",)).select_related("actor").get(pk=lease.row.pk)
        if order.lease_token != lease.token:
            raise LeaseLost(str(order.pk))
        waiting = list(order.rooms.filter(state=MoveOrderRoom.State.WAITING).order_by("pk")[:MOST_AT_ONCE])
        if not waiting:
            return False
        rooms = _locked_rooms(waiting)
        undoes, overtaken = _to_be_taken_back(order, rooms) if order.undoes_id else ({}, {})
        overtaken = _pinned_since(order, waiting, rooms, timezone.now()) | overtaken
        try:
            moved = move_rooms(
                rooms=[(row.room_id, row.seen_on) for row in waiting if row.room_id not in overtaken],
                platform=order.platform,
                reason=order.reason,
                source=SOURCES[MoveOrder.Kind(order.kind)],
                actor=order.actor,
                order=order,
                batch=order.batch,
                undoes=undoes,
            )
        except MoveRefused as refusal:
            raise Hopeless(str(refusal)) from refusal
        _write_down(order, waiting, moved.codes, dict(moved.refused) | overtaken)
    return True


def _write_down(order: MoveOrder, rows: list[MoveOrderRoom], codes: dict[int, str], refused: dict[int, str]) -> None:
    """What became of each: most were moved, and are written by one statement."""
    its_move = Move.objects.filter(order=order, room=OuterRef("room")).values("pk")[:1]
    gone = [row.pk for row in rows if row.room_id not in refused]
    order.rooms.filter(pk__in=gone).update(state=MoveOrderRoom.State.MOVED, move=Subquery(its_move))
    left = [row for row in rows if row.room_id in refused]
    for row in left:
        row.words = refused[row.room_id]
        row.state = _left(codes.get(row.room_id, ""))
    MoveOrderRoom.objects.bulk_update(left, ["words", "state"])


def _locked_rooms(waiting: list[MoveOrderRoom]) -> list[Room]:
    rooms = Room.objects.select_for_update(of=("self",)).select_related("pinned_by")
    return list(rooms.filter(pk__in=[row.room_id for row in waiting]).order_by("pk"))


def _to_be_taken_back(order: MoveOrder, rooms: list[Room]) -> tuple[dict[int, Move], dict[int, str]]:
    """Of these rooms: the move that is taken back, and why it cannot be where something else happened since."""
    latest = latest_moves(rooms)
    undoes, overtaken = {}, {}
    for room in rooms:
        move = latest.get(room.pk)
        if move is not None and move.order_id == order.undoes_id:
            undoes[room.pk] = move
        else:
            overtaken[room.pk] = what_changed(room, order.platform)
    return undoes, overtaken


def _pinned_since(order: MoveOrder, waiting: list[MoveOrderRoom], rooms: list[Room], now: datetime) -> dict[int, str]:
    """Rooms that would be moved but for a pin that came after the order, or after the order that this one takes back,
    each with a sentence."""
    seen_on = {row.room_id: row.seen_on for row in waiting}
    # what else was done to a room tells more than its pin: ``move_rooms`` says that
    untouched = [room for room in rooms if room.archived_at is None and room.platform == seen_on[room.pk]]
    if order.undoes is not None:
        since, then = order.undoes.created_at, PINNED_SINCE
    else:
        since = order.created_at
        then = "That was after this move was ordered: unpin it and move it, or order its move again."
    return {pk: f"{words} {then}" for pk, words in pinned_after(untouched, since, now=now).items()}


# -- looking, stopping ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How many rooms of an order are where."""

    waiting: int
    moved: int
    skipped: int
    refused: int

    @property
    def total(self) -> int:
        return self.waiting + self.moved + self.skipped + self.refused

    @property
    def looked_at(self) -> int:
        return self.total - self.waiting

    @property
    def words(self) -> str:
        """E.g. "4,980 of 5,000 rooms moved, 12 skipped (there already), 8 refused, 0 to go"."""
        return (
            f"{self.moved:,} of {count_of(self.total, 'room')} moved, {self.skipped:,} skipped (there already), "
            f"{self.refused:,} refused, {self.waiting:,} to go"
        )


def progress(order: MoveOrder) -> Progress:
    """One query."""
    counts = dict(order.rooms.order_by().values_list("state").annotate(Count("pk")))
    states = MoveOrderRoom.State
    return Progress(
        waiting=counts.get(states.WAITING, 0),
        moved=counts.get(states.MOVED, 0),
        skipped=counts.get(states.SKIPPED, 0),
        refused=counts.get(states.REFUSED, 0),
    )


def cancel_order(*, order_id: int, actor: Any, now: datetime | None = None) -> MoveOrder:
    """Leave the rooms that still wait where they are. Those that were moved stay moved. Raises ``MoveRefused``."""
    now = now or timezone.now()
    with transaction.atomic():
        order = MoveOrder.objects.select_for_update().get(pk=order_id)
        if order.is_over:
            how = "cancelled" if order.cancelled_at else "carried out"
            raise MoveRefused(f"This move was {how} already.", code="over")
        order.rooms.filter(state=MoveOrderRoom.State.WAITING).update(
            state=MoveOrderRoom.State.REFUSED, words="Cancelled before it was this room’s turn."
        )
        order.status, order.finished_at = Work.Status.DONE, now
        order.cancelled_at, order.cancelled_by = now, actor
        order.lease_token = order.lease_until = None  # a worker in the middle of a chunk finds its lease gone
        order.save()
    return order
