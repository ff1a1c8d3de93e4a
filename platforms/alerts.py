"""Alerts: one row per trouble while it lasts, told by e-mail and to a webhook, with evidence and what takes it back.

``alert`` may be called as often as the trouble is seen; ``settle`` as often as it is not. Telling is claimable work
(``AlertDelivery``): a mail server that is down delays, never loses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from platforms.models import Alert, AlertDelivery
from platforms.work import Work

#: "it is over" is told this much later; when the trouble is back by then, it is the same alert and nothing is told
SETTLED_IS_TOLD_AFTER = timedelta(minutes=1)


def alert(
    key: str,
    *,
    title: str,
    words: str,
    evidence: Mapping[str, Any],
    inverse: str,
    inverse_url: str = "",
    severity: str = "warning",
    now: datetime | None = None,
) -> Alert:
    """Say that something is wrong. Told once while the alert with this key is open; later calls refresh what it says.

    ``evidence``: what was measured, values that JSON can hold. ``inverse``: what takes it back or mends it, in words;
    ``inverse_url``: where, a path of ours. Works inside a transaction of the caller's, and is then told after it.
    """
    now = now or timezone.now()
    said: dict[str, Any] = {
        "severity": severity,
        "title": title[:200],
        "words": words,
        "evidence": dict(evidence),
        "inverse": inverse,
        "inverse_url": inverse_url,
        "last_seen_at": now,
    }
    with transaction.atomic():
        if known := _seen_again(key, said):
            return known
        if known := _back_again(key, now):
            return _seen_again(key, said) or known
        try:
            with transaction.atomic():
                raised = Alert.objects.create(key=key, opened_at=now, **said)
        except IntegrityError:  # somebody else raised it this very moment
            known = _seen_again(key, said)
            if known is None:
                raise
            return known
        _tell(raised, AlertDelivery.Kind.RAISED, due_at=now)
        return raised


def settle(key: str, *, words: str = "", now: datetime | None = None) -> Alert | None:
    """Say that it is over; the alert that this ended, if one was open. ``words``: how it ended."""
    now = now or timezone.now()
    with transaction.atomic():
        known = Alert.objects.select_for_update().filter(key=key, settled_at__isnull=True).first()
        if known is None:
            return None
        known.settled_at, known.settled_words = now, words
        known.save(update_fields=["settled_at", "settled_words"])
        _tell(known, AlertDelivery.Kind.SETTLED, due_at=now + SETTLED_IS_TOLD_AFTER)
        return known


def _seen_again(key: str, said: Mapping[str, Any]) -> Alert | None:
    known = Alert.objects.filter(key=key, settled_at__isnull=True)
    if not known.update(times=F("times") + 1, **said):
        return None
    return known.get()


def _back_again(key: str, now: datetime) -> Alert | None:
    """The alert of this key that was settled a moment ago, opened again if nobody was told that it is over."""
    latest = (
        Alert.objects.select_for_update().filter(key=key, settled_at__gt=now - SETTLED_IS_TOLD_AFTER).order_by("-pk")
    ).first()
    if latest is None:
        return None
    told = latest.deliveries.filter(kind=AlertDelivery.Kind.SETTLED)
    told.filter(status=Work.Status.PENDING, attempts=0).delete()
    if told.exists():
        return None
    latest.settled_at, latest.settled_words = None, ""
    latest.save(update_fields=["settled_at", "settled_words"])
    return latest


def _tell(about: Alert, kind: AlertDelivery.Kind, *, due_at: datetime) -> None:
    for channel, recipient in recipients():
        delivery = AlertDelivery.objects.create(
            alert=about, kind=kind, channel=channel, recipient=recipient, due_at=due_at, woken_at=None
        )
        if due_at <= timezone.now():
            delivery.wake_after_commit()


def recipients() -> Iterator[tuple[str, str]]:
    """(channel, address) of everybody who is told."""
    for address in dict.fromkeys(settings.ALERT_EMAILS):
        yield AlertDelivery.Channel.EMAIL, address
    if settings.ALERT_WEBHOOK_URL:
        yield AlertDelivery.Channel.WEBHOOK, ""
