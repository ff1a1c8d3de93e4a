"""make test: lint, types, import contract, migrations, then every test on every database. Ends with one summary.

Servers are looked for or started once, here, and handed to the test runs by address. ``--static`` stops before the
tests. What could not be had is listed last; with ``REQUIRE_ALL=1`` it is a failure.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
REQUIRE_ALL = os.environ.get("REQUIRE_ALL", "") not in ("", "0")
sys.path.insert(0, str(ROOT))

from tests import services  # noqa: E402
from tests.environment import for_tests  # noqa: E402

STATIC = {
    "format": [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
    "lint": [str(BIN / "ruff"), "check", "--quiet", "."],
    "types": [str(BIN / "mypy")],
    "import contract": [str(BIN / "lint-imports"), "--no-cache"],
    "migrations": [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"],
    "settings": [sys.executable, "manage.py", "check", "--fail-level", "ERROR"],
}
PYTEST = [sys.executable, "-m", "pytest", "-q", "--color=yes" if sys.stdout.isatty() else "--color=no"]
WORKERS = str(max(2, min(4, os.cpu_count() or 2)))
#: tests that start a whole installation of ours, or a browser, have the machine to themselves
ALONE = "browser or crash"


@dataclass
class Run:
    """What has been done so far."""

    environment: dict[str, str]
    lines: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failed: bool = False

    def step(self, name: str, command: list[str], *, fine: tuple[int, ...] = (0,), **environment: str) -> None:
        print(f"\n=== {name}", flush=True)
        start = time.monotonic()
        code = subprocess.run(command, cwd=ROOT, env=self.environment | environment, check=False).returncode
        ok = code in fine
        self.failed |= not ok
        self.lines.append(f"{'ok    ' if ok else 'FAILED'} {time.monotonic() - start:6.1f} s  {name}")

    def start(
        self, stack: ExitStack, variable: str, name: str, service: Callable[[], AbstractContextManager[str]]
    ) -> None:
        try:
            self.environment[variable] = stack.enter_context(service())
        except services.Unavailable as reason:
            self.missing.append(f"{name}: {reason}")


def install_chromium() -> None:
    """As root on Debian the browser is installed; else the tests that need it say how."""
    try:
        services.chromium()
    except services.Unavailable:
        apt_install("chromium")


def install_rabbitmq() -> None:
    if not services.listens(5672) and not shutil.which("rabbitmqctl"):
        apt_install("rabbitmq-server")


def apt_install(package: str) -> None:
    if not services.is_root() or not shutil.which("apt-get"):
        return
    print(f"\n=== installing {package} (we are root)", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "install", "-y", "--no-install-recommends", package],
    ):
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


def tests(run: Run, extra: list[str]) -> None:
    install_chromium()
    install_rabbitmq()
    with ExitStack() as stack:
        run.start(stack, "TEST_POSTGRES_URL", "PostgreSQL", services.postgres)
        run.start(stack, "TEST_REDIS_URL", "Redis", services.redis)
        run.start(stack, "TEST_RABBITMQ_URL", "RabbitMQ", services.rabbitmq)
        # 5 is pytest's "nothing collected"
        run.step("tests on SQLite", [*PYTEST, "-n", WORKERS, "-m", f"not ({ALONE})", *extra])
        if address := run.environment.get("TEST_POSTGRES_URL"):
            run.step(
                "the same on PostgreSQL",
                [*PYTEST, "-n", WORKERS, "-m", f"not ({ALONE})", "--database-only", *extra],
                TEST_DATABASE_URL=address,
            )
        run.step("whole installations and browsers", [*PYTEST, "-m", ALONE, *extra], fine=(0, 5))


def main() -> int:
    static_only = "--static" in sys.argv[1:]
    extra = [argument for argument in sys.argv[1:] if argument != "--static"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what we started is stopped
    run = Run(for_tests(os.environ) | {"PYTHONUNBUFFERED": "1"})
    for name, command in STATIC.items():
        run.step(name, command)
    if not static_only:
        tests(run, extra)
    print("\n=== summary")
    print("\n".join(run.lines))
    for line in run.missing:
        print(f"NOT TESTED  {line}")
    if run.missing and REQUIRE_ALL:
        print("REQUIRE_ALL=1: what is missing above counts as a failure.")
    failed = run.failed or bool(run.missing and REQUIRE_ALL)
    print("FAILED" if failed else "all fine")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
