"""Is a platform ready to take rooms: every check's latest answer, kept with its evidence and time.

The questions are findings with a key: the adapter's own (``Adapter.diagnose``) and those below, which are the same for
every platform. Asked every ten minutes by the sweeper and by a button; whoever moves rooms reads the rows only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from platforms import doctor, health
from platforms.alerts import alert, settle
from platforms.base import Adapter, Finding
from platforms.deliveries import last_delivery
from platforms.models import Heartbeat, ReadinessResult, WebhookEvent
from platforms.sweeper import pollers, row_of
from platforms.work import Work

logger = logging.getLogger(__name__)
Status = ReadinessResult.Status

EVERY = timedelta(minutes=10)
#: a web server that is being restarted is no trouble yet
LOOK_AGAIN = timedelta(minutes=1)
#: a poller that has not succeeded for so many of its rounds, or for so long, is not alive
ROUNDS_MISSED = 5
POLLER_MAY_BE_SILENT = timedelta(minutes=2)
LEFT_BEHIND_AFTER = timedelta(hours=1)


def check(adapter: Adapter, *, now: datetime | None = None) -> list[ReadinessResult]:
    """Ask everything about one platform and keep the answers. Takes seconds; asks the network.

    A question that could not be asked this time keeps its row, as unproven. A blocking check that was ok and then fails
    twice in a row raises an alert, which is settled when it is ok again.
    """
    now = now or timezone.now()
    findings = list(ask(adapter, now))
    with transaction.atomic():
        known = {row.key: row for row in ReadinessResult.objects.select_for_update().filter(platform=adapter.slug)}
        rows = [_keep(adapter, position, finding, known, now) for position, finding in enumerate(findings)]
        asked = {finding.key for finding in findings}
        rows += [_not_asked(row, now) for key, row in known.items() if key not in asked]
    forget_round_trips(adapter, now)
    return rows


def is_due(platform: str, now: datetime) -> bool:
    """Every ten minutes; a minute after something that matters has failed for the first time."""
    rows = list(ReadinessResult.objects.filter(platform=platform))
    looked = max((row.checked_at for row in rows), default=None)
    if looked is None or now - looked >= EVERY:
        return True
    new = any(row.status == Status.FAILED and row.is_blocking and row.since == row.checked_at for row in rows)
    return new and now - looked >= LOOK_AGAIN


def ask(adapter: Adapter, now: datetime) -> Iterator[Finding]:
    """Every finding that has a key, each key once."""
    seen: set[str] = set()
    for finding in _all(adapter, now):
        if finding.key and finding.key not in seen:
            seen.add(finding.key)
            yield finding


def _all(adapter: Adapter, now: datetime) -> Iterator[Finding]:
    yield from adapter.diagnose(webhook_url=doctor.webhook_url(adapter))
    started = time.monotonic()
    door = doctor.door_opens(adapter)
    took = {"address": doctor.webhook_url(adapter), "seconds": round(time.monotonic() - started, 1)}
    yield replace(door, key="door", title="Signed delivery taken and read", evidence=took)
    believed = doctor.deliveries_are_believed(adapter, now)
    # anybody can send us nonsense, which must not stop moves
    yield replace(believed, key="believed", title="Deliveries believed", blocks=False)
    yield deliveries_come(adapter)
    yield replace(health.sweeper_beats(now), key="sweeper", title="Sweeper alive")
    yield pollers_are_alive(now)


def deliveries_come(adapter: Adapter) -> Finding:
    """The one proof that a webhook works which every provider gives: something signed that we did not send."""
    last = last_delivery(adapter.slug)
    named: Any = {"key": "delivered", "title": "Signed deliveries arrive", "blocks": False}
    if last is None:
        what = f"no signed delivery of {adapter.label} has ever come"
        return Finding(ok=True, proven=False, what=what, fix="join a room on this platform and leave it", **named)
    seen = f"{last:%Y-%m-%d %H:%M:%S} UTC"
    return Finding(ok=True, what=f"the last signed delivery came at {seen}", evidence={"last": seen}, **named)


def pollers_are_alive(now: datetime) -> Finding:
    """What finds stays and recordings that no webhook told of."""
    rows = {row.name: row for row in Heartbeat.objects.filter(name__in=map(row_of, pollers()))}
    wrong, evidence = [], {}
    for job in pollers():
        row = rows.get(row_of(job))
        succeeded_at = row.succeeded_at if row else None
        name = job.name.rpartition(".")[2].replace("_", " ")
        evidence[name] = f"{succeeded_at:%Y-%m-%d %H:%M:%S} UTC" if succeeded_at else "never"
        silent = max(POLLER_MAY_BE_SILENT, timedelta(seconds=ROUNDS_MISSED * job.every_s))
        if succeeded_at is None or now - succeeded_at > silent:
            error = f" ({row.last_error[:150]})" if row and row.last_error else ""
            wrong.append(f"“{name}” last succeeded {evidence[name]}{error}")
    named: Any = {"key": "pollers", "title": "Pollers alive", "evidence": evidence}
    if not wrong:
        return Finding(ok=True, what="the pollers look for what webhooks missed", **named)
    return Finding(
        ok=False,
        what="; ".join(wrong),
        why="What a webhook does not tell is not found, and a meeting does not end when everybody has left.",
        fix="manage.py sweep --loop",
        **named,
    )


def status_of(finding: Finding) -> str:
    if not finding.ok:
        return Status.FAILED
    if not finding.applies:
        return Status.NOT_APPLICABLE
    return Status.OK if finding.proven else Status.UNPROVEN


def _keep(
    adapter: Adapter, position: int, finding: Finding, known: dict[str, ReadinessResult], now: datetime
) -> ReadinessResult:
    row = known.get(finding.key) or ReadinessResult(platform=adapter.slug, key=finding.key, since=now)
    before, status = row.status, status_of(finding)
    if before != status:
        row.since = now
    row.title, row.status, row.is_blocking, row.position = finding.title, status, finding.blocks, position
    row.words, row.why, row.fix = finding.what, finding.why, finding.fix
    row.evidence, row.checked_at = dict(finding.evidence), now
    was_ok = row.ok_at is not None
    if status == Status.OK:
        row.ok_at = now
    row.save()
    _tell(adapter, row, was_ok=was_ok, now=now)
    return row


def _tell(adapter: Adapter, row: ReadinessResult, *, was_ok: bool, now: datetime) -> None:
    key = f"check:{adapter.slug}:{row.key}"
    if row.status == Status.FAILED and row.is_blocking and was_ok and row.since < now:
        alert(
            key,
            title=f"{adapter.label}: “{row.title}” fails",
            words=f"{row.words}. {row.why}".strip(),
            evidence={**row.evidence, "last ok": row.ok_at, "fails since": row.since},
            inverse=row.fix or "see the readiness page",
            inverse_url=_page(adapter),
            now=now,
        )
    elif row.status == Status.OK:
        settle(key, words=row.words, now=now)


def _not_asked(row: ReadinessResult, now: datetime) -> ReadinessResult:
    if row.status != Status.UNPROVEN:
        row.status, row.since = Status.UNPROVEN, now
    row.words = "could not be asked this time: what comes before it failed"
    row.why, row.fix, row.evidence, row.checked_at = "", "", {}, now
    row.save()
    return row


def forget_round_trips(adapter: Adapter, now: datetime) -> None:
    """Knocks of our own that nobody read in time, and that were read since."""
    WebhookEvent.objects.filter(
        platform=adapter.slug,
        event_type=doctor.ROUND_TRIP_TYPE,
        status=Work.Status.DONE,
        received_at__lte=now - LEFT_BEHIND_AFTER,
    ).delete()


def _page(adapter: Adapter) -> str:
    try:
        return reverse("platform-readiness", args=[adapter.slug])
    except NoReverseMatch:
        return ""
