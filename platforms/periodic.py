"""Jobs that come round: declared by apps in their ``periodic`` module, run by ``manage.py sweep``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Job:
    name: str
    every_s: float
    run: Callable[[datetime], None]
    #: asks providers for what webhooks may have missed
    fills_gaps: bool = False


_jobs: dict[str, Job] = {}


def periodic(
    *, every_s: float, name: str = "", fills_gaps: bool = False
) -> Callable[[Callable[[datetime], None]], Callable[[datetime], None]]:
    """Register ``run(now)`` to be called about every ``every_s`` seconds by one process of the whole installation.

    A job is idempotent, bounded, and safe to run late: it looks at the state of the world, not at what it missed.
    ``fills_gaps``: it asks providers for what their webhooks may have missed, and is run at once after a gap in them.
    """

    def register(run: Callable[[datetime], None]) -> Callable[[datetime], None]:
        job = Job(name or f"{run.__module__}.{run.__qualname__}", every_s, run, fills_gaps)
        _jobs[job.name] = job
        return run

    return register


def jobs() -> list[Job]:
    return list(_jobs.values())
