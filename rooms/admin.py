"""Staff's view of rooms: where each meets, what is going on in it, and moving it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import DateTimeField, Exists, OuterRef, QuerySet
from django.forms import ModelForm
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django_dramatiq.models import Task

from platforms import registry
from platforms.filters import titled
from platforms.moments import NOTHING, when
from rooms.forms import NewRoomForm, PeoplePicker, RoomForm
from rooms.models import Move, MoveOrder, Room, Wave
from rooms.options import without_effect
from rooms.rights import MOVE
from rooms.staff import (  # noqa: F401
    accounts,
    alerts,
    experiments,
    finding,
    fleet,
    moving,
    orders,
    parity,
    pinning,
    readiness,
    switches,
    timeline,
    undoing,
    waves,
)
from rooms.staff.display import link, list_at, page_at, page_of, person, platform_badge, status_badge
from rooms.staff.live import LIVE, live_meetings
from rooms.staff.pages import Button, Linked, ReadOnlyAdmin, Section
from rooms.words import label_of

admin.site.site_header = "Reflector rooms"
admin.site.site_title = "Reflector rooms"
admin.site.index_title = "What is going on"
# its list stays empty here: work is a row of its own kind (see platforms.work), not a message
admin.site.unregister(Task)


class LiveNow(admin.SimpleListFilter):
    title = "live meeting"
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "People can be in it now"), ("no", "No meeting now")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Room]) -> QuerySet[Room]:
        live = Exists(Room.objects.filter(pk=OuterRef("pk"), meetings__status__in=LIVE))
        return {"yes": queryset.filter(live), "no": queryset.filter(~live)}.get(self.value() or "", queryset)


class Archived(admin.SimpleListFilter):
    title = "archive"
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Archived"), ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        shown = list(super().choices(changelist))
        shown[0]["display"] = "In use"
        return shown

    def queryset(self, request: HttpRequest, queryset: QuerySet[Room]) -> QuerySet[Room]:
        if self.value() == "all":
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "yes")


class Pinned(admin.SimpleListFilter):
    title = "pin"
    parameter_name = "pinned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Pinned"), ("for-good", "Without an end"), ("no", "Not pinned")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Room]) -> QuerySet[Room]:
        is_pinned = fleet.pinned(timezone.now()).values("pk")
        match self.value():
            case "yes":
                return queryset.filter(pk__in=is_pinned)
            case "for-good":
                return queryset.filter(pk__in=fleet.pinned_without_end().values("pk"))
            case "no":
                return queryset.exclude(pk__in=is_pinned)
        return queryset


@admin.register(Room)
class RoomAdmin(Linked, admin.ModelAdmin):
    form = RoomForm
    list_display = ("name_and_state", "meets_on", "live_meeting", "people_inside", "move_it")
    list_display_links = ("name_and_state",)
    list_filter = (
        "platform",
        LiveNow,
        Archived,
        Pinned,
        ("is_shared", titled("shared link")),
        "recording_type",
        "consent_policy",
    )
    list_per_page = 100
    most_counted = 100_000  # they are chosen all at once: how many is said
    show_full_result_count = False
    search_fields = (
        "name",
        "slug",
        "owner__username",
        "owner__email",
        "hosts__username",
        "hosts__email",
        "members__username",
        "members__email",
        "meetings__id",
        "^meetings__provider_room_name",
        "^meetings__provider_room_id",
        "meetings__participants__name",
        "^meetings__recordings__provider_recording_id",
        "^meetings__sessions__session_id",
    )
    search_help_text = "Name, address, person, e-mail, or any id of a provider: room, session, recording."
    autocomplete_fields = ("owner", "hosts", "members")
    prepopulated_fields = {"slug": ("name",)}
    save_on_top = False
    actions = ("archive", "restore")
    change_list_template = "admin/rooms/room/change_list.html"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[ModelForm]:
        if not change:
            kwargs["form"] = NewRoomForm
        return super().get_form(request, obj, change=change, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, DateTimeField):
            # one native input: needs no script, and has a label
            widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})
            field: Any = db_field.formfield(widget=widget)
            zone = timezone.localtime().tzname()
            field.help_text = f"{field.help_text} In {zone}."
            return field
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["widget"] = PeoplePicker(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        first = ["name", "slug"] if obj else ["name", "slug", "starts_on"]
        return [
            (None, {"fields": [*first, "logo", "opens_at"]}),
            ("People", {"fields": ["owner", "hosts", "members", "is_shared"]}),
            (
                "In the call",
                {
                    "fields": [
                        ("is_locked", "enable_knocking"),
                        ("enable_chat", "enable_screen_share"),
                        ("camera_on", "microphone_on"),
                        "mode",
                        "language",
                        "max_participants",
                    ]
                },
            ),
            ("Recording", {"fields": ["recording_type", "recording_trigger", "consent_policy"]}),
            ("When no meeting can be opened", {"fields": ["on_failure"]}),
        ]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # an address that people have is not rewritten while its name is typed
        return {} if obj else self.prepopulated_fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A room is archived: its history of moves and meetings stays."""
        return False

    def has_move_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MOVE)

    # -- list --------------------------------------------------------------------------------------------------------

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The page's live meetings in one query, whatever the number of rooms."""
        changelist: Any = super().get_changelist_instance(request)
        live = live_meetings([room.pk for room in changelist.result_list])
        may_move = self.has_move_permission(request)
        for room in changelist.result_list:
            room.live_meeting = live.get(room.pk)
            room.moves_to = moving.targets(room.platform) if may_move and room.archived_at is None else []
            room.seen_at = request.get_full_path()
        changelist.moves_all = _moves_of_all(request, changelist) if may_move else []
        return changelist

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        undoable = undoing.undoable() if self.has_move_permission(request) else []
        return super().changelist_view(
            request, {"undoable": undoable, "back": request.get_full_path(), **(extra_context or {})}
        )

    @admin.display(description="room", ordering="name")
    def name_and_state(self, room: Room) -> SafeString:
        state = status_badge("archived", "off") if room.archived_at else ""
        return format_html('{} {}<span class="slug">{}</span>', room.name, state, room.slug)

    @admin.display(description="meets on", ordering="platform")
    def meets_on(self, room: Room) -> SafeString:
        return platform_badge(room.platform)

    @admin.display(description="live meeting", empty_value=NOTHING)
    def live_meeting(self, room: Any) -> SafeString | None:
        live = room.live_meeting
        if live is None:
            return None
        badge = status_badge("opening", "busy") if live.status == "opening" else status_badge("live", "live")
        shown = page_at("meetings.meeting", live.id, badge)
        # only worth a word when a move is waiting for its end
        return format_html("{} {}", shown, live.badge) if live.platform != room.platform else format_html("{}", shown)

    @admin.display(description="people in it", empty_value=NOTHING)
    def people_inside(self, room: Any) -> int | None:
        return room.live_meeting.people if room.live_meeting else None

    @admin.display(description="move", empty_value=NOTHING)
    def move_it(self, room: Any) -> str | SafeString | None:
        return _move_links(room, room.moves_to, room.seen_at) or None

    # -- actions -------------------------------------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> Any:
        """Besides the usual ones, one "Move to …" per configured platform."""
        actions = super().get_actions(request)
        if self.has_move_permission(request):
            for adapter in registry.configured():
                name = f"move_to_{adapter.slug}"
                actions[name] = (_move_action(adapter.slug), name, f"Move to {adapter.label}…")
        return actions

    @admin.action(description="Archive", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Room]) -> None:
        """A room with a live meeting is left alone: people are in it."""
        live = live_meetings(queryset.values_list("pk", flat=True))
        total = queryset.count()  # before: the list may show only rooms that are in use
        rooms = list(queryset.filter(archived_at__isnull=True).exclude(pk__in=live))
        self._set_archived(request, rooms, timezone.now())
        skipped = f" ({len(live)} with a live meeting)" if live else ""
        level = messages.SUCCESS if rooms else messages.WARNING
        self.message_user(request, f"Archived {len(rooms)}, skipped {total - len(rooms)}{skipped}.", level)

    @admin.action(description="Take out of the archive", permissions=["change"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Room]) -> None:
        total = queryset.count()
        rooms = list(queryset.filter(archived_at__isnull=False))
        self._set_archived(request, rooms, None)
        self.message_user(request, f"Took {len(rooms)} out of the archive, skipped {total - len(rooms)}.")

    def _set_archived(self, request: HttpRequest, rooms: list[Room], at: Any) -> None:
        for room in rooms:
            room.archived_at = at
            room.save(update_fields=["archived_at"])
            self.log_change(request, room, "Archived" if at else "Taken out of the archive")

    def archive_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The button on a room's page: into the archive, or out of it."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        rooms = Room.objects.filter(pk=pk)
        room = rooms.first()
        if room is None:
            raise Http404("no such room")
        (self.archive if room.archived_at is None else self.restore)(request, rooms)
        return HttpResponseRedirect(reverse("admin:rooms_room_change", args=[pk]))

    # -- pages -------------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("find/", wrap(self.find_page), name="rooms_room_find"),
            path("move/", wrap(self.move_page), name="rooms_room_move"),
            path("undo/<uuid:batch>/", wrap(self.undo_page), name="rooms_room_undo"),
            path("<int:pk>/pin/", wrap(self.pin_page), name="rooms_room_pin"),
            path("<int:pk>/archive/", wrap(self.archive_page), name="rooms_room_archive"),
            path("<int:pk>/logo/", wrap(self.logo_page), name="rooms_room_logo"),
            *super().get_urls(),
        ]

    def find_page(self, request: HttpRequest) -> HttpResponse:
        search = request.GET.get("q", "").replace("\x00", "").strip()[:200]
        context = {
            **self.admin_site.each_context(request),
            "title": f"Found for “{search}”" if search else "Find",
            "search": search,
            "sections": finding.found(request, search) if search else [],
        }
        return TemplateResponse(request, "admin/rooms/find.html", context)

    def move_page(self, request: HttpRequest) -> HttpResponse:
        return moving.move_page(self, request)

    def undo_page(self, request: HttpRequest, batch: Any) -> HttpResponse:
        return undoing.undo_page(self, request, batch)

    def pin_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        return pinning.pin_page(self, request, pk)

    def logo_page(self, request: HttpRequest, pk: int) -> FileResponse:
        room = self.get_object(request, str(pk))
        if room is None or not self.has_view_permission(request, room) or not room.logo:
            raise Http404("no logo")
        return FileResponse(room.logo.open(), content_type="image/png")

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        room = kwargs.get("obj")
        around = {} if room is None else self._around(request, room)
        return super().render_change_form(request, {**context, **around}, *args, **kwargs)

    def _around(self, request: HttpRequest, room: Room) -> dict[str, Any]:
        """What a room's page shows besides its settings."""
        may_change = self.has_change_permission(request, room)
        may_move = self.has_move_permission(request) and room.archived_at is None
        put_away = Button(
            url=reverse("admin:rooms_room_archive", args=[room.pk]),
            text="Archive this room" if room.archived_at is None else "Take it out of the archive",
            is_quiet=True,
        )
        latest, undoable = undoing.latest_move(room.pk)
        why = f"{latest.by_whom}: {latest.reason}" if latest else "since it was made"
        live = live_meetings([room.pk]).get(room.pk)
        of_room = {"room__id__exact": room.pk}
        of_meeting = {"meeting__room__id__exact": room.pk}
        facts: list[tuple[str, Any]] = [
            ("Next meeting opens on", platform_badge(room.platform)),
            ("Why", format_html("{} {}", why, when(latest.moved_at) if latest else "")),
        ]
        facts += [("Will be moved", moving.order_in_words(order)) for order in moving.scheduled(room.pk)]
        if room.pinned_at:
            facts.append(("Pinned", pinning.in_words(room)))
        if room.archived_at:
            facts.append(("Archived", when(room.archived_at)))
        if live:
            facts.append(("Live meeting", self._live(room, live)))
        if lost := without_effect(room, room.platform):
            facts.append((f"Without effect on {label_of(room.platform)}", ", ".join(lost)))
        return {
            "top": Section(
                title="Where it meets",
                facts=facts,
                buttons=[put_away] if may_change else [],
                links=[
                    _move_links(room, moving.targets(room.platform) if may_move else [], request.get_full_path()),
                    link("#history", "What happened here"),
                    link(reverse("room-options", args=[room.pk]), "Its options on each platform"),
                    pinning.link_for(request, room),
                    list_at("meetings.meeting", "All its meetings", **of_room),
                    list_at("meetings.participant", "People", **of_meeting),
                    list_at("recordings.recording", "Recordings", **of_meeting),
                    list_at("platforms.webhookevent", "Webhook events", q=f'["rooms.Room", "{room.pk}"]'),
                ],
            ),
            "sections": [timeline.section(request, room)],
            "undoable": undoable if may_move else [],
            "back": request.get_full_path(),
        }

    def _live(self, room: Room, live: Any) -> SafeString:
        words = format_html(
            "{} on {}, {}, since {}",
            page_at("meetings.meeting", live.id, "Open" if live.status == "open" else "Opening"),
            live.badge,
            live.people_in_words,
            when(live.created_at),
        )
        stays = " It stays there until it ends." if live.platform != room.platform else ""
        return format_html("{}{}", words, stays)


def _move_links(room: Room, targets: list[tuple[str, str]], back: str) -> SafeString | str:
    return format_html_join(
        " ",
        '<a class="move" href="{}">Move to {}…<span class="visually-hidden"> {}</span></a>',
        ((moving.move_url([room.pk], slug, back=back), label, room.name) for slug, label in targets),
    )


def _moves_of_all(request: HttpRequest, changelist: Any) -> list[tuple[str, str]]:
    """(address, words) per platform: what the actions do after "select all", which is there with scripts only."""
    is_part = changelist.query or changelist.get_filters_params() or changelist.multi_page
    if not is_part or not changelist.result_count:
        return []
    paginator, back = changelist.paginator, request.get_full_path()
    rooms = "all rooms" if paginator.has_more else f"all {paginator.counted} rooms"
    if changelist.result_count == 1:
        rooms = "the one room"
    return [
        (
            moving.move_matching_url(request.GET.urlencode(), adapter.slug, back=back),
            f"Move {rooms} of this list to {adapter.label}…",
        )
        for adapter in registry.configured()
    ]


def _move_action(platform: str) -> Any:
    def move(model_admin: Any, request: HttpRequest, queryset: QuerySet[Room]) -> HttpResponse:
        if request.POST.get("select_across") == "1":
            url = moving.move_matching_url(request.GET.urlencode(), platform, back=request.get_full_path())
        else:
            room_ids = list(queryset.order_by("pk").values_list("pk", flat=True))
            url = moving.move_url(room_ids, platform, back=request.get_full_path())
        return HttpResponseRedirect(url)

    return move


@admin.register(Move)
class MoveAdmin(ReadOnlyAdmin):
    list_display = ("moved", "the_room", "from_where", "to_where", "who", "reason")
    list_display_links = ("moved",)
    list_select_related = ("room", "actor")
    list_filter = (
        ("from_platform", titled("old platform")),
        ("to_platform", titled("new platform")),
        ("source", titled("what moved it")),
    )
    date_hierarchy = "moved_at"
    search_fields = ("room__name", "room__slug", "reason", "actor__username", "actor__email")
    linked = {"room__id__exact": Room, "wave__id__exact": Wave, "order__id__exact": MoveOrder}

    @admin.display(description="when", ordering="moved_at")
    def moved(self, move: Move) -> str | SafeString:
        return when(move.moved_at)

    @admin.display(description="room", ordering="room__name")
    def the_room(self, move: Move) -> str | SafeString:
        return page_of(move.room)

    @admin.display(description="from")
    def from_where(self, move: Move) -> SafeString:
        return platform_badge(move.from_platform)

    @admin.display(description="to")
    def to_where(self, move: Move) -> SafeString:
        return platform_badge(move.to_platform)

    @admin.display(description="who")
    def who(self, move: Move) -> str:
        return person(move.actor) if move.actor else move.get_source_display()

    def sections(self, request: HttpRequest, row: Move) -> list[Section]:
        undone_by = Move.objects.filter(undoes=row).first()
        return [
            Section(
                title="The move",
                facts=[
                    ("Room", page_of(row.room)),
                    ("From", platform_badge(row.from_platform)),
                    ("To", platform_badge(row.to_platform)),
                    ("When", when(row.moved_at)),
                    ("Who", self.who(row)),
                    ("By way of", row.get_source_display()),
                    ("Why", row.reason),
                    ("Takes back", page_of(row.undoes)),
                    ("Taken back by", page_of(undone_by)),
                ],
                links=[list_at("rooms.move", "All moves of this room", room__id__exact=row.room_id)],
            )
        ]
