"""Work that is a row: claimed, leased, retried and quarantined in the database.

A queue message is only a wake-up call that carries an id; wiping the broker loses nothing, because the sweeper wakes
whatever is due. A row is worked on by whoever holds its lease. A lease lasts ``LEASE`` and is renewed while the work
goes on; all effects of the work are committed in one transaction that checks the lease (``Lease.finishing``), so a
frozen worker that wakes up late changes nothing, and a killed one has done either everything or nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, TypeVar

import dramatiq
import pika.exceptions
import redis.exceptions
from django.db import DatabaseError, close_old_connections, connections, models, transaction
from django.db.models import F, Q
from django.utils import timezone
from dramatiq.middleware import Interrupt, Shutdown
from pika.adapters.utils.connection_workflow import AMQPConnectorException

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
RENEW_EVERY_S = 10.0
#: a wake-up call that was not answered is repeated after this long
WAKE_AGAIN = timedelta(seconds=15)
LONGEST_WAIT = timedelta(minutes=15)

#: what a broker that is down, frozen or being restarted makes its client raise
BROKER_TROUBLE = (
    dramatiq.errors.BrokerConnectionError,
    redis.exceptions.RedisError,
    pika.exceptions.AMQPError,
    AMQPConnectorException,
    OSError,
)


class LeaseLost(Exception):
    """Somebody else took the row over; nothing of ours was written."""


class Defer(Exception):
    """Not ready yet, through nobody's fault: try again after ``after`` without using up a try."""

    def __init__(self, reason: str, *, after: timedelta) -> None:
        super().__init__(reason)
        self.after = after


class Hopeless(Exception):
    """Trying again will not help: quarantine at once. The text is for staff."""


def claimable(now: datetime) -> Q:
    """Waiting and due, or in progress under a lease that ran out."""
    return Q(status="pending", due_at__lte=now) | Q(status="running", lease_until__lte=now)


class WorkQuerySet(models.QuerySet[Any]):
    def due(self, now: datetime) -> WorkQuerySet:
        """Rows that somebody could claim at ``now``, those whose worker died included."""
        return self.filter(claimable(now))

    def stuck(self) -> WorkQuerySet:
        return self.filter(status=Work.Status.QUARANTINED)


class Work(models.Model):
    """A row that is worked on. Subclasses name the actor that works on it."""

    class Status(models.TextChoices):
        PENDING = "pending", "waiting"
        RUNNING = "running", "in progress"
        DONE = "done", "done"
        QUARANTINED = "quarantined", "stuck"

    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PENDING, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    due_at = models.DateTimeField(default=timezone.now, editable=False)
    woken_at = models.DateTimeField(null=True, default=timezone.now, editable=False)
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)

    objects = WorkQuerySet.as_manager()

    #: name of the Dramatiq actor that takes this row's primary key
    actor_name: ClassVar[str]
    max_attempts: ClassVar[int] = 8
    first_wait: ClassVar[timedelta] = timedelta(seconds=2)

    class Meta:
        abstract = True
        indexes = [models.Index(fields=["status", "due_at"], name="%(class)s_due")]

    def wake_after_commit(self) -> None:
        """Send the wake-up call once this transaction is committed, without waiting for the broker.

        A broker that is down delays, never loses: the sweeper repeats the call.
        """
        transaction.on_commit(lambda: wake_soon(self.actor_name, self.pk), robust=True)

    def run_again(self, *, now: datetime | None = None) -> None:
        """Make the row due with a fresh set of tries. Used by staff and when new facts arrive."""
        now = now or timezone.now()
        type(self)._base_manager.filter(pk=self.pk).update(
            status=Work.Status.PENDING,
            attempts=0,
            due_at=now,
            woken_at=now,
            lease_token=None,
            lease_until=None,
            finished_at=None,
            last_error="",
        )
        self.wake_after_commit()


def wake(actor_name: str, pk: Any) -> bool:
    """Send one wake-up call; False when the broker cannot take it (the sweeper repeats it).

    Takes as long as the broker's time-outs when the broker is frozen: ``wake_soon`` is for those who cannot wait.
    """
    broker = dramatiq.get_broker()
    try:
        broker.get_actor(actor_name).send(str(pk))
    except BROKER_TROUBLE as error:
        logger.warning("broker does not take wake-up calls: %s for %s %s", type(error).__name__, actor_name, pk)
        return False
    return True


class Waker:
    """Sends wake-up calls from a thread of its own, so that whoever has work to announce never waits for a broker.

    Calls may be dropped (queue full, broker down, process ends): they are hints, the sweeper repeats them.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.flush, 1.0)

    def _reset(self) -> None:
        self._calls: queue.Queue[tuple[str, Any] | threading.Event] = queue.Queue(self._most)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def put(self, actor_name: str, pk: Any) -> None:
        try:
            self._calls.put_nowait((actor_name, pk))
        except queue.Full:
            return
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until what is queued now was sent or dropped; False when that took longer than ``timeout_s``."""
        if self._thread is None:
            return True
        passed = threading.Event()
        try:
            self._calls.put(passed, timeout=timeout_s)
        except queue.Full:
            return False
        return passed.wait(timeout_s)

    def _run(self) -> None:
        while True:
            call = self._calls.get()
            if isinstance(call, threading.Event):
                call.set()
            elif not wake(*call):
                self._drop_waiting()

    def _drop_waiting(self) -> None:
        """The broker is down: trying each of a thousand calls would only make the thousand-and-first late."""
        for _ in range(self._calls.qsize()):
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                return
            if isinstance(call, threading.Event):
                call.set()


waker = Waker()


def wake_soon(actor_name: str, pk: Any) -> None:
    """Send one wake-up call from the background; returns at once whatever the broker does."""
    waker.put(actor_name, pk)


def kinds() -> list[type[Work]]:
    """Every concrete model whose rows are worked on."""
    found: list[type[Work]] = []
    todo: list[type[Work]] = list(Work.__subclasses__())
    while todo:
        model = todo.pop()
        todo.extend(model.__subclasses__())
        if not model._meta.abstract and not model._meta.proxy:
            found.append(model)
    return sorted(found, key=lambda model: model._meta.label)


def wake_due(*, now: datetime | None = None, most: int = 500) -> int:
    """Send a wake-up call for each due row that has not had one lately. Returns how many were sent.

    Stops at the first call that the broker does not take.
    """
    now = now or timezone.now()
    sent = 0
    for model in kinds():
        asleep = model._base_manager.filter(claimable(now)).filter(
            Q(woken_at__isnull=True) | Q(woken_at__lte=now - WAKE_AGAIN)
        )
        woken = []
        broker_is_up = True
        for pk in list(asleep.order_by("due_at").values_list("pk", flat=True)[:most]):
            broker_is_up = wake(model.actor_name, pk)
            if not broker_is_up:
                break
            woken.append(pk)
        if woken:
            model._base_manager.filter(pk__in=woken).update(woken_at=now)
        sent += len(woken)
        if not broker_is_up:
            break
    return sent


W = TypeVar("W", bound=Work)


class Lease(Generic[W]):
    """The right to work on one row. Use as a context manager: it is renewed in the background until the end."""

    def __init__(self, row: W, token: uuid.UUID) -> None:
        self.row = row
        self.token = token
        self.lost = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Lease[W]:
        self._thread = threading.Thread(target=self._renew, name=f"lease-{self.row.pk}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    @property
    def _mine(self) -> models.QuerySet[Any]:
        return type(self.row)._base_manager.filter(pk=self.row.pk, lease_token=self.token, status=Work.Status.RUNNING)

    def _renew(self) -> None:
        try:
            while not self._stop.wait(RENEW_EVERY_S):
                try:
                    if not self._mine.update(lease_until=timezone.now() + LEASE):
                        self.lost.set()
                        return
                except DatabaseError as error:  # the next round may succeed; if not, the lease runs out by itself
                    logger.warning("lease of %s not renewed: %s", self.row.pk, type(error).__name__)
                    close_old_connections()
        finally:
            connections.close_all()

    def check(self) -> None:
        """Raise ``LeaseLost`` when the row is not ours any more. Call between long steps."""
        if self.lost.is_set():
            raise LeaseLost(str(self.row.pk))

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """One transaction in which all effects are written; the row is done when it commits.

        Raises ``LeaseLost``, and rolls back, when the lease is not ours any more.
        """
        with transaction.atomic():
            now = timezone.now()
            done = self._mine.update(
                status=Work.Status.DONE, lease_token=None, lease_until=None, finished_at=now, last_error=""
            )
            if not done:
                raise LeaseLost(str(self.row.pk))
            yield

    def _put_back(self, **columns: Any) -> None:
        self._mine.update(lease_token=None, lease_until=None, **columns)

    def retry(self, error: str) -> None:
        """Due again after a growing pause, or quarantined when the tries are used up."""
        row = self.row
        if row.attempts >= row.max_attempts:
            self.quarantine(error)
            return
        pause = min(row.first_wait * 2 ** (row.attempts - 1), LONGEST_WAIT)
        self._put_back(
            status=Work.Status.PENDING, due_at=timezone.now() + pause, woken_at=None, last_error=_short(error)
        )

    def defer(self, reason: str, after: timedelta) -> None:
        self._put_back(
            status=Work.Status.PENDING,
            attempts=max(self.row.attempts - 1, 0),
            due_at=timezone.now() + after,
            woken_at=None,
            last_error=_short(reason),
        )

    def quarantine(self, error: str) -> None:
        logger.error("%s %s is stuck after %s tries", self.row._meta.label, self.row.pk, self.row.attempts)
        self._put_back(status=Work.Status.QUARANTINED, finished_at=timezone.now(), last_error=_short(error))


def claim(model: type[W], pk: Any, *, now: datetime | None = None) -> Lease[W] | None:
    """Take the row by one conditional UPDATE; None when it is not due, is somebody else's or does not exist.

    The try is counted before the work starts: a row that kills its worker runs out of tries like any other.
    """
    now = now or timezone.now()
    token = uuid.uuid4()
    due = model._base_manager.filter(claimable(now), pk=pk)
    if due.filter(attempts__lt=model.max_attempts).update(
        status=Work.Status.RUNNING, attempts=F("attempts") + 1, lease_token=token, lease_until=now + LEASE
    ):
        row = model._base_manager.get(pk=pk)
        return Lease(row, token)
    worn_out = due.filter(attempts__gte=model.max_attempts).update(
        status=Work.Status.QUARANTINED,
        lease_token=None,
        lease_until=None,
        finished_at=now,
        last_error=f"{model.max_attempts} tries ended without a word: the worker died each time",
    )
    if worn_out:
        logger.error("%s %s is stuck: it ended its worker %s times", model._meta.label, pk, model.max_attempts)
    return None


def work_on(model: type[W], pk: Any, do: Callable[[Lease[W]], None]) -> None:
    """Claim a row and do one thing with it, turning the outcome into its status. What actors call.

    ``do`` writes its effects inside ``lease.finishing()``. This is the one place that catches everything: whatever a
    job raises is recorded on its row, retried, and in the end shown to staff.
    """
    lease = claim(model, pk)
    if lease is None:
        return
    with lease:
        try:
            do(lease)
        except LeaseLost:
            logger.warning("%s %s was taken over; dropped", model._meta.label, pk)
        except Defer as wait:
            lease.defer(str(wait), wait.after)
        except Hopeless as reason:
            lease.quarantine(str(reason))
        except Shutdown:
            lease.defer("the worker was told to stop", timedelta(0))
            raise
        except Interrupt as error:
            lease.retry(f"took longer than it may: {type(error).__name__}")
            raise
        except Exception as error:  # noqa: BLE001
            logger.warning("%s %s failed: %s", model._meta.label, pk, type(error).__name__, exc_info=True)
            lease.retry(f"{type(error).__name__}: {error}")


def _short(text: str) -> str:
    return text.replace("\x00", "")[:2000]
