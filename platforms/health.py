"""Health: alive, ready, and the registry of readiness checks that apps add to.

An app writes its checks into its ``health`` module::

    @readiness("storage")
    def storage() -> Finding: ...
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dramatiq
from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from platforms import broker, refusals, registry
from platforms.base import Finding
from platforms.hurry import hurried_transaction
from platforms.models import Heartbeat

logger = logging.getLogger(__name__)

SWEEPER_MAY_BE_SILENT = timedelta(seconds=60)
PATIENCE_S = 3.0


@dataclass
class Check:
    """One readiness check. ``blocks``: not ready without it. ``doctor_only``: too slow to be asked all the time."""

    name: str
    ask: Callable[[], Finding]
    blocks: bool = True
    doctor_only: bool = False
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, patience_s: float = PATIENCE_S) -> Finding:
        """What ``ask`` says, or that it said nothing within ``patience_s``. Never raises.

        It is asked in a thread, and not asked again while that thread still waits: a storage that hangs costs one
        thread, not the web server.
        """
        if not self._asking.acquire(blocking=False):
            return Finding(ok=False, what=f"{self.name}: still no answer")
        said: list[Finding] = []

        def run() -> None:
            try:
                said.append(self.ask())
            except Exception as error:  # noqa: BLE001  a check that falls over is a finding
                logger.warning("readiness check %s fell over: %s", self.name, type(error).__name__)
                said.append(Finding(ok=False, what=f"{self.name}: {type(error).__name__}"))
            finally:
                self._asking.release()

        thread = threading.Thread(target=run, name=f"ready-{self.name}", daemon=True)
        thread.start()
        thread.join(patience_s)
        return said[0] if said else Finding(ok=False, what=f"{self.name}: no answer within {patience_s:g} s")


_checks: dict[str, Check] = {}


def readiness(
    name: str, *, blocks: bool = True, doctor_only: bool = False
) -> Callable[[Callable[[], Finding]], Callable[[], Finding]]:
    """Register ``ask() -> Finding``. It runs in a thread of its own and must not need the database."""

    def register(ask: Callable[[], Finding]) -> Callable[[], Finding]:
        _checks[name] = Check(name, ask, blocks, doctor_only)
        return ask

    return register


def checks() -> list[Check]:
    return list(_checks.values())


@readiness("broker", blocks=False)
def broker_answers() -> Finding:
    return broker.reachable(dramatiq.get_broker())


def database_answers() -> Finding:
    try:
        with hurried_transaction(settings.DOOR_PATIENCE_S), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseTrouble as error:
        return Finding(
            ok=False,
            what=f"the database does not answer: {type(error).__name__}",
            why="Nothing works without it, and webhooks are answered 503.",
            fix="start the database, or correct DATABASE_URL",
        )
    return Finding(ok=True, what="the database answers")


def sweeper_beats(now: datetime) -> Finding:
    """The sweeper wakes due work; without it a lost wake-up call is lost for good."""
    try:
        beat = Heartbeat.objects.filter(name="sweeper").values_list("beat_at", flat=True).first()
    except DatabaseTrouble as error:
        return Finding(ok=False, what=f"the sweeper's heartbeat cannot be read: {type(error).__name__}")
    if beat is not None and now - beat <= SWEEPER_MAY_BE_SILENT:
        return Finding(ok=True, what="the sweeper beats")
    return Finding(
        ok=False,
        what="the sweeper has never run"
        if beat is None
        else f"the sweeper's last sign of life is from {beat:%F %T} UTC",
        why="Work that a broker or worker lost is not taken up again, and meetings do not end by themselves.",
        fix="manage.py sweep --loop",
    )


@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Alive: this process answers. Asks nobody."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when this installation can do its work, else 503 with the reasons. A broker that is down is no reason."""
    now = timezone.now()
    database = database_answers()
    findings: list[tuple[str, Finding, bool]] = [("database", database, True)]
    if database.ok:
        findings.append(("sweeper", sweeper_beats(now), True))
    findings += [(check.name, check.answer(), check.blocks) for check in checks() if not check.doctor_only]
    reasons = [finding.what for _, finding, blocks in findings if blocks and not finding.ok]
    answer: dict[str, Any] = {
        "ready": not reasons,
        "reasons": reasons,
        "checks": {name: {"ok": finding.ok, "what": finding.what} for name, finding, _ in findings},
    }
    if database.ok:
        answer["refused_webhooks"] = {
            slug: found.count for slug in registry.adapters() if (found := refusals.standing(slug, now=now))
        }
    return JsonResponse(answer, status=503 if reasons else 200)
