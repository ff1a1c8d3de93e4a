"""The admin's page of how a platform does: webhook, deliveries, its API, gaps, alerts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from platforms import calls, deliveries, guardian, refusals
from platforms.base import Adapter
from platforms.models import Alert, Heartbeat, WebhookGap
from platforms.moments import NOTHING, when
from rooms import switching
from rooms.experiments.commands import alert_key as experiment_key
from rooms.models import Experiment, MoveOrder, MoveOrderRoom, Room, Wave, WaveRoom
from rooms.readiness import results_of_all
from rooms.staff.alerts import severity_badge
from rooms.staff.display import length, link, list_at, page_of, status_badge
from rooms.staff.pages import Section, Table
from rooms.staff.platform_pages import adapter_of, page
from rooms.staff.readiness import LOOK, may, verdict
from rooms.waves.tick import alert_key as wave_key

HOURS = (1, 24)
MOST_GAPS = 20
MOST_ALERTS = 10
#: an id that no row has
STAND_IN = -1
#: percent of our request budget that is worth a look
BUSY = 80
#: an event this late is worth a look
LATE_S = 60.0


def health_page(request: HttpRequest, slug: str) -> HttpResponse:
    if not may(request, LOOK):
        raise PermissionDenied
    adapter = adapter_of(slug)
    now = timezone.now()
    hours = next((hours for hours in HOURS if request.GET.get("hours") == str(hours)), HOURS[0])
    return page(
        request,
        adapter,
        "platform-health",
        [
            _now(adapter, now),
            _webhook(adapter, now),
            *_api_and_budgets(adapter, now, hours),
            _gaps(adapter),
            _alerts(adapter),
        ],
    )


def _now(adapter: Adapter, now: datetime) -> Section:
    slug = adapter.slug
    results, waived = results_of_all(now=now)
    switch = switching.latest().get(slug)
    rooms = Room.objects.active().filter(platform=slug).count()
    facts = [
        ("Account", status_badge("configured", "good") if adapter.configured else _not_configured()),
        ("May rooms be moved here?", verdict(adapter, results.get(slug, []), now, waived)),
        ("New meetings", _switch(switch)),
        ("Rooms in use", list_at("rooms.room", str(rooms), platform__exact=slug) or rooms),
    ]
    links = [
        link(reverse("platform-readiness", args=[slug]), "Readiness"),
        list_at("rooms.platformswitch", "Kill switch"),
    ]
    return Section(title="Now", facts=facts, links=links)


def _not_configured() -> SafeString:
    return status_badge("not configured", "off")


def _switch(switch: Any) -> SafeString:
    if switch is None:
        return status_badge("open", "good")
    badge = status_badge("closed", "bad") if switch.is_closed else status_badge("open", "good")
    return format_html("{} {}", badge, switching.by_whom_and_why(switch))


def _webhook(adapter: Adapter, now: datetime) -> Section:
    """What the provider says of the webhook, where it can be asked, and what arrived."""
    slug = adapter.slug
    facts: list[tuple[str, Any]] = []
    note = ""
    kept = _kept(slug)
    if adapter.capabilities.webhook_api:
        facts += _last_look(guardian.seen_in(kept.get(guardian.row_name(slug))))
    else:
        note = f"{adapter.label} cannot be asked about its webhook; what arrives is the only proof that it works."
    late = deliveries.delays(slug, now=now)
    refused = refusals.standing_in(kept.get(refusals.row_name(slug)), slug, now=now)
    facts += [
        ("Last event received", when(late.newest)),
        ("Delay p50, last 24 h", _delay(late.p50_s)),
        ("Delay p95, last 24 h", _delay(late.p95_s)),
        ("Slowest", _delay(late.slowest_s)),
        ("Measured on", f"{late.count} events" if late.count != 1 else "1 event"),
        ("Refused since the last one taken", _refused(refused)),
    ]
    links = [list_at("platforms.webhookevent", "Webhook inbox", platform__exact=slug)]
    return Section(title="Webhook", facts=facts, note=note, links=links)


def _kept(slug: str) -> dict[str, Heartbeat]:
    """What was seen of the webhook, and what was refused at it. One query."""
    names = (guardian.row_name(slug), refusals.row_name(slug))
    return {row.name: row for row in refusals.judged(Heartbeat.objects.filter(name__in=names), slug)}


def _last_look(seen: dict[str, object] | None) -> list[tuple[str, Any]]:
    if seen is None:
        return [("State", status_badge("not looked at yet", "off"))]
    if not seen["points_at"]:
        state = status_badge("there is none", "bad")
    elif not seen["is_ours"]:
        state = status_badge("points elsewhere", "bad")
    else:
        state = status_badge(str(seen["state"] or "unknown"), "good" if seen["is_active"] else "bad")
    failures = seen["failed_count"]
    return [
        ("State", state),
        ("Failures in a row", NOTHING if failures is None else failures),
        ("Points at", seen["points_at"] or NOTHING),
        ("Looked at", when(parse_datetime(str(seen["seen_at"])))),
    ]


def _delay(seconds: float | None) -> str | SafeString:
    if seconds is None:
        return NOTHING
    return status_badge(length(seconds), "bad" if seconds > LATE_S else "good")


def _refused(refused: refusals.Refusals | None) -> str | SafeString:
    if refused is None:
        return "none"
    return format_html("{} {}", status_badge(f"{refused.count} or more", "bad"), refused.reason)


def _api_and_budgets(adapter: Adapter, now: datetime, hours: int) -> list[Section]:
    found, uses = calls.usage(adapter.slug, adapter.rate_budgets(), since=now - timedelta(hours=hours))
    return [_api(found, hours), _budgets(uses, hours)]


def _api(found: list[calls.Operation], hours: int) -> Section:
    rows = [
        [
            operation.name.replace("_", " "),
            f"{operation.calls:,}",
            _errors(operation),
            _latency(operation),
            operation.last_error or NOTHING,
        ]
        for operation in found
    ]
    headers = ["Operation", "Calls", "Errors", "Latency", "Last error"]
    failed, total = calls.troubled(found)
    others = [
        link(f"?hours={other}", "Last hour" if other == 1 else f"Last {other} hours")
        for other in HOURS
        if other != hours
    ]
    span = _span(hours)
    return Section(
        title=f"API, last {span}",
        note=f"{total:,} calls, {failed:,} failed.",
        table=Table(headers=headers, rows=rows, empty=f"No call in the last {span}."),
        links=others,
    )


def _budgets(uses: list[calls.BudgetUse], hours: int) -> Section:
    rows = [
        [
            "all others" if use.name == "default" else use.name.replace("_", " "),
            f"{use.allowed:,.0f} a minute",
            f"{use.busiest:,}",
            when(use.at),
            status_badge(f"{use.percent} %", "busy" if use.percent >= BUSY else "good"),
            f"{use.held:,}",
        ]
        for use in uses
    ]
    return Section(
        title=f"Request budget, last {_span(hours)}",
        note="What we ask at most, so that the provider does not refuse. Calls beyond it wait or are held back.",
        table=Table(
            headers=["Operation", "Budget", "Busiest minute", "When", "Used", "Held back"],
            rows=rows,
            empty="This platform has no budget.",
        ),
    )


def _span(hours: int) -> str:
    return "hour" if hours == 1 else f"{hours} hours"


def _errors(operation: calls.Operation) -> SafeString | str:
    counts = [
        (operation.failed, "failed", "bad"),
        (operation.refused, "refused", "busy"),
        (operation.throttled, "slowed down", "busy"),
    ]
    badges = [status_badge(f"{number:,} {word}", kind) for number, word, kind in counts if number]
    return format_html_join(" ", "{}", ((badge,) for badge in badges)) or "none"


def _latency(operation: calls.Operation) -> str:
    if not operation.calls:
        return NOTHING
    slowest = length(operation.slowest_ms / 1000)
    return f"p50 {operation.within(0.5)}, p95 {operation.within(0.95)}, slowest {slowest}"


def _gaps(adapter: Adapter) -> Section:
    rows = [
        [
            gap.cause,
            when(gap.began_at) if gap.began_at else "no event before",
            when(gap.noticed_at),
            when(gap.mended_at) if gap.mended_at else status_badge("not mended", "bad"),
            when(gap.filled_at) if gap.filled_at else status_badge("being filled" if gap.mended_at else "open", "busy"),
        ]
        for gap in WebhookGap.objects.filter(platform=adapter.slug)[:MOST_GAPS]
    ]
    return Section(
        title="Gaps in the webhook",
        note="Times in which events may have been lost. After each, presence and recordings are asked for at once.",
        table=Table(
            headers=["What", "Last event before", "Noticed", "Mended", "Filled"], rows=rows, empty="No gap so far."
        ),
    )


def about_platform(slug: str) -> QuerySet[Alert]:
    """Alerts of the platform itself, and of waves, experiments and scheduled moves that bring rooms to it or away."""
    waves = Wave.objects.filter(
        Q(platform=slug) | Exists(WaveRoom.objects.filter(wave=OuterRef("pk"), from_platform=slug))
    )
    experiments = Experiment.objects.filter(Q(platform_a=slug) | Q(platform_b=slug))
    orders = MoveOrder.objects.filter(kind=MoveOrder.Kind.SCHEDULED).filter(
        Q(platform=slug) | Exists(MoveOrderRoom.objects.filter(order=OuterRef("pk"), seen_on=slug))
    )
    return Alert.objects.filter(
        Q(key__endswith=f":{slug}")
        | Q(key__contains=f":{slug}:")
        | Q(key__in=_keys(waves, wave_key(Wave(pk=STAND_IN))))
        | Q(key__in=_keys(experiments, experiment_key(Experiment(pk=STAND_IN))))
        | Q(key__in=_keys(experiments, f"{experiment_key(Experiment(pk=STAND_IN))}:ratio"))
        | Q(key__in=_keys(orders, f"order:{STAND_IN}"))
    )


def _keys(rows: QuerySet[Any], pattern: str) -> QuerySet[Any, Any]:
    """Keys of the rows' alerts; ``pattern`` is the key of a row whose id is ``STAND_IN``."""
    before, _, after = pattern.partition(str(STAND_IN))
    key = Concat(Value(before), Cast("pk", CharField()), Value(after))
    return rows.order_by().values_list(key, flat=True)


def _alerts(adapter: Adapter) -> Section:
    rows = [
        [
            severity_badge(one),
            page_of(one),
            when(one.opened_at),
            when(one.settled_at) if one.settled_at else status_badge("open", "live"),
        ]
        for one in about_platform(adapter.slug)[:MOST_ALERTS]
    ]
    return Section(
        title="Alerts",
        table=Table(headers=["Severity", "What", "Since", "Over"], rows=rows, empty="No alert about this platform."),
        links=[list_at("platforms.alert", "All alerts")],
    )
