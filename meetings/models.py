"""Meetings, the people in them, their stays, and what they agreed to."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from platforms.base import ProviderRoom
from platforms.registry import platform_choices
from platforms.work import Work
from rooms.models import Room


def new_key() -> str:
    """32 hex characters: what our part of a provider's room name is made of."""
    return secrets.token_hex(16)


def new_receipt_token() -> str:
    return secrets.token_urlsafe(24)


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
    presence_checked_at = models.DateTimeField(null=True)
    check_requested_at = models.DateTimeField(null=True, help_text="An event asks for a look at the presence.")

    objects = MeetingQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["room"], condition=Q(status__in=["opening", "open"]), name="one_live_meeting_per_room"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.room} {self.created_at:%Y-%m-%d %H:%M}"

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any) -> Meeting:
        meeting = super().from_db(db, field_names, values)
        meeting._platform_written = meeting.__dict__.get("platform")
        return meeting

    def save(self, *args: Any, **kwargs: Any) -> None:
        written = getattr(self, "_platform_written", None)
        if written is not None and written != self.platform:
            raise PlatformIsFixed(f"Meeting {self.pk} is on {written}; a meeting never changes platform.")
        super().save(*args, **kwargs)
        self._platform_written = self.platform

    def get_absolute_url(self) -> str:
        return reverse("meeting", args=[self.pk])

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

    def people_inside(self) -> ParticipantSessionQuerySet:
        return ParticipantSession.objects.filter(meeting=self).people().open()


class Participant(models.Model):
    """A person in one meeting, however often they come and go."""

    class Answer(models.TextChoices):
        NONE = "none", "no answer"
        YES = "yes", "yes"
        NO = "no", "no"
        WITHDRAWN = "withdrawn", "withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="participants")
    platform = models.CharField(max_length=32, choices=platform_choices)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="participations"
    )
    name = models.CharField(max_length=120, blank=True)
    is_host = models.BooleanField(default=False)
    is_person = models.BooleanField(default=True, help_text="False for recorders and streamers.")
    #: came through our page (and could be asked), or by the provider's own link
    came_by_page = models.BooleanField(default=False)
    #: how the provider names this person; ours (= str(id)) when our page let them in
    provider_user_id = models.CharField(max_length=200)
    #: the answer in force; the history is in ``Consent``
    answer = models.CharField(max_length=10, choices=Answer.choices, default=Answer.NONE)
    receipt_token = models.CharField(max_length=64, unique=True, default=new_receipt_token, editable=False)
    #: may only enter once a running recording is confirmed stopped (they refused)
    held_until_stopped = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["meeting", "provider_user_id"], name="participant_once_per_meeting"),
        ]

    def __str__(self) -> str:
        return self.name or "Somebody without a name"


class ParticipantSessionQuerySet(models.QuerySet["ParticipantSession"]):
    def open(self) -> ParticipantSessionQuerySet:
        return self.filter(joined_at__isnull=False, left_at__isnull=True)

    def people(self) -> ParticipantSessionQuerySet:
        return self.filter(participant__is_person=True)


class ParticipantSession(models.Model):
    """One stay. Facts arrive in any order and any number of times and are folded so that the result is the same."""

    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="sessions")
    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="sessions")
    session_id = models.CharField(max_length=200)
    #: folded from facts: first and last time a join was reported, last time a leave was reported
    joined_at = models.DateTimeField(null=True)
    last_joined_at = models.DateTimeField(null=True)
    reported_left_at = models.DateTimeField(null=True)
    #: presence does not see them any more since; overruled by what the provider reports
    presumed_left_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)
    #: derived from the above by ``fold``; null while they are inside
    left_at = models.DateTimeField(null=True)

    objects = ParticipantSessionQuerySet.as_manager()

    class Meta:
        ordering = ["joined_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["meeting", "participant", "session_id"], name="stay_once_per_meeting"),
        ]

    def __str__(self) -> str:
        return f"{self.participant} {self.joined_at:%H:%M}" if self.joined_at else str(self.participant)


class Waiting(models.Model):
    """Somebody who knocks. Open while ``ended_at`` is null or before ``started_at``."""

    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="waiting")
    session_id = models.CharField(max_length=200)
    user_id = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["started_at"]
        constraints = [models.UniqueConstraint(fields=["meeting", "session_id"], name="waiting_once_per_meeting")]

    def __str__(self) -> str:
        return self.name or self.session_id


class ConsentText(models.Model):
    """The exact words that were shown. New words are a new row; old answers keep theirs."""

    sha256 = models.CharField(max_length=64, unique=True)
    language = models.CharField(max_length=10, default="en")
    body = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"version {self.pk} ({self.sha256[:8]})"

    @classmethod
    def version_of(cls, body: str, *, language: str = "en") -> ConsentText:
        """The row of exactly these words, made when they are new."""
        digest = hashlib.sha256(f"{language}\n{body}".encode()).hexdigest()
        return cls.objects.get_or_create(sha256=digest, defaults={"body": body, "language": language})[0]


class Consent(models.Model):
    """One answer of one person. Rows are only ever added."""

    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="consents")
    text = models.ForeignKey(ConsentText, on_delete=models.PROTECT)
    policy = models.CharField(max_length=10, help_text="The room's policy then in force.")
    scope = models.CharField(max_length=60, default="recording and transcript")
    answer = models.CharField(max_length=10, choices=Participant.Answer.choices)
    answered_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["answered_at", "pk"]

    def __str__(self) -> str:
        return f"{self.participant}: {self.answer}"


class Capture(Work):
    """One run of a meeting's recording: wanted or not, and what is known of it at the provider.

    ``status`` (from ``Work``) is about the order to start or stop; ``state`` is about the recording itself.
    """

    class State(models.TextChoices):
        WANTED = "wanted", "being started"
        ON = "on", "recording"
        STOPPING = "stopping", "being stopped"
        OFF = "off", "stopped"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False, help_text="Our instanceId.")
    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="captures")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WANTED)
    reason = models.CharField(max_length=200, blank=True, help_text="Why it was started or stopped, in words.")
    error = models.TextField(blank=True, help_text="What the provider said went wrong.")
    provider_recording_id = models.CharField(max_length=200, blank=True, db_index=True)
    wanted_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    stop_wanted_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)

    actor_name = "drive_capture"
    max_attempts = 20

    class Meta(Work.Meta):
        abstract = False
        ordering = ["wanted_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["meeting"], condition=Q(state__in=["wanted", "on", "stopping"]), name="one_capture_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.meeting}: {self.get_state_display()}"

