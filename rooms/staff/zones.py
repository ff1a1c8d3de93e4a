"""In which time zone staff read times: chosen by each person, kept in their session, the installation's by default."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from rooms.staff.moving import back_to

KEY = "zone"
LONGEST = 60


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Staff pages are made in their reader's zone."""
    staff_pages = reverse("admin:index")

    def answer(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(staff_pages):
            return get_response(request)
        with timezone.override(_zone(request.session.get(KEY)) or timezone.get_default_timezone()):
            return get_response(request)

    return answer


def zone_page(request: HttpRequest) -> HttpResponse:
    """GET asks for a zone; POST keeps it and goes back to where somebody came from."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    wanted = (request.POST.get("zone") or request.POST.get("other") or "").strip()[:LONGEST]
    if request.method == "POST" and (zone := _zone(wanted)):
        if zone.key == settings.TIME_ZONE:
            request.session.pop(KEY, None)
        else:
            request.session[KEY] = zone.key
        messages.success(request, f"Times are shown in {zone.key} from now on, to you.")
        return HttpResponseRedirect(back_to(request))
    context = {
        **admin.site.each_context(request),
        "title": "In which time zone?",
        "now": timezone.now(),
        "offered": list(dict.fromkeys(["UTC", settings.TIME_ZONE])),
        "all": sorted(available_timezones()),
        "wanted": wanted,
        "is_refused": request.method == "POST",
        "next": back_to(request),
    }
    return TemplateResponse(request, "admin/rooms/zone.html", context, status=400 if request.method == "POST" else 200)


def _zone(name: str | None) -> ZoneInfo | None:
    """None when there is no such zone. The name is looked up among the known ones: it comes from outside."""
    if not name or name not in available_timezones():
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None
