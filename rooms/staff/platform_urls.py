"""Admin pages that belong to no model's list: one platform, and a room's options. Included below ``admin/``."""

from django.contrib import admin
from django.urls import URLPattern, path

from rooms.staff.health import health_page
from rooms.staff.options import options_page
from rooms.staff.readiness import check_now, readiness_page, waive_page
from rooms.staff.zones import zone_page

staff = admin.site.admin_view

urlpatterns: list[URLPattern] = [
    path("platform/<slug:slug>/", staff(health_page), name="platform-health"),
    path("platform/<slug:slug>/readiness/", staff(readiness_page), name="platform-readiness"),
    path("platform/<slug:slug>/check/", staff(check_now), name="platform-check"),
    path("platform/<slug:slug>/readiness/<str:key>/waive/", staff(waive_page), name="platform-waive"),
    path("zone/", staff(zone_page), name="staff-zone"),
    path("rooms/room/<int:pk>/options/", staff(options_page), name="room-options"),
]
