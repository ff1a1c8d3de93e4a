"""A sandbox without threads, on a clock that stands still, and a receiver for its webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from platforms.sandbox.clock import Clock
from platforms.sandbox.config import Config
from platforms.sandbox.server import Sandbox
from platforms.sandbox.storage import free_port

NOW = 1_790_000_000.0


@dataclass
class Receiver:
    """Answers ``statuses`` one after the other, then 200. ``got``: (path, headers, body bytes)."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.got if body != b'{"test":"test"}']

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append((self.path, dict(self.headers), body))
            self.send_response(state.statuses.pop(0) if state.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sandbox(tmp_path: Path, receiver: Receiver) -> Iterator[Sandbox]:
    config = Config(state=tmp_path, base_url="http://localhost:8001", public_url=receiver.url, flush_s=0.0)
    made = Sandbox(config, s3_port=free_port(0), clock=Clock(NOW), environ={})
    yield made
    made.store.close()


@pytest.fixture
def buckets(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The same sandbox, its S3 server running."""
    sandbox.storage.start()
    yield sandbox
    sandbox.storage.stop()


class Api:
    """Calls one provider's REST interface; ``status`` of the last answer, JSON as the result."""

    def __init__(self, sandbox: Sandbox, platform: str) -> None:
        self.sandbox, self.platform = sandbox, platform
        self.client = sandbox.app.test_client()
        self.headers = {"Authorization": f"Bearer {sandbox.config.secrets[platform + '_api_key']}"}
        self.status = 0

    def __call__(self, method: str, path: str, json: Any = None, **query: Any) -> Any:
        answer = self.client.open(
            f"/{self.platform}/v1{path}", method=method, json=json, query_string=query, headers=self.headers
        )
        self.status = answer.status_code
        return answer.get_json(silent=True)

    def control(self, method: str, path: str, json: Any = None, **kwargs: Any) -> Any:
        answer = self.client.open(f"/_control/{path}", method=method, json=json, **kwargs)
        self.status = answer.status_code
        return answer.get_json(silent=True)

    def join(self, room: str, name: str = "Ann", **more: Any) -> dict[str, Any]:
        person: dict[str, Any] = self.control(
            "POST", "people", {"platform": self.platform, "room": room, "name": name, **more}
        )
        assert self.status == 201, person
        return person

    def leave(self, person: dict[str, Any]) -> None:
        self.control("DELETE", f"people/{person['id']}")

    def later(self, seconds: float) -> None:
        self.sandbox.clock.advance(seconds)
        self.sandbox.step()


class Daily(Api):
    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox, "daily")

    def room(self, name: str = "demo", privacy: str = "public", **properties: Any) -> dict[str, Any]:
        made: dict[str, Any] = self("POST", "/rooms", {"name": name, "privacy": privacy, "properties": properties})
        assert self.status == 200, made
        return made

    def webhook(self, url: str, **more: Any) -> dict[str, Any]:
        secret = self.sandbox.config.secrets["daily_webhook_secret"]
        hook: dict[str, Any] = self("POST", "/webhooks", {"url": url, "hmac": secret, **more})
        return hook


class Whereby(Api):
    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox, "whereby")

    def room(self, **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = self(
            "POST", "/meetings", {"endDate": "2099-01-01T00:00:00Z", "roomMode": "group", **more}
        )
        assert self.status == 201, made
        return made


@pytest.fixture
def daily(sandbox: Sandbox) -> Daily:
    return Daily(sandbox)


@pytest.fixture
def whereby(sandbox: Sandbox) -> Whereby:
    return Whereby(sandbox)
