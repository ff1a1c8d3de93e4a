"""Recordings as they were found, and what was said in them."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from meetings.models import Meeting, Participant
from platforms.base import ProviderRecording
from platforms.registry import platform_choices
from platforms.work import Work


class Recording(Work):
    """One recording at a provider. The work on it: fetch it into our storage and look at what it is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    platform = models.CharField(max_length=32, choices=platform_choices)
    provider_recording_id = models.CharField(max_length=200)
    meeting = models.ForeignKey(Meeting, null=True, on_delete=models.PROTECT, related_name="recordings")
    provider_room_name = models.CharField(max_length=200, blank=True, db_index=True)
    kind = models.CharField(max_length=20, default="cloud")
    found_by = models.CharField(max_length=10, choices=[("webhook", "webhook"), ("poller", "poller")])
    found_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    duration_s = models.FloatField(null=True, help_text="As the provider says.")
    provider_key = models.CharField(max_length=1024, blank=True)

    #: our copy
    file_key = models.CharField(max_length=200, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    media_duration_s = models.FloatField(null=True, help_text="Measured by decoding.")
    probe = models.JSONField(default=dict, help_text="Container, codecs, picture size.")
    fetched_at = models.DateTimeField(null=True)

    #: removal after a refusal; a deleted recording stays as a row so that a late webhook does not bring it back
    delete_wanted_at = models.DateTimeField(null=True)
    delete_reason = models.CharField(max_length=200, blank=True)
    deleted_at = models.DateTimeField(null=True)

    actor_name = "process_recording"

    class Meta(Work.Meta):
        abstract = False
        ordering = ["-found_at"]
        constraints = [
            models.UniqueConstraint(fields=["platform", "provider_recording_id"], name="recording_once"),
        ]
        indexes = [
            *Work.Meta.indexes,
            models.Index(fields=["found_at", "id"], name="recording_listed"),
            models.Index(
                fields=["provider_recording_id"], opclasses=["varchar_pattern_ops"], name="recording_provider_id"
            ),
            models.Index(fields=["sha256"], opclasses=["varchar_pattern_ops"], name="recording_sha256"),
        ]

    def __str__(self) -> str:
        begun = timezone.localtime(self.started_at or self.found_at)
        return f"{self.get_platform_display()} recording of {begun.day} {begun:%b %Y %H:%M %Z}"

    @property
    def media_key(self) -> str:
        """Where our copy lies in our storage, once there is one (``file_key``)."""
        return f"recordings/{self.pk}.mp4"

    @property
    def length(self) -> str:
        """How long it plays, e.g. "44 s" or "12 min"."""
        seconds = round(self.media_duration_s or 0)
        return f"{seconds} s" if seconds < 100 else f"{round(seconds / 60)} min"

    def as_listed(self) -> ProviderRecording:
        """What we know of it, for when the provider's list does not have it (any more)."""
        return ProviderRecording(
            recording_id=self.provider_recording_id,
            room_name=self.provider_room_name,
            kind=self.kind,
            key=self.provider_key,
            started_at=self.started_at,
        )


class Transcript(Work):
    """What an engine heard in one recording. The work on it: listen."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    recording = models.OneToOneField(Recording, on_delete=models.CASCADE, related_name="transcript")
    language = models.CharField(max_length=10, default="en")
    engine = models.CharField(max_length=60, blank=True)
    model = models.CharField(max_length=120, blank=True)
    progress = models.FloatField(default=0, help_text="Share of the recording that was listened to, 0 to 1.")
    created_at = models.DateTimeField(default=timezone.now)

    actor_name = "transcribe_recording"
    max_attempts = 5

    class Meta(Work.Meta):
        abstract = False
        ordering = ["-created_at"]
        indexes = [*Work.Meta.indexes, models.Index(fields=["created_at", "id"], name="transcript_listed")]

    def __str__(self) -> str:
        return f"Transcript of {self.recording}"


class TranscriptSegment(models.Model):
    """A stretch of speech. Times count from the start of the recording."""

    transcript = models.ForeignKey(Transcript, on_delete=models.CASCADE, related_name="segments")
    start_ms = models.PositiveIntegerField()
    end_ms = models.PositiveIntegerField()
    text = models.TextField()
    #: who spoke, where only one person can have spoken
    participant = models.ForeignKey(Participant, null=True, on_delete=models.SET_NULL, related_name="segments")
    confidence = models.FloatField(null=True)

    class Meta:
        ordering = ["transcript", "start_ms", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(end_ms__gte=models.F("start_ms")), name="segment_ends_after_start"),
        ]

    def __str__(self) -> str:
        return self.text[:60]
