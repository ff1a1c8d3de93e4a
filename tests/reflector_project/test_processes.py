"""A group of programs ends as one, whatever kills whom."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: a service and a program that has a child of its own, which does not listen to SIGTERM
DRIVER = """
import os, sys
from reflector_project.processes import Group, Stopped

SLEEP = "import time; time.sleep(300)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); time.sleep(300)"
environ = {"PATH": os.environ["PATH"]}
try:
    with Group(out=sys.stdout, die_with_parent="--die-with-parent" in sys.argv) as group:
        group.start("service", [sys.executable, "-c", SLEEP], environ, service=True)
        group.start("program", [sys.executable, "-c", PARENT], environ, again="--again" in sys.argv)
        print("finished", group.finish("helper", [sys.executable, "-c", "print('hello')"], environ), flush=True)
        group.watch()
except Stopped as stopped:
    print(stopped, flush=True)
    sys.exit(stopped.code)
"""


@contextmanager
def driver(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def lines_until(process: subprocess.Popen[str], start: str) -> list[str]:
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith(start):
            return lines
    raise AssertionError(f"it ended without saying {start!r}: {lines}")


def descendants(pid: int) -> list[int]:
    found = []
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                found += [child, *descendants(child)]
    return found


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def soon(true: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def started(process: subprocess.Popen[str]) -> list[int]:
    """The pids of everything, once everything is there."""
    lines = lines_until(process, "finished")
    assert "helper | hello" in lines
    assert lines[-1] == "finished 0"
    assert soon(lambda: len(descendants(process.pid)) == 3)
    return descendants(process.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(number: signal.Signals) -> None:
    with driver() as process:
        pids = started(process)
        process.send_signal(number)
        assert process.wait(30) == (0 if number == signal.SIGINT else 128 + number)
        assert soon(lambda: not any(map(alive, pids)))


def test_ctrl_c_in_a_terminal_stops_everything() -> None:
    with driver() as process:
        pids = started(process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
        assert soon(lambda: not any(map(alive, pids)))


def test_the_end_of_one_program_is_the_end_of_all_and_is_told() -> None:
    with driver() as process:
        pids = started(process)
        program = [pid for pid in pids if descendants(pid)][0]
        os.kill(program, signal.SIGKILL)
        assert process.wait(30) == 1
        assert lines_until(process, "program ended")[-1] == "program ended with code -9; stopping everything"
        assert soon(lambda: not any(map(alive, pids)))


def test_a_program_that_dies_is_started_again_without_what_it_left_behind() -> None:
    with driver("--again") as process:
        pids = started(process)
        program = [pid for pid in pids if descendants(pid)][0]
        (left,) = descendants(program)
        os.kill(program, signal.SIGKILL)
        assert lines_until(process, "  runall |")[-1] == "runall | program ended with code -9; starting it again"
        assert soon(lambda: not alive(left))
        assert soon(lambda: len(descendants(process.pid)) == 3)
        assert program not in descendants(process.pid)
        assert process.poll() is None


def test_a_program_that_dies_over_and_over_is_the_end_of_all() -> None:
    with driver("--again") as process:
        pids = started(process)
        killed: set[int] = set()
        while process.poll() is None and len(killed) < 8:
            soon(lambda: any(descendants(pid) for pid in descendants(process.pid)) or process.poll() is not None)
            for pid in [pid for pid in descendants(process.pid) if descendants(pid)]:
                killed.add(pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                soon(lambda pid=pid: not alive(pid))
        assert process.wait(30) == 1
        assert len(killed) == 5
        assert soon(lambda: not any(map(alive, pids)))


def test_killing_the_leader_stops_its_programs() -> None:
    with driver() as process:
        pids = started(process)
        direct = [pid for pid in pids if Path(f"/proc/{pid}/stat").read_text().split()[3] == str(process.pid)]
        process.kill()
        assert soon(lambda: not any(map(alive, direct)))
        for pid in set(pids) - set(direct):  # a grandchild has to look after itself; this one is deaf on purpose
            os.kill(pid, signal.SIGKILL)


def test_the_end_of_whoever_started_it_is_its_end() -> None:
    shell = subprocess.Popen(
        ["/bin/sh", "-c", '"$0" -c "$1" --die-with-parent & wait', sys.executable, DRIVER],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lines_until(shell, "finished")
    assert soon(lambda: len(descendants(shell.pid)) == 4)
    pids = descendants(shell.pid)
    shell.kill()
    assert soon(lambda: not any(map(alive, pids)))
    shell.communicate()
