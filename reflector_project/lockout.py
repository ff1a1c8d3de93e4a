"""What somebody sees after too many wrong passwords, and whom that concerns. Counting is django-axes's."""

from __future__ import annotations

import ipaddress
import math
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from platforms.visitors import address_of


def network_of(request: HttpRequest) -> str | None:
    """The visitor's address; of IPv6 the /64, which is one customer's. Behind our proxy: what the proxy saw."""
    try:
        address = ipaddress.ip_address(address_of(request))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((address.packed, 64), strict=False).network_address)


def locked_out(request: HttpRequest, response: HttpResponse, credentials: dict[str, Any] | None) -> HttpResponse:
    """429, until when, and what can be done. The same whether or not there is such an account."""
    name = (credentials or {}).get("username") or ""
    now = timezone.now()
    last = AccessAttempt.objects.filter(username=name, ip_address=network_of(request)).aggregate(Max("attempt_time"))
    until = (last["attempt_time__max"] or now) + settings.AXES_COOLOFF_TIME
    wait_s = max(1, math.ceil((until - now).total_seconds()))
    context = {"name": name, "until": until, "minutes": math.ceil(wait_s / 60)}
    page = render(request, "registration/locked_out.html", context, status=429)
    page["Retry-After"] = str(wait_s)
    return page
