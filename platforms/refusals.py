"""Deliveries that were refused, counted: a secret that is set wrong shows as a row of 401s and nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import Error as DatabaseTrouble
from django.db.models import Max, OuterRef, QuerySet, Subquery, Value

from platforms.hurry import hurried_transaction
from platforms.models import Heartbeat, WebhookEvent

logger = logging.getLogger(__name__)

#: anybody can send us nonsense: beyond this many per process, refusals are not counted any more
MOST_WRITES = 20
PER_S = 10.0
PATIENCE_S = 0.2
#: older refusals are no news
DAY = timedelta(days=1)

_written: deque[float] = deque(maxlen=MOST_WRITES)
_lock = threading.Lock()


@dataclass(frozen=True)
class Refusals:
    """What was refused since the last delivery that was taken; ``count`` is a lower bound."""

    platform: str
    count: int
    since: datetime
    last: datetime
    reason: str


def note(platform: str, reason: str, now: datetime) -> None:
    """Count one refusal. Never raises, never waits long: the answer is 401 whether it was counted or not."""
    logger.warning("a delivery for %s was refused: %s", platform, reason)
    if not _may_write():
        return
    try:
        with hurried_transaction(PATIENCE_S):
            row, _ = Heartbeat.objects.get_or_create(name=row_name(platform))
            so_far = _read(platform, row, _last_taken(platform)) if row.state else None
            row.state = {
                "count": so_far.count + 1 if so_far else 1,
                "since": (so_far.since if so_far else now).isoformat(),
                "last": now.isoformat(),
                "reason": reason[:200],
            }
            row.save(update_fields=["state"])
    except DatabaseTrouble as error:
        logger.warning("a refusal was not counted: %s", type(error).__name__)


def standing(platform: str, *, now: datetime, within: timedelta = DAY) -> Refusals | None:
    """Refusals that no accepted delivery has followed, if the last came ``within`` this time. One query."""
    row = judged(Heartbeat.objects.filter(name=row_name(platform)), platform).first()
    return standing_in(row, platform, now=now, within=within)


def standing_in(row: Any, platform: str, *, now: datetime, within: timedelta = DAY) -> Refusals | None:
    """The same, of a row that ``judged`` read, or of none."""
    found = _read(platform, row, (row.taken_at, row.taken_again_at)) if row else None
    return found if found and found.last >= now - within else None


def judged(rows: QuerySet[Heartbeat], platform: str) -> QuerySet[Heartbeat]:
    """With the times at which deliveries were last taken; only for the platform's row of refusals, and not looked for
    where that is not among them."""
    taken = (
        WebhookEvent.objects.filter(platform=platform)
        .annotate(kept_as=Value(row_name(platform)))
        .filter(kept_as=OuterRef("name"))
        .order_by()
        .values("platform")
    )
    times = {
        name: Subquery(taken.annotate(newest=Max(field)).values("newest"))
        for name, field in (("taken_at", "received_at"), ("taken_again_at", "last_duplicate_at"))
    }
    return rows.annotate(**times)


def _read(platform: str, row: Heartbeat, taken: Iterable[datetime | None]) -> Refusals | None:
    if not row.state:
        return None
    found = Refusals(
        platform=platform,
        count=row.state["count"],
        since=datetime.fromisoformat(row.state["since"]),
        last=datetime.fromisoformat(row.state["last"]),
        reason=row.state["reason"],
    )
    return None if any(at and at >= found.last for at in taken) else found


def _last_taken(platform: str) -> Iterable[datetime | None]:
    accepted = WebhookEvent.objects.filter(platform=platform).aggregate(
        first=Max("received_at"), again=Max("last_duplicate_at")
    )
    return accepted.values()


def _may_write() -> bool:
    with _lock:
        now = time.monotonic()
        if len(_written) == MOST_WRITES and now - _written[0] < PER_S:
            return False
        _written.append(now)
        return True


def row_name(platform: str) -> str:
    return f"refused:{platform}"
