"""``runall`` when a process of its dies: it is started again, and what dies over and over ends everything."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import requests

from reflector_project.processes import DEATHS
from tests.browser.product import Product, running_product, until
from tests.platforms.test_runall import of_folder

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


def children(of: int) -> dict[int, str]:
    """Process id → command line of those that this process started; of one that died unseen it is empty."""
    found = {}
    for task in Path(f"/proc/{of}/task").glob("*/children"):
        for pid in task.read_text().split():
            with suppress(OSError):
                found[int(pid)] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return found


def runall_in(folder: Path) -> int:
    """The process that the test started, found by its environment."""
    for parent in children(os.getpid()):
        with suppress(OSError):
            if str(folder).encode() in Path(f"/proc/{parent}/environ").read_bytes():
                return parent
    raise AssertionError("runall does not run")


def is_up(runall: int, product: Product) -> bool:
    """All that is done once at the start is over: from here on what dies is started again."""
    running = children(runall).values()
    return "now sends its events" in product.logged() and all(line and "sync_" not in line for line in running)


def test_what_dies_is_started_again_and_what_dies_over_and_over_ends_everything(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        runall = runall_in(tmp_path)
        until(lambda: is_up(runall, product), 60, "all of it is up", product.logged)

        for words, name in [("--queues default", "worker"), ("manage.py serve", "web")]:
            said = f"{name} ended with code -9; starting it again"
            died = kill_one(runall, words)
            orphans = children(died)
            until(partial(says, product, said), 10, f"the death of {name} was noticed", product.logged)
            until(partial(another, runall, words, died), 10, f"{name} is back", product.logged)
            assert not [pid for pid in orphans if Path(f"/proc/{pid}/environ").exists()]
        until(lambda: answers(product), 30, "the web server answers again", product.logged)

        for _ in range(DEATHS):
            died = kill_one(runall, "manage.py sweep")
            until(partial(is_noticed, died), 10, "its death was noticed", product.logged)
            until(partial(is_back_or_over, runall, died, product), 10, "it is back, or all is over", product.logged)
        until(lambda: not of_folder(tmp_path), 30, "everything has ended", product.logged)
        assert product.logged().count("sweeper ended with code -9; starting it again") == DEATHS - 1
        assert is_over(product)


def says(product: Product, words: str) -> bool:
    return words in product.logged()


def kill_one(runall: int, words: str) -> int:
    """kill -9 of the child with these words in its command line; its process id."""
    (pid,) = [pid for pid, line in children(runall).items() if words in line]
    os.kill(pid, signal.SIGKILL)
    return pid


def another(runall: int, words: str, died: int) -> bool:
    with suppress(OSError):
        return any(words in line and pid != died for pid, line in children(runall).items())
    return False


def is_noticed(died: int) -> bool:
    return not Path(f"/proc/{died}").exists()


def is_back_or_over(runall: int, died: int, product: Product) -> bool:
    return another(runall, "manage.py sweep", died) or is_over(product)


def is_over(product: Product) -> bool:
    return "sweeper ended with code -9; stopping everything" in product.logged()


def answers(product: Product) -> bool:
    try:
        return requests.get(f"{product.url}/healthz", timeout=5).ok
    except requests.RequestException:
        return False
