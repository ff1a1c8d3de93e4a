"""How alerts reach people: a mail, and a signed POST to the operator's own address."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import socket
from datetime import datetime
from hashlib import sha256
from typing import Any

import requests
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.serializers.json import DjangoJSONEncoder
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from platforms.models import Alert, AlertDelivery
from platforms.work import Hopeless, Lease

TIMEOUT_S = (5.0, 15.0)
SECRET_PREFIX = "whsec_"  # noqa: S105  how such secrets are written, not one


class NotTaken(Exception):
    """The operator's webhook did not answer 2xx."""


def deliver(lease: Lease[AlertDelivery]) -> None:
    """Tell one recipient. Told twice only when the process dies between the telling and the row that says so."""
    row = lease.row
    if row.kind == AlertDelivery.Kind.SETTLED and row.alert.is_open:
        outcome = "not told: the trouble is back"
    elif row.channel == AlertDelivery.Channel.EMAIL:
        outcome = _mail(row)
    else:
        outcome = _post(row)
    with lease.finishing():
        AlertDelivery.objects.filter(pk=row.pk).update(outcome=outcome)


def _mail(row: AlertDelivery) -> str:
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("> ") or socket.gethostname()
    EmailMessage(
        subject=" ".join(_subject(row).split()),
        body=in_words(row),
        to=[row.recipient],
        headers={"Message-ID": f"<{message_id(row)}-{row.pk}@{host}>", "Auto-Submitted": "auto-generated"},
    ).send()
    return f"mailed to {row.recipient}"


def _post(row: AlertDelivery) -> str:
    if not settings.ALERT_WEBHOOK_URL:
        raise Hopeless("ALERT_WEBHOOK_URL is not set any more")
    body = json.dumps(as_data(row), cls=DjangoJSONEncoder).encode()
    try:
        answer = requests.post(
            settings.ALERT_WEBHOOK_URL,
            data=body,
            headers=signed_headers(message_id(row), body, timezone.now(), settings.ALERT_WEBHOOK_SECRET),
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
    except requests.RequestException as error:  # its text holds the address, which may hold a secret
        raise NotTaken(f"ALERT_WEBHOOK_URL cannot be reached ({type(error).__name__})") from None
    if not 200 <= answer.status_code < 300:
        raise NotTaken(f"ALERT_WEBHOOK_URL answered {answer.status_code}")
    return f"posted, answered {answer.status_code}"


def message_id(row: AlertDelivery) -> str:
    """The same for every try, so that a receiver can tell repetitions."""
    return f"alert-{row.alert_id}-{row.kind}"


def signed_headers(message: str, body: bytes, now: datetime, secret: str) -> dict[str, str]:
    """As https://www.standardwebhooks.com: ``v1,`` + base64(HMAC-SHA256(secret, id.timestamp.body)); seconds.

    A secret that starts with ``whsec_`` is base64 behind it, any other is used as it is. Without one: not signed.
    """
    timestamp = str(int(now.timestamp()))
    headers = {"Content-Type": "application/json", "webhook-id": message, "webhook-timestamp": timestamp}
    if secret:
        digest = hmac.new(key_of(secret), f"{message}.{timestamp}.".encode() + body, sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def key_of(secret: str) -> bytes:
    """Raises ``ValueError`` when what follows ``whsec_`` is not base64."""
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("what follows whsec_ is not base64") from error


def as_data(row: AlertDelivery) -> dict[str, Any]:
    about = row.alert
    return {
        "type": f"alert.{row.kind}",
        "timestamp": timezone.now(),
        "data": {
            "id": about.pk,
            "key": about.key,
            "severity": about.severity,
            "title": about.title,
            "words": about.words,
            "evidence": about.evidence,
            "inverse": about.inverse,
            "inverse_url": absolute(about.inverse_url),
            "page": page_of(about),
            "opened_at": about.opened_at,
            "last_seen_at": about.last_seen_at,
            "times": about.times,
            "settled_at": about.settled_at,
            "settled_words": about.settled_words,
        },
    }


def _subject(row: AlertDelivery) -> str:
    word = "Over" if row.kind == AlertDelivery.Kind.SETTLED else row.alert.get_severity_display().capitalize()
    return f"[{settings.PUBLIC_URL.partition('://')[2]}] {word}: {row.alert.title}"


def in_words(row: AlertDelivery) -> str:
    """The text of the mail."""
    about = row.alert
    parts = [about.words]
    if row.kind == AlertDelivery.Kind.SETTLED or not about.is_open:
        settled = f"Over since {_time(about.settled_at)}." if about.settled_at else ""
        parts.insert(0, " ".join(part for part in (settled, about.settled_words) if part))
    if about.evidence:
        lines = [f"  {name.replace('_', ' ')}: {_value(value)}" for name, value in about.evidence.items()]
        parts.append("\n".join(["Evidence:", *lines]))
    if about.is_open:
        parts.append(f"What to do: {about.inverse}")
        if about.inverse_url:
            parts.append(absolute(about.inverse_url))
    seen = f"First seen {_time(about.opened_at)}"
    if about.times > 1:
        seen += f", {about.times} times until {_time(about.last_seen_at)}"
    parts.append(f"{seen}.")
    if page := page_of(about):
        parts.append(f"This alert: {page}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "never"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)


def absolute(url: str) -> str:
    return f"{settings.PUBLIC_URL}{url}" if url.startswith("/") else url


def page_of(about: Alert) -> str:
    try:
        return absolute(reverse("admin:platforms_alert_change", args=[about.pk]))
    except NoReverseMatch:
        return ""
