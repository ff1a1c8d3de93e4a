"""An installation of real processes, for tests that kill them.

The fixture ``installation`` gives one on SQLite with Valkey, and one on PostgreSQL with Redis::

    def test_it_is_done_once(installation):
        installation.start_web()
        installation.start_sweeper()
        worker = installation.start_worker(crash_at="after:platforms.inbox._send")
        installation.deliver("daily", body)
        worker.wait_until_stopped()   # it stands at that point
        worker.kill()                 # kill -9, children too
        installation.start_worker()
        installation.wait_for("SELECT status FROM platforms_webhookevent", [("done",)], within_s=60)

``crash_at`` is explained in ``tests/crashing/apps.py``; it can name any function of any app.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import pika
import psycopg
import pytest
import redis

from tests.accounts_for_platforms import BOTH
from tests.services import Unavailable, free_port, own_valkey
from tests.signing import signed

ROOT = Path(__file__).parent.parent


class Started:
    """One process group of the installation."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, flags: list[Path]) -> None:
        self.process, self.log, self.flags = process, log, flags

    def kill(self) -> None:
        """kill -9, without a chance to say goodbye."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM and the exit code; kill -9 when that does not help."""
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self._signal(signal.SIGKILL)
        return self.process.returncode

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.process.wait(20)

    def wait_until_stopped(self, within_s: float = 60) -> None:
        """Until it stands at its ``crash_at``, at each of them where there are several."""
        until(
            lambda: all(flag.exists() for flag in self.flags),
            "it did not get to its point",
            within_s,
            lambda: f"reached: {[flag.exists() for flag in self.flags]}\n{self.said()}",
        )

    def wait_until_said(self, words: str, within_s: float = 60) -> None:
        until(lambda: words in self.said(), f"it did not say {words!r}", within_s, self.said)

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Installation:
    """Web, worker and sweeper over one database and one broker, each started when asked for."""

    def __init__(
        self, folder: Path, *, database_url: str = "", broker_url: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self.folder, self.broker_url = folder, broker_url
        self.database_url = database_url or f"sqlite:///{folder / 'db.sqlite3'}"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.environ = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")},
            **BOTH,
            "DJANGO_SETTINGS_MODULE": "tests.crashing.settings",
            "ENV_FILE": os.devnull,
            "VAR_DIR": str(folder / "var"),
            "USE_SANDBOX": "false",
            "DEBUG": "true",
            "SECRET_KEY": "only-for-tests",
            "DATABASE_URL": self.database_url,
            "BROKER_URL": broker_url,
            "MEDIA_STORAGE": f"file://{folder / 'media'}",
            "PUBLIC_URL": self.address,
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
            **(environ or {}),
        }
        self._started: list[Started] = []

    def __enter__(self) -> Installation:
        (self.folder / "var").mkdir(exist_ok=True)
        self.manage("migrate", "--verbosity", "0")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for started in self._started:
            if started.process.poll() is None:
                started.kill()
            if error is not None:
                print(f"---- {started.log.name}\n{started.said()[-6000:]}")  # noqa: T201

    # processes

    def running(self) -> list[Started]:
        return [started for started in self._started if started.process.poll() is None]

    def manage(self, *arguments: str, code: int = 0) -> str:
        """Run a management command to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, *arguments: str, crash_at: str = "") -> Started:
        """Start a management command in a process group of its own."""
        number = len(self._started)
        log, flag = self.folder / f"{number}-{arguments[0]}.log", self.folder / f"{number}.flag"
        crash = {"CRASH_AT": crash_at, "CRASH_FLAG": str(flag)} if crash_at else {}
        flags = [Path(f"{flag}.{point}") if point else flag for point in range(len(crash_at.split(",")))]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=self.environ | crash,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = Started(process, log, flags if crash_at else [])
        self._started.append(started)
        return started

    def start_web(self) -> Started:
        web = self.start("serve", "--listen", f"127.0.0.1:{self.port}")
        until(lambda: self.get("/healthz") == 200, "the web server did not start", 60, web.said)
        return web

    def start_worker(self, *, crash_at: str = "", threads: int = 1, ready: bool = True) -> Started:
        worker = self.start(
            *("rundramatiq", "--processes", "1", "--threads", str(threads), "--worker-shutdown-timeout", "1000"),
            crash_at=crash_at,
        )
        if ready:
            worker.wait_until_said("ready for action")
        return worker

    def start_sweeper(self) -> Started:
        return self.start("sweep", "--loop")

    def wipe_broker(self) -> None:
        if self.broker_url.startswith("amqp"):
            with closing(pika.BlockingConnection(pika.URLParameters(self.broker_url))) as connection:
                for queue in ("default", "speech"):
                    channel = connection.channel()
                    with suppress(pika.exceptions.ChannelClosedByBroker):  # there is none
                        channel.queue_purge(queue)
            return
        with redis.Redis.from_url(self.broker_url) as client:
            client.flushdb()

    def run(self, code: str) -> Any:
        """Run Python inside the installation; what its last line printed, as JSON."""
        said = self.manage("shell", "--verbosity", "0", "--command", code)
        return json.loads(said.strip().splitlines()[-1])

    # what goes in

    def get(self, path: str) -> int:
        """Status of a page; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return int(error.code)
        except OSError:
            return 0

    def deliver(self, platform: str, body: bytes) -> int:
        """Status of one signed delivery through the door; 0 when nobody answers."""
        request = urllib.request.Request(
            f"{self.address}/v1/webhooks/{platform}",
            data=body,
            headers={"Content-Type": "application/json", **signed(platform, body)},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return int(error.code)
        except OSError:
            return 0

    # what comes out

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database past Django, as somebody else would."""
        if self.database_url.startswith("sqlite"):
            path = self.database_url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path, timeout=20)) as connection:
                return connection.execute(sql).fetchall()
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(sql).fetchall()  # type: ignore[call-overload,no-any-return]

    def execute(self, sql: str) -> None:
        """Change the database past Django."""
        if self.database_url.startswith("sqlite"):
            with closing(sqlite3.connect(self.database_url.removeprefix("sqlite:///"), timeout=20)) as connection:
                connection.execute(sql)
                connection.commit()
        else:
            with psycopg.connect(self.database_url) as connection:
                connection.execute(sql)  # type: ignore[call-overload]

    def wait_for(self, sql: str, wanted: list[tuple[Any, ...]], *, within_s: float) -> float:
        """Seconds until the query answers ``wanted``."""
        began = time.monotonic()
        last: list[Any] = []

        def is_so() -> bool:
            last[:] = self.rows(sql)
            return last == wanted

        until(is_so, f"{sql} did not become {wanted}", within_s, lambda: f"it is {last}")
        return time.monotonic() - began


def until(true: Callable[[], bool], words: str, within_s: float, why: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"{words} within {within_s:g} s\n{why()[-6000:]}"
        time.sleep(0.1)


# -- fixtures -----------------------------------------------------------------------------------------------------


@pytest.fixture
def sqlite_and_valkey(tmp_path: Path, valkey_url: str) -> Iterator[Installation]:
    """As on a laptop."""
    with Installation(tmp_path, broker_url=valkey_url) as product:
        yield product


@pytest.fixture
def postgres_and_redis(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[Installation]:
    """As in production."""
    with (
        database_of_its_own(postgres_url) as database_url,
        Installation(tmp_path, database_url=database_url, broker_url=redis_url) as product,
    ):
        product.wipe_broker()
        yield product
        product.wipe_broker()


#: for fixtures of a larger scope: ``params=KINDS``, then ``installed(request.param, …)``
KINDS = [
    "sqlite_and_valkey",
    pytest.param("postgres_and_redis", marks=[pytest.mark.postgres, pytest.mark.redis]),
]


@pytest.fixture(params=KINDS)
def installation(request: pytest.FixtureRequest) -> Installation:
    """Both kinds, one after the other."""
    product: Installation = request.getfixturevalue(request.param)
    return product


@contextmanager
def installed(
    kind: str, folder: Path, request: pytest.FixtureRequest, environ: Mapping[str, str]
) -> Iterator[Installation]:
    """The installation of this kind, for as long as the caller likes, with more in its environment."""
    with ExitStack() as stack:
        if kind == "postgres_and_redis":
            database_url = stack.enter_context(database_of_its_own(request.getfixturevalue("_postgres")))
            broker_url = request.getfixturevalue("redis_url")
        elif kind == "sqlite_and_rabbitmq":
            database_url, broker_url = "", request.getfixturevalue("rabbitmq_url")
        else:
            database_url = ""
            try:
                broker_url = stack.enter_context(own_valkey())
            except Unavailable as reason:
                pytest.skip(str(reason))
        product = Installation(folder, database_url=database_url, broker_url=broker_url, environ=environ)
        with product:
            product.wipe_broker()
            yield product
            product.wipe_broker()


@contextmanager
def database_of_its_own(server_url: str) -> Iterator[str]:
    """A new database beside the one of this address."""
    name = f"crash_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]
