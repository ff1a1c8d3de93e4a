"""Actors of the inbox and of alerts."""

import dramatiq

from platforms import inbox, telling
from platforms.models import AlertDelivery, WebhookEvent
from platforms.work import work_on


@dramatiq.actor(max_retries=0, time_limit=60_000, priority=0)
def interpret_webhook_event(pk: str) -> None:
    work_on(WebhookEvent, pk, inbox.interpret)


@dramatiq.actor(max_retries=0, time_limit=60_000, priority=0)
def deliver_alert(pk: str) -> None:
    work_on(AlertDelivery, pk, telling.deliver)
