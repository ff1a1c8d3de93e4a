"""Looks that raise alerts: stuck work, providers that fail, deliveries refused, storage that cannot be used."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.urls import NoReverseMatch, reverse

from platforms import calls, doctor, health, registry
from platforms.alerts import alert, settle
from platforms.base import Adapter
from platforms.work import Work, kinds

#: a provider is in trouble when so many of its answers of the last minutes were failures
LOOK_BACK = timedelta(minutes=5)
FAILED_AT_LEAST = 5
FAILED_SHARE = 0.2
CHECK_PATIENCE_S = 20.0


def watch(now: datetime) -> None:
    for model in kinds():
        stuck_work(model, now)
    for adapter in registry.configured():
        failing_api(adapter, now)
        refused_deliveries(adapter, now)
    for check in health.checks():
        if check.blocks and not check.doctor_only:
            unready(check, now)


def stuck_work(model: type[Work], now: datetime) -> None:
    """Work of one kind that ran out of tries."""
    key, name = f"stuck:{model._meta.label_lower}", str(model._meta.verbose_name_plural)
    stuck = model._base_manager.filter(status=Work.Status.QUARANTINED)
    latest = stuck.order_by("-finished_at", "-pk").first()
    if latest is None:
        settle(key, words=f"No {name} are stuck any more.", now=now)
        return
    count = stuck.count()
    alert(
        key,
        title=f"{count} {name} stuck" if count > 1 else f"A {model._meta.verbose_name} is stuck",
        words="They were tried until hope was gone; nobody tries again by itself.",
        evidence={"stuck": count, "latest reason": latest.last_error[:300], "since": latest.finished_at},
        inverse="Mend the cause, then run them again from the list.",
        inverse_url=_list_of(model),
        now=now,
    )


def failing_api(adapter: Adapter, now: datetime) -> None:
    """A provider whose API fails more often than by chance."""
    key = f"api:{adapter.slug}"
    found = calls.operations(adapter.slug, since=now - LOOK_BACK)
    failed, total = calls.troubled(found)
    if failed < FAILED_AT_LEAST or failed < FAILED_SHARE * total:
        settle(key, words=f"{failed} of the last {total} calls failed.", now=now)
        return
    worst = found[0]
    minutes = int(LOOK_BACK.total_seconds() // 60)
    alert(
        key,
        title=f"{adapter.label}'s API fails",
        words=f"{failed} of {total} calls failed in the last {minutes} minutes, most of them “{worst.name}”: "
        f"{worst.last_error or 'no reason given'}.",
        evidence={
            "failed": failed,
            "calls": total,
            "per operation": {row.name: f"{row.failed} of {row.calls}" for row in found if row.failed},
        },
        inverse=f"Look at {adapter.label}'s status page. New meetings can be kept away from it by its kill switch.",
        inverse_url=_health_of(adapter.slug),
        severity="critical",
        now=now,
    )


def refused_deliveries(adapter: Adapter, now: datetime) -> None:
    """A row of deliveries that nobody could believe, and none that was taken after them."""
    key = f"refused:{adapter.slug}"
    finding = doctor.deliveries_are_believed(adapter, now)
    if finding.ok:
        settle(key, words=finding.what, now=now)
        return
    alert(
        key,
        title=f"Deliveries of {adapter.label} are refused",
        words=f"{finding.what}. {finding.why}",
        evidence=finding.evidence,
        inverse=finding.fix,
        inverse_url=_health_of(adapter.slug),
        now=now,
    )


def unready(check: health.Check, now: datetime) -> None:
    """Something without which this installation is not ready."""
    key = f"ready:{check.name}"
    finding = check.answer(CHECK_PATIENCE_S)
    if finding.ok:
        settle(key, words=finding.what, now=now)
        return
    alert(
        key,
        title=f"Not ready: {check.name}",
        words=f"{finding.what}. {finding.why}".strip(),
        evidence={"check": check.name, "answer": finding.what},
        inverse=finding.fix or "manage.py doctor",
        severity="critical",
        now=now,
    )


def _list_of(model: type[Work]) -> str:
    try:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    except NoReverseMatch:
        return ""
    return f"{address}?status__exact={Work.Status.QUARANTINED}"


def _health_of(platform: str) -> str:
    try:
        return reverse("platform-health", args=[platform])
    except NoReverseMatch:
        return ""
