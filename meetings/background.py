"""Work that a request starts and waits for only a little."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from django.db import connection

T = TypeVar("T")

THREADS = 8

_pools: dict[str, ThreadPoolExecutor] = {}
_making = Lock()


class StillBusy(Exception):
    """The work goes on; its result will be in the database."""


def wait_for(work: Callable[[], T], *, whose: str, patience_s: float) -> T:
    """``work``'s result. Raises what it raises, or ``StillBusy`` after ``patience_s`` while it goes on.

    ``whose`` threads it takes: each platform has its own, so that a slow one holds up nobody on another.

    Work that another connection could not see (an open transaction, a database in memory) is done here and now.
    """
    if connection.in_atomic_block or getattr(connection, "is_in_memory_db", bool)():
        return work()
    future = _pool(whose).submit(_with_own_connection, work)
    try:
        return future.result(timeout=patience_s)
    except TimeoutError as error:
        if future.done():
            raise
        raise StillBusy from error


def _pool(whose: str) -> ThreadPoolExecutor:
    with _making:
        if whose not in _pools:
            _pools[whose] = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix=f"opening-{whose}")
        return _pools[whose]


def _with_own_connection(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        connection.close()
