"""``runall``: who is played by the sandbox, what is said when it cannot start, and that nothing is left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from platforms.management.commands import runall
from tests.browser.product import free_ports, until
from tests.services import listens

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def development(settings, tmp_path):
    settings.DEBUG = True
    settings.VAR_DIR = tmp_path
    settings.OPERATOR_ENVIRON = {}
    return settings


# -- who is played by the sandbox ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "played"),
    [
        ({}, ["whereby", "daily"]),
        ({"DAILY_API_KEY": "key"}, ["whereby"]),
        ({"WHEREBY_API_KEY": "key"}, ["daily"]),
        ({"DAILY_WEBHOOK_SECRET": "c2VjcmV0"}, ["whereby", "daily"]),
        ({"DAILY_API_KEY": "key", "WHEREBY_API_KEY": "key"}, []),
        ({"USE_SANDBOX": "false"}, []),
    ],
)
def test_an_account_wins_over_the_sandbox(development, environ, played):
    assert runall.platforms_without_account(environ) == played


def test_there_is_no_sandbox_in_production(development):
    development.DEBUG = False
    assert runall.platforms_without_account({}) == []


# -- what stops it before it starts --------------------------------------------------------------------------------


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_told_with_its_variable(development):
    with taken_port() as port:
        development.PORT = port
        with pytest.raises(CommandError, match=rf"Port {port} is in use; choose another with PORT"):
            call_command("runall")


def test_the_port_of_the_sandbox_too(development):
    (development.PORT,) = free_ports(1)
    with taken_port() as port:
        development.SANDBOX_PORT = port
        with pytest.raises(CommandError, match=rf"Port {port} is in use; choose another with SANDBOX_PORT"):
            call_command("runall")


def test_web_and_sandbox_cannot_share_a_port(development):
    (development.PORT,) = free_ports(1)
    development.SANDBOX_PORT = development.PORT
    with pytest.raises(CommandError, match="PORT and SANDBOX_PORT are both"):
        call_command("runall")


def test_two_cannot_share_a_folder(development):
    with runall.only_one_here(), pytest.raises(CommandError, match="already runs from here"):
        call_command("runall")


# -- all of it -------------------------------------------------------------------------------------------------------


@contextmanager
def running(folder: Path, web: int, sandbox: int, broker: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """``runall`` in a folder, as soon as it says that it runs; its log."""
    log = folder / "log"
    environ = {
        "PATH": os.environ["PATH"],
        "DEBUG": "true",
        "ENV_FILE": os.devnull,
        "VAR_DIR": str(folder / "var"),
        "PORT": str(web),
        "SANDBOX_PORT": str(sandbox),
        "EMBEDDED_BROKER_PORT": str(broker),
        "DEMO_PASSWORD": "a password of this test",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "runall"],
            cwd=ROOT,
            env=environ,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        until(lambda: "Ctrl-C stops everything" in log.read_text(), 200, "it runs", log.read_text, process.poll)
        yield process, log
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.crash
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_serves_and_leaves_nothing_behind(tmp_path, number):
    ports = free_ports(3)
    with running(tmp_path, *ports) as (process, log):
        assert all(map(listens, ports))
        assert f"http://localhost:{ports[0]}/admin/" in log.read_text()
        assert "staff, password a password of this test" in log.read_text()
        started = time.monotonic()
        process.send_signal(number)
        process.wait(30)
        until(lambda: not any(map(listens, ports)) and not of_folder(tmp_path), 20, "nothing is left", log.read_text)
        assert time.monotonic() - started < 25


def neighbours() -> tuple[int, int]:
    """Two free ports, the first of them one above the second."""
    while True:
        (port,) = free_ports(1)
        if not listens(port + 1):
            return port + 1, port


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_it_starts_again_on_other_ports(tmp_path):
    """What the sandbox keeps points at the old ones; and the port after its own, usually the buckets', is taken."""
    (broker,) = free_ports(1)
    for _ in range(2):
        web, sandbox = neighbours()
        with running(tmp_path, web, sandbox, broker) as (process, log):
            told = re.compile(rf"webhook \| .*http://localhost:{web}/v1/webhooks/daily\b")
            until(lambda: told.search(log.read_text()), 100, "events come here", log.read_text, process.poll)  # noqa: B023
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, log.read_text()


def of_folder(folder: Path) -> list[str]:
    """Command lines and environments of processes that were started for this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(folder).encode() in entry.read_bytes() and entry.parent.name != str(os.getpid()):
                found.append(entry.parent.joinpath("cmdline").read_text())
        except OSError:
            continue
    return [line for line in found if line]
