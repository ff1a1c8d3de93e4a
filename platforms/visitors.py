"""From where a request comes."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """The visitor's address. Behind our proxy: what the proxy saw, whether or not it tells the port too."""
    direct = str(request.META.get("REMOTE_ADDR", ""))
    if not settings.SECURE_PROXY_SSL_HEADER:
        return direct
    return _without_port(request.META.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", 1)[-1].strip()) or direct


def _without_port(told: str) -> str:
    """E.g. "192.0.2.7", "192.0.2.7:4711", "2001:db8::7", "[2001:db8::7]:4711"; empty where it is no address."""
    if told.startswith("["):
        told = told[1:].partition("]")[0]
    elif told.count(":") == 1:
        told = told.partition(":")[0]
    try:
        return str(ipaddress.ip_address(told))
    except ValueError:
        return ""
