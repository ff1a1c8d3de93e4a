"""The admin's pages for moving rooms: what will happen, why, done, and taken back."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from platforms import registry
from rooms.forms import ReasonForm
from rooms.models import Move
from rooms.options import without_effect
from rooms.services import (
    MOST_AT_ONCE,
    UNDO_WINDOW,
    MovePlan,
    MoveRefused,
    PlanChanged,
    label_of,
    move_as_planned,
    preview_move,
    undo_move,
)
from rooms.staff.display import exact, person, platform_badge
from rooms.staff.live import live_meetings

#: refusals named one by one in a message; the rest is counted
NAMED = 5


def move_url(room_ids: list[int], platform: str, *, back: str = "") -> str:
    query = {"to": platform, "rooms": ",".join(map(str, room_ids)), **({"next": back} if back else {})}
    return f"{reverse('admin:rooms_room_move')}?{urlencode(query)}"


def targets(current: str) -> list[tuple[str, str]]:
    """Where a room could go: (slug, label) of every other configured platform."""
    return [(adapter.slug, str(adapter.label)) for adapter in registry.configured() if adapter.slug != current]


def rooms_in_words(count: int) -> str:
    return "1 room" if count == 1 else f"{count} rooms"


@dataclass
class Undoable:
    """Moves of one decision that can still be taken back."""

    batch: uuid.UUID
    moves: list[Move]

    @property
    def words(self) -> str:
        first = self.moves[0]
        what = f"“{first.room}”" if len(self.moves) == 1 else rooms_in_words(len(self.moves))
        return (
            f"{what} moved to {label_of(first.to_platform)} {first.by_whom} at {exact(first.moved_at)}: {first.reason}"
        )

    @property
    def until(self) -> datetime:
        return self.moves[0].moved_at + UNDO_WINDOW

    @property
    def url(self) -> str:
        return reverse("admin:rooms_room_undo", args=[self.batch])


def undoable(*, room_id: int | None = None, now: datetime | None = None) -> list[Undoable]:
    """What one click can take back now, newest first."""
    since = (now or timezone.now()) - UNDO_WINDOW
    moves = Move.objects.filter(moved_at__gte=since, undone_by__isnull=True).exclude(source=Move.Source.UNDO)
    if room_id is not None:
        moves = moves.filter(room=room_id)
    later = Move.objects.filter(room=OuterRef("room"), pk__gt=OuterRef("pk"))
    batches: dict[uuid.UUID, Undoable] = {}
    for move in moves.filter(~Exists(later)).select_related("room", "actor"):
        batches.setdefault(move.batch, Undoable(move.batch, [])).moves.append(move)
    return list(batches.values())


def move_page(admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """GET shows what moving ``?rooms=1,2&to=…`` would do; POST does exactly that, or nothing."""
    if not admin.has_change_permission(request):
        raise PermissionDenied
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    platform = request.GET.get("to", "")
    numbers = [number for number in request.GET.get("rooms", "").split(",") if number.isdecimal() and len(number) < 18]
    room_ids = [int(number) for number in numbers]
    back = _back(request)
    if len(room_ids) > MOST_AT_ONCE:
        messages.error(request, f"Choose at most {MOST_AT_ONCE} rooms at a time.")
        return HttpResponseRedirect(back)
    try:
        plan = preview_move(room_ids=room_ids, platform=platform)
    except MoveRefused as refusal:
        raise Http404(str(refusal)) from refusal
    changes: list[str] = []
    form = ReasonForm()
    if request.method == "POST":
        form = ReasonForm(request.POST)
        if form.is_valid():
            try:
                moves = move_as_planned(platform=platform, actor=request.user, **form.cleaned_data)
            except PlanChanged as changed:
                changes = [str(changed), *changed.changes]
                plan = preview_move(room_ids=room_ids, platform=platform)
            except MoveRefused as refusal:
                changes = [str(refusal)]
            else:
                _record(admin, request, moves)
                messages.success(request, _report(plan, moves))
                return HttpResponseRedirect(back)
    return TemplateResponse(
        request,
        "admin/rooms/room/move.html",
        {
            **admin.admin_site.each_context(request),
            "title": f"Move {rooms_in_words(len(plan.moving))} to {plan.label}",
            "opts": admin.opts,
            "plan": plan,
            "going": _going(plan),
            "count": rooms_in_words(len(plan.moving)),
            "form": form,
            "seen": json.dumps(plan.facts),
            "changes": changes,
            "back": back,
        },
        status=409 if changes else 200,
    )


def _going(plan: MovePlan) -> list[dict[str, Any]]:
    live = live_meetings([row.room.pk for row in plan.moving])
    return [
        {
            "row": row,
            "badge": platform_badge(row.from_platform),
            "live": live.get(row.room.pk),
            "lost": without_effect(row.room, plan.platform),
        }
        for row in plan.moving
    ]


def _report(plan: MovePlan, moves: list[Move]) -> str:
    """E.g. "Moved 3 rooms to …, skipped 1 (“Standup” is already there)."."""
    report = f"Moved {rooms_in_words(len(moves))} to {plan.label}, skipped {len(plan.refused)}"
    if plan.refused:
        named = [f"“{row.room}” {row.refused}" for row in plan.refused[:NAMED]]
        if len(plan.refused) > NAMED:
            named.append(f"and {len(plan.refused) - NAMED} more")
        report += f" ({'; '.join(named)})"
    return f"{report}."


def _record(admin: ModelAdmin[Any], request: HttpRequest, moves: list[Move]) -> None:
    for move in moves:
        admin.log_change(request, move.room, f"{move}: {move.reason}")


def _back(request: HttpRequest) -> str:
    """Where somebody came from, if that is a page of ours; else the list of rooms."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return reverse("admin:rooms_room_changelist")


def undo_page(admin: ModelAdmin[Any], request: HttpRequest, batch: uuid.UUID) -> HttpResponse:
    """POST takes back every move of one decision that can still be taken back."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not admin.has_change_permission(request):
        raise PermissionDenied
    moves = list(Move.objects.filter(batch=batch).exclude(source=Move.Source.UNDO).select_related("room", "actor"))
    if not moves:
        raise Http404("no such move")
    done, refused = [], []
    for move in moves:
        try:
            done.append(undo_move(move=move, actor=request.user))
        except MoveRefused as refusal:
            refused.append(str(refusal))
    _record(admin, request, done)
    report = f"Moved {rooms_in_words(len(done))} back, skipped {len(refused)}"
    if refused:
        report += (
            f" ({' '.join(refused[:NAMED])}{f' And {len(refused) - NAMED} more.' if len(refused) > NAMED else ''})"
        )
    messages.add_message(request, messages.SUCCESS if done else messages.ERROR, f"{report}.")
    return HttpResponseRedirect(_back(request))


def history(room_id: int) -> list[dict[str, Any]]:
    """Every move of a room, newest first, as staff read it."""
    return [
        {
            "move": move,
            "who": person(move.actor) if move.actor else move.get_source_display(),
            "undone": hasattr(move, "undone_by"),
        }
        for move in Move.objects.filter(room=room_id).select_related("actor", "undone_by")
    ]
