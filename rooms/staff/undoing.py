"""Moves that staff can take back with one click."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from platforms.moments import exact
from rooms.models import Move, MoveOrder
from rooms.planning import BY_WAVES, MoveRefused
from rooms.rights import MOVE
from rooms.services import MOST_AT_ONCE
from rooms.staff.moving import NAMED, back_to, order_url, record
from rooms.undoing import UNDO_WINDOW, undo_move, undo_order
from rooms.words import count_of, label_of

#: waves take their moves back themselves, on their own page
NOT_OFFERED = (Move.Source.UNDO, *sorted(BY_WAVES))
#: banners on one page; whoever needs more goes to the list of moves
MOST_SHOWN = 10


@dataclass(frozen=True)
class Undoable:
    """Moves of one decision that can still be taken back."""

    first: Move
    count: int

    @property
    def words(self) -> str:
        what = f"“{self.first.room}”" if self.count == 1 else count_of(self.count, "room")
        to, at = label_of(self.first.to_platform), exact(self.first.moved_at)
        return f"{what} moved to {to} {self.first.by_whom} on {at}: {self.first.reason}"

    @property
    def until(self) -> datetime:
        order = self.first.order
        return (order.finished_at if order and order.finished_at else self.first.moved_at) + UNDO_WINDOW

    @property
    def url(self) -> str:
        return reverse("admin:rooms_room_undo", args=[self.first.batch])


def undoable(*, now: datetime | None = None) -> list[Undoable]:
    """What one click can take back now, newest first. Two queries, however many rooms were moved."""
    batches = _standing(now).values("batch").annotate(first=Min("pk"), count=Count("pk")).order_by("-first")
    counts = {batch["first"]: batch["count"] for batch in batches[:MOST_SHOWN]}
    firsts = Move.objects.filter(pk__in=list(counts)).select_related("room", "actor", "wave", "order").order_by("-pk")
    return [Undoable(first, counts[first.pk]) for first in firsts]


def latest_move(room_id: int, *, now: datetime | None = None) -> tuple[Move | None, list[Undoable]]:
    """A room's last move, and whether one click takes back what was decided then, for all of its rooms. One query."""
    together = _standing(now).filter(batch=OuterRef("batch")).values("batch").values(number=Count("pk"))
    moves = Move.objects.filter(room=room_id).select_related("room", "actor", "wave", "order")
    latest: Any = moves.annotate(
        is_offered=Exists(_standing(now).filter(pk=OuterRef("pk"))), together=Subquery(together)
    ).first()
    return latest, [Undoable(latest, latest.together)] if latest and latest.is_offered else []


def _standing(now: datetime | None) -> QuerySet[Move]:
    """Moves that one click can take back: recent, and nothing has moved their room since."""
    since = (now or timezone.now()) - UNDO_WINDOW
    recent = Q(moved_at__gte=since) | Q(order__finished_at__gte=since)
    running = Q(order__isnull=False, order__finished_at__isnull=True)
    later = Move.objects.filter(room=OuterRef("room"), pk__gt=OuterRef("pk"))
    moves = Move.objects.filter(recent, ~Exists(later), undone_by__isnull=True)
    return moves.exclude(running).exclude(source__in=NOT_OFFERED).order_by()


def undo_page(admin: ModelAdmin[Any], request: HttpRequest, batch: uuid.UUID) -> HttpResponse:
    """POST takes back every move of one decision that can still be taken back."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm(MOVE):
        raise PermissionDenied
    moves = Move.objects.filter(batch=batch).exclude(source=Move.Source.UNDO).select_related("room", "actor", "order")
    first = moves.first()
    if first is None:
        raise Http404("no such move")
    if first.order is not None and moves.count() > MOST_AT_ONCE:
        return _undo_order(admin, request, first.order)
    done, refused = [], []
    for move in moves:
        try:
            done.append(undo_move(move=move, actor=request.user))
        except MoveRefused as refusal:
            refused.append(str(refusal))
    record(admin, request, done)
    report = f"Moved {count_of(len(done), 'room')} back, skipped {len(refused)}"
    if refused:
        more = f" And {len(refused) - NAMED} more." if len(refused) > NAMED else ""
        report += f" ({' '.join(refused[:NAMED])}{more})"
    messages.add_message(request, messages.SUCCESS if done else messages.ERROR, f"{report}.")
    return HttpResponseRedirect(back_to(request))


def _undo_order(admin: ModelAdmin[Any], request: HttpRequest, order: MoveOrder) -> HttpResponse:
    try:
        backs = undo_order(order=order, actor=request.user)
    except MoveRefused as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(order_url(order))
    for back in backs:
        admin.log_change(request, back, "Taken back")
    messages.success(request, "The rooms are being moved back; this page says how far it is.")
    return HttpResponseRedirect(order_url(backs[-1]))
