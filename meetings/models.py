"""Meetings, the people in them, their stays, and what they agreed to."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from platforms.base import ProviderRoom
from platforms.registry import platform_choices
from platforms.work import Work, WorkQuerySet
from rooms.models import Room

#: a provider's presence shows a join this late at most (documented 15 s, measured 25 s)
PRESENCE_LAG = timedelta(seconds=25)
#: two looks at the presence this far apart are two observations
TWO_LOOKS = timedelta(seconds=15)


def new_key() -> str:
    """32 hex characters: what our part of a provider's room name is made of."""
    return secrets.token_hex(16)


def new_receipt_token() -> str:
    return secrets.token_urlsafe(24)


def earliest(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


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
    #: the two latest times at which the provider told who is inside; with the stays' own times they say who is gone
    presence_checked_at = models.DateTimeField(null=True)
    presence_before_at = models.DateTimeField(null=True)
    #: the provider last said that its call session is open (where it knows no more than that)
    session_seen_at = models.DateTimeField(null=True)
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
        return ParticipantSession.objects.filter(meeting=self).people().open()

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
    #: last time our page was about to let them in; for a minute they count as if they were inside
    entered_at = models.DateTimeField(null=True)
    #: when the provider last told their name, for those who did not come by our page
    named_at = models.DateTimeField(null=True)
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
            models.UniqueConstraint(
                fields=["meeting", "user"], condition=Q(user__isnull=False), name="account_once_per_meeting"
            ),
        ]

    def __str__(self) -> str:
        return self.name or "Somebody without a name"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.platform:
            self.platform = self.meeting.platform
        if not self.provider_user_id:
            self.provider_user_id = str(self.pk)
        super().save(*args, **kwargs)


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
        verbose_name = "stay"
        ordering = ["joined_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["meeting", "participant", "session_id"], name="stay_once_per_meeting"),
        ]

    def __str__(self) -> str:
        return f"{self.participant} {self.joined_at:%H:%M}" if self.joined_at else str(self.participant)

    def fold_join(self, at: datetime) -> None:
        self.joined_at = earliest(self.joined_at, at)
        self.last_joined_at = latest(self.last_joined_at, at)

    def fold_leave(self, at: datetime) -> None:
        self.reported_left_at = latest(self.reported_left_at, at)

    def fold_sighting(self, at: datetime, *, joined_at: datetime | None) -> None:
        """Presence showed them at ``at``. A sighting alone never reopens a stay whose end was reported: presence
        shows ghosts; a later time of joining does."""
        self.last_seen_at = latest(self.last_seen_at, at)
        if joined_at is None:
            self.joined_at = earliest(self.joined_at, at)
        else:
            self.fold_join(joined_at)

    def fold_stay(self, other: ParticipantSession) -> None:
        """Take over what is known under another name of the same person."""
        self.joined_at = earliest(self.joined_at, other.joined_at)
        for name in ("last_joined_at", "reported_left_at", "last_seen_at"):
            setattr(self, name, latest(getattr(self, name), getattr(other, name)))

    def settle(self, meeting: Meeting) -> None:
        """Derive ``left_at`` from the facts, whatever order they came in."""
        sign = latest(self.joined_at, self.last_joined_at, self.last_seen_at)
        told = self.reported_left_at
        reported = told is not None and (self.last_joined_at is None or told >= self.last_joined_at)
        missed = not reported and meeting.has_missed(
            seen_at=self.last_seen_at, joined_at=self.last_joined_at or self.joined_at
        )
        self.presumed_left_at = sign if missed else None
        if reported:
            self.left_at = told
        elif missed:
            self.left_at = sign
        elif meeting.ended_at is not None:
            self.left_at = latest(meeting.ended_at, sign)
        else:
            self.left_at = None


class WaitingQuerySet(models.QuerySet["Waiting"]):
    def open(self) -> WaitingQuerySet:
        """Those who still knock. Whoever got in knocks no more, though the provider may not say so."""
        inside = ParticipantSession.objects.filter(meeting=OuterRef("meeting"), joined_at__gte=OuterRef("started_at"))
        return (
            self.filter(started_at__isnull=False)
            .filter(Q(ended_at__isnull=True) | Q(ended_at__lt=F("started_at")))
            .exclude(Exists(inside.filter(session_id=OuterRef("session_id"))))
            .exclude(~Q(user_id="") & Exists(inside.filter(participant__provider_user_id=OuterRef("user_id"))))
        )


class Waiting(models.Model):
    """Somebody who knocks. Open while ``ended_at`` is null or before ``started_at``."""

    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="waiting")
    session_id = models.CharField(max_length=200)
    user_id = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = WaitingQuerySet.as_manager()

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


class CaptureQuerySet(WorkQuerySet):
    def live(self) -> CaptureQuerySet:
        """Being started, running or being stopped: it may be recording right now. At most one per meeting."""
        return self.filter(state__in=Capture.LIVE)


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

    LIVE = (State.WANTED, State.ON, State.STOPPING)

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
    #: the last order to start, written before it is given; from then on it may be running
    ordered_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True, help_text="The provider took the order to start.")
    failed_at = models.DateTimeField(null=True)
    ready_at = models.DateTimeField(null=True, help_text="The provider has the finished recording.")
    #: stopped for want of consent: an automatic recording starts again when everybody agrees
    may_resume = models.BooleanField(default=False)
    is_automatic = models.BooleanField(default=False, help_text="Started by the room's trigger, not by a host.")

    objects: ClassVar[Any] = CaptureQuerySet.as_manager()

    actor_name = "drive_capture"
    max_attempts = 20

    class Meta(Work.Meta):
        verbose_name = "recording order"
        abstract = False
        ordering = ["wanted_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["meeting"], condition=Q(state__in=["wanted", "on", "stopping"]), name="one_capture_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.meeting}: {self.get_state_display()}"

    @property
    def runs_late(self) -> bool:
        """It began after it had been given up, and nobody has seen the end of it."""
        over = latest(self.stopped_at, self.failed_at)
        return bool(over and self.started_at and self.started_at > over and not self.ready_at)

    def settle(self) -> None:
        """Derive ``state`` from the facts, whatever order they came in."""
        if self.ready_at:
            self.state = self.State.OFF
        elif self.runs_late:
            self.state = self.State.STOPPING
        elif self.failed_at:
            self.state = self.State.FAILED
        elif self.stopped_at:
            self.state = self.State.OFF
        elif self.stop_wanted_at:
            self.state = self.State.STOPPING
        elif self.started_at:
            self.state = self.State.ON
        else:
            self.state = self.State.WANTED


class GuestJoins(models.Model):
    """How often guests of one network address pressed *Join* in one minute; old minutes are deleted."""

    #: keyed hash of the address: no address is stored
    who = models.CharField(max_length=64)
    minute = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["who", "minute"], name="guest_joins_once_per_minute")]

    def __str__(self) -> str:
        return f"{self.count} at {self.minute:%H:%M}"
