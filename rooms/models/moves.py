"""The record of moves between platforms, and orders to move rooms later or in the background."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from platforms.registry import platform_choices
from platforms.work import Work
from rooms.models.rooms import Room
from rooms.words import name_of


class Move(models.Model):
    """One change of a room's platform: who or what did it, why and when. Rows are written once."""

    class Source(models.TextChoices):
        ADMIN = "admin", "staff in the admin"
        BULK = "bulk", "staff, many rooms at once"
        COMMAND = "command", "command line"
        API = "api", "programming interface"
        SCHEDULE = "schedule", "scheduled"
        WAVE = "wave", "wave"
        ROLLBACK = "rollback", "wave rolled back"
        GUARD = "guard", "guard"
        UNDO = "undo", "undone by staff"

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="moves")
    from_platform = models.CharField(max_length=32, choices=platform_choices)
    to_platform = models.CharField(max_length=32, choices=platform_choices)
    reason = models.TextField()
    source = models.CharField(max_length=10, choices=Source.choices)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    moved_at = models.DateTimeField(default=timezone.now)
    undoes = models.OneToOneField("self", null=True, on_delete=models.SET_NULL, related_name="undone_by")
    wave = models.ForeignKey("rooms.Wave", null=True, on_delete=models.PROTECT, related_name="moves")
    order = models.ForeignKey("rooms.MoveOrder", null=True, on_delete=models.PROTECT, related_name="moves")
    batch = models.UUIDField(default=uuid.uuid4, db_index=True, help_text="Moves of one decision share it.")

    class Meta:
        ordering = ["-moved_at", "-pk"]
        indexes = [models.Index(fields=["moved_at", "id"], name="move_listed")]
        constraints = [
            models.CheckConstraint(condition=~Q(from_platform=models.F("to_platform")), name="move_goes_elsewhere"),
            models.CheckConstraint(condition=~Q(reason=""), name="move_has_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.room}: {self.get_from_platform_display()} → {self.get_to_platform_display()}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ValueError("A move is written once.")
        super().save(*args, **kwargs)

    @property
    def by_whom(self) -> str:
        """E.g. "by Ann", or where it came from when nobody was signed in."""
        if self.wave is not None:
            acted = "the guard of wave" if self.source == self.Source.GUARD else "wave"
            return f"by {acted} “{self.wave.name}”"
        if self.actor is not None:
            return f"by {name_of(self.actor)}"
        if self.source == self.Source.COMMAND:
            return "on the command line"
        if self.order is not None and self.order.is_from_shell:
            return "on the command line, scheduled"
        return "by somebody whose account is gone"


class MoveOrder(Work):
    """Rooms to be moved at ``due_at`` (a scheduled move) or as soon as a worker is free (a bulk move, or its undoing).

    Worked off in chunks, each a transaction, by the actor ``carry_out_move_order``; its rooms say how far it is.
    """

    class Kind(models.TextChoices):
        SCHEDULED = "scheduled", "scheduled"
        BULK = "bulk", "many rooms at once"
        UNDO = "undo", "taking back"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    platform = models.CharField(max_length=32, choices=platform_choices)
    reason = models.TextField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    #: nobody was signed in when it was placed; else an empty ``actor`` is one whose account is gone
    is_from_shell = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    scheduled_for = models.DateTimeField(null=True, help_text="Empty: as soon as possible.")
    cancelled_at = models.DateTimeField(null=True)
    cancelled_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    #: the order whose moves this one takes back: one for each platform that its rooms came from
    undoes = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="undone_by")
    batch = models.UUIDField(default=uuid.uuid4, editable=False, help_text="Its moves share it.")

    actor_name = "carry_out_move_order"
    max_attempts: ClassVar[int] = 20
    first_wait: ClassVar[timedelta] = timedelta(seconds=2)

    class Meta(Work.Meta):
        abstract = False
        ordering = ["-created_at", "-pk"]
        constraints = [models.CheckConstraint(condition=~Q(reason=""), name="moveorder_has_reason")]

    def __str__(self) -> str:
        return f"To {self.get_platform_display()}: {self.reason}"

    @property
    def is_over(self) -> bool:
        return self.status == Work.Status.DONE


class MoveOrderRoom(models.Model):
    """One room of an order and what became of it."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        MOVED = "moved", "moved"
        SKIPPED = "skipped", "was there already"
        REFUSED = "refused", "not moved"

    order = models.ForeignKey(MoveOrder, on_delete=models.CASCADE, related_name="rooms")
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="+")
    seen_on = models.CharField(max_length=32, choices=platform_choices, help_text="Where it was when staff agreed.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    words = models.TextField(blank=True, help_text="Why it was not moved.")
    move = models.OneToOneField(Move, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["order", "room"], name="room_once_per_order")]
        indexes = [models.Index(fields=["order", "state"], name="moveorderroom_state")]

    def __str__(self) -> str:
        return f"{self.room}: {self.get_state_display()}"
