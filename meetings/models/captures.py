"""Recordings of a meeting as they are ordered."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from meetings.models.meetings import Meeting
from meetings.models.stays import latest
from platforms.work import Work, WorkQuerySet


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
        indexes = [*Work.Meta.indexes, models.Index(fields=["wanted_at", "id"], name="capture_listed")]

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
