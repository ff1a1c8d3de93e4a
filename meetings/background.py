"""Work that a request starts and waits for only a little."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")

_pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="opening")


class StillBusy(Exception):
    """The work goes on; its result will be in the database."""


def wait_for(work: Callable[[], T], *, patience_s: float) -> T:
    """``work``'s result. Raises what it raises, or ``StillBusy`` after ``patience_s`` while it goes on.

    Work that another connection could not see (an open transaction, a database in memory) is done here and now.
    """
    if connection.in_atomic_block or getattr(connection, "is_in_memory_db", bool)():
        return work()
    future = _pool.submit(_with_own_connection, work)
    try:
        return future.result(timeout=patience_s)
    except TimeoutError as error:
        if future.done():
            raise
        raise StillBusy from error


def _with_own_connection(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        connection.close()
