"""Moves that are still to come, and those of many rooms: how far each is, cancelled, taken back, tried again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from platforms.moments import NOTHING, when
from platforms.work import Work
from rooms.models import MoveOrder, MoveOrderRoom
from rooms.ordering import Progress, cancel_order, progress
from rooms.planning import MoveRefused
from rooms.rights import MOVE
from rooms.staff.again import RunAgain
from rooms.staff.display import list_at, page_of, person, platform_badge, status_badge
from rooms.staff.moving import order_url
from rooms.staff.pages import Button, ReadOnlyAdmin, Section, Table
from rooms.undoing import UNDO_WINDOW, undo_order

#: rooms listed on an order's page; the rest is counted
SHOWN = 100
#: how often the page of an order in progress loads itself anew, where scripts do not
REFRESH_S = 5
STATES = MoveOrderRoom.State


def state_badge(order: MoveOrder) -> SafeString:
    if order.cancelled_at:
        return status_badge("cancelled", "off")
    if order.status == Work.Status.QUARANTINED:
        return status_badge("stuck", "bad")
    if order.status == Work.Status.DONE:
        return status_badge("done", "good")
    if order.scheduled_for and order.status == Work.Status.PENDING and not order.attempts:
        return status_badge("waiting for its time", "off")
    return status_badge("in progress", "busy")


@admin.register(MoveOrder)
class MoveOrderAdmin(RunAgain, ReadOnlyAdmin):
    list_display = ("ordered", "to_where", "how_many", "state", "due", "who", "reason")
    list_display_links = ("ordered",)
    list_select_related = ("actor",)
    list_filter = ("kind", "status", "platform")
    search_fields = ("reason", "actor__username", "actor__email", "rooms__room__name", "rooms__room__slug")

    def get_queryset(self, request: HttpRequest) -> QuerySet[MoveOrder]:
        moved = Count("rooms", filter=Q(rooms__state=STATES.MOVED))
        return super().get_queryset(request).annotate(all_rooms=Count("rooms"), moved_rooms=moved)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may order moves may see how far they are."""
        return super().has_view_permission(request, obj) or request.user.has_perm(MOVE)

    def has_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MOVE)

    def may_run_again(self, row: MoveOrder) -> bool:
        return row.status == Work.Status.QUARANTINED

    # -- list --------------------------------------------------------------------------------------------------------

    @admin.display(description="ordered", ordering="created_at")
    def ordered(self, order: MoveOrder) -> str | SafeString:
        return when(order.created_at)

    @admin.display(description="to", ordering="platform")
    def to_where(self, order: MoveOrder) -> SafeString:
        return platform_badge(order.platform)

    @admin.display(description="rooms moved")
    def how_many(self, order: Any) -> str:
        return f"{order.moved_rooms:,} of {order.all_rooms:,}"

    @admin.display(description="state", ordering="status")
    def state(self, order: MoveOrder) -> SafeString:
        return state_badge(order)

    @admin.display(description="for", ordering="due_at", empty_value="as soon as possible")
    def due(self, order: MoveOrder) -> str | SafeString | None:
        return when(order.scheduled_for) if order.scheduled_for else None

    @admin.display(description="by")
    def who(self, order: MoveOrder) -> str:
        if order.actor:
            return person(order.actor)
        return "command line" if order.is_from_shell else "somebody whose account is gone"

    # -- page --------------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/progress/", wrap(self.progress_page), name="rooms_moveorder_progress"),
            path("<int:pk>/cancel/", wrap(self.cancel_page), name="rooms_moveorder_cancel"),
            path("<int:pk>/undo/", wrap(self.undo_page), name="rooms_moveorder_undo"),
            self.again_url(),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        order = MoveOrder.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        refresh_s = REFRESH_S if order is not None and is_moving(order) else None
        return super().change_view(request, object_id, form_url, {"refresh_s": refresh_s, **(extra_context or {})})

    def sections(self, request: HttpRequest, row: MoveOrder) -> list[Section]:
        far = progress(row)
        return [self._order(request, row, far), _left(row, far), _moved(row, far)]

    def _order(self, request: HttpRequest, order: MoveOrder, far: Progress) -> Section:
        facts: list[tuple[str, Any]] = [
            ("State", state_badge(order)),
            ("To", platform_badge(order.platform)),
            ("Why", order.reason),
            ("By", self.who(order)),
            ("Ordered", when(order.created_at)),
            ("For", when(order.scheduled_for) if order.scheduled_for else "as soon as possible"),
        ]
        if order.finished_at:
            facts.append(("Finished", when(order.finished_at)))
        if order.cancelled_at:
            facts.append(("Cancelled by", person(order.cancelled_by)))
        if order.last_error:
            facts.append(("Last trouble", order.last_error))
        if order.undoes:
            facts.append(("Takes back", page_of(order.undoes)))
        facts += [("Taken back by", page_of(back)) for back in order.undone_by.all()]
        return Section(
            title="The order",
            facts=facts,
            template="admin/rooms/moveorder/_progress.html",
            extra=_extra(order, far),
            buttons=_buttons(order) if request.user.has_perm(MOVE) else [],
            links=[list_at("rooms.move", "Its moves", order__id__exact=order.pk)],
        )

    def progress_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far it is, for the page's script."""
        order = MoveOrder.objects.filter(pk=pk).first()
        if order is None or not self.has_view_permission(request, order):
            raise Http404("no such order")
        extra = _extra(order, progress(order))
        return JsonResponse({key: extra[key] for key in ("words", "value", "most", "is_moving")})

    def cancel_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._act(request, pk, cancel_order, "Cancelled", "Cancelled. Rooms that were moved stay moved.")

    def undo_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        def take_back(*, order_id: int, actor: Any) -> MoveOrder:
            return undo_order(order=MoveOrder.objects.get(pk=order_id), actor=actor)[-1]

        words = "The rooms are being moved back; this page says how far it is."
        return self._act(request, pk, take_back, "Taken back", words)

    def _act(self, request: HttpRequest, pk: int, act: Any, logged: str, said: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not request.user.has_perm(MOVE):
            raise PermissionDenied
        order = MoveOrder.objects.filter(pk=pk).first()
        if order is None:
            raise Http404("no such order")
        try:
            order = act(order_id=pk, actor=request.user)
        except MoveRefused as refusal:
            messages.error(request, str(refusal))
        else:
            self.log_change(request, order, logged)
            messages.success(request, said)
        return HttpResponseRedirect(order_url(order))


def is_moving(order: MoveOrder) -> bool:
    """Something is to be seen on its page soon."""
    return order.status in (Work.Status.PENDING, Work.Status.RUNNING) and order.due_at <= timezone.now()


def _extra(order: MoveOrder, far: Progress) -> dict[str, Any]:
    return {
        "words": far.words,
        "value": far.looked_at,
        "most": max(far.total, 1),
        "is_moving": is_moving(order),
        "url": reverse("admin:rooms_moveorder_progress", args=[order.pk]),
    }


def _buttons(order: MoveOrder) -> list[Button]:
    if not order.is_over:
        words = "Cancel this move" if order.scheduled_for else "Cancel the rest"
        buttons = [Button(url=reverse("admin:rooms_moveorder_cancel", args=[order.pk]), text=words)]
        if order.status == Work.Status.QUARANTINED:
            buttons.insert(0, Button(url=reverse("admin:rooms_moveorder_again", args=[order.pk]), text="Go on"))
        return buttons
    since = order.finished_at or order.created_at
    if order.kind == MoveOrder.Kind.UNDO or order.undone_by.exists() or since < timezone.now() - UNDO_WINDOW:
        return []
    if not order.moves.exists():
        return []
    return [Button(url=reverse("admin:rooms_moveorder_undo", args=[order.pk]), text="Move all of them back")]


def _left(order: MoveOrder, far: Progress) -> Section:
    left = order.rooms.exclude(state__in=[STATES.MOVED, STATES.WAITING]).select_related("room").order_by("-state", "pk")
    number = far.refused + far.skipped
    return Section(
        title="Rooms that were not moved",
        note=f"The first {SHOWN} of {number:,}." if number > SHOWN else "",
        table=Table(
            headers=["Room", "What became of it", "Why"],
            rows=[[page_of(row.room), row.get_state_display(), row.words] for row in left[:SHOWN]],
            empty="None." if order.is_over else "None so far.",
        ),
    )


def _moved(order: MoveOrder, far: Progress) -> Section:
    number = far.moved + far.waiting
    rows = order.rooms.filter(state__in=[STATES.MOVED, STATES.WAITING]).select_related("room").order_by("state", "pk")
    return Section(
        title="Rooms",
        note=f"The first {SHOWN} of {number:,}." if number > SHOWN else "",
        table=Table(
            headers=["Room", "Was on", "State"],
            rows=[[page_of(row.room), platform_badge(row.seen_on), row.get_state_display()] for row in rows[:SHOWN]],
            empty=NOTHING,
        ),
    )
