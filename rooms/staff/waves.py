"""Waves in the admin: the list, a wave's page, its form while it is a draft, and a page that confirms each command."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, re_path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from platforms.moments import when
from rooms.models import Wave, WaveRoom
from rooms.staff import wave_forms
from rooms.staff.display import page_of, platform_badge, status_badge
from rooms.staff.pages import DraftsMayGo, Linked, ReadOnlyAdmin, Section
from rooms.staff.wave_sections import ROOM_KINDS, sections, wave_badge
from rooms.waves.changes import percent
from rooms.waves.commands import Command, possible
from rooms.words import count_of


@admin.register(Wave)
class WaveAdmin(DraftsMayGo, Linked, admin.ModelAdmin):
    list_display = ("name", "state", "target", "reaches", "how_many", "started")
    list_filter = ("status", "platform")
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("name", "reason")
    ordering = ("-created_at", "-pk")
    actions = None
    change_list_template = "admin/rooms/wave/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Wave]:
        return super().get_queryset(request).annotate(room_count=Count("rooms"))

    @admin.display(description="state", ordering="status")
    def state(self, wave: Wave) -> SafeString:
        return wave_badge(wave)

    @admin.display(description="to", ordering="platform")
    def target(self, wave: Wave) -> SafeString:
        return platform_badge(wave.platform)

    @admin.display(description="reaches")
    def reaches(self, wave: Wave) -> str:
        steps = len(wave.steps)
        step = (
            f"step {wave.step + 1} of {steps}" if wave.step >= 0 else f"before the first of {count_of(steps, 'step')}"
        )
        return f"{percent(wave.reached)}, {step}"

    @admin.display(description="rooms", ordering="room_count")
    def how_many(self, wave: Any) -> int:
        return int(wave.room_count)

    @admin.display(description="started", ordering="started_at")
    def started(self, wave: Wave) -> str | SafeString:
        return when(wave.started_at)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        commands = "|".join(Command.values)
        return [
            path("<int:pk>/edit/", wrap(self.edit_page), name="rooms_wave_edit"),
            re_path(
                rf"^(?P<pk>[0-9]{{1,17}})/(?P<command>{commands})/$", wrap(self.command_page), name="rooms_wave_command"
            ),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return wave_forms.form_page(self, request, None)

    def edit_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        wave = self.get_object(request, str(pk))
        if wave is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, str(pk))  # type: ignore[attr-defined]
        return wave_forms.form_page(self, request, wave)

    def command_page(self, request: HttpRequest, pk: str, command: str) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        wave = self.get_object(request, pk)
        if wave is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, pk)  # type: ignore[attr-defined]
        return wave_forms.command_page(self, request, wave, Command(command))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        wave = self.get_object(request, object_id)
        if not self.has_view_permission(request, wave):
            raise PermissionDenied
        if wave is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        may_change = self.has_change_permission(request, wave)
        is_draft = wave.status == Wave.Status.DRAFT
        context = {
            **self.admin_site.each_context(request),
            "title": wave.name,
            "opts": self.opts,
            "original": wave,
            "sections": sections(wave, timezone.now()),
            "commands": [
                (reverse("admin:rooms_wave_command", args=[wave.pk, command.value]), command.label)
                for command in (possible(wave) if may_change else [])
            ],
            "edit_url": reverse("admin:rooms_wave_edit", args=[wave.pk]) if may_change and is_draft else "",
            "delete_url": reverse("admin:rooms_wave_delete", args=[wave.pk])
            if self.has_delete_permission(request, wave)
            else "",
        }
        return TemplateResponse(request, "admin/rooms/wave/page.html", context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Its own log says more than Django's."""
        return HttpResponseRedirect(reverse("admin:rooms_wave_change", args=[object_id]))


@admin.register(WaveRoom)
class WaveRoomAdmin(ReadOnlyAdmin):
    """The rooms of waves, for links from a wave's page. Whoever may see waves sees them."""

    list_display = ("room_name", "in_wave", "what_became", "meets_on", "bucket", "why")
    list_display_links = None
    list_select_related = ("room", "wave")
    list_filter = ("state",)
    search_fields = ("room__name", "room__slug", "words")
    linked = {"wave__id__exact": Wave, "state__exact": None}
    ordering = ("bucket", "pk")
    actions = None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("rooms.view_wave") or request.user.has_perm("rooms.change_wave")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Not in menus: a room belongs to a wave's page."""
        return False

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """One wave's name on every line would say nothing."""
        narrowed = "wave__id__exact" in request.GET
        return tuple(column for column in self.list_display if not (narrowed and column == "in_wave"))

    @admin.display(description="room", ordering="room__name")
    def room_name(self, row: WaveRoom) -> str | SafeString:
        return page_of(row.room)

    @admin.display(description="wave", ordering="wave__name")
    def in_wave(self, row: WaveRoom) -> str | SafeString:
        return page_of(row.wave)

    @admin.display(description="state", ordering="state")
    def what_became(self, row: WaveRoom) -> SafeString:
        return status_badge(row.get_state_display(), ROOM_KINDS[row.state])

    @admin.display(description="meets on")
    def meets_on(self, row: WaveRoom) -> SafeString:
        return platform_badge(row.room.platform)

    @admin.display(description="why it was left alone")
    def why(self, row: WaveRoom) -> str:
        return row.words or "–"

    def sections(self, request: HttpRequest, row: WaveRoom) -> list[Section]:
        facts = [
            ("Room", page_of(row.room)),
            ("Wave", page_of(row.wave)),
            ("State", self.what_became(row)),
            ("Came from", platform_badge(row.from_platform)),
            ("Meets on", platform_badge(row.room.platform)),
            ("Bucket", row.bucket),
            ("Why it was left alone", row.words or "–"),
            ("Move", page_of(row.move)),
        ]
        return [Section(title="A room in a wave", facts=facts)]
