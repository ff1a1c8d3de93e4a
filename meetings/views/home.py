"""The rooms that the visitor may enter, and what is going on in them."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from meetings.models import Meeting
from meetings.state import RECORDING
from meetings.visits import seen_rooms
from rooms.models import Room

ROOMS_PER_PAGE = 50


@dataclass(frozen=True)
class Door:
    room: Room
    is_live: bool
    people: int
    recording: bool
    by_link: bool  #: known from a link that this browser has used


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").replace("\0", "").strip()
    own = Room.objects.enterable_by(request.user)
    by_link = Room.objects.active().filter(is_shared=True, slug__in=seen_rooms(request))
    known = Room.objects.filter(Q(pk__in=own.values("pk")) | Q(pk__in=by_link.values("pk")))
    shown = known.filter(Q(name__icontains=query) | Q(slug__icontains=query)) if query else known
    page = Paginator(shown, ROOMS_PER_PAGE).get_page(request.GET.get("page"))
    rooms = list(page.object_list)
    context = {
        "doors": _doors(
            rooms, own_ids=set(own.filter(pk__in=[room.pk for room in rooms]).values_list("pk", flat=True))
        ),
        "page": page,
        "query": query,
        "has_any": known.exists(),
        "offers_search": bool(query) or known.count() > 8,
    }
    return render(request, "meetings/home.html", context)


def _doors(rooms: list[Room], *, own_ids: set[int]) -> list[Door]:
    here = Q(sessions__joined_at__isnull=False, sessions__left_at__isnull=True)
    inside = here & Q(sessions__participant__is_person=True)
    recorder = here & Q(sessions__participant__is_person=False)
    live = (
        Meeting.objects.filter(room__in=rooms, status=Meeting.Status.OPEN)
        .values("room_id")
        .annotate(
            people=Count("sessions__participant", filter=inside, distinct=True),
            running=Count("captures", filter=Q(captures__state__in=RECORDING), distinct=True)
            + Count("sessions", filter=recorder, distinct=True),
        )
        .order_by()
    )
    by_room = {meeting["room_id"]: meeting for meeting in live}
    doors = []
    for room in rooms:
        meeting = by_room.get(room.pk, {"people": 0, "running": 0})
        doors.append(
            Door(
                room=room,
                is_live=meeting["people"] > 0,
                people=meeting["people"],
                recording=meeting["running"] > 0,
                by_link=room.pk not in own_ids,
            )
        )
    return doors
