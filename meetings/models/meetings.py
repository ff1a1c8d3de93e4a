"""Meetings."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from platforms.base import ProviderRoom
from platforms.registry import platform_choices
from rooms.models import Room

if TYPE_CHECKING:
    from meetings.models.stays import ParticipantSessionQuerySet


#: a provider's presence shows a join this late at most (documented 15 s, measured 25 s)
PRESENCE_LAG = timedelta(seconds=25)
#: two looks at the presence this far apart are two observations
TWO_LOOKS = timedelta(seconds=15)


def new_key() -> str:
    """32 hex characters: what our part of a provider's room name is made of."""
    return secrets.token_hex(16)


class PlatformIsFixed(ValueError):
    """A meeting's platform can never change."""


class MeetingQuerySet(models.QuerySet["Meeting"]):
    def live(self) -> MeetingQuerySet:
        """The one meeting per room that people land in: open, or being opened."""
        return self.filter(status__in=Meeting.LIVE)

    def seen_by(self, user: Any) -> MeetingQuerySet:
        """Meetings whose page ``user`` may read by account (staff with the permission see all)."""
        if not user.is_authenticated:
            return self.none()
        if user.has_perm("meetings.view_meeting"):
            return self.all()
        return self.filter(
            Q(room__owner=user) | Q(room__hosts=user) | Q(room__members=user) | Q(participants__user=user)
        ).distinct()


class Meeting(models.Model):
    """One occasion in one room on one platform. At most one per room is live; its platform never changes."""

    class Status(models.TextChoices):
        OPENING = "opening", "opening"
        OPEN = "open", "open"
        ENDED = "ended", "ended"
        FAILED = "failed", "failed to open"

    class EndReason(models.TextChoices):
        EMPTY = "empty", "everybody left"
        HOST = "host", "ended by a host"
        LIMIT = "limit", "time limit reached"
        NEVER_USED = "never_used", "nobody came"
        FAILED = "failed", "could not be opened"

    LIVE = (Status.OPENING, Status.OPEN)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    room = models.ForeignKey(Room, on_delete=models.PROTECT, related_name="meetings")
    platform = models.CharField(max_length=32, choices=platform_choices)
    platform_reason = models.CharField(max_length=200, blank=True, help_text="Why this platform, in words.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPENING)
    created_at = models.DateTimeField(default=timezone.now)

    #: opening: who is calling the provider, and until when others wait for them
    opening_token = models.UUIDField(null=True)
    opening_until = models.DateTimeField(null=True)
    key = models.CharField(max_length=32, unique=True, default=new_key, editable=False)
    failure = models.TextField(blank=True, help_text="What the provider said when the meeting could not be opened.")
    #: the meeting that could not be opened and that this one replaces, on another platform; at most one does
    fell_back_from = models.OneToOneField("self", null=True, on_delete=models.SET_NULL, related_name="fell_back_to")

    #: the provider's room; ``host_url`` is a secret of the hosts
    provider_room_name = models.CharField(max_length=200, blank=True, db_index=True)
    provider_room_id = models.CharField(max_length=200, blank=True)
    url = models.CharField(max_length=500, blank=True)
    host_url = models.CharField(max_length=500, blank=True)

    #: what the room said when this meeting opened
    is_locked = models.BooleanField(default=False)
    language = models.CharField(max_length=10, default="en")
    recording_type = models.CharField(max_length=10, default="none")
    recording_trigger = models.CharField(max_length=30, default="none")
    consent_policy = models.CharField(max_length=10, default="not_asked")

    opened_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True, help_text="When we end it ourselves.")
    warned_at = models.DateTimeField(null=True)
    empty_since = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=12, choices=EndReason.choices, blank=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    #: when the provider's room was closed too; null while that is still to be done
    closed_at_provider_at = models.DateTimeField(null=True)
    close_attempts = models.PositiveIntegerField(default=0)
    close_due_at = models.DateTimeField(null=True)
    #: the two latest times at which the provider told who is inside; with the stays' own times they say who is gone
    presence_checked_at = models.DateTimeField(null=True)
    presence_before_at = models.DateTimeField(null=True)
    #: the provider last said that its call session is open (where it knows no more than that)
    session_seen_at = models.DateTimeField(null=True)
    check_requested_at = models.DateTimeField(null=True, help_text="An event asks for a look at the presence.")
    #: when its outcomes were first asked for; see ``meetings.outcomes``
    outcomes_expected_at = models.DateTimeField(null=True)

    objects = MeetingQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["room"], condition=Q(status__in=["opening", "open"]), name="one_live_meeting_per_room"
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"], condition=Q(outcomes_expected_at__isnull=True), name="meeting_to_be_judged"
            ),
            models.Index(fields=["created_at", "id"], name="meeting_listed"),
            models.Index(fields=["provider_room_id"], opclasses=["varchar_pattern_ops"], name="meeting_provider_id"),
        ]

    def __str__(self) -> str:
        return f"{self.room} {self.created_at:%Y-%m-%d %H:%M}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        written = getattr(self, "_platform_written", None)
        if written is not None and written != self.platform:
            raise PlatformIsFixed(f"Meeting {self.pk} is on {written}; a meeting never changes platform.")
        super().save(*args, **kwargs)
        self._platform_written: str | None = self.platform

    def get_absolute_url(self) -> str:
        return reverse("meeting", args=[self.pk])

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any, **more: Any) -> Meeting:
        meeting = super().from_db(db, field_names, values, **more)
        meeting._platform_written = meeting.__dict__.get("platform")
        return meeting

    @property
    def is_live(self) -> bool:
        return self.status in self.LIVE

    @property
    def provider_room(self) -> ProviderRoom:
        return ProviderRoom(
            name=self.provider_room_name,
            provider_id=self.provider_room_id,
            url=self.url,
            host_url=self.host_url,
            expires_at=self.expires_at,
        )

    def provider_room_for(self, *, host: bool) -> ProviderRoom:
        """``host_url`` opens a host's rights to whoever has it, so it goes to hosts only."""
        return self.provider_room if host else replace(self.provider_room, host_url="")

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def people_inside(self) -> ParticipantSessionQuerySet:
        """Open stays of people; one person may have several."""
        return self.sessions.people().open()

    def count_people(self) -> int:
        return self.people_inside().values("participant").distinct().count()

    def note_presence(self, at: datetime) -> None:
        """Remember that the provider told who is inside at ``at``: the two latest times are kept, in whatever order
        they are told."""
        known = {at, self.presence_checked_at, self.presence_before_at} - {None}
        times = sorted(known, reverse=True)  # type: ignore[type-var]
        self.presence_checked_at = times[0]
        self.presence_before_at = times[1] if len(times) > 1 else None

    def has_missed(self, *, seen_at: datetime | None, joined_at: datetime | None) -> bool:
        """Whether presence says that somebody is gone: missing twice, ``TWO_LOOKS`` apart, after their last sign of
        life. One look proves nothing: presence lags behind and shows ghosts."""
        first, second = self.presence_before_at, self.presence_checked_at
        if first is None or second is None or second - first < TWO_LOOKS:
            return False
        return (seen_at is None or first > seen_at) and (joined_at is None or first > joined_at + PRESENCE_LAG)
