"""Starting, stopping, starting again."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.platforms.sandbox.process import ROOT, Process


@pytest.mark.crash
def test_restart_keeps_rooms_and_secrets(tmp_path: Path) -> None:
    first = Process.start(tmp_path).ready()
    try:
        assert first.env_file.stat().st_mode & 0o777 == 0o600
        before = first.variables()
        assert before["DAILY_API_URL"] == f"{first.url}/daily/v1"
        assert requests.get(before["AWS_DAILY_S3_ENDPOINT_URL"], timeout=5).status_code == 200
        first.api("POST", "daily", "/rooms", {"name": "demo"})
        page = requests.get(first.url, timeout=5)
        assert "demo" in page.text
        begun = time.monotonic()
        assert first.stop() == 0
        assert time.monotonic() - begun < 5
    finally:
        first.running.kill()
    again = Process.start(tmp_path, first.port, "--platforms", "daily", DAILY_WEBHOOK_SECRET="bmV3,b2xk").ready()
    try:
        after = again.variables()
        assert again.api("GET", "daily", "/rooms/demo")["name"] == "demo"
        assert after["DAILY_API_KEY"] == before["DAILY_API_KEY"]
        assert after["DAILY_WEBHOOK_SECRET"] == "bmV3"
        assert not [name for name in after if "WHEREBY" in name]
    finally:
        again.stop()


@pytest.mark.parametrize("debug", ["false", "0", "False", "no", "", "maybe"])
def test_it_does_not_start_in_production(tmp_path: Path, debug: str) -> None:
    refused = Process.start(tmp_path, DEBUG=debug)
    assert refused.running.wait(30) == 2
    assert "development tool" in (tmp_path / "log").read_text()
    assert not refused.env_file.exists()


@pytest.mark.crash
def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from tests.platforms.sandbox.process import Process\n"
        "made = Process.start(pathlib.Path(sys.argv[1]), 0, '--die-with-parent').ready()\n"
        "print(made.running.pid, made.port)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=90, check=True
    )
    port = parent.stdout.split()[1]
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            requests.get(f"http://localhost:{port}/healthz", timeout=1)
        except requests.ConnectionError:
            return
        time.sleep(0.1)
    raise AssertionError("it outlived its parent")
