"""The admin itself: what staff look for most stands first, accounts and tokens last."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest

from platforms.moments import NOTHING

APPS = ("rooms", "meetings", "recordings", "platforms")
MODELS = ("Room", "Wave", "Experiment", "MoveOrder", "Move", "Meeting", "Participant", "ParticipantSession")


class StaffSite(AdminSite):
    empty_value_display = NOTHING

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        shown = super().get_app_list(request, app_label)
        for app in shown:
            app["models"].sort(key=lambda model: _place(model["object_name"], MODELS))
        return sorted(shown, key=lambda app: _place(app["app_label"], APPS))


class StaffConfig(AdminConfig):
    default_site = "rooms.staff.site.StaffSite"


def _place(name: str, order: tuple[str, ...]) -> int:
    """Those that are not named come after all others, in the order that they have."""
    return order.index(name) if name in order else len(order)
