"""How often guests may press *Join*. Counted in the database: every web process sees the same count."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from meetings.models import GuestJoins
from platforms.visitors import address_of


def guest_must_wait_s(request: HttpRequest, *, now: datetime) -> int | None:
    """Count one attempt. Seconds until the next one is allowed, or None when this one is."""
    minute = now.replace(second=0, microsecond=0)
    who = salted_hmac("meetings.limits", _address(request)).hexdigest()
    _, is_first = GuestJoins.objects.get_or_create(who=who, minute=minute)
    allowed = GuestJoins.objects.filter(who=who, minute=minute, count__lt=settings.GUEST_JOINS_PER_MINUTE)
    if allowed.update(count=F("count") + 1):
        if is_first:
            GuestJoins.objects.filter(minute__lt=minute - timedelta(minutes=10)).delete()
        return None
    return int((minute + timedelta(minutes=1) - now).total_seconds()) + 1


def _address(request: HttpRequest) -> str:
    """The visitor's network; one IPv6 customer has a whole /64. Behind our proxy: what the proxy saw."""
    address = address_of(request)
    return ":".join(address.split(":")[:4]) if address.count(":") > 1 else address
