"""The admin's page for moving rooms: what will happen, why, when, and done."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.safestring import SafeString

from platforms import registry
from platforms.models import ReadinessResult
from platforms.moments import ago
from rooms.models import Move, MoveOrder, Room
from rooms.options import without_effect
from rooms.ordering import MOST_ORDERED, order_as_planned
from rooms.planning import MovePlan, MoveRefused, MoveRow, preview_move
from rooms.readiness import forgotten_since
from rooms.rights import MOVE
from rooms.services import MOST_AT_ONCE, PlanChanged, move_as_planned
from rooms.staff.asking import MoveForm, zone
from rooms.staff.display import link, person, platform_badge
from rooms.staff.live import LiveMeeting, live_meetings
from rooms.words import count_of, label_of, minute_of

#: refusals named one by one in a message; the rest is counted
NAMED = 5
#: rooms named one by one on the page; the rest is counted
SHOWN = 200


def move_url(room_ids: list[int], platform: str, *, back: str = "") -> str:
    return _url(platform, back, rooms=",".join(map(str, room_ids)))


def move_matching_url(query: str, platform: str, *, back: str = "") -> str:
    """For all rooms of the list under the query string ``query``, however many."""
    return _url(platform, back, matching=query)


def _url(platform: str, back: str, **chosen: str) -> str:
    query = {"to": platform, **chosen, **({"next": back} if back else {})}
    return f"{reverse('admin:rooms_room_move')}?{urlencode(query)}"


def order_url(order: MoveOrder) -> str:
    return reverse("admin:rooms_moveorder_change", args=[order.pk])


def targets(current: str) -> list[tuple[str, str]]:
    """Where a room could go: (slug, label) of every other configured platform."""
    return [(adapter.slug, str(adapter.label)) for adapter in registry.configured() if adapter.slug != current]


def move_page(admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """GET shows what moving ``?rooms=1,2&to=…`` or ``?matching=…&to=…`` would do; POST does exactly that, or nothing.

    Up to ``MOST_AT_ONCE`` rooms are moved at once; more, and later ones, are ordered.
    """
    if not request.user.has_perm(MOVE):
        raise PermissionDenied
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    platform, back = request.GET.get("to", ""), back_to(request)
    room_ids = _chosen(admin, request)
    form = MoveForm(request.POST or None)
    if form.is_valid():
        # those that the page showed: a list may find others by now
        room_ids = [fact[0] for fact in form.cleaned_data["seen"]] or room_ids
    if len(room_ids) > MOST_ORDERED:
        messages.error(request, f"Choose at most {MOST_ORDERED:,} rooms at a time.")
        return HttpResponseRedirect(back)
    looked_at = timezone.now()
    try:
        plan = preview_move(room_ids=room_ids, platform=platform, now=looked_at)
    except MoveRefused as refusal:
        raise Http404(str(refusal)) from refusal
    changes: list[str] = []
    if request.method == "POST" and form.is_valid():
        try:
            return _move(admin, request, plan, room_ids, form.cleaned_data, back)
        except PlanChanged as changed:
            changes = [str(changed), *changed.changes]
            plan = preview_move(room_ids=room_ids, platform=platform, now=looked_at)
        except MoveRefused as refusal:
            changes = [str(refusal)]
    is_many = len(room_ids) > MOST_AT_ONCE
    count = count_of(len(plan.moving), "room")
    return TemplateResponse(
        request,
        "admin/rooms/room/move.html",
        {
            **admin.admin_site.each_context(request),
            "title": f"Move {count} to {plan.label}" if plan.moving else f"Nothing to move to {plan.label}",
            "opts": admin.opts,
            "plan": plan,
            "count": count,
            "refused_count": count_of(len(plan.refused), "room"),
            "looked": Looked.at(plan),
            "is_many": is_many,
            "form": form,
            "zone": zone(),
            "seen": "[]" if is_many else json.dumps(plan.facts),
            "looked_at": looked_at.isoformat(),
            "changes": changes,
            "back": back,
        },
        status=409 if changes else 200,
    )


def _chosen(admin: ModelAdmin[Any], request: HttpRequest) -> list[int]:
    """Primary keys of the rooms that the address names, or that the list finds which it names."""
    matching = request.GET.get("matching")
    if matching is None:
        numbers = request.GET.get("rooms", "").split(",")
        return [int(number) for number in numbers if number.isdecimal() and len(number) < 18]
    looked = copy.copy(request)
    looked.GET = QueryDict(matching)
    try:
        rooms = ModelAdmin.get_changelist_instance(admin, looked).queryset
    except IncorrectLookupParameters as error:
        raise Http404("no such list") from error
    return sorted(set(rooms.values_list("pk", flat=True)))


def _move(
    admin: ModelAdmin[Any],
    request: HttpRequest,
    plan: MovePlan,
    room_ids: list[int],
    agreed: dict[str, Any],
    back: str,
) -> HttpResponse:
    """Do what was agreed to, or order it. Raises ``MoveRefused``."""
    asked = {key: agreed[key] for key in ("seen", "seen_hash", "reason", "looked_at")}
    if agreed["at"] is None and len(room_ids) <= MOST_AT_ONCE:
        moves = move_as_planned(platform=plan.platform, actor=request.user, **asked)
        record(admin, request, moves)
        messages.success(request, _report(plan, moves))
        return HttpResponseRedirect(back)
    order = order_as_planned(
        platform=plan.platform,
        room_ids=room_ids,
        actor=request.user,
        at=agreed["at"],
        **asked,
    )
    count = count_of(len(plan.moving), "room")
    admin.log_addition(request, order, f"Ordered: {count} to {plan.label}: {order.reason}")
    if order.scheduled_for:
        messages.success(request, f"{count} will be moved to {plan.label} on {minute_of(order.scheduled_for)}.")
        return HttpResponseRedirect(back if len(room_ids) == 1 else order_url(order))
    messages.success(request, f"{count} are being moved to {plan.label}; this page says how far it is.")
    return HttpResponseRedirect(order_url(order))


@dataclass(frozen=True, kw_only=True)
class Going:
    """One room that would be moved, as the page shows it."""

    room: Room
    badge: str
    live: LiveMeeting | None
    lost: list[str]
    pinned: str


@dataclass(frozen=True, kw_only=True)
class Staying:
    """Rooms that would not be moved for the same reason."""

    words: str
    mended: SafeString | str = ""  #: where staff can do something about it
    rooms: list[Room] = field(default_factory=list)

    @property
    def named(self) -> list[Room]:
        return self.rooms[: SHOWN // 4]

    @property
    def more(self) -> str:
        rest = len(self.rooms) - len(self.named)
        return f" and {rest:,} more" if rest else ""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the page says besides the plan itself."""

    going: list[Going]
    staying: list[Staying]
    summary: list[str]
    has_pins: bool

    @classmethod
    def at(cls, plan: MovePlan) -> Looked:
        live = live_meetings([row.room.pk for row in plan.moving])
        lost = {row.room.pk: without_effect(row.room, plan.platform) for row in plan.moving}
        staying: dict[str, Staying] = {}
        for row in plan.refused:
            words = str(row.refused)
            if words not in staying:
                staying[words] = Staying(words=words, mended=_where_mended(row))
            staying[words].rooms.append(row.room)
        return cls(
            going=[
                Going(
                    room=row.room,
                    badge=platform_badge(row.from_platform),
                    live=live.get(row.room.pk),
                    lost=lost[row.room.pk],
                    pinned=_pin(row.room) if row.is_pinned else "",
                )
                for row in plan.moving[:SHOWN]
            ],
            staying=sorted(staying.values(), key=lambda group: -len(group.rooms)),
            summary=[
                *_summary(plan, list(live.values()), Counter(each for options in lost.values() for each in options)),
                *_last_checked(plan),
            ],
            has_pins=any(row.is_pinned for row in plan.moving[:SHOWN]),
        )


def _last_checked(plan: MovePlan) -> list[str]:
    """What to know where the checks that let this pass are old."""
    since = forgotten_since(ReadinessResult.objects.filter(platform=plan.platform), timezone.now())
    return [f"{plan.label} was last checked {ago(since)}; does the sweeper run?"] if since and plan.moving else []


def _where_mended(row: MoveRow) -> SafeString | str:
    code = row.refusal.code.partition(":")[0] if row.refusal else ""
    if code == "closed":
        return link(reverse("admin:rooms_platformswitch_changelist"), "Platforms, where it can be opened")
    if code == "checks_failed":
        return link(reverse("platform-readiness", args=[row.to_platform]), "Its checks, where one can be waived")
    return ""


def _summary(plan: MovePlan, live: list[LiveMeeting], lost: Counter[str]) -> list[str]:
    """What staff have to know before they agree, a sentence each."""
    is_one = len(plan.moving) == 1
    if live:
        people = count_of(sum(meeting.people for meeting in live), "person", "people")
        stays = "stays where it is" if len(live) == 1 else "stay where they are"
        said = [f"{count_of(len(live), 'live meeting')} with {people} inside {stays} until the end."]
    else:
        said = [f"No meeting is live in {'it' if is_one else 'them'} now."]
    if lost:
        named = [
            option if is_one else f"{option} ({count_of(number, 'room')})" for option, number in lost.most_common()
        ]
        said.append(f"Without effect on {plan.label}: {', '.join(named)}.")
    if pinned := sum(row.is_pinned for row in plan.moving):
        who = "It is" if is_one else f"{count_of(pinned, 'room')} {'is' if pinned == 1 else 'are'}"
        said.append(f"{who} pinned: read why before you move {'it' if pinned == 1 else 'them'}.")
    if plan.refused:
        said.append(f"{count_of(len(plan.refused), 'room')} will not be moved; the reasons are below.")
    return said


def _pin(room: Room) -> str:
    until = f" until {minute_of(room.pin_until)}" if room.pin_until else ""
    return f"{until}: {room.pin_reason}"


def _report(plan: MovePlan, moves: list[Move]) -> str:
    """E.g. "Moved 3 rooms to …, skipped 1 (“Standup” is already there)."."""
    report = f"Moved {count_of(len(moves), 'room')} to {plan.label}, skipped {len(plan.refused)}"
    if plan.refused:
        named = [f"“{row.room}” {row.refused}" for row in plan.refused[:NAMED]]
        if len(plan.refused) > NAMED:
            named.append(f"and {len(plan.refused) - NAMED} more")
        report += f" ({'; '.join(named)})"
    return f"{report}."


def record(admin: ModelAdmin[Any], request: HttpRequest, moves: list[Move]) -> None:
    for move in moves:
        admin.log_change(request, move.room, f"{move}: {move.reason}")


def back_to(request: HttpRequest) -> str:
    """Where somebody came from, if that is a page of ours; else the list of rooms."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return reverse("admin:rooms_room_changelist")


def scheduled(room_id: int) -> list[MoveOrder]:
    """Moves of this room that are still to come, the next one first."""
    waiting = MoveOrder.objects.filter(rooms__room=room_id, rooms__state="waiting").exclude(status="done")
    return list(waiting.select_related("actor").order_by("due_at", "pk"))


def order_in_words(order: MoveOrder) -> SafeString:
    """E.g. "to <platform> on 3 March at 14:03 UTC, by Ann: pilot", leading to the order's page."""
    by = f", by {person(order.actor)}" if order.actor else ""
    at = f" on {minute_of(order.scheduled_for)}" if order.scheduled_for else " as soon as possible"
    return format_html(
        '<a href="{}">to {}{}</a>{}: {}', order_url(order), label_of(order.platform), at, by, order.reason
    )
