"""Whereby's signature of a delivery: ``Whereby-Signature: t=<seconds>,v1=<hex>``, where hex is
HMAC-SHA256(secret, t + "." + body).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256

from platforms.base import DeliveryRejected, Signed
from platforms.signatures import signed_at

HEADER = "Whereby-Signature"
#: signatures looked at in one header
MOST = 5


def verify(secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime) -> Signed:
    """When it was signed with one of the secrets. Raises ``DeliveryRejected``."""
    if not secrets:
        raise DeliveryRejected("no webhook secret is configured")
    pairs = [part.strip().partition("=") for part in (headers.get(HEADER) or "").split(",")]
    timestamp = next((value for name, _, value in pairs if name == "t"), "")
    given = [value.strip().encode(errors="surrogatepass") for name, _, value in pairs if name == "v1"][:MOST]
    if not timestamp or not given:
        raise DeliveryRejected("not signed")
    stamp = timestamp.encode(errors="surrogatepass")
    matches = [
        hmac.compare_digest(_signature(secret, stamp, body), signature) for secret in secrets for signature in given
    ]
    if not any(matches):
        raise DeliveryRejected("wrong signature")
    return signed_at(timestamp, now)


def sign(secret: bytes, body: bytes, now: datetime) -> Mapping[str, str]:
    timestamp = str(int(now.timestamp()))
    return {HEADER: f"t={timestamp},v1={_signature(secret, timestamp.encode(), body).decode()}"}


def _signature(secret: bytes, timestamp: bytes, body: bytes) -> bytes:
    return hmac.new(secret, timestamp + b"." + body, sha256).hexdigest().encode()
