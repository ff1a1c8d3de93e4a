"""When a delivery was signed, and whether that is long ago."""

from __future__ import annotations

from datetime import datetime, timedelta

from platforms.base import Signed
from platforms.text import moment

TOLERANCE = timedelta(minutes=5)


def signed_at(timestamp: str, now: datetime) -> Signed:
    """``timestamp`` in Unix seconds or milliseconds. One that is no time at all, though signed, counts as stale."""
    at = moment(timestamp[:64])
    return Signed(at=now, stale=True) if at is None else Signed(at=at, stale=abs(now - at) > TOLERANCE)
