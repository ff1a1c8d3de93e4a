"""The sandbox put together: one Flask application, one S3 server, three background threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from flask import Flask, Response, jsonify, render_template

from platforms.sandbox import (
    control,
    daily_api,
    daily_recordings,
    pages,
    whereby_api,
)
from platforms.sandbox.calls import Calls, Provider
from platforms.sandbox.clock import Clock, iso
from platforms.sandbox.config import Config, load_secrets
from platforms.sandbox.daily_calls import DailyCalls
from platforms.sandbox.faults import Faults
from platforms.sandbox.outbox import Outbox
from platforms.sandbox.recorder import Recorder
from platforms.sandbox.storage import Storage
from platforms.sandbox.store import Doc, Store
from platforms.sandbox.whereby_calls import WherebyCalls

logger = logging.getLogger(__name__)

TICK_S = 0.25
#: objects deleted over S3 are forgotten on disk this often
PRUNE_EVERY = 40


class Sandbox:
    """``start`` and ``stop`` are for processes; tests use ``app`` and call ``step`` themselves."""

    def __init__(self, config: Config, *, s3_port: int, clock: Clock | None = None, environ: Mapping[str, str]) -> None:
        config.state.mkdir(parents=True, exist_ok=True)
        self.config, self.clock = config, clock or Clock()
        self.store = Store(config.state / "sandbox.sqlite3")
        config.secrets = load_secrets(self.store, environ)
        key_id, secret = config.secrets["s3_key_id"], config.secrets["s3_secret"]
        self.storage = Storage(config.objects, port=s3_port, key_id=key_id, secret=secret)
        config.s3_url = self.storage.url
        self.faults = Faults(self.store)
        self.outbox = Outbox(self.store, self.clock, self.faults)
        parts = (self.store, self.clock, config, self.faults, self.outbox)
        self.daily, self.whereby = DailyCalls(*parts), WherebyCalls(*parts)
        providers: dict[str, Provider] = {"daily": self.daily, "whereby": self.whereby}
        self.calls = Calls(self.store, self.clock, config, providers)
        self.recorder = Recorder(self.store, self.clock, config, self.calls, self.storage)
        self.daily.recorder = self.whereby.recorder = self.recorder
        self.outbox.rules = {"daily": self.daily.rules(), "whereby": self.whereby.rules()}
        self.app = self._make_app()
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None

    def _make_app(self) -> Flask:
        app = Flask("platforms.sandbox")
        app.url_map.merge_slashes = False  # a room's address holds another address (facts H)
        app.config["MAX_CONTENT_LENGTH"] = 64 * 1024 * 1024
        daily = daily_api.make_blueprint(self.daily, self.calls)
        daily_recordings.add_recordings(daily, self.daily, self.recorder)
        daily_recordings.add_webhooks(daily, self.daily)
        app.register_blueprint(daily)
        app.register_blueprint(whereby_api.make_blueprint(self.whereby, self.calls, self.recorder))
        app.register_blueprint(pages.make_blueprint(self.calls, self.recorder))
        app.register_blueprint(control.make_blueprint(self.calls, self.recorder, self.outbox, self.faults))

        @app.get("/healthz")
        def healthz() -> Response:
            return jsonify({"status": "ok"})

        @app.get("/")
        def status() -> str:
            return render_template("status.html", **self._status())

        @app.after_request
        def quiet(response: Response) -> Response:
            response.headers["Cache-Control"] = "no-store"
            return response

        return app

    def _status(self) -> Doc:
        rooms = []
        for room in self.store.all("room", state="open")[::-1][:100]:
            provider = self.calls.provider(room["id"])
            rooms.append({
                "platform": room["platform"],
                "name": room["name"].lstrip("/"),
                "people": provider.people(room["id"], "in", "waiting"),
                "recording": bool(self.recorder.running(room["id"])),
            })  # fmt: skip
        deliveries = self.store.all("delivery")[::-1][:100]
        return {
            "now": iso(self.clock.now()),
            "rooms": rooms,
            "recordings": self.store.all("recording")[::-1][:50],
            "deliveries": [{**each, "at": iso(each["created_at"])} for each in deliveries],
            "webhook": self.daily.webhook(),
            "public_url": self.config.public_url,
        }

    # -- time

    def step(self) -> None:
        """Everything the threads do, once, here."""
        control.everything(self.calls, self.recorder)
        self.recorder.mix_due()
        for platform in self.outbox.rules:
            self.outbox.deliver_due(platform)

    def start(self) -> None:
        self.storage.start()
        self.outbox.start()
        self.recorder.start_thread()
        self._ticker = threading.Thread(target=self._run, name="ticker", daemon=True)
        self._ticker.start()

    def _run(self) -> None:
        turns = 0
        while not self._stop.wait(TICK_S):
            turns += 1
            try:
                control.everything(self.calls, self.recorder)
                if turns % PRUNE_EVERY == 0:
                    self.storage.prune()
            except Exception:  # time goes on
                logger.exception("tick")

    def stop(self) -> None:
        self._stop.set()
        if self._ticker is not None:
            self._ticker.join(timeout=1)
        self.outbox.stop()
        self.recorder.stop_thread()
        self.storage.stop()
        self.store.close()
