"""make test: lint, types, import contract, migrations, then every test on every database. Ends with one summary.

``--static`` stops before the tests. What could not be had is listed last; with ``REQUIRE_ALL=1`` it is a failure.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
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
#: a file's tests share the installation that they start, so one worker runs them all; long files come first
BY_FILE = ["--dist", "loadfile", "--no-loadscope-reorder"]
#: tests that start whole installations of ours mostly wait, so more of them fit beside each other
WAITING = str(int(WORKERS) + 1)
#: one for each state of the code: whoever tests it again meets the same order and the same draws
ORDER = "--randomly-seed={0} --hypothesis-seed={0}"
QUICK, CRASH, BROWSER = "not (browser or crash)", "crash and not browser", "browser"
NOTHING_COLLECTED = 5


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


def seed() -> int:
    """Made from what is committed; 0 where that cannot be asked."""
    try:
        tree = subprocess.run(["git", "rev-parse", "HEAD^{tree}"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(tree.stdout[:8], 16)


def tests(run: Run, extra: list[str]) -> None:
    install_chromium()
    install_rabbitmq()
    fine = (0, NOTHING_COLLECTED) if extra else (0,)
    pytest = [*PYTEST, *ORDER.format(seed()).split()]
    parallel = [*pytest, "-n", WORKERS]
    with ExitStack() as stack:
        run.environment["NOT_TESTED"] = stack.enter_context(tempfile.NamedTemporaryFile()).name
        run.step("tests on SQLite", [*parallel, "-m", QUICK, *extra], fine=fine)
        try:
            address = stack.enter_context(services.postgres())
        except services.Unavailable as reason:
            run.missing.append(f"the tests on PostgreSQL: {reason}")
        else:
            run.step(
                "the same on PostgreSQL",
                [*parallel, "-m", QUICK, "--database-only", *extra],
                fine=fine,
                TEST_DATABASE_URL=address,
                TEST_POSTGRES_URL=address,
            )
        run.step("whole installations", [*pytest, "-n", WAITING, *BY_FILE, "-m", CRASH, *extra], fine=fine)
        run.step("browsers", [*pytest, "-n", "2", *BY_FILE, "-m", BROWSER, *extra], fine=fine)
        run.missing += sorted(set(Path(run.environment["NOT_TESTED"]).read_text().splitlines()))


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
