"""How meetings went, as rows that ``meetings`` and ``recordings`` write and that guard and parity page read."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from platforms.registry import platform_choices
from rooms.models.rooms import Room


class Outcome(models.Model):
    """One question about one meeting, answered once it can be. Immature answers are pending, not failures.

    ``meeting_id`` is a meeting's id without a foreign key: this package does not know meetings. ``platform`` is the
    one that is counted: a meeting that fell back counts against the platform that failed, in that meeting's own row.
    """

    class Kind(models.TextChoices):
        JOINED = "joined", "joined within 60 s"
        RECORDING = "recording", "recording delivered"
        TRANSCRIPT = "transcript", "transcript delivered"
        PRESENCE = "presence", "participants matched by presence"
        ERRORS = "errors", "no provider error"
        DELAY = "delay", "webhooks within 60 s"

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        SUCCESS = "success", "success"
        FAILURE = "failure", "failure"
        EXCLUDED = "excluded", "does not apply"

    meeting_id = models.UUIDField()
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="outcomes")
    platform = models.CharField(max_length=32, choices=platform_choices)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    #: the measured number behind it, where there is one: seconds for joined, recording, transcript and delay
    value = models.FloatField(null=True)
    words = models.CharField(max_length=300, blank=True, help_text="Evidence, or why it does not apply.")
    met_at = models.DateTimeField(help_text="When the meeting was opened, or failed to.")
    mature_at = models.DateTimeField(help_text="Unanswered then is a failure.")
    decided_at = models.DateTimeField(null=True)
    #: when the facts are looked at next; empty: nothing more can be learnt
    look_at = models.DateTimeField(null=True, default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-met_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["meeting_id", "kind"], name="one_outcome_per_kind")]
        indexes = [
            models.Index(fields=["platform", "kind", "status", "met_at"], name="outcome_counts"),
            # why meetings do not count, without a look at the rows: they are few in a hundred, and on every page
            models.Index(
                fields=["platform", "kind", "met_at", "words"],
                name="outcome_left_out",
                condition=models.Q(status="excluded"),
            ),
            # the answers about an experiment's meetings, from the index alone
            models.Index(fields=["meeting_id", "kind", "status"], name="outcome_answers"),
            models.Index(fields=["room", "decided_at"], name="outcome_of_room"),
            models.Index(fields=["met_at", "id"], name="outcome_listed"),
            models.Index(fields=["status", "mature_at"], name="outcome_maturing"),
            models.Index(fields=["look_at"], name="outcome_to_look_at", condition=models.Q(look_at__isnull=False)),
        ]

    def __str__(self) -> str:
        kind = self.get_kind_display()
        return f"{kind[:1].upper()}{kind[1:]}: {self.get_status_display()}"


class Validation(models.Model):
    """A point that was measured on a platform, beside the outcomes of meetings: container and codecs, key parsing, word
    error rate of one planted speech. The latest row of a point counts."""

    class Point(models.TextChoices):
        CONTAINER = "container", "container and codecs"
        KEYS = "keys", "object keys parsed"
        SPEECH = "speech", "word error rate of one planted speech"

    platform = models.CharField(max_length=32, choices=platform_choices)
    point = models.CharField(max_length=12, choices=Point.choices)
    ok = models.BooleanField()
    evidence = models.JSONField(default=dict, help_text="What was measured, as plain values.")
    measured_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-measured_at", "-pk"]
        indexes = [models.Index(fields=["platform", "point", "-measured_at"], name="validation_latest")]

    def __str__(self) -> str:
        return f"{self.get_point_display()} on {self.get_platform_display()}"
