"""What people answered about recording, and the words that they were shown."""

from __future__ import annotations

import hashlib

from django.db import models
from django.utils import timezone

from meetings.models.people import Participant


class ConsentText(models.Model):
    """The exact words that were shown. New words are a new row; old answers keep theirs."""

    sha256 = models.CharField(max_length=64, unique=True)
    language = models.CharField(max_length=10, default="en")
    body = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"Version {self.pk} ({self.sha256[:8]})"

    @classmethod
    def version_of(cls, body: str, *, language: str = "en") -> ConsentText:
        """The row of exactly these words, made when they are new."""
        digest = hashlib.sha256(f"{language}\n{body}".encode()).hexdigest()
        return cls.objects.get_or_create(sha256=digest, defaults={"body": body, "language": language})[0]


class Consent(models.Model):
    """One answer of one person. Rows are only ever added."""

    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="consents")
    text = models.ForeignKey(ConsentText, on_delete=models.PROTECT)
    policy = models.CharField(max_length=10, help_text="The room's policy then in force.")
    scope = models.CharField(max_length=60, default="recording and transcript")
    answer = models.CharField(max_length=10, choices=Participant.Answer.choices)
    answered_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["answered_at", "pk"]
        indexes = [models.Index(fields=["answered_at", "id"], name="consent_listed")]

    def __str__(self) -> str:
        return f"{self.participant}: {self.answer}"
