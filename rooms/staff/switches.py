"""The admin's page of platforms: which take new meetings, and the kill switch of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from platforms import registry
from platforms.moments import when
from rooms import switching
from rooms.models import PlatformSwitch, Room
from rooms.rights import KILL_SWITCH
from rooms.staff.asking import ReasonForm
from rooms.staff.display import list_at, person, platform_badge, status_badge
from rooms.staff.live import LIVE, SOMEBODY_INSIDE
from rooms.staff.pages import ReadOnlyAdmin, Section, Table
from rooms.words import count_of

LATEST = 20


@dataclass(frozen=True, kw_only=True)
class Card:
    """One platform as the page shows it."""

    slug: str
    label: str
    badge: SafeString
    state: SafeString
    is_closed: bool
    used: int | None  #: the last use of its switch
    since: str
    facts: list[str]  #: what closing or opening it means, a sentence each
    links: list[Any]
    url: str
    form: ReasonForm


@admin.register(PlatformSwitch)
class PlatformSwitchAdmin(ReadOnlyAdmin):
    """The list of uses of the switches is part of one page about the platforms."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<slug:platform>/switch/", wrap(self.switch_page), name="rooms_platformswitch_switch"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request) and not request.user.has_perm(KILL_SWITCH):
            raise PermissionDenied
        return self._page(request)

    def sections(self, request: HttpRequest, row: PlatformSwitch) -> list[Section]:
        return [_history(PlatformSwitch.objects.filter(pk=row.pk))]

    def switch_page(self, request: HttpRequest, platform: str) -> HttpResponse:
        """POST closes an open platform and opens a closed one, as the button said that was pressed."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not request.user.has_perm(KILL_SWITCH):
            raise PermissionDenied
        if platform not in dict(registry.platform_choices()):
            raise Http404("no such platform")
        form = ReasonForm(request.POST, prefix=platform)
        if not form.is_valid():
            return self._page(request, platform, form)
        agreed = {"platform": platform, "reason": form.cleaned_data["reason"], "actor": request.user}
        try:
            if request.POST.get("to") == "open":
                used = switching.open(**agreed, seen=_seen(request))
            else:
                used = switching.close(**agreed)
        except switching.SwitchRefused as refusal:
            messages.error(request, str(refusal))
        else:
            self.log_addition(request, used, f"{used}: {used.reason}")
            level = messages.WARNING if used.is_closed else messages.SUCCESS
            state = "closed for new meetings; live ones go on" if used.is_closed else "open for new meetings again"
            messages.add_message(request, level, f"{used.get_platform_display()} is {state}.")
        return HttpResponseRedirect(reverse("admin:rooms_platformswitch_changelist"))

    def _page(self, request: HttpRequest, refused: str = "", form: ReasonForm | None = None) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Platforms",
            "opts": self.opts,
            "cards": _cards(refused, form),
            "may_switch": request.user.has_perm(KILL_SWITCH),
            "history": _history(PlatformSwitch.objects.all()),
            "has_errors": form is not None,
        }
        return TemplateResponse(request, "admin/rooms/platforms.html", context)


def _seen(request: HttpRequest) -> int | None:
    """Which use of the switch the page showed that was sent."""
    seen = request.POST.get("seen", "")
    return int(seen) if seen.isdecimal() and len(seen) < 18 else None


def _cards(refused: str, form: ReasonForm | None) -> list[Card]:
    """One card per platform; a handful of queries, however many rooms."""
    latest = switching.latest()
    rooms = _rooms()
    live = _live()
    configured = {adapter.slug for adapter in registry.configured()}
    cards = []
    for slug, label in registry.platform_choices():
        switch = latest.get(slug)
        is_closed = switch is not None and switch.is_closed
        cards.append(
            Card(
                slug=slug,
                label=label,
                badge=platform_badge(slug),
                state=_state(is_closed=is_closed, is_configured=slug in configured),
                is_closed=is_closed,
                used=switch.pk if switch else None,
                since=switching.in_words(switch) if switch else "never closed",
                facts=_facts(label, is_closed, *rooms.get(slug, (0, 0)), *live.get(slug, (0, 0))),
                links=[
                    list_at("rooms.room", "Its rooms", platform__exact=slug),
                    list_at("meetings.meeting", "Its meetings", platform__exact=slug),
                ],
                url=reverse("admin:rooms_platformswitch_switch", args=[slug]),
                form=form if form is not None and slug == refused else ReasonForm(prefix=slug),
            )
        )
    return cards


def _state(*, is_closed: bool, is_configured: bool) -> SafeString:
    if not is_configured:
        return status_badge("not configured", "off")
    return status_badge("closed for new meetings", "bad") if is_closed else status_badge("open", "good")


def _rooms() -> dict[str, tuple[int, int]]:
    """Platform → rooms in use that are set to it, and how many of them fall back. One query."""
    says = Q(on_failure=Room.OnFailure.FALL_BACK)
    if settings.PLATFORM_FAILURE_POLICY == Room.OnFailure.FALL_BACK:
        says |= Q(on_failure=Room.OnFailure.DEFAULT)
    rows = Room.objects.active().order_by().values("platform").annotate(all=Count("pk"), back=Count("pk", filter=says))
    return {row["platform"]: (row["all"], row["back"]) for row in rows}


def _live() -> dict[str, tuple[int, int]]:
    """Platform → live meetings there, and people in them. One query."""
    rows = (
        Room.objects.filter(meetings__status__in=LIVE)
        .order_by()
        .values("meetings__platform")
        .annotate(
            live=Count("meetings", distinct=True),
            people=Count("meetings__sessions__participant", filter=SOMEBODY_INSIDE, distinct=True),
        )
    )
    return {row["meetings__platform"]: (row["live"], row["people"]) for row in rows}


def _facts(label: str, is_closed: bool, rooms: int, back: int, live: int, people: int) -> list[str]:
    stay = rooms - back
    there = f"{count_of(live, 'live meeting')} with {count_of(people, 'person', 'people')} inside"
    nobody = "No meeting is live there now."
    if is_closed:
        return [
            f"{count_of(rooms, 'room')} {'is' if rooms == 1 else 'are'} set to meet on {label}: "
            f"{back:,} fall back to another platform, {stay:,} cannot start a meeting.",
            f"{there} {'goes' if live == 1 else 'go'} on until the end." if live else nobody,
        ]
    return [
        f"{count_of(rooms, 'room')} {'is' if rooms == 1 else 'are'} set to meet on {label}. Closed, {back:,} of them "
        f"would fall back to another platform, and {stay:,} could not start a meeting.",
        f"{there} would go on until the end." if live else nobody,
    ]


def _history(switches: Any) -> Section:
    return Section(
        title="What was done",
        table=Table(
            headers=["When", "Platform", "What", "Who", "Why"],
            rows=[
                [
                    when(switch.switched_at),
                    platform_badge(switch.platform),
                    status_badge("closed", "bad") if switch.is_closed else status_badge("opened", "good"),
                    person(switch.actor) if switch.actor else switch.by_whom,
                    switch.reason,
                ]
                for switch in switches.select_related("actor")[:LATEST]
            ],
            empty="No platform was ever closed.",
        ),
    )
