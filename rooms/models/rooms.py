"""Rooms: where people meet. Where the next meeting opens is ``platform``, which only ``move_room`` changes."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
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


def new_salt() -> str:
    """32 hex digits that make a wave's or an experiment's draws its own."""
    return uuid.uuid4().hex


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

    def update(self, **columns: Any) -> int:
        """Raises ``PlatformMovesOnly`` for ``platform``: a change without a ``Move`` would have no reason."""
        if "platform" in columns:
            raise PlatformMovesOnly("Rooms are moved by move_room or move_rooms.")
        return super().update(**columns)

    def bulk_create(
        self,
        objs: Any,
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> Any:
        """Raises ``PlatformMovesOnly`` where rooms that exist would get another platform.

        Every argument is named, so that ``update_fields`` is seen wherever it stands.
        """
        written = list(update_fields or ())
        if "platform" in written:
            raise PlatformMovesOnly("Rooms are moved by move_room or move_rooms.")
        return super().bulk_create(objs, batch_size, ignore_conflicts, update_conflicts, written or None, unique_fields)

    def write_platform(self, platform: str) -> int:
        """For ``rooms.services.move_rooms`` alone, which writes the ``Move`` of each room besides (tests look that
        nothing else names it)."""
        return super().update(platform=platform)

    #: never of all rooms there are, by way of ``Room.objects``
    write_platform.queryset_only = True  # type: ignore[attr-defined]


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

    class OnFailure(models.TextChoices):
        DEFAULT = "default", "as the installation says"
        FAIL = "fail", "say so and offer to try again"
        FALL_BACK = "fall_back", "open on another platform"

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
    on_failure = models.CharField(
        "when its platform fails",
        max_length=10,
        choices=OnFailure.choices,
        default=OnFailure.DEFAULT,
        help_text="What happens when no meeting can be opened where this room meets.",
    )
    #: a pinned room is left alone by waves; a pin without an end is listed on the front page
    pin_reason = models.TextField(blank=True, editable=False)
    pin_until = models.DateTimeField(null=True, editable=False)
    pinned_at = models.DateTimeField(null=True, editable=False)
    pinned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = RoomQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        indexes = [models.Index(fields=["name", "id"], name="room_listed")]
        permissions = [
            ("move_room", "Can move room to another platform"),
            ("pin_room", "Can pin room to its platform"),
        ]

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
            if not kwargs.get("force_insert"):
                fields = kwargs.get("update_fields")
                if fields is None:
                    fields = {field.name for field in self._meta.concrete_fields} - self.get_deferred_fields()
                kwargs["update_fields"] = set(fields) - {"id", "platform"}
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

    def is_pinned(self, now: datetime) -> bool:
        return self.pinned_at is not None and (self.pin_until is None or self.pin_until > now)

    @property
    def records(self) -> bool:
        return self.recording_type != self.RecordingType.NONE
