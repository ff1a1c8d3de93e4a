"""The kill switch of a platform: no new meetings there, live ones go on.

The state is read from the database each time somebody decides where a meeting opens, so that it holds in every process
from the next meeting on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.urls import reverse
from django.utils import timezone

from platforms import alerts, registry
from rooms.models import PlatformSwitch, Room
from rooms.words import given, label_of, minute_of


class SwitchRefused(Exception):
    """The switch was not used. The text is one sentence for staff."""


def latest() -> dict[str, PlatformSwitch]:
    """Platform → the last use of its switch, for those that have one. One query."""
    newest = PlatformSwitch.objects.order_by().values("platform").annotate(newest=Max("pk")).values("newest")
    return {switch.platform: switch for switch in PlatformSwitch.objects.filter(pk__in=newest).select_related("actor")}


def closed() -> dict[str, PlatformSwitch]:
    """Platforms that take no new meetings → what closed them. One query."""
    return {platform: switch for platform, switch in latest().items() if switch.is_closed}


def is_closed(platform: str) -> bool:
    return platform in closed()


def in_words(switch: PlatformSwitch) -> str:
    """E.g. "closed for new meetings by Ann since 3 March at 14:03 UTC: outage"."""
    return f"{'closed' if switch.is_closed else 'open'} for new meetings {by_whom_and_why(switch)}"


def by_whom_and_why(switch: PlatformSwitch) -> str:
    """E.g. "by Ann since 3 March at 14:03 UTC: outage"."""
    return f"{switch.by_whom} since {minute_of(switch.switched_at)}: {switch.reason.rstrip('.')}"


def close(*, platform: str, reason: str, actor: Any = None, now: datetime | None = None) -> PlatformSwitch:
    """From now on no meeting opens on this platform. Raises ``SwitchRefused``."""
    return _switch(platform, is_closed=True, reason=reason, actor=actor, now=now)


def open(
    *, platform: str, reason: str, actor: Any = None, seen: int | None = None, now: datetime | None = None
) -> PlatformSwitch:
    """Meetings open there again. ``seen`` is the use that whoever opens it read of: closed anew meanwhile, it stays
    closed. Raises ``SwitchRefused``."""
    return _switch(platform, is_closed=False, reason=reason, actor=actor, seen=seen, now=now)


def _switch(
    platform: str, *, is_closed: bool, reason: str, actor: Any, seen: int | None = None, now: datetime | None
) -> PlatformSwitch:
    if platform not in dict(registry.platform_choices()):
        known = ", ".join(slug for slug, _ in registry.platform_choices())
        raise SwitchRefused(f"No platform is called “{platform}”; known: {known}.")
    reason = given(reason)
    if not reason:
        raise SwitchRefused("Say why: the reason is shown to whoever wonders.")
    now = now or timezone.now()
    with transaction.atomic():
        before = latest().get(platform)
        if is_closed == (before is not None and before.is_closed):
            raise SwitchRefused(
                f"{label_of(platform)} is {'closed' if is_closed else 'open'} for new meetings already."
            )
        if before is not None and seen not in (None, before.pk):
            raise SwitchRefused(f"{label_of(platform)} was closed anew since you looked: it is {in_words(before)}.")
        switch = PlatformSwitch.objects.create(
            platform=platform,
            is_closed=is_closed,
            reason=reason,
            actor=actor,
            is_from_shell=actor is None,
            switched_at=now,
        )
        _tell(switch, now)
    return switch


def _tell(switch: PlatformSwitch, now: datetime) -> None:
    """A platform that is closed and forgotten is rooms in which nobody can meet."""
    key, label, words = f"closed:{switch.platform}", label_of(switch.platform), f"It is {in_words(switch)}."
    if not switch.is_closed:
        alerts.settle(key, words=words, now=now)
        return
    alerts.alert(
        key,
        title=f"{label} is closed for new meetings",
        words=words,
        evidence={"rooms": Room.objects.active().filter(platform=switch.platform).count(), "reason": switch.reason},
        inverse=f"Open {label} again",
        inverse_url=reverse("admin:rooms_platformswitch_changelist"),
        now=now,
    )
