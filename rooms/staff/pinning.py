"""The admin's page for pinning a room to where it meets."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from rooms.models import Room
from rooms.pinning import PinRefused, mark, pin_room, unpin_room
from rooms.rights import PIN
from rooms.staff.asking import PinForm, ReasonForm, zone
from rooms.staff.display import link, person, status_badge
from rooms.words import label_of, minute_of


def in_words(room: Room) -> str:
    """E.g. "pinned by Ann since 3 March at 14:03 UTC, until …: hearing aids"."""
    now = timezone.now()
    since = f" since {minute_of(room.pinned_at, now=now)}" if room.pinned_at else ""
    by = f" by {person(room.pinned_by)}" if room.pinned_by else ""
    until = f", until {minute_of(room.pin_until, now=now)}" if room.pin_until else ", without an end"
    over = " (over)" if not room.is_pinned(now) else ""
    return f"to {label_of(room.platform)}{by}{since}{until}{over}: {room.pin_reason}"


def link_for(request: HttpRequest, room: Room) -> str:
    if not request.user.has_perm(PIN):
        return ""
    words = "Change its pin, or take it out" if room.pinned_at else f"Pin it to {label_of(room.platform)}…"
    return link(reverse("admin:rooms_room_pin", args=[room.pk]), words)


def pin_page(admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks why and until when; POST pins, or with ``unpin`` takes the pin out."""
    if not request.user.has_perm(PIN):
        raise PermissionDenied
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    room = Room.objects.select_related("pinned_by").filter(pk=pk).first()
    if room is None:
        raise Http404("no such room")
    unpins = "unpin" in request.POST
    pin = PinForm(request.POST if request.method == "POST" and not unpins else None, initial=_initial(room))
    unpin = ReasonForm(request.POST if unpins else None, prefix="unpin")
    form = unpin if unpins else pin
    error = ""
    if request.method == "POST" and form.is_valid():
        try:
            words = _pin(room, form, request) if form is pin else _unpin(room, form, request)
        except PinRefused as refusal:
            error = str(refusal)
        else:
            admin.log_change(request, room, words)
            messages.success(request, words)
            return HttpResponseRedirect(reverse("admin:rooms_room_change", args=[pk]))
    return TemplateResponse(
        request,
        "admin/rooms/room/pin.html",
        {
            **admin.admin_site.each_context(request),
            "title": f"Pin “{room}” to {label_of(room.platform)}",
            "opts": admin.opts,
            "room": room,
            "label": label_of(room.platform),
            "mark": mark(room),
            "state": format_html("{} {}", status_badge("pinned", "busy"), in_words(room)) if room.pinned_at else "",
            "pin": pin,
            "unpin": unpin,
            "error": error,
            "zone": zone(),
        },
        status=409 if error else 200,
    )


def _initial(room: Room) -> dict[str, Any]:
    return {"reason": room.pin_reason, "until": room.pin_until}


def _pin(room: Room, form: Any, request: HttpRequest) -> str:
    until = form.cleaned_data["until"]
    pinned = pin_room(
        room_id=room.pk,
        reason=form.cleaned_data["reason"],
        until=until,
        actor=request.user,
        expected_platform=request.POST.get("seen_on"),
        expected_pin=request.POST.get("seen_pin"),
    )
    end = f" until {minute_of(until)}" if until else ""
    return f"“{room}” is pinned to {label_of(pinned.platform)}{end}: {pinned.pin_reason}"


def _unpin(room: Room, form: Any, request: HttpRequest) -> str:
    reason = form.cleaned_data["reason"]
    unpin_room(room_id=room.pk, reason=reason, expected_pin=request.POST.get("seen_pin"))
    return f"“{room}” is not pinned any more: {reason}"
