"""``manage.py runall``: the whole service on one machine, in the foreground, as ``make run`` starts it."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from platforms import registry
from reflector_project import embedded_broker
from reflector_project.processes import Group, Stopped

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]
START_S = 60
#: name, queue, threads: speech has a worker of its own, so that hours of it do not delay a webhook or a stop order
WORKERS = [("worker", "default", 6), ("speech", "speech", 2)]


class Command(BaseCommand):
    help = "Start broker, web, worker, sweeper and, where a platform has no account, the sandbox. Ctrl-C stops all."
    # the sandbox has to be there before settings can be judged; --prepare does it
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--prepare", action="store_true", help="only check, migrate and seed, then exit")
        parser.add_argument("--die-with-parent", action="store_true", help="stop when whoever started this ends")

    def handle(self, *, prepare: bool, die_with_parent: bool, **options: Any) -> None:
        if prepare:
            prepare_all()
            return
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        with only_one_here():
            port_is_free(settings.PORT, "PORT")
            sandboxed = platforms_without_account(settings.OPERATOR_ENVIRON)
            if sandboxed:
                if settings.SANDBOX_PORT == settings.PORT:
                    raise CommandError(f"PORT and SANDBOX_PORT are both {settings.PORT}; choose another for one.")
                port_is_free(settings.SANDBOX_PORT, "SANDBOX_PORT")
            try:
                with Group(out=sys.stdout, die_with_parent=die_with_parent) as group:
                    self.run(group, sandboxed)
            except Stopped as stopped:
                self.stderr.write(str(stopped))
                if stopped.code:
                    raise SystemExit(stopped.code) from None

    # -- what is started, in which order ----------------------------------------------------------------------------

    def run(self, group: Group, sandboxed: list[str]) -> None:
        environ = dict(settings.OPERATOR_ENVIRON) | {"PYTHONUNBUFFERED": "1"}
        start_broker(group, environ)
        start_sandbox(group, environ, sandboxed)

        if is_prepared():
            checks: list[str] = []  # the web server makes them
        else:
            checks = ["--skip-checks"]
            password = settings.OPERATOR_ENVIRON.get("DEMO_PASSWORD") or secrets.token_urlsafe(9)
            quietly = {"LOG_LEVEL": "WARNING"} | environ | {"DEMO_PASSWORD": password}
            code = group.finish("setup", [*MANAGE, "runall", "--prepare"], quietly)
            if code:
                raise Stopped("The set-up failed; what is wrong stands above.", code=code)

        group.start("web", [*MANAGE, "serve", *checks], environ, again=True)
        for name, queue, threads in WORKERS:
            worker = ["rundramatiq", "--skip-checks", "--queues", queue, "--processes", "1", "--threads", str(threads)]
            # a job that is still running after 5 s is taken up again at the next start
            worker += ["--worker-shutdown-timeout", "5000"]
            group.start(name, [*MANAGE, *worker], environ, own_group=True, again=True)

        wait_until(group, lambda: web_answers(settings.PORT), "the web server")
        self.say_where(sandboxed)
        register_webhooks(group, environ, sandboxed)
        # last: its first look at a platform without a webhook would stop moves there until the next one
        group.start("sweeper", [*MANAGE, "sweep", "--loop", "--skip-checks"], environ, again=True)
        group.watch()

    def say_where(self, sandboxed: list[str]) -> None:
        lines = [f"Rooms    {settings.PUBLIC_URL}/", f"Admin    {settings.PUBLIC_URL}/admin/"]
        sign_in = settings.VAR_DIR / "demo-sign-in"
        if sign_in.exists():
            lines.append(f"Sign in  {sign_in.read_text().strip()}")
        if sandboxed:
            lines.append(f"Sandbox  http://localhost:{settings.SANDBOX_PORT}/ plays {' and '.join(sandboxed)}")
        lines.append("Ctrl-C stops everything.")
        self.stdout.write("\n" + "\n".join(f"  {line}" for line in lines) + "\n")
        self.stdout.flush()


# -- parts ----------------------------------------------------------------------------------------------------------


def platforms_without_account(environ: Mapping[str, str]) -> list[str]:
    """Slugs that the sandbox has to play: in development, those whose first required variable (the key) is not set."""
    if not settings.DEBUG or environ.get("USE_SANDBOX", "true").lower() in ("0", "false", "no", "n", "off"):
        return []
    return [slug for slug, adapter in registry.adapter_classes().items() if not environ.get(adapter.required[0])]


def start_broker(group: Group, environ: dict[str, str]) -> None:
    """The embedded broker, unless the operator has one. Puts its address into ``environ`` when it is not the usual."""
    if settings.BROKER_URL:
        return
    usual = settings.EMBEDDED_BROKER_PORT
    try:
        port = embedded_broker.free_port(usual)
        command = embedded_broker.command(port=port, folder=settings.VAR_DIR / "valkey")
    except embedded_broker.NoBroker as error:
        raise CommandError(str(error)) from error
    if port != usual:
        print(f"Port {usual} is taken, so the broker is on {port}.", flush=True)  # noqa: T201
        environ["BROKER_URL"] = f"redis://127.0.0.1:{port}/0"
    group.start("broker", command, environ, service=True, again=True)
    wait_until(group, lambda: embedded_broker.answers(port), "the embedded broker")


def start_sandbox(group: Group, environ: dict[str, str], sandboxed: list[str]) -> None:
    """Start it and wait for the settings that it writes; without it none of an earlier one may linger."""
    env_file: Path = settings.SANDBOX_ENV_FILE
    env_file.unlink(missing_ok=True)
    if not sandboxed:
        return
    command = [sys.executable, "-m", "platforms.sandbox"]
    command += ["--port", str(settings.SANDBOX_PORT)]
    command += ["--state", str(settings.VAR_DIR / "sandbox")]
    command += ["--env-file", str(env_file)]
    command += ["--public-url", settings.PUBLIC_URL]
    command += ["--die-with-parent", "--platforms", ",".join(sandboxed), "--leave-port", str(settings.PORT)]
    group.start("sandbox", command, environ, service=True, again=True)
    wait_until(group, lambda: env_file.exists() and listens(settings.SANDBOX_PORT), "the sandbox")


def register_webhooks(group: Group, environ: dict[str, str], sandboxed: list[str]) -> None:
    """Only ever with the sandbox, which has no other user: ours was elsewhere if the ports were others last time. At a
    real account it is the operator who decides where events go."""
    for slug in sandboxed:
        if registry.adapter_classes()[slug].capabilities.webhook_api:
            code = group.finish("webhook", [*MANAGE, f"sync_{slug}_webhook", "--take-over"], environ)
            if code:
                raise Stopped(f"The sandbox did not take the webhook of {slug}.", code=code)


def prepare_all() -> None:
    """In a process of its own, because it needs the settings as the sandbox has completed them."""
    call_command("check", fail_level="ERROR", verbosity=0)
    call_command("migrate", interactive=False, verbosity=0)
    if settings.DEBUG:
        seed_once()


def is_prepared() -> bool:
    """Whether no migration waits and, in development, somebody can sign in."""
    executor = MigrationExecutor(connection)
    try:
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        return not settings.DEBUG or get_user_model()._default_manager.exists()
    finally:
        connection.close()


def seed_once() -> None:
    """The demo, into an empty database; how to sign in is kept for later starts."""
    if get_user_model()._default_manager.exists():
        return
    call_command("seed_demo")
    sign_in = settings.VAR_DIR / "demo-sign-in"
    sign_in.unlink(missing_ok=True)
    sign_in.touch(mode=0o600)
    sign_in.write_text(f"staff, password {os.environ.get('DEMO_PASSWORD', '')}\n")


@contextmanager
def only_one_here() -> Iterator[None]:
    """Two sets of processes over one ``var`` folder would share a sandbox and a database by accident."""
    with (settings.VAR_DIR / "runall.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CommandError(f"It already runs from here ({settings.VAR_DIR}); stop that one first.") from None
        yield


def port_is_free(port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise CommandError(
                f"Port {port} is in use; choose another with {variable}, for example {variable}={port + 100} make run."
            ) from None


def wait_until(group: Group, ready: Any, what: str) -> None:
    deadline = time.monotonic() + START_S
    while not ready():
        group.check()
        if time.monotonic() > deadline:
            raise Stopped(f"{what} did not answer within {START_S} s.", code=1)
        time.sleep(0.05)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def web_answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
