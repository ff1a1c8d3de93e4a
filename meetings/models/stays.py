"""Stays of people in meetings, and those who knock."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from meetings.models.meetings import Meeting
from meetings.models.people import Participant


def earliest(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


class ParticipantSessionQuerySet(models.QuerySet["ParticipantSession"]):
    def open(self) -> ParticipantSessionQuerySet:
        return self.filter(joined_at__isnull=False, left_at__isnull=True)

    def people(self) -> ParticipantSessionQuerySet:
        return self.filter(participant__is_person=True)

    def without_reported_end(self) -> ParticipantSessionQuerySet:
        """Whose end, if there was one, is for presence to say, or for the end of the meeting."""
        return self.filter(Q(reported_left_at__isnull=True) | Q(reported_left_at__lt=F("last_joined_at")))


class SessionFacts(models.Model):
    """What is told of one session, as first and last times: facts arrive in any order and any number of times and are
    folded so that the result is the same."""

    #: first and last time a join was reported, last time a leave was reported
    joined_at = models.DateTimeField(null=True)
    last_joined_at = models.DateTimeField(null=True)
    reported_left_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

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

    def fold_facts(self, other: SessionFacts) -> None:
        """Take over everything that is known of ``other``."""
        self.joined_at = earliest(self.joined_at, other.joined_at)
        for name in ("last_joined_at", "reported_left_at", "last_seen_at"):
            setattr(self, name, latest(getattr(self, name), getattr(other, name)))


class NamelessSession(SessionFacts):
    """What was told of a session without saying whose it is (see ``meetings.sessions``). Nobody is counted by it: the
    stays that follow from it are rows of their own."""

    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="nameless_sessions")
    session_id = models.CharField(max_length=200)
    #: who it may be, folded as for a participant who did not come by our page
    name = models.CharField(max_length=120, blank=True)
    named_at = models.DateTimeField(null=True)
    is_host = models.BooleanField(default=False)
    is_person = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["meeting", "session_id"], name="nameless_session_once_per_meeting"),
        ]

    def __str__(self) -> str:
        return self.session_id


class ParticipantSession(SessionFacts):
    """One stay."""

    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="sessions")
    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="sessions")
    session_id = models.CharField(max_length=200)
    #: presence does not see them any more since; overruled by what the provider reports
    presumed_left_at = models.DateTimeField(null=True)
    #: derived from the facts by ``settle``; null while they are inside
    left_at = models.DateTimeField(null=True)

    objects = ParticipantSessionQuerySet.as_manager()

    class Meta:
        verbose_name = "stay"
        ordering = ["joined_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["meeting", "participant", "session_id"], name="stay_once_per_meeting"),
        ]
        indexes = [
            models.Index(fields=["joined_at", "id"], name="stay_listed"),
            models.Index(fields=["joined_at", "id"], condition=Q(left_at__isnull=True), name="stay_open_listed"),
            models.Index(fields=["session_id"], opclasses=["varchar_pattern_ops"], name="stay_session_id"),
        ]

    def __str__(self) -> str:
        return f"{self.participant} {self.joined_at:%H:%M}" if self.joined_at else str(self.participant)

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
