"""Signs webhook bodies as the providers do, from their documentation and not with our own code."""

import base64
import hashlib
import hmac
import time

from tests.accounts_for_platforms import BOTH

SLUGS = ("daily", "whereby")


def signed(platform: str, body: bytes, *, at: float | None = None, secret: str | None = None) -> dict[str, str]:
    """The headers that make ``body`` the provider's. ``at`` in Unix seconds, now when not given."""
    at = time.time() if at is None else at
    return {"daily": _daily, "whereby": _whereby}[platform](body, at, secret)


def _daily(body: bytes, at: float, secret: str | None) -> dict[str, str]:
    # https://docs.daily.co/reference/rest-api/webhooks#hmac; the timestamp is in milliseconds in real deliveries
    stamp = str(int(at * 1000))
    key = base64.b64decode(secret or BOTH["DAILY_WEBHOOK_SECRET"])
    digest = hmac.digest(key, stamp.encode() + b"." + body, hashlib.sha256)
    return {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": base64.b64encode(digest).decode()}


def _whereby(body: bytes, at: float, secret: str | None) -> dict[str, str]:
    # https://docs.whereby.com/whereby-product-features/insights-suite-and-api/webhooks#verifying-webhook-events
    key = (secret or BOTH["WHEREBY_WEBHOOK_SECRET"]).encode()
    digest = hmac.new(key, f"{int(at)}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Whereby-Signature": f"t={int(at)},v1={digest}"}
