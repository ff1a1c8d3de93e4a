"""The admin's page of a room's options: what each comes to on each platform."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from platforms import registry
from rooms.models import Room
from rooms.options import Effect, OptionRow, compare
from rooms.staff.display import status_badge
from rooms.staff.pages import Section, Table
from rooms.staff.readiness import LOOK, may


def options_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Every option of a room on each platform."""
    if not may(request, LOOK):
        raise PermissionDenied
    room = get_object_or_404(Room, pk=pk)
    adapters = registry.configured() or list(registry.adapters().values())
    rows = compare(room, adapters)
    lost = [row for row in rows if any(effect.matters and not effect.works for effect in row.effects)]
    table = Table(
        headers=["Option", "This room", *(str(adapter.label) for adapter in adapters), "For this room"],
        rows=[
            [
                row.name,
                row.value,
                *(_effect(effect) for effect in row.effects),
                _difference(row),
            ]
            for row in rows
        ],
    )
    note = (
        f"{len(lost)} option{'s' if len(lost) > 1 else ''} of this room without effect on at least one platform."
        if lost
        else "Everything that is set on this room works on every platform."
    )
    return TemplateResponse(
        request,
        "admin/rooms/platform/options.html",
        {
            **admin.site.each_context(request),
            "title": f"Options of “{room}” on each platform",
            "room": room,
            "sections": [Section(title="Options", table=table, note=note)],
        },
    )


def _difference(row: OptionRow) -> SafeString:
    if not row.differs:
        return status_badge("the same", "good")
    if any(effect.matters for effect in row.effects):
        return status_badge("differs", "busy")
    return status_badge("the same: left at its default", "off")


def _effect(effect: Effect) -> SafeString:
    if effect.works:
        badge = status_badge("works", "good")
    else:
        badge = status_badge("without effect", "bad") if effect.matters else status_badge("not there", "off")
    return format_html("{} <span class=ago>{}</span>", badge, effect.words) if effect.words else badge
