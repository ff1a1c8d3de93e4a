"""What stops or lets through all rooms of a platform: the kill switch, and waived readiness checks."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from platforms.registry import platform_choices
from rooms.words import name_of


class PlatformSwitch(models.Model):
    """One use of a platform's kill switch. Rows are written once; the latest of a platform is its state.

    No row means open. Closed means: no new meetings there; live ones go on.
    """

    platform = models.CharField(max_length=32, choices=platform_choices)
    is_closed = models.BooleanField()
    reason = models.TextField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    #: nobody was signed in when it was used; if False, an empty ``actor`` is one whose account is gone. None: not
    #: written down, as before there was this column
    is_from_shell = models.BooleanField(null=True, editable=False)
    switched_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "platform switches"
        constraints = [models.CheckConstraint(condition=~Q(reason=""), name="switch_has_reason")]
        indexes = [models.Index(fields=["platform", "-id"], name="switch_latest")]

    def __str__(self) -> str:
        return f"{self.get_platform_display()} {'closed' if self.is_closed else 'opened'} for new meetings"

    @property
    def by_whom(self) -> str:
        """E.g. "by Ann", or where it was used when nobody was signed in."""
        if self.actor is not None:
            return f"by {name_of(self.actor)}"
        if self.is_from_shell is None:
            return "on the command line or by somebody whose account is gone"
        return "on the command line" if self.is_from_shell else "by somebody whose account is gone"


class Waiver(models.Model):
    """Staff take it upon themselves that a blocking readiness check of a platform does not stop moves, until then."""

    platform = models.CharField(max_length=32, choices=platform_choices)
    check_key = models.CharField(max_length=64, help_text="Key of the check, as readiness results carry it.")
    reason = models.TextField()
    expires_at = models.DateTimeField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.CheckConstraint(condition=~Q(reason=""), name="waiver_has_reason")]

    def __str__(self) -> str:
        return f"{self.check_key} on {self.get_platform_display()} waived until {self.expires_at:%Y-%m-%d %H:%M}"
