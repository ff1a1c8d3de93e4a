"""Addresses. Order matters at the end: ``/<slug>`` is last and catches old bookmarks only."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", include("rooms.staff.platform_urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include("django.contrib.auth.urls")),
    path("", include("platforms.urls")),
    path("", include("rooms.urls")),
    path("", include("recordings.urls")),
    path("", include("meetings.urls")),
]
