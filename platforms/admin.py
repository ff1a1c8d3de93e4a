"""Staff's view of the inbox: what came, what became of it, and reading it again."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, models, transaction
from django.db.models import F, Func, Q, QuerySet, Value
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from platforms import registry
from platforms.curl import curl, file_name, signature_for
from platforms.filters import NamedValues, titled
from platforms.models import Heartbeat, WebhookEvent
from platforms.moments import column
from platforms.paging import CappedList
from platforms.rehearsal import RowChange, rehearse

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin

#: characters of a body that are shown; all of it can be downloaded
MOST_SHOWN = 100_000
DRY_RUN = "admin/platforms/webhookevent/dry_run.html"


class Holds(Func):
    """``Holds(column, bytes)``: whether the column's bytes hold these. Case counts."""

    output_field = models.BooleanField()
    template = "(instr(%(expressions)s) > 0)"

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        turned = self.copy()
        turned.set_source_expressions(self.get_source_expressions()[::-1])
        return turned.as_sql(
            compiler, connection, template="(position(%(expressions)s) > 0)", arg_joiner=" IN ", **extra
        )


class ReadOnly(Base):
    """What a provider or a machine wrote is looked at, never edited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(WebhookEvent)
class WebhookEventAdmin(CappedList, ReadOnly):
    list_display = ("received", "platform", "type", "status", "became", "attempts", "duplicates")
    list_display_links = ("received", "type")
    list_filter = (
        "platform",
        "status",
        ("is_stale", titled("late signature")),
        ("received_at", titled("date")),
        ("event_type", NamedValues),
    )
    date_hierarchy = "received_at"
    search_fields = ("event_id",)
    search_help_text = (
        "Event id, or any text in the body: the provider's room name, a recording id, a name. "
        "Also the id of a meeting or recording of ours that it touched."
    )
    actions = ("run_again",)
    list_per_page = 50
    show_full_result_count = False
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("platform", "type", "event_id", "occurred", "received")}),
        (
            "What became of it",
            {"fields": ("status", "outcome", "touched_rows", "attempts", "due", "finished", "last_error")},
        ),
        ("Delivery", {"fields": ("signed", "stale", "duplicates", "last_duplicate", "kept_headers")}),
        ("Body", {"fields": ("length", "body_sha256", "readable_body")}),
    )
    readonly_fields = (
        *("type", "touched_rows", "kept_headers", "length", "readable_body", "stale"),
        *("occurred", "received", "due", "finished", "signed", "last_duplicate"),
    )
    occurred, received = column("occurred_at"), column("received_at")
    due, finished = column("due_at"), column("finished_at")
    signed, last_duplicate = column("signed_at"), column("last_duplicate_at")

    # list

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        return super().get_queryset(request).defer("body", "headers")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[WebhookEvent], search_term: str
    ) -> tuple[QuerySet[WebhookEvent], bool]:
        """One term, spaces included, since bodies are searched as bytes."""
        term = search_term.strip().replace("\x00", "")
        if not term:
            return queryset, False
        wanted = Q(event_id__icontains=term) | Q(event_type__iexact=term) | Q(touched_text__contains=term)
        for number, spelling in enumerate(_spellings(term)):
            holds = Holds(F("body"), Value(spelling, output_field=models.BinaryField()))
            queryset = queryset.alias(**{f"holds_{number}": holds})
            wanted |= Q(**{f"holds_{number}": True})
        return queryset.alias(touched_text=Cast("touched", models.TextField())).filter(wanted), False

    @admin.display(description="type", ordering="event_type")
    def type(self, event: WebhookEvent) -> str:
        return event.event_type or "unreadable"

    @admin.display(description="stale", ordering="is_stale")
    def stale(self, event: WebhookEvent) -> str:
        return "stale: signed more than five minutes from when it arrived" if event.is_stale else "no"

    @admin.display(description="what became of it")
    def became(self, event: WebhookEvent) -> str:
        first = (event.outcome or event.last_error).partition("\n")[0]
        shown = first if len(first) <= 100 else f"{first[:99]}…"
        return f"stale; {shown}" if event.is_stale else shown

    # one delivery

    @admin.display(description="rows it touched")
    def touched_rows(self, event: WebhookEvent) -> SafeString | str:
        return format_html_join(", ", "{}", ((_link(label, pk),) for label, pk in event.touched)) or "none"

    @admin.display(description="headers")
    def kept_headers(self, event: WebhookEvent) -> SafeString | str:
        return format_html_join("", "{}: {}<br>", event.headers.items()) or "none"

    @admin.display(description="length")
    def length(self, event: WebhookEvent) -> SafeString:
        return format_html(
            '{} bytes, <a href="{}">download exactly as received</a>',
            len(event.body),
            reverse("admin:platforms_webhookevent_body", args=[event.pk]),
        )

    @admin.display(description="body, made readable")
    def readable_body(self, event: WebhookEvent) -> SafeString:
        return format_html(
            '<pre class="webhook-body" tabindex="0" role="group" aria-label="The body">{}</pre>',
            readable(bytes(event.body)),
        )

    # running it again

    def has_run_again_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("platforms.change_webhookevent"))

    @admin.action(description="Run again", permissions=["run_again"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        events = list(queryset)
        with transaction.atomic():
            for event in events:
                event.run_again()
                self.log_change(request, event, "Run again")
        self.message_user(request, f"{len(events)} will be run again within seconds.", messages.SUCCESS)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("<int:pk>/body/", self.admin_site.admin_view(self.download), name="platforms_webhookevent_body"),
            path("<int:pk>/again/", self.admin_site.admin_view(self.again), name="platforms_webhookevent_again"),
            path("<int:pk>/dry-run/", self.admin_site.admin_view(self.dry_run), name="platforms_webhookevent_dry_run"),
        ]
        return own + super().get_urls()

    def download(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        event = get_object_or_404(WebhookEvent, pk=pk)
        answer = HttpResponse(bytes(event.body), content_type="application/octet-stream")
        answer["Content-Disposition"] = f'attachment; filename="{file_name(event)}"'
        return answer

    def again(self, request: HttpRequest, pk: int) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_run_again_permission(request):
            raise PermissionDenied
        self.run_again(request, WebhookEvent.objects.filter(pk=pk))
        return HttpResponseRedirect(reverse("admin:platforms_webhookevent_change", args=[pk]))

    def dry_run(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What running it again would change. A POST, since it is work and leaves a line in the log."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_run_again_permission(request):
            raise PermissionDenied
        event = get_object_or_404(WebhookEvent, pk=pk)
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": f"Dry run: {event}",
            "opts": self.opts,
            "original": event,
        }
        try:
            rehearsal = rehearse(event)
        except OperationalError:
            return TemplateResponse(request, DRY_RUN, context | {"is_busy": True}, status=503)
        self.log_change(request, event, f"Dry run. {rehearsal.in_words}")
        sections = [_section(change) for change in rehearsal.changes]
        return TemplateResponse(request, DRY_RUN, context | {"rehearsal": rehearsal, "sections": sections})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may_run_again = self.has_run_again_permission(request)
        context: dict[str, Any] = {"may_run_again": may_run_again}
        event = self.get_object(request, object_id)
        if event is not None and event.platform in registry.adapters():
            # who may not run it again here is given nothing that another installation would take
            signature = signature_for(event) if may_run_again else {}
            context |= {"command": curl(event, signature=signature), "is_signed": bool(signature)}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    """The sweeper and its jobs: when each last ran, and what went wrong."""

    list_display = ("name", "beat", "succeeded", "last_error")
    search_fields = ("name",)
    fields = ("name", "holder", "held", "beat", "succeeded", "last_error", "state")
    readonly_fields = ("held", "beat", "succeeded")
    held, beat, succeeded = column("held_until"), column("beat_at", "last ran"), column("succeeded_at")
    ordering = ("name",)


def readable(body: bytes) -> str:
    """The body for people: indented where it is JSON that can be, all control and odd characters made visible."""
    try:
        shown = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, too deep, or a number of thousands of digits
        shown = body.decode("utf-8", "backslashreplace")
    cut = shown[:MOST_SHOWN]
    clean = "".join(char if _is_plain(char) else ascii(char)[1:-1] for char in cut)
    return clean if cut == shown else f"{clean}\n… {len(shown) - MOST_SHOWN} more characters; download the rest"


def _is_plain(char: str) -> bool:
    return char == "\n" or char == "\t" or unicodedata.category(char)[0] != "C"


def _spellings(term: str) -> list[bytes]:
    """The term as JSON may spell it: in UTF-8, or with what is not ASCII escaped."""
    escaped = json.dumps(term)[1:-1].encode()
    return list(dict.fromkeys([term.encode("utf-8", "replace"), escaped]))


def _section(change: RowChange) -> dict[str, Any]:
    """One row as ``admin/_section.html`` shows it; a new row has no page to link to."""
    values = [[field.name, field.before or "–", field.after or "–"] for field in change.fields]
    return {
        "title": f"{change.kind.capitalize()}: {change.name}",
        "id": f"row-{change.label.replace('.', '-').lower()}-{change.pk}",
        "table": {"headers": ["Field", "Before", "After"], "rows": values, "empty": "No field says anything."},
        "links": [] if change.kind == "created" else [_link(change.label, change.pk)],
    }


def _link(label: str, pk: str) -> SafeString | str:
    name = label.rpartition(".")[2].lower()
    try:
        address = reverse(f"admin:{label.lower().replace('.', '_')}_change", args=[pk])
    except NoReverseMatch:
        return f"{name} {pk}"
    return format_html('<a href="{}">{} {}</a>', address, name, pk)
