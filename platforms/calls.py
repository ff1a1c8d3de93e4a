"""What the meter counted, in the database: written every few seconds by a thread of each process, and read by staff."""

from __future__ import annotations

import atexit
import logging
import math
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import Error as DatabaseTrouble
from django.db import IntegrityError, connections, transaction
from django.db.models import Case, DateTimeField, F, Max, OuterRef, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Greatest

from platforms.http import Budgets
from platforms.hurry import hurried_transaction
from platforms.metrics import BOUNDS_MS, Key, Tally, meter
from platforms.models import ApiCallBucket

logger = logging.getLogger(__name__)

WRITE_EVERY_S = 5.0
PATIENCE_S = 2.0
KEPT = timedelta(days=30)
CLASSES = (*(f"ms_{bound}" for bound in BOUNDS_MS), "ms_more")
COUNTS = ("calls", "failed", "refused", "throttled", "total_ms", "tokens")
SUMMED = (*COUNTS, *CLASSES)


# -- writing


def write() -> bool:
    """Write down what this process counted; False when the database did not take it (it is kept and tried again)."""
    counted = meter.take()
    if not counted:
        return True
    try:
        with hurried_transaction(PATIENCE_S):
            for key, tally in sorted(counted.items()):  # in one order everywhere, so that writers do not deadlock
                _write_one(key, tally)
    except DatabaseTrouble as error:
        logger.warning("counts of API calls not written: %s", type(error).__name__)
        meter.add(counted)
        return False
    return True


def _write_one(key: Key, tally: Tally) -> None:
    platform, operation, minute = key
    at = datetime.fromtimestamp(minute * 60, tz=UTC)
    row = ApiCallBucket.objects.filter(platform=platform, operation=operation, minute=at)
    counts = {name: getattr(tally, name) for name in COUNTS} | dict(zip(CLASSES, tally.classes, strict=True))
    slowest = {"slowest_ms": tally.slowest_ms}
    error = {"last_error": tally.last_error} if tally.last_error else {}
    changed: dict[str, Any] = {
        **{name: F(name) + count for name, count in counts.items()},
        "slowest_ms": Greatest(F("slowest_ms"), Value(tally.slowest_ms)),
        **error,
    }
    if row.update(**changed):
        return
    try:
        with transaction.atomic():
            ApiCallBucket.objects.create(
                platform=platform, operation=operation, minute=at, **counts, **slowest, **error
            )
    except IntegrityError:  # another process began this minute just now
        row.update(**changed)


class Writer:
    """A thread that writes what this process counts. Started by the processes that run for long."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._thread = threading.Thread(target=self._run, name="api-calls", daemon=True)
                self._thread.start()
                atexit.register(self.stop)

    def stop(self) -> None:
        """Write what is left, once."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S + 1)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop.wait(WRITE_EVERY_S)
            write()
            connections.close_all()


writer = Writer()


def forget_old(now: datetime) -> int:
    return ApiCallBucket.objects.filter(minute__lt=now - KEPT).delete()[0]


# -- reading


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation's calls within a time."""

    name: str
    calls: int
    failed: int
    refused: int
    throttled: int
    slowest_ms: int
    last_error: str
    classes: tuple[int, ...]
    total_ms: int
    tokens: int

    @property
    def mean_ms(self) -> float | None:
        return self.total_ms / self.calls if self.calls else None

    def within(self, share: float) -> str:
        """The class that so many of the calls lie in or below: "≤ 300 ms"; "> 10 s"; empty without calls."""
        if not self.calls:
            return ""
        wanted, seen = math.ceil(share * self.calls), 0
        for bound, count in zip(BOUNDS_MS, self.classes, strict=False):
            seen += count
            if seen >= wanted:
                return f"≤ {bound} ms" if bound < 1000 else f"≤ {bound // 1000} s"
        return f"> {BOUNDS_MS[-1] // 1000} s"


def operations(platform: str, *, since: datetime) -> list[Operation]:
    """Per operation, those with most trouble first, then the busiest. One query."""
    return _operations(_sums(_rows(platform, since)))


def _rows(platform: str, since: datetime) -> QuerySet[ApiCallBucket]:
    return ApiCallBucket.objects.filter(platform=platform, minute__gte=since).order_by()


#: what both sums below say, in this order
COLUMNS = ("whose", "at", *(f"sum_{name}" for name in SUMMED), "slowest", "erred")


def _sums(rows: QuerySet[ApiCallBucket]) -> QuerySet[ApiCallBucket, Any]:
    """``COLUMNS`` of each operation, without a minute; the newest error among them."""
    errors = rows.filter(operation=OuterRef("operation")).exclude(last_error="").order_by("-pk")
    sums = {f"sum_{name}": Sum(name) for name in SUMMED}
    return (
        rows.annotate(whose=F("operation"), at=Value(None, output_field=DateTimeField()))
        .values("whose", "at")
        .annotate(**sums, slowest=Max("slowest_ms"), erred=Subquery(errors.values("last_error")[:1]))
        .values_list(*COLUMNS)
    )


def _operations(sums: Iterable[Any]) -> list[Operation]:
    found = []
    for row in sums:
        whose, _, *numbers, slowest, erred = row
        added = dict(zip(SUMMED, numbers, strict=True))
        found.append(
            Operation(
                name=whose,
                **{name: added[name] for name in COUNTS},
                slowest_ms=slowest,
                last_error=erred or "",
                classes=tuple(added[name] for name in CLASSES),
            )
        )
    return sorted(found, key=lambda operation: (-operation.failed, -operation.calls, operation.name))


def troubled(found: Iterable[Operation]) -> tuple[int, int]:
    """(calls that failed, all calls)."""
    rows = list(found)
    return sum(row.failed for row in rows), sum(row.calls for row in rows)


@dataclass(frozen=True, kw_only=True)
class BudgetUse:
    """One of our request budgets at a provider in its busiest minute, all processes together."""

    name: str
    allowed: float  #: requests or points a minute
    busiest: int
    at: datetime | None
    held: int  #: calls that a provider slowed down or that were not even sent

    @property
    def percent(self) -> int:
        return round(100 * self.busiest / self.allowed)


def budgets(platform: str, limits: Budgets, *, since: datetime) -> list[BudgetUse]:
    """``limits``: operation → (requests or points, per seconds); "default" covers those without one of their own."""
    return _budgets(_minutes(_rows(platform, since), limits), limits)


def usage(platform: str, limits: Budgets, *, since: datetime) -> tuple[list[Operation], list[BudgetUse]]:
    """``operations`` and ``budgets`` in one query."""
    rows = _rows(platform, since)
    both = list(_sums(rows).union(_minutes(rows, limits), all=True))
    # only what is summed by the minute has one
    return _operations(row for row in both if row[1] is None), _budgets((row for row in both if row[1]), limits)


def _minutes(rows: QuerySet[ApiCallBucket], limits: Budgets) -> QuerySet[ApiCallBucket, Any]:
    """``COLUMNS`` of each budget and minute; only tokens and what was held are summed."""
    own = Case(
        *(When(operation=name, then=Value(name)) for name in limits if name != "default"), default=Value("default")
    )
    unused = {f"sum_{name}": Value(0) for name in SUMMED if name not in ("tokens", "throttled")}
    return (
        rows.annotate(whose=own, at=F("minute"))
        .values("whose", "at")
        .annotate(**unused, sum_tokens=Sum("tokens"), sum_throttled=Sum("throttled"), slowest=Value(0), erred=Value(""))
        .values_list(*COLUMNS)
    )


def _budgets(minutes: Iterable[Any], limits: Budgets) -> list[BudgetUse]:
    busiest: dict[str, tuple[int, datetime | None]] = {}
    held: Counter[str] = Counter()
    for row in minutes:
        values = dict(zip(COLUMNS, row, strict=True))
        name, taken = values["whose"], values["sum_tokens"]
        held[name] += values["sum_throttled"]
        if taken > busiest.get(name, (0, None))[0]:
            busiest[name] = (taken, values["at"])
    found = []
    for name, (size, per_s) in limits.items():
        most, at = busiest.get(name, (0, None))
        found.append(BudgetUse(name=name, allowed=size * 60 / per_s, busiest=most, at=at, held=held[name]))
    return found
