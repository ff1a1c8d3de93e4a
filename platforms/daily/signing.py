"""Daily's signature of a delivery: base64(HMAC-SHA256(decoded secret, timestamp + "." + body)), in two headers."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256

from platforms.base import DeliveryRejected, Signed
from platforms.signatures import signed_at

TIMESTAMP, SIGNATURE = "X-Webhook-Timestamp", "X-Webhook-Signature"


def decoded(secret: str) -> bytes:
    """The key in a secret as Daily has it; empty when the secret is not base64."""
    try:
        return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return b""


def keys_in(secrets: Iterable[str]) -> list[bytes]:
    return [key for key in map(decoded, secrets) if key]


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime) -> Signed:
    """When it was signed with one of the keys; the timestamp is in milliseconds. Raises ``DeliveryRejected``."""
    if not keys:
        raise DeliveryRejected("no webhook secret is configured")
    timestamp, signature = headers.get(TIMESTAMP) or "", headers.get(SIGNATURE) or ""
    if not timestamp or not signature:
        raise DeliveryRejected("not signed")
    given = signature.strip().encode(errors="surrogatepass")
    stamp = timestamp.encode(errors="surrogatepass")
    matches = [hmac.compare_digest(_signature(key, stamp, body), given) for key in keys]
    if not any(matches):
        raise DeliveryRejected("wrong signature")
    return signed_at(timestamp, now)


def sign(key: bytes, body: bytes, now: datetime) -> Mapping[str, str]:
    timestamp = str(int(now.timestamp() * 1000))
    return {TIMESTAMP: timestamp, SIGNATURE: _signature(key, timestamp.encode(), body).decode()}


def _signature(key: bytes, timestamp: bytes, body: bytes) -> bytes:
    return base64.b64encode(hmac.new(key, timestamp + b"." + body, sha256).digest())
