"""Waves: a set of rooms, fixed at the start, that moves to one platform in steps."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from platforms.registry import platform_choices
from rooms.models.moves import Move
from rooms.models.rooms import Room, new_salt


class Wave(models.Model):
    class Status(models.TextChoices):
        DRAFT = "draft", "draft"
        RUNNING = "running", "running"
        HELD = "held", "held"
        ROLLED_BACK = "rolled_back", "rolled back"
        COMPLETED = "completed", "completed"

    class OnTrip(models.TextChoices):
        HOLD = "hold", "hold, and wait for a person"
        ROLL_BACK = "roll_back", "roll back"

    name = models.CharField(max_length=120, unique=True)
    platform = models.CharField("target", max_length=32, choices=platform_choices)
    reason = models.TextField()
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.DRAFT, editable=False)
    #: which rooms: {"filter": {…}} or {"rooms": [pk, …]}; read once, at the start
    selection = models.JSONField(default=dict)
    #: [{"percent": 5, "dwell_minutes": 1440, "min_meetings": 20}, …], percentages growing, the last one 100 or less
    steps = models.JSONField(default=list)
    required_checks = models.JSONField(
        default=list, help_text="Keys of readiness checks that must have passed, besides all blocking ones."
    )
    #: local times in which nothing is moved: [{"days": [0, 6], "from": "08:00", "to": "18:00"}], 0 = Monday
    blackouts = models.JSONField(default=list)
    trip_after = models.PositiveSmallIntegerField(default=3, help_text="Failures in a row that hold the wave.")
    on_trip = models.CharField(max_length=10, choices=OnTrip.choices, default=OnTrip.HOLD)

    salt = models.CharField(max_length=32, default=new_salt, editable=False)
    step = models.SmallIntegerField(default=-1, editable=False, help_text="Index into steps; -1 before the first.")
    #: share of buckets that may be on the target, in hundredths of a percent; shrinking is explicit
    reached = models.PositiveSmallIntegerField(default=0, editable=False)
    step_started_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    held_at = models.DateTimeField(null=True, editable=False)
    held_reason = models.TextField(blank=True, editable=False)
    #: failures before this moment were looked at by whoever resumed
    guarded_from = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.CheckConstraint(condition=~Q(reason=""), name="wave_has_reason")]

    def __str__(self) -> str:
        return self.name


class WaveRoom(models.Model):
    """One room of a started wave. ``bucket`` never changes: growing never removes a room."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        MOVED = "moved", "moved by the wave"
        THERE = "there", "was there already"
        LEFT = "left", "left alone"
        RETURNED = "returned", "moved back"

    wave = models.ForeignKey(Wave, on_delete=models.CASCADE, related_name="rooms")
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="wave_rooms")
    bucket = models.PositiveSmallIntegerField()
    from_platform = models.CharField(max_length=32, choices=platform_choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    words = models.TextField(blank=True, help_text="Why it was left alone.")
    move = models.ForeignKey(Move, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["bucket", "pk"]
        constraints = [models.UniqueConstraint(fields=["wave", "room"], name="room_once_per_wave")]
        indexes = [models.Index(fields=["wave", "state", "bucket"], name="waveroom_state")]

    def __str__(self) -> str:
        return f"{self.room} in {self.wave}"


class WaveEntry(models.Model):
    """A line of a wave's log: what happened, who or what did it, and with which numbers. Written once."""

    wave = models.ForeignKey(Wave, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField(default=timezone.now)
    what = models.CharField(max_length=20, help_text="started, step, held, resumed, rolled_back, shrunk, completed …")
    words = models.TextField()
    numbers = models.JSONField(default=dict)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "wave entries"

    def __str__(self) -> str:
        return self.words
