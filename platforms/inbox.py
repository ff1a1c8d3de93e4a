"""The inbox: what the door stores, and what becomes of it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from platforms import registry
from platforms.base import Adapter, Envelope, Signed
from platforms.events import (
    Event,
    Noted,
    ParticipantJoined,
    ParticipantLeft,
    RecordingFailed,
    RecordingReady,
    RecordingStarted,
    SessionEnded,
    SessionStarted,
    Unrecognised,
    WaitingEnded,
    WaitingStarted,
)
from platforms.hurry import hurried_transaction
from platforms.models import Touched as TouchedRow
from platforms.models import WebhookEvent
from platforms.signals import platform_event
from platforms.text import text
from platforms.work import Lease

logger = logging.getLogger(__name__)

#: kept beside the body because they help to understand a delivery; signatures and authorisation never are
HARMLESS_HEADERS = ("Content-Type", "Content-Length", "Date", "User-Agent", "X-Request-Id", "X-Webhook-Timestamp")

WORDS: Mapping[type[Event], str] = {
    ParticipantJoined: "joined",
    ParticipantLeft: "left",
    WaitingStarted: "knocks",
    WaitingEnded: "stopped knocking",
    SessionStarted: "session started",
    SessionEnded: "session ended",
    RecordingStarted: "recording started",
    RecordingReady: "recording ready",
    RecordingFailed: "recording failed",
}

Touched = list[tuple[str, str]]


def store(
    adapter: Adapter, *, headers: Mapping[str, str], body: bytes, signed: Signed, now: datetime
) -> Literal["stored", "duplicate"]:
    """Keep one signed delivery and, once that is certain, wake somebody to read it.

    The same body again is counted, not kept. Raises ``django.db.Error`` when it cannot be stored within
    ``settings.DOOR_PATIENCE_S``.
    """
    envelope = _describe(adapter, body)
    event = WebhookEvent(
        platform=adapter.slug,
        body=body,
        body_sha256=hashlib.sha256(body).hexdigest(),
        headers={name: text(headers[name], 300) for name in HARMLESS_HEADERS if name in headers},
        event_id=text(envelope.event_id, 200),
        event_type=text(envelope.event_type, 100),
        occurred_at=envelope.occurred_at,
        signed_at=signed.at,
        is_stale=signed.stale,
        received_at=now,
        due_at=now,
        woken_at=now,
    )
    with hurried_transaction(settings.DOOR_PATIENCE_S):
        try:
            with transaction.atomic():
                event.save(force_insert=True)
        except IntegrityError:
            known = WebhookEvent.objects.filter(platform=event.platform, body_sha256=event.body_sha256)
            if not known.update(duplicates=F("duplicates") + 1, last_duplicate_at=now):
                raise
            return "duplicate"
        event.wake_after_commit()
        return "stored"


def _describe(adapter: Adapter, body: bytes) -> Envelope:
    try:
        return adapter.describe(body)
    except Exception:  # noqa: BLE001  a mistake in one adapter must not cost a delivery: three such stop them all
        logger.exception("the %s adapter could not describe a body of %s bytes", adapter.slug, len(body))
        return Envelope()


def interpret(lease: Lease[WebhookEvent]) -> None:
    """Turn one stored delivery into events and have them received, all in one transaction, or not at all."""
    row = lease.row
    events = read(row)
    with lease.finishing():
        row.touched, lines = receive(events)
        row.outcome = "\n".join(lines)
        row.save(update_fields=["touched", "outcome"])
        _index(row)


def _index(row: WebhookEvent) -> None:
    """Make the delivery findable by what it touched, this time."""
    TouchedRow.objects.filter(event=row).delete()
    TouchedRow.objects.bulk_create(
        TouchedRow(event=row, label=label, key=key, received_at=row.received_at) for label, key in row.touched
    )


def read(row: WebhookEvent) -> tuple[Event, ...]:
    return registry.get(row.platform).interpret(bytes(row.body))


def receive(events: Iterable[Event]) -> tuple[Touched, list[str]]:
    """Have events received: the rows that were touched, each once, and what became of each event, in words.

    For use inside a transaction, which is the caller's to commit.
    """
    touched: Touched = []
    lines: list[str] = []
    for event in events:
        by_this = _send(event)
        touched += [pair for pair in by_this if pair not in touched]
        lines.append(_in_words(event, by_this))
    return touched, lines or ["nothing: the delivery holds no event"]


def _send(event: Event) -> Touched:
    """The rows that the receivers touched, each once, in the order in which they named them."""
    if isinstance(event, Noted | Unrecognised):
        return []
    answers: Iterable[tuple[Any, Any]] = platform_event.send(sender=WebhookEvent, event=event)
    return list(dict.fromkeys((str(label), str(pk)) for _, answer in answers for label, pk in answer or ()))


def _in_words(event: Event, touched: Touched) -> str:
    match event:
        case Unrecognised(reason=reason):
            return f"not understood: {text(reason)}"
        case Noted(what=what):
            return f"noted: {text(what)}"
    word = WORDS.get(type(event), type(event).__name__)
    if touched:
        kinds = dict.fromkeys(label.rpartition(".")[2].lower() for label, _ in touched)
        return f"{word}: {', '.join(kinds)}"
    if event.room_name:
        return f"{word}: nothing, no meeting of ours has this room"
    return f"{word}: nothing of ours is meant"
