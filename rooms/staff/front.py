"""The admin's front page, and its one search box over everything."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest

from platforms import registry
from platforms.work import Work, kinds
from rooms.models import Move, Room
from rooms.staff.display import (
    list_at,
    page_at,
    page_of,
    person,
    platform_badge,
    status_badge,
    when,
)
from rooms.staff.live import LIVE, live_meetings
from rooms.staff.pages import Section, Table

MOST_LIVE = 50
LATEST_MOVES = 8
MOST_FOUND = 8


def sections(request: HttpRequest) -> list[Section]:
    """What staff want to know first: who is meeting now, what is stuck, what was moved, where rooms are."""
    user = request.user
    shown = []
    if user.has_perm("rooms.view_room") or user.has_perm("rooms.change_room"):
        shown += [_live(), _stuck(request), _moves(), _platforms()]
    return shown


def _live() -> Section:
    rooms = list(Room.objects.filter(meetings__status__in=LIVE).order_by("name").distinct()[:MOST_LIVE])
    live = live_meetings([room.pk for room in rooms])
    rows = []
    for room in rooms:
        meeting = live.get(room.pk)
        if meeting is not None:
            since = page_at("meetings.meeting", meeting.id, when(meeting.created_at))
            rows.append([page_of(room), meeting.badge, meeting.people_in_words, since])
    table = Table(headers=["Room", "On", "Inside", "Since"], rows=rows, empty="Nobody is meeting now.")
    return Section(title="Live now", table=table, links=[list_at("rooms.room", "Rooms", archived="no")])


def _stuck(request: HttpRequest) -> Section:
    """Work that ran out of tries, by kind, with a link to the rows."""
    rows = []
    for model in kinds():
        count = model._base_manager.filter(status=Work.Status.QUARANTINED).count()
        if count:
            name = str(model._meta.verbose_name if count == 1 else model._meta.verbose_name_plural)
            shown = list_at(model._meta.label_lower, name, status__exact=Work.Status.QUARANTINED.value)
            rows.append([status_badge(str(count), "bad"), shown or name])
    table = Table(headers=["How many", "What"], rows=rows, empty="Nothing is stuck.")
    return Section(title="Stuck work", table=table)


def _moves() -> Section:
    moves = Move.objects.select_related("room", "actor")[:LATEST_MOVES]
    rows = [
        [
            page_of(move.room),
            platform_badge(move.to_platform),
            page_of(move, when(move.moved_at)),
            person(move.actor) if move.actor else move.get_source_display(),
            move.reason,
        ]
        for move in moves
    ]
    table = Table(headers=["Room", "To", "When", "Who", "Why"], rows=rows, empty="No room was moved yet.")
    return Section(title="Latest moves", table=table, links=[list_at("rooms.move", "All moves")])


def _platforms() -> Section:
    counts = dict(
        Room.objects.active()
        .order_by()
        .values_list("platform")
        .annotate(Count("pk"))
        .values_list("platform", "pk__count")
    )
    rows = []
    for slug, adapter in registry.adapters().items():
        ready = status_badge("ready", "good") if adapter.configured else status_badge("not configured", "off")
        count = counts.get(slug, 0)
        shown = list_at("rooms.room", f"{count} rooms" if count != 1 else "1 room", platform__exact=slug)
        rows.append([platform_badge(slug), ready, shown])
    return Section(title="Platforms", table=Table(headers=["Platform", "Account", "Rooms in use"], rows=rows))


def found(request: HttpRequest, search: str) -> list[Section]:
    """What each admin list finds for one search, the first few of each, with a link to the rest."""
    shown = []
    for model, model_admin in admin.site._registry.items():
        if not model_admin.get_search_fields(request) or not model_admin.has_view_permission(request):
            continue
        rows, _ = model_admin.get_search_results(request, model_admin.get_queryset(request), search)
        first = list(rows[: MOST_FOUND + 1])
        if first:
            more = list_at(model._meta.label_lower, "Show all", q=search) if len(first) > MOST_FOUND else ""
            name = str(model._meta.verbose_name_plural).capitalize()
            table = Table(headers=[name], rows=[[page_of(row)] for row in first[:MOST_FOUND]])
            shown.append(Section(title=name, table=table, links=[more]))
    return shown
