"""Rooms, and the record of their moves between platforms."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from platforms.registry import default_platform, platform_choices

#: first path segments that are addresses of ours; a room may not take them (old bookmarks are ``/<slug>``)
RESERVED_SLUGS = frozenset(
    {
        *("accounts", "admin", "api", "assets", "docs", "favicon", "healthz", "media", "meetings", "metrics"),
        *("readyz", "receipts", "robots", "rooms", "search", "settings", "static", "v1", "v2", "webhooks"),
        "well-known",
    }
)


def refuse_reserved_slug(slug: str) -> None:
    if slug in RESERVED_SLUGS:
        raise ValidationError(f"“{slug}” is an address of this site. Choose another short name.")


class PlatformMovesOnly(ValueError):
    """A room's platform changes by ``rooms.services.move_room`` and in no other way."""


class RoomQuerySet(models.QuerySet["Room"]):
    def active(self) -> RoomQuerySet:
        return self.filter(archived_at__isnull=True)

    def enterable_by(self, user: Any) -> RoomQuerySet:
        """Rooms that ``user`` is a member, host or owner of. Shared rooms besides need their link."""
        if not getattr(user, "is_authenticated", False):
            return self.none()
        return self.active().filter(Q(owner=user) | Q(hosts=user) | Q(members=user)).distinct()


class Room(models.Model):
    """A place with a stable link. ``platform`` says where its *next* meeting opens; ``move_room`` changes it."""

    class Mode(models.TextChoices):
        NORMAL = "normal", "small (up to 4)"
        GROUP = "group", "group"

    class RecordingType(models.TextChoices):
        NONE = "none", "no recording"
        LOCAL = "local", "on the host’s own computer"
        CLOUD = "cloud", "in the cloud (MP4)"

    class RecordingTrigger(models.TextChoices):
        NONE = "none", "by a host"
        PROMPT = "prompt", "hosts are asked"
        AUTOMATIC = "automatic", "when the first person joins"
        AUTOMATIC_2ND = "automatic-2nd-participant", "when the second person joins"

    class ConsentPolicy(models.TextChoices):
        NOT_ASKED = "not_asked", "not asked"
        CHOICE = "choice", "choice (declining never blocks joining)"
        REQUIRED = "required", "required (declining means leaving)"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120)
    slug = models.SlugField(
        "short name",
        max_length=60,
        unique=True,
        validators=[refuse_reserved_slug],
        help_text="The room's address: /rooms/short-name/.",
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="owned_rooms"
    )
    hosts = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="hosted_rooms")
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="rooms")
    is_shared = models.BooleanField("anyone with the link", default=False)
    platform = models.CharField(max_length=32, choices=platform_choices, default=default_platform, editable=False)

    is_locked = models.BooleanField("locked", default=False, help_text="Only people a host admits get in.")
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.GROUP)
    enable_knocking = models.BooleanField(
        "knocking", default=True, help_text="Locked room: people may ask to be let in."
    )
    enable_chat = models.BooleanField("chat", default=True)
    enable_screen_share = models.BooleanField("screen share", default=True)
    camera_on = models.BooleanField("camera on at start", default=True)
    microphone_on = models.BooleanField("microphone on at start", default=True)
    language = models.CharField(max_length=10, default="en", help_text="Spoken language, e.g. en, de, fr.")
    max_participants = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(2), MaxValueValidator(1000)]
    )
    recording_type = models.CharField(max_length=10, choices=RecordingType.choices, default=RecordingType.CLOUD)
    recording_trigger = models.CharField(
        max_length=30, choices=RecordingTrigger.choices, default=RecordingTrigger.AUTOMATIC_2ND
    )
    consent_policy = models.CharField(max_length=10, choices=ConsentPolicy.choices, default=ConsentPolicy.CHOICE)
    logo = models.FileField(upload_to="logos", blank=True, help_text="PNG, shown where the platform can.")
    opens_at = models.DateTimeField(null=True, blank=True, help_text="Nobody can start a meeting before.")
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = RoomQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises ``PlatformMovesOnly`` when ``platform`` of an existing room was set to something else.

        The column of an existing room is never written: a row that was read before a move must not undo it.
        """
        if args:
            raise TypeError("Room.save takes keyword arguments only")
        written = getattr(self, "_platform_read", None)
        if written is None and self.pk and "platform" in self.__dict__:
            written = Room.objects.filter(pk=self.pk).values_list("platform", flat=True).first()
        if written is not None:
            if self.__dict__.get("platform", written) != written:
                raise PlatformMovesOnly(f"Room {self.pk} is on {written}; rooms are moved by move_room.")
            if kwargs.get("update_fields") is None and not kwargs.get("force_insert"):
                loaded = {field.name for field in self._meta.concrete_fields} - self.get_deferred_fields()
                kwargs["update_fields"] = loaded - {"id", "platform"}
        super().save(**kwargs)
        self._platform_read = self.__dict__.get("platform")

    def get_absolute_url(self) -> str:
        return reverse("room", args=[self.slug])

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any, **more: Any) -> Room:
        room = super().from_db(db, field_names, values, **more)
        room._platform_read = room.__dict__.get("platform")
        return room

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        super().refresh_from_db(*args, **kwargs)
        self._platform_read = self.__dict__.get("platform")

    def has_host(self, user: Any) -> bool:
        if not user.is_authenticated:
            return False
        return self.owner_id == user.pk or self.hosts.filter(pk=user.pk).exists()

    def has_member(self, user: Any) -> bool:
        """Owner, host or member: may enter without being admitted and may see names."""
        if not user.is_authenticated:
            return False
        return self.has_host(user) or self.members.filter(pk=user.pk).exists()

    def is_visible_to(self, user: Any) -> bool:
        return self.is_shared or self.has_member(user)

    @property
    def records(self) -> bool:
        return self.recording_type != self.RecordingType.NONE


class Move(models.Model):
    """One change of a room's platform: who or what did it, why and when. Rows are written once."""

    class Source(models.TextChoices):
        ADMIN = "admin", "staff in the admin"
        COMMAND = "command", "command line"
        UNDO = "undo", "undone by staff"

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="moves")
    from_platform = models.CharField(max_length=32, choices=platform_choices)
    to_platform = models.CharField(max_length=32, choices=platform_choices)
    reason = models.TextField()
    source = models.CharField(max_length=10, choices=Source.choices)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    moved_at = models.DateTimeField(default=timezone.now)
    undoes = models.OneToOneField("self", null=True, on_delete=models.SET_NULL, related_name="undone_by")
    batch = models.UUIDField(default=uuid.uuid4, db_index=True, help_text="Moves of one decision share it.")

    class Meta:
        ordering = ["-moved_at", "-pk"]
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
        if self.actor is not None:
            return f"by {self.actor.get_full_name() or self.actor.get_username()}"
        return "on the command line" if self.source == self.Source.COMMAND else "by somebody whose account is gone"
