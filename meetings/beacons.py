"""How a join went, as the page of the call tells it: a few times, once each, and nothing about the person.

The beacon is a witness, not the judge: ``meetings.judging`` checks it against what the provider says. Where it is
blocked, the provider alone decides.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core import signing
from django.db import models

if TYPE_CHECKING:
    from meetings.models import Participant

SALT = "meetings.beacons"
TOKEN_AGE = timedelta(days=1)
#: no phase of a join that matters takes longer; what a page claims beyond is dropped
LONGEST_MS = 600_000


class JoinBeacon(models.Model):
    """One person's first join of a meeting. Each fact is kept as it was first told; times are our server's clock,
    milliseconds the page's own, counted from when the browser sent the form."""

    class Failure(models.TextChoices):
        SDK = "sdk", "the platform’s script did not load"
        CONNECTION = "connection", "the call could not be reached"
        FULL = "full", "the call was full"
        OTHER = "other", "the call ended before it began"

    participant = models.OneToOneField("meetings.Participant", on_delete=models.CASCADE, related_name="beacon")
    pressed_at = models.DateTimeField()
    framed_ms = models.PositiveIntegerField(null=True)
    joined_at = models.DateTimeField(null=True)
    joined_ms = models.PositiveIntegerField(null=True)
    failed_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=12, choices=Failure.choices, blank=True)
    #: the page was closed before the person was inside
    left_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "join"

    def __str__(self) -> str:
        return f"{self.pressed_at:%H:%M:%S}"


def note_pressed(participant: Participant, *, at: datetime) -> None:
    """They pressed *Join*. The first time counts. Idempotent."""
    JoinBeacon.objects.get_or_create(participant=participant, defaults={"pressed_at": at})


def token_for(participant: Participant) -> str:
    """What lets this person's page, and nobody else, tell how the join went."""
    return signing.dumps(str(participant.pk), salt=SALT)


def participant_id_of(token: str) -> uuid.UUID | None:
    """Whose token it is; None when we did not make it or it is older than ``TOKEN_AGE``. No query."""
    try:
        return uuid.UUID(signing.loads(token, salt=SALT, max_age=TOKEN_AGE))
    except signing.BadSignature:
        return None


def take_in(participant_id: uuid.UUID, told: dict[str, Any], *, now: datetime) -> bool:
    """Keep what a page tells: ``{"what": "joined"|"failed"|"left", "framed_ms", "joined_ms", "why"}``.

    One query; a second one where it is news. False when ``what`` is none of these.
    """
    what = told.get("what")
    if what not in ("joined", "failed", "left"):
        return False
    row = JoinBeacon.objects.filter(participant=participant_id).first()
    if row is None or getattr(row, f"{what}_at") is not None:
        return True
    news: dict[str, Any] = {f"{what}_at": now}
    if row.framed_ms is None:
        news["framed_ms"] = _ms(told.get("framed_ms"))
    if what == "joined":
        news["joined_ms"] = _ms(told.get("joined_ms"))
    elif what == "failed":
        why = told.get("why")
        news["failure"] = why if why in JoinBeacon.Failure.values else JoinBeacon.Failure.OTHER
    JoinBeacon.objects.filter(pk=row.pk, **{f"{what}_at__isnull": True}).update(**news)
    return True


def _ms(claimed: Any) -> int | None:
    if isinstance(claimed, bool) or not isinstance(claimed, int | float):
        return None
    return round(claimed) if 0 <= claimed <= LONGEST_MS else None
