"""What every test shares: real servers on demand, no network but this machine, and no quiet skipping.

A test asks for a server by fixture (``postgres_url``, ``redis_url``, ``rabbitmq_url``, ``valkey_url``, ``chromium``).
What cannot be had skips the test, is listed with its reason at the end of the run, and is a failure under
``REQUIRE_ALL=1``.
"""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.crash import installation, postgres_and_redis, sqlite_and_valkey  # noqa: F401  fixtures

REQUIRE_ALL = os.environ.get("REQUIRE_ALL", "") not in ("", "0")
DATABASE_FIXTURES = {
    "db",
    "transactional_db",
    "django_db_reset_sequences",
    "django_db_serialized_rollback",
    "live_server",
}


# -- servers ------------------------------------------------------------------------------------------------------


def _have(service: Callable[[], AbstractContextManager[str]], stack: ExitStack) -> str:
    try:
        return stack.enter_context(service())
    except services.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def _servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def _postgres(_servers: ExitStack) -> str:
    return _have(services.postgres, _servers)


@pytest.fixture
def postgres_url(_postgres: str) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    with services.postgres_database(_postgres) as address:
        yield address


@pytest.fixture(scope="session")
def redis_url(_servers: ExitStack) -> str:
    """A Redis database of this run's own; it may be flushed."""
    return _have(services.redis, _servers)


@pytest.fixture(scope="session")
def rabbitmq_url(_servers: ExitStack) -> str:
    """A RabbitMQ virtual host of this run's own."""
    return _have(services.rabbitmq, _servers)


@pytest.fixture
def valkey_url() -> Iterator[str]:
    """A Valkey server of this test's own, the one that ``runall`` embeds."""
    with ExitStack() as stack:
        yield _have(services.own_valkey, stack)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium."""
    try:
        return services.chromium()
    except services.Unavailable as reason:
        pytest.skip(str(reason))


# -- no network but this machine ------------------------------------------------------------------------------------


def _is_here(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = address[0]
    try:
        return host in ("", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _only_this_machine() -> Iterator[None]:
    """A test that would talk to the outside fails and says where to."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if not _is_here(address):
            raise AssertionError(f"a test tried to reach {address[0]!r}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


# -- the database -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_modify_db_settings_parallel_suffix: None,
) -> None:
    """Where a server of ours answers in threads of its own, SQLite is a file: in memory all of them would share one
    connection with the test, and each other's transactions."""
    from django.db import connection

    served = any("live_server" in getattr(item, "fixturenames", ()) for item in request.session.items)
    if served and connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "db.sqlite3")


@pytest.fixture(scope="session")
def live_server(django_db_setup: None, live_server: Any) -> Any:
    """pytest-django's, made once the database has its name: it decides by it whether to share the connection."""
    return live_server


# -- speed ----------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="session")
def _quick_passwords() -> Iterator[None]:
    from django.conf import settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "PASSWORD_HASHERS", ["django.contrib.auth.hashers.MD5PasswordHasher"])
        yield


# -- which tests, and what became of them -----------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database-only", action="store_true", help="only tests that use the database")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # what takes minutes begins first, so that nobody waits for it alone at the end
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    if not config.getoption("--database-only"):
        return
    without = [item for item in items if not _uses_database(item)]
    config.hook.pytest_deselected(items=without)
    items[:] = [item for item in items if item not in set(without)]


def _uses_database(item: pytest.Item) -> bool:
    return item.get_closest_marker("django_db") is not None or not DATABASE_FIXTURES.isdisjoint(
        getattr(item, "fixturenames", ())
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    report = yield
    return _skipping_is_failing(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[Any]:
    report = yield
    return _skipping_is_failing(report)


def _skipping_is_failing(report: Any) -> Any:
    if REQUIRE_ALL and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL=1 and this was not run: {_reason(report)}"
    return report


def _reason(report: Any) -> str:
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reasons: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reasons.setdefault(_reason(report).removeprefix("Skipped: "), []).append(report.nodeid)
    if not reasons:
        return
    terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
    for reason, tests in reasons.items():
        terminalreporter.line(f"{len(tests)} test(s) not run: {reason}", red=True)
        for test in tests:
            terminalreporter.line(f"    {test}")
    if path := os.environ.get("NOT_TESTED"):  # for the summary of ``make test``
        with Path(path).open("a") as summary:
            summary.writelines(f"{len(tests)} test(s): {reason}\n" for reason, tests in reasons.items())
