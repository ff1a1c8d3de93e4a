"""How platforms do: results of readiness checks, gaps in webhooks, and calls of their APIs per minute."""

from __future__ import annotations

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from platforms.registry import platform_choices


class ReadinessResult(models.Model):
    """The latest answer to one question about one platform. ``platforms.readiness`` writes it."""

    class Status(models.TextChoices):
        OK = "ok", "ok"
        FAILED = "failed", "failed"
        UNPROVEN = "unproven", "unproven"
        NOT_APPLICABLE = "not_applicable", "does not apply"

    platform = models.CharField(max_length=32, choices=platform_choices)
    key = models.CharField(max_length=64)
    title = models.CharField(max_length=120)
    status = models.CharField(max_length=16, choices=Status.choices)
    is_blocking = models.BooleanField(default=True, help_text="Failed, it stops moves to this platform.")
    words = models.TextField(help_text="What was found.")
    why = models.TextField(blank=True, help_text="Why it matters.")
    fix = models.TextField(blank=True, help_text="What mends it.")
    evidence = models.JSONField(default=dict, encoder=DjangoJSONEncoder, help_text="What was seen, as plain values.")
    position = models.PositiveSmallIntegerField(default=0)
    checked_at = models.DateTimeField(default=timezone.now)
    #: since when it has had this status, and when it was last ok
    since = models.DateTimeField(default=timezone.now)
    ok_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["platform", "position", "key"]
        constraints = [models.UniqueConstraint(fields=["platform", "key"], name="readiness_once_per_check")]

    def __str__(self) -> str:
        return f"{self.title}: {self.get_status_display()}"


class WebhookGap(models.Model):
    """A time in which a platform's webhook did not work, so that events of it may never have come."""

    platform = models.CharField(max_length=32, choices=platform_choices)
    #: the last delivery before it; empty when there was none
    began_at = models.DateTimeField(null=True)
    noticed_at = models.DateTimeField(default=timezone.now)
    cause = models.CharField(max_length=300)
    mended_at = models.DateTimeField(null=True)
    #: when every poller had finished a round that started after it was mended
    filled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-noticed_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["platform"], condition=models.Q(mended_at__isnull=True), name="webhookgap_open_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_platform_display()}: {self.cause}"


class ApiCallBucket(models.Model):
    """Calls of one operation of a provider's API within one minute, all processes together."""

    platform = models.CharField(max_length=32, choices=platform_choices)
    operation = models.CharField(max_length=64)
    minute = models.DateTimeField()
    calls = models.PositiveIntegerField(default=0)
    #: no answer, a broken one, or 5xx; 4xx; 429
    failed = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    throttled = models.PositiveIntegerField(default=0)
    total_ms = models.PositiveBigIntegerField(default=0)
    slowest_ms = models.PositiveIntegerField(default=0)
    #: calls that took at most so many milliseconds, and not as little as the class before
    ms_100 = models.PositiveIntegerField(default=0)
    ms_300 = models.PositiveIntegerField(default=0)
    ms_1000 = models.PositiveIntegerField(default=0)
    ms_3000 = models.PositiveIntegerField(default=0)
    ms_10000 = models.PositiveIntegerField(default=0)
    ms_more = models.PositiveIntegerField(default=0)
    #: what they cost of our request budget: requests or points
    tokens = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-minute", "platform", "operation"]
        constraints = [
            models.UniqueConstraint(fields=["platform", "operation", "minute"], name="apicalls_once_per_minute"),
        ]
        indexes = [models.Index(fields=["minute"], name="apicalls_minute")]

    def __str__(self) -> str:
        return f"{self.platform} {self.operation} {self.minute:%Y-%m-%d %H:%M}"
