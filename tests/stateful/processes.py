"""Processes that share a database and can be killed in the middle of what they do.

One process loads everything and only forks: each connection to it is a fresh process with database connections of its
own, there within milliseconds. ``python -m tests.stateful.processes ADDRESS`` is that one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: an operation that takes longer hangs
ANSWER_WITHIN_S = 60


class Hangs(Exception):
    """An operation did not come back."""


class Process:
    """One process of the installation; does one thing at a time."""

    def __init__(self, address: str) -> None:
        self._connection = Client(address, "AF_UNIX")
        self.pid: int = self._connection.recv()

    def begin(self, name: str, now: datetime, arguments: dict[str, Any]) -> None:
        self._connection.send((name, now, arguments))

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._connection.close()

    def answer(self) -> tuple[str, Any]:
        """("done", value), ("refused", words) or ("broken", traceback)."""
        if not self._connection.poll(ANSWER_WITHIN_S):
            raise Hangs(f"process {self.pid}")
        answer: tuple[str, Any] = self._connection.recv()
        return answer


class Processes:
    """A pool of them, filled up again after deaths."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: list[Process] = []

    def together(self, now: datetime, calls: list[tuple[str, dict[str, Any], int | None]]) -> list[tuple[str, Any]]:
        """Begin all at once: (operation, arguments, dies after so many milliseconds). The dead answer nothing."""
        taken = [self._idle.pop() if self._idle else Process(self._address) for _ in calls]
        for process, (name, arguments, _) in zip(taken, calls, strict=True):
            process.begin(name, now, arguments)
        began = time.monotonic()
        doomed = [(dies, process) for process, (_, _, dies) in zip(taken, calls, strict=True) if dies is not None]
        doomed.sort(key=lambda pair: pair[0])
        for lives_ms, process in doomed:
            time.sleep(max(0.0, began + lives_ms / 1000 - time.monotonic()))
            process.kill()
        dead = {process.pid for _, process in doomed}
        living = [process for process in taken if process.pid not in dead]
        answers = [process.answer() for process in living]
        self._idle += living
        return answers

    def close(self) -> None:
        for process in self._idle:
            process.kill()


@contextmanager
def processes(folder: Path, environ: Mapping[str, str]) -> Iterator[Processes]:
    address = str(folder / "forks")
    command = [sys.executable, "-m", "tests.stateful.processes", address]
    forker = subprocess.Popen(command, cwd=ROOT, env=dict(environ), start_new_session=True)
    try:
        give_up_at = time.monotonic() + 60
        while not Path(address).exists():
            if forker.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError("the forking process did not start")
            time.sleep(0.05)
        pool = Processes(address)
        yield pool
        pool.close()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(forker.pid, signal.SIGKILL)
        forker.wait(10)


# -- the other side


def _fork_for_each(address: str) -> None:
    import django

    django.setup()
    import tests.stateful.operations  # noqa: F401  loaded once, for all

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with Listener(address, "AF_UNIX", backlog=32) as listener:
        while True:
            connection = listener.accept()
            if os.fork() == 0:
                with suppress(EOFError, OSError):
                    _serve(connection)
                os._exit(0)
            connection.close()


def _serve(connection: Connection[Any, Any]) -> None:
    import traceback

    from meetings import opening
    from tests.stateful.operations import OPERATIONS, REFUSALS

    # the clock stands still during an operation: nobody needs to wait long for an opener who died
    opening.PATIENCE_S, opening.LOOK_EVERY_S = 0.4, 0.02
    if os.environ.get("UNLOCKED"):
        _take_out_the_locks()
    connection.send(os.getpid())
    while True:
        name, now, arguments = connection.recv()
        try:
            answer = ("done", OPERATIONS[name](now, **arguments))
        except REFUSALS as refusal:
            answer = ("refused", f"{name}: {refusal}")
        except Exception:  # noqa: BLE001  told to the test
            answer = ("broken", f"{name} {arguments}\n{traceback.format_exc()}")
        connection.send(answer)


def _take_out_the_locks() -> None:
    """What the product would be without row locks: the property test must notice."""
    from django.db.models import QuerySet

    QuerySet.select_for_update = lambda rows, **_: rows._chain()  # type: ignore[method-assign]


if __name__ == "__main__":
    _fork_for_each(sys.argv[1])
