"""The whole product as ``make run`` starts it, on ports and in a folder of its own; and people with browsers."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Browser, Page, Playwright

ROOT = Path(__file__).resolve().parents[2]
STAFF_PASSWORD = "a password for the browser tests"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Product:
    url: str
    sandbox_url: str
    log: Path
    environ: dict[str, str] = field(default_factory=dict)
    pictured: set[str] = field(default_factory=set)  #: rooms whose page was photographed, before anything happened

    def state(self, slug: str) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/rooms/{slug}/state", timeout=10)
        answer.raise_for_status()
        return dict(answer.json())

    def manage(self, *arguments: str) -> int:
        """A management command beside the running processes; returns its exit code."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environ, capture_output=True, check=False).returncode

    def python(self, code: str) -> str:
        """What the code prints when it runs beside the processes, with their database and settings."""
        command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
        done = subprocess.run(command, cwd=ROOT, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def control(self, method: str, path: str, **how: Any) -> Any:
        """A request to the sandbox's control."""
        answer = requests.request(method, f"{self.sandbox_url}/_control/{path}", timeout=20, **how)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def logged(self) -> str:
        return self.log.read_text(errors="replace")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def running_product(folder: Path, **environ: str) -> Iterator[Product]:
    """Start ``manage.py runall`` with an empty database; stop it, and see that nothing of it is left."""
    port, sandbox_port, broker_port = free_ports(3)
    log = folder / "runall.log"
    settings = {
        "DEBUG": "true",
        "VAR_DIR": str(folder / "var"),
        "ENV_FILE": os.devnull,
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox_port),
        "EMBEDDED_BROKER_PORT": str(broker_port),
        "DEMO_PASSWORD": STAFF_PASSWORD,
        "EMPTY_GRACE_S": "5",
        **environ,
    }
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environment = inherited | settings
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "runall", "--die-with-parent"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    product = Product(f"http://localhost:{port}", f"http://localhost:{sandbox_port}", log, environment)
    try:
        until(lambda: _is_ready(product), 120, "the product is ready", product.logged, process.poll)
        yield product
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _is_ready(product: Product) -> bool:
    try:
        return requests.get(f"{product.url}/readyz", timeout=5).status_code == 200 and "Rooms " in product.logged()
    except (requests.ConnectionError, requests.Timeout):
        return False


def until(
    true: Callable[[], object],
    seconds: float,
    what: str,
    logged: Callable[[], str] = str,
    ended: Callable[[], object] = lambda: None,
) -> Any:
    """Wait for something to come true; tell what did not, with the end of the log, when it does not."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        if time.monotonic() > deadline or ended() is not None:
            raise AssertionError(f"within {seconds} s it was not so that {what}\n{logged()[-6000:]}")
        time.sleep(0.25)
    return value


def picture(page: Page, name: str) -> None:
    """A screenshot into the folder ``PICTURES`` (``make pictures`` names the one that the README shows)."""
    folder = Path(os.environ.get("PICTURES") or ROOT / "test-results")
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")


@dataclass
class Guest:
    """Somebody with a browser of their own and a microphone that is fed from a file."""

    name: str
    browser: Browser
    page: Page
    product: Product
    errors: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, playwright: Playwright, chromium: str, product: Product, name: str, voice: Path) -> Guest:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                *FLAGS,
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={voice}%noloop",
            ],
        )
        page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
        page.add_init_script(
            "document.addEventListener('join', (e) => {"
            " if (e.target.localName === 'whereby-embed') window.sdkSaidJoin = true; }, true)"
        )
        guest = cls(name, browser, page, product)
        page.on("pageerror", lambda error: guest.errors.append(str(error)))
        return guest

    def sign_in(self, username: str = "staff") -> None:
        self.page.goto(f"{self.product.url}/accounts/login/")
        self.page.fill("input[name=username]", username)
        self.page.fill("input[name=password]", STAFF_PASSWORD)
        self.page.locator("main").get_by_role("button", name=re.compile("sign in|log in", re.I)).click()
        self.page.wait_for_url(lambda url: "/login" not in url)

    def join(self, slug: str, answer: str = "yes") -> None:
        """Through the form, as a person does."""
        self.page.goto(f"{self.product.url}/rooms/{slug}/")
        self.page.fill("#name", self.name)
        if slug not in self.product.pictured:
            self.product.pictured.add(slug)
            picture(self.page, f"room-{slug}")
        if self.page.locator(f"#answer-{answer}").count():
            self.page.click(f"label[for=answer-{answer}]")
        self.page.click("#join-button")
        self.page.wait_for_url(re.compile("/call/"))

    def sdk_says_joined(self, platform: str) -> bool:
        says = {
            "daily": "() => window.DailyIframe?.getCallInstance?.()?.meetingState() === 'joined-meeting'",
            "whereby": "() => window.sdkSaidJoin === true",
        }[platform]
        return bool(self.page.evaluate(says))

    def leave(self) -> None:
        self.page.click("#leave")
        self.page.wait_for_url(re.compile("/meetings/"))

    def stop(self) -> None:
        self.browser.close()
