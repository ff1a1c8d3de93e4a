"""Comparing two platforms honestly: opted-in rooms draw the platform per meeting."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from platforms.registry import platform_choices
from rooms.models.rooms import Room, new_salt


class Experiment(models.Model):
    """Arm A is where things are, arm B what is tried. The same platform twice is an A/A run, which proves the
    instrument."""

    class Status(models.TextChoices):
        DRAFT = "draft", "draft"
        RUNNING = "running", "running"
        HELD = "held", "held"
        ENDED = "ended", "ended"

    class OnHarm(models.TextChoices):
        HOLD = "hold", "hold: meetings open where their room is set"
        ROLL_BACK = "roll_back", "end it: meetings open where their room is set"

    name = models.CharField(max_length=120, unique=True)
    reason = models.TextField()
    platform_a = models.CharField("arm A", max_length=32, choices=platform_choices)
    platform_b = models.CharField("arm B", max_length=32, choices=platform_choices)
    rooms = models.ManyToManyField(Room, related_name="experiments", blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT, editable=False)
    on_harm = models.CharField(max_length=10, choices=OnHarm.choices, default=OnHarm.HOLD)
    block_size = models.PositiveSmallIntegerField(default=4, help_text="Even: half of each block goes to each arm.")
    #: kinds of ``Outcome`` that the guard watches; fixed at the start, because its threshold grows with their number
    watched = models.JSONField(default=list)
    #: why the first real comparison runs without an A/A run before it
    aa_waived = models.TextField(blank=True, editable=False)
    salt = models.CharField(max_length=32, default=new_salt, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    held_at = models.DateTimeField(null=True, editable=False)
    held_reason = models.TextField(blank=True, editable=False)
    #: blocks that began before this were looked at by whoever resumed after the guard
    guarded_from = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.CheckConstraint(condition=~Q(reason=""), name="experiment_has_reason")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_aa(self) -> bool:
        return self.platform_a == self.platform_b


class Assignment(models.Model):
    """The draw for one meeting. ``number`` counts a room's draws; a block of them holds each arm equally often.

    ``meeting_id`` is a meeting's id without a foreign key: this package does not know meetings.
    """

    class Arm(models.TextChoices):
        A = "A", "A"
        B = "B", "B"

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="assignments")
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="+")
    meeting_id = models.UUIDField(unique=True)
    number = models.PositiveIntegerField()
    arm = models.CharField(max_length=1, choices=Arm.choices)
    platform = models.CharField(max_length=32, choices=platform_choices)
    assigned_at = models.DateTimeField(default=timezone.now)
    #: where it was really served; differs after a fallback, and then the meeting does not count for either arm
    served_platform = models.CharField(max_length=32, blank=True)
    quarantined = models.CharField(max_length=200, blank=True, help_text="Why it does not count; empty: it counts.")

    class Meta:
        ordering = ["-assigned_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "room", "number"], name="one_draw_per_number"),
        ]
        indexes = [models.Index(fields=["experiment", "arm"], name="assignment_arm")]

    def __str__(self) -> str:
        return f"{self.experiment}: {self.arm}"


class ExperimentEntry(models.Model):
    """A line of an experiment's log, with the numbers that made an automatic act. Written once."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField(default=timezone.now)
    what = models.CharField(max_length=20)
    words = models.TextField()
    numbers = models.JSONField(default=dict)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "experiment entries"

    def __str__(self) -> str:
        return self.words
