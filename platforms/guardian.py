"""Keeps our webhook working where the provider lets us: one that has stopped is started again within two minutes.

While it did not work, events may have been lost: the gap is recorded and the pollers are sent to fill it. A webhook
that was never ours, or that somebody pointed elsewhere, is left alone.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import datetime

from django.db import transaction
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from platforms import doctor, registry
from platforms.alerts import alert, settle
from platforms.base import Adapter, PlatformError, WebhookState
from platforms.deliveries import last_delivery
from platforms.models import Heartbeat, WebhookGap
from platforms.sweeper import poll_soon, pollers, row_of

logger = logging.getLogger(__name__)

EVERY_S = 30.0


def guard_all(now: datetime) -> None:
    for adapter in registry.configured():
        if adapter.capabilities.webhook_api:
            guard(adapter, now)
        note_filled(adapter.slug, now)


def guard(adapter: Adapter, now: datetime) -> None:
    """Look at one webhook, and mend it if it is ours and has stopped. Never raises the provider's errors."""
    url = doctor.webhook_url(adapter)
    try:
        state = adapter.webhook_state(webhook_url=url)
    except PlatformError as error:
        logger.warning("the webhook of %s could not be looked at: %s", adapter.slug, error)
        return
    was_ours = _remember(adapter, state, now)
    if state.is_ours and state.is_active:
        _mended(adapter, "The provider says that it is active.", now)
    elif state.is_ours or (was_ours and not state.points_at):
        _mend(adapter, state, url, now)
    elif was_ours:
        _taken_away(adapter, state, now)


def last_look(platform: str) -> dict[str, object] | None:
    """What the last look saw: the fields of ``WebhookState``, and ``seen_at``, ``ours_at`` as ISO times."""
    return seen_in(Heartbeat.objects.filter(name=row_name(platform)).first())


def seen_in(row: Heartbeat | None) -> dict[str, object] | None:
    """The same, of a row that was read already."""
    return dict(row.state) if row and row.state else None


def _remember(adapter: Adapter, state: WebhookState, now: datetime) -> bool:
    """Keep what was seen, for staff; whether the webhook has ever been ours."""
    row, _ = Heartbeat.objects.get_or_create(name=row_name(adapter.slug))
    ours_at = now.isoformat() if state.is_ours else row.state.get("ours_at")
    row.state = {**asdict(state), "seen_at": now.isoformat(), "ours_at": ours_at}
    row.beat_at = now
    row.save(update_fields=["state", "beat_at"])
    return ours_at is not None


def _mend(adapter: Adapter, state: WebhookState, url: str, now: datetime) -> None:
    cause = f"the webhook is {state.state or 'not active'}" if state.points_at else "the webhook is gone"
    gap = _open_gap(adapter, cause, now)
    try:
        done = adapter.keep_webhook(webhook_url=url)
    except PlatformError as error:
        logger.warning("the webhook of %s could not be mended: %s", adapter.slug, error)
        _raise(adapter, state, gap, f"{_sentence(cause)}, and it could not be mended: {error}.", now, "critical")
        return
    _raise(adapter, state, gap, f"{_sentence(cause)}. It was mended at once: {done}", now, "warning")
    _mended(adapter, done, timezone.now())


def _taken_away(adapter: Adapter, state: WebhookState, now: datetime) -> None:
    gap = _open_gap(adapter, f"the webhook points at {state.points_at}"[:300], now)
    words = (
        f"{adapter.label}'s webhook points at {state.points_at}, not at us. It is left alone: there may be a reason."
    )
    _raise(adapter, state, gap, words, now, "critical")


def _raise(adapter: Adapter, state: WebhookState, gap: WebhookGap, words: str, now: datetime, severity: str) -> None:
    alert(
        _key(adapter.slug),
        title=f"{adapter.label}'s webhook does not work",
        words=f"{words} Events since the last delivery may be missing; pollers look for them.",
        evidence={
            "state": state.state or "none",
            "points at": state.points_at or "nothing",
            "failures in a row": state.failed_count,
            "last delivery": gap.began_at,
            "noticed": gap.noticed_at,
        },
        inverse=f"See why deliveries were refused (inbox, proxy, secret), then: manage.py sync_{adapter.slug}_webhook",
        inverse_url=_page(adapter.slug),
        severity=severity,
        now=now,
    )


def _open_gap(adapter: Adapter, cause: str, now: datetime) -> WebhookGap:
    gap, created = WebhookGap.objects.get_or_create(
        platform=adapter.slug,
        mended_at=None,
        defaults={"cause": cause, "noticed_at": now, "began_at": last_delivery(adapter.slug)},
    )
    if created:
        logger.error("%s: %s", adapter.slug, cause)
    return gap


def _mended(adapter: Adapter, words: str, now: datetime) -> None:
    """Close the gap, if there is one, and have the pollers fill it. Idempotent."""
    with transaction.atomic():
        if WebhookGap.objects.filter(platform=adapter.slug, mended_at=None).update(mended_at=now):
            poll_soon()
        settle(_key(adapter.slug), words=words, now=now)


def note_filled(platform: str, now: datetime) -> None:
    """A gap is filled when every poller has finished a round that began after it was mended."""
    for gap in WebhookGap.objects.filter(platform=platform, mended_at__isnull=False, filled_at__isnull=True):
        done = Heartbeat.objects.filter(
            name__in=map(row_of, pollers()), beat_at__gte=gap.mended_at, succeeded_at__gt=gap.mended_at, last_error=""
        )
        if done.count() == len(pollers()):
            gap.filled_at = now
            gap.save(update_fields=["filled_at"])


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"


def row_name(platform: str) -> str:
    return f"webhook:{platform}"


def _key(platform: str) -> str:
    return f"webhook:{platform}"


def _page(platform: str) -> str:
    try:
        return reverse("platform-health", args=[platform])
    except NoReverseMatch:
        return ""
