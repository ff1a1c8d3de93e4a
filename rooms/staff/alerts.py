"""The admin's list of alerts: what is wrong, with which evidence, what takes it back, and who was told."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString

from platforms.models import Alert, AlertDelivery
from platforms.moments import NOTHING, when
from platforms.work import Work
from rooms.staff.again import RunAgain
from rooms.staff.display import link, page_of, status_badge, work_badge
from rooms.staff.pages import Button, ReadOnlyAdmin, Section, Table
from rooms.staff.platform_pages import evidence


class Open(admin.SimpleListFilter):
    title = "state"
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Open"), ("no", "Over")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() in ("yes", "no"):
            return queryset.filter(settled_at__isnull=self.value() == "yes")
        return queryset


def severity_badge(row: Alert) -> SafeString:
    return status_badge(row.get_severity_display(), "bad" if row.severity == Alert.Severity.CRITICAL else "busy")


def state_badge(row: Alert) -> SafeString:
    return status_badge("open", "live") if row.is_open else status_badge("over", "good")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("what", "severity_shown", "state", "since", "seen", "over")
    list_display_links = ("what",)
    list_filter = (Open, "severity")
    date_hierarchy = "opened_at"
    search_fields = ("title", "words", "key")
    ordering = (F("settled_at").desc(nulls_first=True), "-opened_at")

    @admin.display(description="what", ordering="title")
    def what(self, row: Alert) -> str:
        return row.title

    @admin.display(description="severity", ordering="severity")
    def severity_shown(self, row: Alert) -> SafeString:
        return severity_badge(row)

    @admin.display(description="state")
    def state(self, row: Alert) -> SafeString:
        return state_badge(row)

    @admin.display(description="since", ordering="opened_at")
    def since(self, row: Alert) -> str | SafeString:
        return when(row.opened_at)

    @admin.display(description="times seen", ordering="times")
    def seen(self, row: Alert) -> int:
        return row.times

    @admin.display(description="over", ordering="settled_at")
    def over(self, row: Alert) -> str | SafeString:
        return when(row.settled_at)

    def sections(self, request: HttpRequest, row: Alert) -> list[Section]:
        there = link(row.inverse_url, "Go there") if row.inverse_url.startswith(("/", "https://", "http://")) else ""
        seen = f"{row.times} times" if row.times > 1 else "once"
        return [
            Section(
                title="The alert",
                facts=[
                    ("State", state_badge(row)),
                    ("Severity", severity_badge(row)),
                    ("What is wrong", row.words),
                    ("What to do", row.inverse),
                    ("Since", when(row.opened_at)),
                    ("Seen", seen),
                    ("Last seen", when(row.last_seen_at)),
                    ("Over", when(row.settled_at)),
                    ("How it ended", row.settled_words or NOTHING),
                ],
                links=[there],
            ),
            Section(title="Evidence", facts=[("Measured", evidence(row.evidence))] if row.evidence else []),
            _told(row),
        ]


def _told(row: Alert) -> Section:
    rows = [
        [
            page_of(delivery, delivery.get_kind_display()),
            delivery.get_channel_display(),
            delivery.recipient or NOTHING,
            work_badge(delivery),
            delivery.outcome or delivery.last_error or NOTHING,
            when(delivery.finished_at or delivery.due_at),
        ]
        for delivery in row.deliveries.order_by("pk")
    ]
    return Section(
        title="Who was told",
        table=Table(
            headers=["About", "By", "To", "State", "Outcome", "When"],
            rows=rows,
            empty="Nobody but readers of this page: neither ALERT_EMAILS nor ALERT_WEBHOOK_URL is set.",
        ),
    )


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(RunAgain, ReadOnlyAdmin):
    """Tellings of alerts; one that is stuck can be run again."""

    list_display = ("about", "kind", "channel", "recipient", "state", "attempts", "outcome")
    list_display_links = ("about",)
    list_filter = ("status", "channel", "kind")
    list_select_related = ("alert",)
    search_fields = ("alert__title", "recipient", "last_error")
    actions = ("run_selected_again",)

    def get_urls(self) -> list[URLPattern]:
        return [self.again_url(), *super().get_urls()]

    def may_run_again(self, row: AlertDelivery) -> bool:
        return row.status == Work.Status.QUARANTINED

    @admin.display(description="alert", ordering="alert__title")
    def about(self, row: AlertDelivery) -> str:
        return row.alert.title

    @admin.display(description="state", ordering="status")
    def state(self, row: AlertDelivery) -> SafeString:
        return work_badge(row)

    def sections(self, request: HttpRequest, row: AlertDelivery) -> list[Section]:
        again = Button(url=reverse("admin:platforms_alertdelivery_again", args=[row.pk]), text="Try again")
        return [
            Section(
                title="The message",
                facts=[
                    ("Alert", page_of(row.alert)),
                    ("About", row.get_kind_display()),
                    ("By", row.get_channel_display()),
                    ("To", row.recipient or NOTHING),
                    ("State", work_badge(row)),
                    ("Outcome", row.outcome or NOTHING),
                    ("Tries", row.attempts),
                    ("Last error", row.last_error or NOTHING),
                    ("Due", when(row.due_at)),
                    ("Finished", when(row.finished_at)),
                ],
                buttons=[again] if self.has_again_permission(request) and self.may_run_again(row) else [],
            )
        ]
