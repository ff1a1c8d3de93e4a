"""What operators are told of, once per trouble, and the telling as work."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone

from platforms.work import Work


class Alert(models.Model):
    """One trouble from when it was first seen until it is over. ``platforms.alerts`` writes it."""

    class Severity(models.TextChoices):
        WARNING = "warning", "warning"
        CRITICAL = "critical", "critical"

    key = models.CharField(max_length=150, help_text="The same trouble has the same key; open at most once.")
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.WARNING)
    title = models.CharField(max_length=200)
    words = models.TextField()
    evidence = models.JSONField(
        default=dict, encoder=DjangoJSONEncoder, help_text="What was measured, as plain values."
    )
    inverse = models.TextField(help_text="What takes it back or mends it, as staff would do it.")
    inverse_url = models.CharField(max_length=500, blank=True, help_text="The page where that is done.")
    opened_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    times = models.PositiveIntegerField(default=1)
    settled_at = models.DateTimeField(null=True)
    settled_words = models.TextField(blank=True)

    class Meta:
        ordering = ["-opened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(settled_at__isnull=True), name="alert_open_once"),
        ]
        indexes = [models.Index(fields=["key", "-opened_at"], name="alert_latest")]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        return self.settled_at is None


class AlertDelivery(Work):
    """Telling one recipient that an alert was raised, or that it is over."""

    class Kind(models.TextChoices):
        RAISED = "raised", "raised"
        SETTLED = "settled", "over"

    class Channel(models.TextChoices):
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook", "webhook"

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    #: an e-mail address; empty for the webhook, whose address may hold a secret and stays in the settings
    recipient = models.CharField(max_length=254, blank=True)
    outcome = models.CharField(max_length=200, blank=True)

    actor_name = "deliver_alert"
    max_attempts: ClassVar[int] = 12
    first_wait: ClassVar[timedelta] = timedelta(seconds=5)

    class Meta(Work.Meta):
        abstract = False
        ordering = ["-pk"]
        verbose_name_plural = "alert deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "kind", "channel", "recipient"], name="alert_told_once_per_recipient"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.alert} ({self.get_kind_display()}) by {self.get_channel_display()}"
