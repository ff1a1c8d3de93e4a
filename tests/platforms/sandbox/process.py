"""The sandbox as the process that it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from platforms.sandbox.storage import free_port

ROOT = Path(__file__).parents[3]


@dataclass
class Process:
    port: int
    state: Path
    running: subprocess.Popen[bytes]

    @classmethod
    def start(cls, state: Path, port: int = 0, *more: str, **environ: str) -> Process:
        port = port or free_port(0)
        command = [sys.executable, "-m", "platforms.sandbox", "--port", str(port), "--state", str(state)]
        command += ["--env-file", str(state / "sandbox.env"), *more]
        keep = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        state.mkdir(exist_ok=True)
        with (state / "log").open("ab") as log:
            running = subprocess.Popen(
                command, cwd=ROOT, env=keep | {"DEBUG": "true"} | environ, stdout=log, stderr=log
            )
        return cls(port, state, running)

    def ready(self, seconds: float = 60) -> Process:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.running.poll() is None, (self.state / "log").read_text()
            try:
                if requests.get(f"{self.url}/healthz", timeout=5).status_code == 200 and self.env_file.exists():
                    return self
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise AssertionError("the sandbox did not start")

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def env_file(self) -> Path:
        return self.state / "sandbox.env"

    def variables(self) -> dict[str, str]:
        lines = [line for line in self.env_file.read_text().splitlines() if not line.startswith("#")]
        return dict(line.split("=", 1) for line in lines)

    def api(self, method: str, platform: str, path: str, json: Any = None, **query: Any) -> Any:
        variables = self.variables()
        address = variables[f"{platform.upper()}_API_URL"] + path
        headers = {"Authorization": f"Bearer {variables[f'{platform.upper()}_API_KEY']}"}
        answer = requests.request(method, address, json=json, params=query, headers=headers, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def control(self, method: str, path: str, json: Any = None, **query: Any) -> Any:
        return requests.request(method, f"{self.url}/_control/{path}", json=json, params=query, timeout=30).json()

    def stop(self) -> int:
        self.running.terminate()
        return self.running.wait(10)
