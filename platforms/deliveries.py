"""When deliveries came, and how late."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet, Subquery, Value
from django.db.models.functions import Least

from platforms.doctor import ROUND_TRIP_TYPE
from platforms.models import WebhookEvent

DAY = timedelta(days=1)
#: the newest so many are enough for a percentile
MOST_READ = 20_000


@dataclass(frozen=True, kw_only=True)
class Delays:
    """From the fact, by the provider's clock, to its arrival here."""

    count: int  #: deliveries that say when their fact was
    p50_s: float | None = None
    p95_s: float | None = None
    slowest_s: float | None = None
    newest: datetime | None = None  #: when the newest of all deliveries came, however long ago


def from_provider(platform: str) -> QuerySet[WebhookEvent]:
    """Deliveries that we did not send ourselves, newest first."""
    return WebhookEvent.objects.filter(platform=platform).exclude(event_type=ROUND_TRIP_TYPE).order_by("-received_at")


def last_delivery(platform: str) -> datetime | None:
    return from_provider(platform).values_list("received_at", flat=True).first()


def delays(platform: str, *, now: datetime, within: timedelta = DAY) -> Delays:
    """How late the deliveries of the last day came. A clock that differs makes no delay negative. One query."""
    begins = now - within
    newest_at = from_provider(platform).values("received_at")[:1]
    # where nothing came in this time, the newest from before it
    came = list(
        from_provider(platform)
        .filter(received_at__gte=Least(Value(begins), Subquery(newest_at)))
        .values_list("received_at", "occurred_at")[:MOST_READ]
    )
    newest = came[0][0] if came else None
    late = sorted(
        max(0.0, (received - occurred).total_seconds())
        for received, occurred in came
        if occurred is not None and received >= begins
    )
    if not late:
        return Delays(count=0, newest=newest)
    return Delays(count=len(late), p50_s=_at(late, 0.5), p95_s=_at(late, 0.95), slowest_s=late[-1], newest=newest)


def _at(ordered: list[float], share: float) -> float:
    """The smallest value that so many of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
