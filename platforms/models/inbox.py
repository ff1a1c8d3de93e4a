"""The webhook inbox: every signed delivery, exactly as it came."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from platforms.registry import platform_choices
from platforms.work import Work


class WebhookEvent(Work):
    """One signed delivery. ``body`` is the provider's word, kept as bytes; everything else is what we made of it."""

    platform = models.CharField(max_length=32, choices=platform_choices)
    body = models.BinaryField()
    body_sha256 = models.CharField(max_length=64)
    headers = models.JSONField(default=dict, help_text="Harmless headers only: no authorisation, no cookies.")
    event_id = models.CharField(max_length=200, blank=True, db_index=True)
    event_type = models.CharField(max_length=100, blank=True)
    occurred_at = models.DateTimeField(null=True)
    signed_at = models.DateTimeField()
    is_stale = models.BooleanField(default=False, help_text="Signed more than five minutes from when it arrived.")
    received_at = models.DateTimeField(default=timezone.now, db_index=True)
    duplicates = models.PositiveIntegerField(default=0)
    last_duplicate_at = models.DateTimeField(null=True)
    #: what the interpretation came to, in words, and the rows it touched as [label, pk] pairs
    outcome = models.TextField(blank=True)
    touched = models.JSONField(default=list)

    actor_name = "interpret_webhook_event"

    class Meta(Work.Meta):
        abstract = False
        ordering = ["-received_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["platform", "body_sha256"], name="webhookevent_body_once"),
        ]
        indexes = [
            *Work.Meta.indexes,
            models.Index(fields=["received_at", "id"], name="webhookevent_listed"),
            models.Index(fields=["event_type"], name="webhookevent_type"),
        ]

    def __str__(self) -> str:
        return f"{self.platform} {self.event_type or 'unreadable'} {self.event_id}".strip()


class Touched(models.Model):
    """One row that a delivery touched, so that a row's deliveries are found without reading them all.

    The same as ``WebhookEvent.touched`` says, written with it. Rows are named by label and key: this package knows none
    of them.
    """

    event = models.ForeignKey(WebhookEvent, on_delete=models.CASCADE, related_name="touched_rows")
    label = models.CharField(max_length=100)
    key = models.CharField(max_length=64)
    received_at = models.DateTimeField(help_text="The delivery's.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "label", "key"], name="touched_once_per_event")]
        indexes = [models.Index(fields=["label", "key", "-received_at", "-event"], name="touched_latest")]

    def __str__(self) -> str:
        return f"{self.label} {self.key}"


class Heartbeat(models.Model):
    """Signs of life and leases of periodic jobs: who does it, until when, when it last went well."""

    name = models.CharField(max_length=64, primary_key=True)
    holder = models.CharField(max_length=100, blank=True)
    held_until = models.DateTimeField(null=True)
    beat_at = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    state = models.JSONField(default=dict, help_text="Cursor and the like, owned by the job.")

    def __str__(self) -> str:
        return self.name
