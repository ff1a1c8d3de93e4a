"""Settings mistakes, told before they hurt. Each names its variable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http.request import validate_host

from platforms import registry
from platforms.base import Problem
from platforms.environment import Variables, is_http_url
from platforms.telling import key_of
from reflector_project.broker import broker_problem

#: stores that are not Amazon's have names of their own
REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def messages(problems: Iterable[Problem], *, label: str) -> Iterator[CheckMessage]:
    """Problems as check messages ``<label>.E001`` and, where not fatal, ``<label>.W001``."""
    for problem in problems:
        words = problem.message
        if problem.variable not in words:
            words = f"{problem.variable}: {words}"
        kind, number = (Error, "E001") if problem.fatal else (Warning, "W001")
        yield kind(words, hint=problem.hint or None, id=f"{label}.{number}")


@register(Tags.compatibility)
def platforms_are_set_up(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for adapter in registry.adapters().values():
        problems = adapter.problems()
        # those of what platforms share are said once
        found += [message for message in messages(problems, label="platforms") if message not in found]
        if not adapter.configured and not problems:
            found.append(
                Info(
                    f"{adapter.label} is not configured: no room can meet there.",
                    hint=f"Set {', '.join(adapter.required)}.",
                    id="platforms.I001",
                )
            )
    found += [message for message in _bucket_access() if message not in found]
    return found + _default_platform()


def _bucket_access() -> Iterator[CheckMessage]:
    """Our own way to S3, which all platforms' buckets share."""
    values = Variables(settings.PLATFORM_ENVIRON, ())
    values.all_or_none("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    values.url("AWS_S3_ENDPOINT_URL")
    if not REGION.fullmatch(values.get("AWS_REGION", "us-west-2")):
        values.wrong("AWS_REGION", "is not the name of a region", "for example us-west-2")
    return messages(values.problems, label="platforms")


def _default_platform() -> list[CheckMessage]:
    slug = registry.default_platform()
    known = registry.adapters()
    if slug not in known:
        hint = f"One of: {', '.join(known)}."
        return [Error(f"DEFAULT_PLATFORM is {slug!r}, which is no platform.", hint=hint, id="platforms.E002")]
    others = [adapter.slug for adapter in registry.configured()]
    if others and slug not in others:
        words = f"DEFAULT_PLATFORM is {slug!r}, which is not configured: new rooms cannot open."
        hint = f"Configure {known[slug].label}, or set DEFAULT_PLATFORM={others[0]}."
        # a choice that cannot be is a mistake; the default of the default only does not suit
        if settings.PLATFORM_ENVIRON.get("DEFAULT_PLATFORM"):
            return [Error(words, hint=hint, id="platforms.E008")]
        return [Warning(words, hint=hint, id="platforms.W002")]
    return []


@register(Tags.compatibility)
def addresses_are_right(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.BROKER_URL and (wrong := broker_problem(settings.BROKER_URL)):
        found.append(Error(f"BROKER_URL {wrong}.", hint="redis://127.0.0.1:6379/0", id="platforms.E003"))
    try:
        parts = urlsplit(settings.PUBLIC_URL)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment or parts.path.strip("/"):
        hint = "The address that browsers and webhook senders use, such as https://rooms.example.org"
        return [*found, Error("PUBLIC_URL is not the address of a site.", hint=hint, id="platforms.E004")]
    local = host == "localhost" or host.startswith("127.") or host == "::1"
    if parts.scheme == "http" and not local and not settings.DEBUG:
        found.append(
            Warning(
                "PUBLIC_URL is not https: browsers give camera and microphone to https only.",
                hint="Put a proxy with TLS in front and set PUBLIC_URL=https://…, BEHIND_PROXY=true.",
                id="platforms.W004",
            )
        )
    if parts.scheme == "https" and not settings.SECURE_PROXY_SSL_HEADER and not settings.DEBUG:
        found.append(
            Warning(
                "PUBLIC_URL is https, but BEHIND_PROXY is not set: which requests came by https cannot be told.",
                hint="Have the proxy set X-Forwarded-Proto and X-Forwarded-For, then set BEHIND_PROXY=true.",
                id="platforms.W006",
            )
        )
    allowed = settings.ALLOWED_HOSTS or ([".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    if not validate_host(f"[{host}]" if ":" in host else host, allowed):
        found.append(
            Error(
                f"ALLOWED_HOSTS does not hold {host}, the host of PUBLIC_URL: every webhook would be answered 400.",
                hint=f"Add {host} to ALLOWED_HOSTS.",
                id="platforms.E005",
            )
        )
    return found


@register(Tags.compatibility)
def durations_are_possible(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not 0 < settings.MEETING_HOURS <= 24 * 7:
        hint = "Hours after which a meeting ends; 8 is usual."
        found.append(Error("MEETING_HOURS is not between 0 and 168.", hint=hint, id="platforms.E006"))
    if not settings.EMPTY_GRACE_S >= 0:
        hint = "Seconds that an empty meeting waits for somebody to come back; 120 is usual."
        found.append(Error("EMPTY_GRACE_S is negative.", hint=hint, id="platforms.E007"))
    return found


@register(Tags.compatibility)
def numbers_are_possible(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.WEB_THREADS < 1:
        hint = "Requests worked on at a time; 16 is usual."
        found.append(Error("WEB_THREADS is less than 1.", hint=hint, id="platforms.E012"))
    if settings.GUEST_JOINS_PER_MINUTE < 0:
        hint = "How often one address may ask to join in a minute; 20 is usual."
        found.append(Error("GUEST_JOINS_PER_MINUTE is negative.", hint=hint, id="platforms.E013"))
    if not settings.OUTCOME_PATIENCE > 0:
        hint = "What the usual waiting times are multiplied by; 1 is usual."
        found.append(Error("OUTCOME_PATIENCE is not above 0.", hint=hint, id="platforms.E014"))
    return found


@register(Tags.compatibility)
def alerts_can_be_told(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for address in settings.ALERT_EMAILS:
        try:
            validate_email(address)
        except ValidationError:
            hint = "Addresses separated by commas: ops@example.org,ann@example.org"
            found.append(Error(f"ALERT_EMAILS holds {address!r}, which is no address.", hint=hint, id="platforms.E009"))
    if settings.ALERT_WEBHOOK_URL and not is_http_url(settings.ALERT_WEBHOOK_URL):
        hint = "For example https://alerts.example.org/hook"
        found.append(Error("ALERT_WEBHOOK_URL is not the address of a site.", hint=hint, id="platforms.E010"))
    try:
        key_of(settings.ALERT_WEBHOOK_SECRET)
    except ValueError as error:
        hint = "Make one with: echo whsec_$(openssl rand -base64 32)"
        found.append(Error(f"ALERT_WEBHOOK_SECRET: {error}.", hint=hint, id="platforms.E011"))
    if not settings.ALERT_EMAILS and not settings.ALERT_WEBHOOK_URL and not settings.DEBUG:
        words = "Nobody is told of alerts: they stand in the admin only."
        found.append(Info(words, hint="Set ALERT_EMAILS or ALERT_WEBHOOK_URL.", id="platforms.I002"))
    return found
