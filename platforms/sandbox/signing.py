"""How each provider signs what it sends, and the tokens of the one that has them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any


def daily_headers(secret_base64: str, body: bytes, now: float) -> dict[str, str]:
    """Key is the decoded secret; the timestamp is in milliseconds; the digest is base64 (facts B2)."""
    stamp = str(int(now * 1000))
    digest = hmac.new(base64.b64decode(secret_base64), stamp.encode() + b"." + body, hashlib.sha256).digest()
    return {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": base64.b64encode(digest).decode()}


def whereby_headers(secret: str, body: bytes, now: float) -> dict[str, str]:
    """Key is the secret as UTF-8; the timestamp is in seconds; the digest is hex (facts E2)."""
    stamp = str(int(now))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Whereby-Signature": f"t={stamp},v1={digest}"}


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def make_token(api_key: str, claims: dict[str, Any]) -> str:
    """An HS256 JWT signed with the API key, as the provider's own (facts A5)."""
    head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}, separators=(",", ":")).encode())
    signed = f"{head}.{_encode(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{signed}.{_encode(hmac.new(api_key.encode(), signed.encode(), hashlib.sha256).digest())}"


def read_token(api_key: str, token: str) -> dict[str, Any] | None:
    """The claims, or None when the token is not ours. Says nothing about its times."""
    try:
        head, claims, signature = token.split(".")
        expected = hmac.new(api_key.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
        if json.loads(_decode(head)).get("alg") != "HS256" or not hmac.compare_digest(expected, _decode(signature)):
            return None
        read = json.loads(_decode(claims))
    except (ValueError, binascii.Error, AttributeError):
        return None
    return read if isinstance(read, dict) else None
