"""How the providers' APIs do, counted in memory: cheap enough for every call. ``platforms.calls`` writes it down."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

from dramatiq import Middleware

#: upper bounds of the classes of durations; one more class is open-ended
BOUNDS_MS = (100, 300, 1000, 3000, 10_000)
#: more than this many unwritten (platform, operation, minute) are not kept: nobody writes them in this process
MOST_KEPT = 5000

Key = tuple[str, str, int]  #: platform, operation, minute since 1970


@dataclass
class Tally:
    """Calls of one operation in one minute."""

    calls: int = 0
    failed: int = 0  #: no answer, a broken one, or 5xx
    refused: int = 0  #: 4xx
    throttled: int = 0  #: 429, or our own budget was used up
    total_ms: int = 0
    slowest_ms: int = 0
    tokens: int = 0  #: what they cost of our request budget
    last_error: str = ""
    classes: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))

    def add(self, other: Tally) -> None:
        self.calls += other.calls
        self.failed += other.failed
        self.refused += other.refused
        self.throttled += other.throttled
        self.total_ms += other.total_ms
        self.slowest_ms = max(self.slowest_ms, other.slowest_ms)
        self.tokens += other.tokens
        self.last_error = other.last_error or self.last_error
        self.classes = [a + b for a, b in zip(self.classes, other.classes, strict=True)]


class Meter:
    """Counts of this process that were not written yet."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[Key, Tally] = {}

    def note(
        self, platform: str, operation: str, outcome: str, *, seconds: float = 0.0, cost: float = 1, error: str = ""
    ) -> None:
        """Count one call. ``outcome``: "ok" | "failed" | "refused" | "throttled" | "held" (not even sent).

        ``cost``: of our request budget, in requests or points.
        """
        one = Tally(last_error=error[:300])
        if outcome == "held":
            one.throttled = 1
        else:
            ms = max(0, round(seconds * 1000))
            one.calls, one.tokens, one.total_ms, one.slowest_ms = 1, round(cost), ms, ms
            one.classes[bisect_left(BOUNDS_MS, ms)] = 1
            if outcome != "ok":
                setattr(one, outcome, 1)
        self.add({(platform, operation[:64], int(time.time() // 60)): one})

    def add(self, tallies: dict[Key, Tally]) -> None:
        with self._lock:
            for key, tally in tallies.items():
                self._tallies.setdefault(key, Tally()).add(tally)
            while len(self._tallies) > MOST_KEPT:
                del self._tallies[next(iter(self._tallies))]

    def take(self) -> dict[Key, Tally]:
        """What was counted since the last time; it is the caller's now."""
        with self._lock:
            taken, self._tallies = self._tallies, {}
        return taken


meter = Meter()


class WritesCalls(Middleware):
    """For the broker: every worker process writes down what it counts.

    The broker is built before there are models, so the writer is imported when a process starts.
    """

    def after_process_boot(self, broker: Any) -> None:
        from platforms.calls import writer

        writer.start()

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        from platforms.calls import writer

        writer.stop()
