"""What is wrong with this installation, why it matters, and the command that mends it."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import requests
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core import checks as system
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse

from platforms import health, refusals, registry
from platforms.base import Adapter, Finding
from platforms.models import Heartbeat, WebhookEvent
from platforms.work import Work, kinds

#: work that was due this long ago and that nobody has taken means that no worker runs
NOBODY_WORKS_AFTER = timedelta(minutes=2)
MANY_REFUSALS = 3
ROUND_TRIP_S = 15.0
ROUND_TRIP_TYPE = "doctor.round-trip"


def examine(now: datetime, *, knock: bool = True) -> Iterator[Finding]:
    """All findings, good ones too. ``knock``: also talk to the providers and to our own door."""
    yield from settings_are_right()
    database = health.database_answers()
    yield database
    if database.ok:
        migrated = everything_is_migrated()
        yield migrated
        if migrated.ok:
            yield health.sweeper_beats(now)
            yield from jobs_go_well()
            yield from nothing_is_stuck(now)
            yield from nothing_waits(now)
            yield from nobody_is_refused(now)
    for check in health.checks():
        yield check.answer(patience_s=20)
    for adapter in registry.configured():
        yield sdk_is_ours(adapter)
        if knock:
            yield from adapter.diagnose(webhook_url=webhook_url(adapter))
            if database.ok:
                yield door_opens(adapter)


def settings_are_right() -> Iterator[Finding]:
    messages = [message for message in system.run_checks() if message.level >= system.WARNING]
    for message in messages:
        yield Finding(
            ok=False,
            what=f"{message.msg} ({message.id})",
            why="Commands refuse to start with it."
            if message.is_serious()
            else "It works, but not as you would expect.",
            fix=message.hint or "manage.py check",
        )
    if not messages:
        yield Finding(ok=True, what="the settings are right")
    if not registry.configured():
        yield Finding(
            ok=False,
            what="no platform is configured",
            why="No meeting can take place.",
            fix="set the variables of one platform, see .env.example",
        )


def everything_is_migrated() -> Finding:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        first = missing[0][0]
        return Finding(
            ok=False,
            what=f"{len(missing)} migrations have not run, the first is {first.app_label}.{first.name}",
            why="The code expects columns that are not there.",
            fix="manage.py migrate",
        )
    return Finding(ok=True, what="all migrations have run")


def jobs_go_well() -> Iterator[Finding]:
    for row in Heartbeat.objects.filter(name__startswith="job:").exclude(last_error="").order_by("name"):
        since = f"since {row.succeeded_at:%F %T} UTC" if row.succeeded_at else "so far"
        yield Finding(
            ok=False,
            what=f"the job {row.name.removeprefix('job:')} has not succeeded {since}: {row.last_error}",
            why="What it keeps right goes wrong meanwhile.",
            fix="manage.py sweep --all",
        )


def nothing_is_stuck(now: datetime) -> Iterator[Finding]:
    for model in kinds():
        stuck = model._base_manager.filter(status=Work.Status.QUARANTINED)
        if number := stuck.count():
            example = stuck.order_by("-finished_at").values_list("last_error", flat=True)[0]
            yield Finding(
                ok=False,
                what=f"{number} {model._meta.verbose_name_plural} are stuck, the latest with: {example[:200]}",
                why="They were tried until hope was gone; nobody tries again by itself.",
                fix=f"mend the cause, then run them again: {_admin_list(model)}",
            )


def nothing_waits(now: datetime) -> Iterator[Finding]:
    for model in kinds():
        waiting = model._base_manager.filter(status=Work.Status.PENDING, due_at__lte=now - NOBODY_WORKS_AFTER)
        if number := waiting.count():
            yield Finding(
                ok=False,
                what=f"{number} {model._meta.verbose_name_plural} have been due for more than two minutes",
                why="Either no worker runs, or it cannot keep up.",
                fix="manage.py rundramatiq",
            )


def nobody_is_refused(now: datetime) -> Iterator[Finding]:
    for adapter in registry.adapters().values():
        finding = deliveries_are_believed(adapter, now)
        if not finding.ok:
            yield finding


def deliveries_are_believed(adapter: Adapter, now: datetime) -> Finding:
    found = refusals.standing(adapter.slug, now=now)
    if not found or found.count < MANY_REFUSALS:
        return Finding(ok=True, what=f"no row of refused deliveries of {adapter.label}")
    return Finding(
        ok=False,
        what=f"{adapter.label}: {found.count} deliveries or more were refused since {found.since:%F %T} UTC, "
        f"none was taken: {found.reason}",
        why="If they are the provider's, the webhook secret is not the one that it signs with.",
        fix=f"compare {adapter.slug.upper()}_WEBHOOK_SECRET with the provider's"
        + (f"; manage.py sync_{adapter.slug}_webhook" if adapter.capabilities.webhook_api else " dashboard"),
        evidence={"refused": found.count, "since": f"{found.since:%F %T} UTC", "reason": found.reason},
    )


def sdk_is_ours(adapter: Adapter) -> Finding:
    path = finders.find(adapter.sdk.static_path) if adapter.sdk.static_path else None
    if not isinstance(path, str):
        what = f"{adapter.label}'s call SDK is not among the static files"
    elif adapter.sdk.integrity and _integrity(path) != adapter.sdk.integrity:
        what = f"{adapter.label}'s call SDK is not the file that we know"
    else:
        return Finding(ok=True, what=f"{adapter.label}'s call SDK is there")
    return Finding(
        ok=False,
        what=what,
        why="Room pages load it from a CDN instead; where that is blocked, the call is a plain iframe.",
        fix="make sdk (needs npm)",
    )


def webhook_url(adapter: Adapter) -> str:
    """Where the provider should send its events."""
    return f"{settings.PUBLIC_URL}{reverse(f'webhook-{adapter.slug}')}"


def door_opens(adapter: Adapter) -> Finding:
    """Knock as the provider would: signed, from outside, and see that the delivery is stored and read."""
    address = webhook_url(adapter)
    body = json.dumps({"id": f"doctor-{uuid.uuid4()}", "type": ROUND_TRIP_TYPE}).encode()
    headers = adapter.sign(body)
    if headers is None:
        return Finding(
            ok=False,
            what=f"no webhook secret of {adapter.label} to sign with",
            why="Nothing that it sends is believed.",
            fix=f"set {adapter.slug.upper()}_WEBHOOK_SECRET",
        )
    why = f"{adapter.label} sees the same, and nobody is seen joining or recording."
    try:
        answer = requests.post(
            address,
            data=body,
            headers={"Content-Type": "application/json", **headers},
            timeout=10,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return Finding(
            ok=False,
            what=f"{address} cannot be reached from here: {type(error).__name__}",
            why=why,
            fix="start the web server (manage.py serve), or correct PUBLIC_URL",
        )
    if answer.status_code != 200:
        return Finding(
            ok=False, what=f"{address} answers {answer.status_code} to a signed delivery", why=why, fix=_mend(answer)
        )
    return _was_read(adapter, hashlib.sha256(body).hexdigest())


def _was_read(adapter: Adapter, body_sha256: str) -> Finding:
    delivery = WebhookEvent.objects.filter(platform=adapter.slug, body_sha256=body_sha256)
    deadline = time.monotonic() + ROUND_TRIP_S
    while (status := delivery.values_list("status", flat=True).first()) not in (None, Work.Status.DONE):
        if time.monotonic() > deadline:
            return Finding(
                ok=False,
                what=f"a signed delivery of {adapter.label} is stored, but not read within {ROUND_TRIP_S:g} s",
                why="Joins and recordings arrive and nothing comes of them.",
                fix="manage.py rundramatiq",
            )
        time.sleep(0.2)
    if status is None:
        return Finding(
            ok=False,
            what=f"the web server at PUBLIC_URL took a delivery of {adapter.label} into another database than ours",
            why="Web and worker do not see each other's work.",
            fix="give all processes the same DATABASE_URL",
        )
    delivery.delete()
    return Finding(ok=True, what=f"a signed delivery of {adapter.label} is taken, stored and read")


def _mend(answer: requests.Response) -> str:
    match answer.status_code:
        case 400:
            return "add the host of PUBLIC_URL to ALLOWED_HOSTS"
        case 401:
            return "start the web server again, so that it has the same webhook secret as this command"
        case 503:
            return "see why the database is locked or away"
        case status if 300 <= status < 400:
            return f"make the proxy pass it on instead of redirecting to {answer.headers.get('Location', '?')}"
    return "see that PUBLIC_URL and the proxy lead to this service"


def _admin_list(model: type[Work]) -> str:
    return f"{settings.PUBLIC_URL}/admin/{model._meta.app_label}/{model._meta.model_name}/?status__exact=quarantined"


def _integrity(path: str) -> str:
    return f"sha384-{b64encode(hashlib.sha384(Path(path).read_bytes()).digest()).decode()}"
