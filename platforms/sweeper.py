"""The sweeper: wakes whatever is due and runs the jobs that come round.

Any number may run; one at a time works, under a lease in the database (``Heartbeat`` row "sweeper"), and another takes
over within ``LEASE`` of its death. Each job has a row and a lease of its own, so that a job never runs twice at once
even while the sweeper changes hands, and runs in a thread of its own, so that one that hangs holds up nobody.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from datetime import datetime, timedelta

from django.db import Error as DatabaseTrouble
from django.db import close_old_connections, connections
from django.db.models import Q
from django.utils import timezone

from platforms.models import Heartbeat
from platforms.periodic import Job, jobs
from platforms.work import wake_due

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
TICK_S = 2.0
RENEW_EVERY = timedelta(seconds=5)
SWEEPER = "sweeper"


class Sweeper:
    """One process's part in sweeping. ``holder`` names it in the database."""

    def __init__(self) -> None:
        self.holder = f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._running: dict[str, threading.Thread] = {}
        self._renewed_at: datetime | None = None

    def once(self, *, now: datetime | None = None, every_job: bool = False) -> list[str] | None:
        """One pass, jobs one after the other in this thread. Names of the jobs that failed; None: another sweeps."""
        now = now or timezone.now()
        if not self._take(SWEEPER, now):
            return None
        try:
            failed = []
            for job in all_jobs() if every_job else self._due(now):
                if self._take_job(job, now) and not self._run(job, now):
                    failed.append(job.name)
            return failed
        finally:
            self._release(SWEEPER)

    def loop(self, stop: threading.Event) -> None:
        """Sweep until ``stop`` is set. Outlives outages of the database and the broker."""
        troubled = False
        try:
            while not stop.is_set():
                try:
                    self._tick(timezone.now())
                    if troubled:
                        logger.info("the database is back")
                    troubled = False
                except DatabaseTrouble as error:
                    if not troubled:
                        logger.error("cannot sweep, the database is in trouble: %s", type(error).__name__)
                    troubled = True
                    self._renewed_at = None
                    connections.close_all()
                stop.wait(TICK_S)
        finally:
            self._leave()
            connections.close_all()

    def _tick(self, now: datetime) -> None:
        close_old_connections()
        if self._renewed_at is None or now - self._renewed_at >= RENEW_EVERY:
            self._renewed_at = now if self._take(SWEEPER, now) else None
            self._renew_jobs(now)
        if self._renewed_at is None:
            return
        for job in self._due(now):
            if self._take_job(job, now):
                thread = threading.Thread(target=self._run_in_thread, args=(job, now), name=job.name, daemon=True)
                self._running[job.name] = thread
                thread.start()

    # leases

    def _take(self, name: str, now: datetime) -> bool:
        """Take or renew a lease; a sign of life at the same time."""
        changed = {"holder": self.holder, "held_until": now + LEASE, "beat_at": now}
        free = Q(holder=self.holder) | Q(held_until__isnull=True) | Q(held_until__lte=now)
        if Heartbeat.objects.filter(free, name=name).update(**changed):
            return True
        _, created = Heartbeat.objects.get_or_create(name=name, defaults=changed)
        return created

    def _due(self, now: datetime) -> list[Job]:
        """Jobs whose time has come and that nobody runs, by one look at their rows."""
        rows = {row.name: row for row in Heartbeat.objects.filter(name__startswith="job:").defer("state")}

        def is_due(job: Job) -> bool:
            row = rows.get(row_of(job))
            if row is None or row.beat_at is None:
                return True
            is_free = row.held_until is None or row.held_until <= now
            return is_free and row.beat_at <= now - timedelta(seconds=job.every_s)

        return [job for job in all_jobs() if job.name not in self._running and is_due(job)]

    def _take_job(self, job: Job, now: datetime) -> bool:
        """Take a job's lease if it is still free."""
        Heartbeat.objects.get_or_create(name=row_of(job))
        free = Q(held_until__isnull=True) | Q(held_until__lte=now)
        return bool(
            Heartbeat.objects.filter(free, name=row_of(job)).update(
                holder=self.holder, held_until=now + LEASE, beat_at=now
            )
        )

    def _renew_jobs(self, now: datetime) -> None:
        if names := [f"job:{name}" for name in list(self._running)]:
            Heartbeat.objects.filter(name__in=names, holder=self.holder, held_until__isnull=False).update(
                held_until=now + LEASE
            )

    def _release(self, name: str) -> None:
        Heartbeat.objects.filter(name=name, holder=self.holder).update(held_until=None)

    def _leave(self) -> None:
        """Hand over at once; jobs still running in threads end with this process."""
        try:
            Heartbeat.objects.filter(holder=self.holder).update(held_until=None)
        except DatabaseTrouble:
            logger.warning("left without releasing the lease; another sweeper takes over in %s s", LEASE.seconds)

    # jobs

    def _run_in_thread(self, job: Job, now: datetime) -> None:
        try:
            close_old_connections()
            self._run(job, now)
        finally:
            connections.close_all()
            self._running.pop(job.name, None)

    def _run(self, job: Job, now: datetime) -> bool:
        """Run a job and record how it went; False when it failed."""
        error = ""
        try:
            job.run(now)
        except Exception as failure:  # noqa: BLE001  one job that fails must not stop the others
            logger.warning("job %s failed: %s", job.name, type(failure).__name__, exc_info=True)
            error = f"{type(failure).__name__}: {failure}".replace("\x00", "")[:2000]
        outcome = {"last_error": error} if error else {"last_error": "", "succeeded_at": timezone.now()}
        try:
            Heartbeat.objects.filter(name=row_of(job), holder=self.holder).update(held_until=None, **outcome)
        except DatabaseTrouble as trouble:
            logger.warning("the outcome of job %s was not recorded: %s", job.name, type(trouble).__name__)
        return not error


def all_jobs() -> list[Job]:
    """Waking due work is a job like the others: a broker that is frozen must not cost the sweeper its lease."""
    return [Job("platforms.work.wake_due", TICK_S / 2, _wake_due), *jobs()]


def pollers() -> list[Job]:
    return [job for job in jobs() if job.fills_gaps]


def poll_soon() -> None:
    """Make every poller due at once, running or not."""
    Heartbeat.objects.filter(name__in=map(row_of, pollers())).update(beat_at=None)


def _wake_due(now: datetime) -> None:
    wake_due(now=now)


def row_of(job: Job) -> str:
    return f"job:{job.name}"
