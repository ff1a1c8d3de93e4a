"""What comes round for the platforms themselves."""

from __future__ import annotations

from datetime import datetime

from platforms import calls, guardian, readiness, registry, watching
from platforms.periodic import periodic


@periodic(every_s=guardian.EVERY_S)
def guard_webhooks(now: datetime) -> None:
    guardian.guard_all(now)


@periodic(every_s=20)
def check_readiness(now: datetime) -> None:
    for adapter in registry.configured():
        if readiness.is_due(adapter.slug, now):
            readiness.check(adapter)


@periodic(every_s=30)
def watch_for_trouble(now: datetime) -> None:
    watching.watch(now)


@periodic(every_s=3600)
def forget_old_counts(now: datetime) -> None:
    calls.forget_old(now)
