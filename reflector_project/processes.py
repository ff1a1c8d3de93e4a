"""Several programs as one: started together, logged together, started again when one dies, ended together.

Linux does the hard part: each child asks the kernel for a signal when we die (so ``kill -9`` leaves nothing), and
grandchildren whose parent died are handed to us instead of to init. Elsewhere the rest still works.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.1
#: one that dies this often within this time will not get better by being started again
DEATHS = 5
WITHIN_S = 60.0

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Stopped(Exception):
    """Somebody asked us to stop, or a program that has to run has ended; the text says which."""

    def __init__(self, reason: str, *, code: int) -> None:
        super().__init__(reason)
        self.code = code


class Group:
    """Programs that belong together.

    Use as a context manager in the main thread: leaving it stops everything, however it is left.
    """

    def __init__(self, *, out: IO[str], die_with_parent: bool = False) -> None:
        self._out = out
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._services: list[str] = []
        self._again: dict[str, Callable[[], object]] = {}
        self._deaths: dict[str, list[float]] = {}
        self._readers: list[threading.Thread] = []
        self._asked: int | None = None
        self._parent = os.getppid() if die_with_parent else None

    def __enter__(self) -> Group:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)
        if _libc is not None:
            _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        service: bool = False,
        own_group: bool = False,
        again: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a program that has to run until we stop.

        Others lean on a ``service``: it is stopped last. ``again``: once all is up (``watch``), it is started again
        when it dies. ``own_group`` keeps the terminal's Ctrl-C from a program that
        listens to it by itself; ours comes as SIGTERM, once and in order.
        """
        us = os.getpid()

        def in_child() -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # ours to pass on, as SIGTERM and in order
            if _libc is not None:
                _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
                if os.getppid() != us:
                    os._exit(1)

        process = subprocess.Popen(  # noqa: S603
            list(command),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=in_child,
            process_group=0 if service or own_group else None,
        )
        self._running[name] = process
        if service and name not in self._services:
            self._services.append(name)
        if again:
            self._again[name] = partial(
                self.start, name, command, environ, service=service, own_group=own_group, again=True
            )
        reader = threading.Thread(target=self._relay, args=(name, process), daemon=True)
        reader.start()
        self._readers.append(reader)
        return process

    def finish(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
        """Run a program to its end and return its exit code; everything else goes on meanwhile."""
        process = self.start(name, command, environ)
        while process.poll() is None:
            self.check(except_for=name)
            time.sleep(POLL_S)
        del self._running[name]
        return process.returncode

    def watch(self) -> None:
        """Stay until we are asked to stop, starting again what dies. Raises ``Stopped``."""
        while True:
            self._start_dead_again()
            self.check()
            time.sleep(POLL_S)

    def _start_dead_again(self) -> None:
        """Not what dies over and over: that is left for ``check`` to tell."""
        for name, process in list(self._running.items()):
            if self._asked is not None or name not in self._again or process.poll() is None:
                continue
            now = time.monotonic()
            deaths = [at for at in self._deaths.get(name, []) if now - at < WITHIN_S] + [now]
            self._deaths[name] = deaths
            if len(deaths) < DEATHS:
                self._say("runall", f"{name} ended with code {process.returncode}; starting it again")
                _end_adopted(except_for={other.pid for other in self._running.values()})
                self._again[name]()

    def check(self, *, except_for: str = "") -> None:
        """Raises ``Stopped`` when we were asked to stop or something ended that should run."""
        if self._asked is not None:
            raise Stopped("stopping", code=0 if self._asked == signal.SIGINT else 128 + self._asked)
        if self._parent is not None and os.getppid() != self._parent:
            raise Stopped("whoever started this is gone; stopping", code=1)
        for name, process in self._running.items():
            if name != except_for and process.poll() is not None:
                raise Stopped(f"{name} ended with code {process.returncode}; stopping everything", code=1)

    def stop(self) -> None:
        """Stop everything, the services that others lean on last; by force what does not listen."""
        leaning = [process for name, process in self._running.items() if name not in self._services]
        _end(leaning, patience_s=8)
        _end([self._running[name] for name in self._services], patience_s=4)
        _end_adopted()
        for reader in self._readers:
            reader.join(1)

    def _ask(self, number: int, _frame: Any) -> None:
        self._asked = number

    def _relay(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101
        for raw in process.stdout:
            if line := raw.decode(errors="replace").rstrip():
                self._say(name, line)

    def _say(self, name: str, line: str) -> None:
        with suppress(ValueError, OSError):  # our own output may be closed already
            self._out.write(f"{name:>8} | {line}\n")
            self._out.flush()


def _end(processes: Sequence[subprocess.Popen[bytes]], *, patience_s: float) -> None:
    for process in processes:
        process.terminate()  # does nothing to one that has ended
    deadline = time.monotonic() + patience_s
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
        process.kill()
        process.wait()


def _end_adopted(*, except_for: Collection[int] = ()) -> None:
    """Kill what our programs left behind: on Linux it is now our child."""
    for _ in range(50):
        children = [pid for pid in _children() if pid not in except_for]
        if not children:
            return
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.02)


def _children() -> list[int]:
    found = []
    for task in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(pid) for pid in task.read_text().split()]
    return found
