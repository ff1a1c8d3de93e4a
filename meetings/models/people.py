"""The people of a meeting, and how often guests press Join."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from meetings.models.meetings import Meeting
from platforms.registry import platform_choices


def new_receipt_token() -> str:
    return secrets.token_urlsafe(24)


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
    #: last sign of their open call page, kept of those without a yes: a frame that lost its connection comes back by
    #: itself, so until the page is gone they count as if they were inside
    page_seen_at = models.DateTimeField(null=True)
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
        indexes = [
            models.Index(fields=["created_at", "id"], name="participant_listed"),
            models.Index(
                fields=["provider_user_id"], opclasses=["varchar_pattern_ops"], name="participant_provider_id"
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
