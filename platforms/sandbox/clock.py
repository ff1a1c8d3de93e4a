"""The sandbox's idea of now: the machine's clock, moved or frozen by tests and by the control API."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Unix seconds as float. ``offset_s`` is added to the machine's clock; ``frozen_at`` replaces it."""

    def __init__(self, frozen_at: float | None = None) -> None:
        self.offset_s = 0.0
        self.frozen_at = frozen_at

    def now(self) -> float:
        base = time.time() if self.frozen_at is None else self.frozen_at
        return base + self.offset_s

    def advance(self, seconds: float) -> None:
        self.offset_s += seconds

    def freeze(self, at: float | None = None) -> None:
        self.frozen_at = self.now() if at is None else at
        self.offset_s = 0.0

    def run(self) -> None:
        """Go on from the present reading at normal speed."""
        if self.frozen_at is not None:
            self.offset_s = self.now() - time.time()
            self.frozen_at = None

    def reset(self) -> None:
        self.offset_s, self.frozen_at = 0.0, None


def iso(seconds: float, *, millis: bool = True) -> str:
    """``2026-08-19T10:01:00.000Z``."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds" if millis else "seconds").replace("+00:00", "Z")


def from_iso(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
