"""Actors of the inbox."""

import dramatiq

from platforms import inbox
from platforms.models import WebhookEvent
from platforms.work import work_on


@dramatiq.actor(max_retries=0, time_limit=60_000, priority=0)
def interpret_webhook_event(pk: str) -> None:
    work_on(WebhookEvent, pk, inbox.interpret)
