"""Webhooks on their way out: a queue in SQLite, so that a restart loses none."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests

from platforms.sandbox.clock import Clock
from platforms.sandbox.faults import Faults
from platforms.sandbox.store import Doc, Store

logger = logging.getLogger(__name__)

KEEP_SENT = 2000


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a delivery goes. ``sign`` gives the headers for these bytes at this time."""

    url: str
    sign: Callable[[bytes, float], Mapping[str, str]]
    timeout_s: float


@dataclass(frozen=True, kw_only=True)
class Rules:
    """A provider's way to deliver: where to, and what to do when the answer is not the one it wants.

    ``judge(delivery, status)`` returns the seconds until the next try, or None to give up or be done; it sets
    ``delivery["state"]``. ``status`` is 0 when there was no answer.
    """

    target: Callable[[Doc], Target | None]
    judge: Callable[[Doc, int], float | None]


class Outbox:
    def __init__(self, store: Store, clock: Clock, faults: Faults) -> None:
        self.store, self.clock, self.faults = store, clock, faults
        self.rules: dict[str, Rules] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    # -- in

    def send(self, platform: str, event: Doc, *, room: str = "", delay_s: float = 0.0) -> None:
        """Queue an event. Its body is fixed here; it is signed anew at every try."""
        with self.store.lock:
            faults = self.faults.of(platform)
            if event["type"] in faults["drop_types"] or self.faults.take(platform, "drop"):
                self._queue(platform, event, room, state="dropped", why="dropped on purpose", due_at=0)
                return
            due_at = self.clock.now() + delay_s + faults["delay_s"]
            state = "held" if faults["reorder"] > 1 else "queued"
            for copy in range(1 + int(faults["duplicates"])):
                again = {**event, "id": f"{event['id']}-{copy}"} if faults["duplicate_ids"] == "new" and copy else event
                self._queue(platform, again, room, state=state, why="", due_at=due_at)
        self._wake.set()

    def _queue(self, platform: str, event: Doc, room: str, *, state: str, why: str, due_at: float) -> None:
        delivery: Doc = {
            "id": uuid.uuid4().hex,
            "room": room,
            "state": state,
            "platform": platform,
            "event_id": event["id"],
            "type": event["type"],
            "body": json.dumps(event, separators=(",", ":"), ensure_ascii=False),
            "created_at": self.clock.now(),
            "due_at": due_at,
            "attempts": 0,
            "status": None,
            "why": why,
        }
        # What happens while nobody listens is told to nobody, even if somebody does a moment later.
        if self.rules[platform].target(delivery) is None:
            delivery["state"] = "dropped"
        self.store.put("delivery", delivery)

    # -- out

    def release_held(self) -> None:
        """Turn complete groups, and those that waited long enough, round and let them go."""
        with self.store.lock:
            for platform in self.rules:
                faults = self.faults.of(platform)
                held = [each for each in self.store.all("delivery", state="held") if each["platform"] == platform]
                size = max(1, int(faults["reorder"]))
                now = self.clock.now()
                while held and (len(held) >= size or now - held[0]["created_at"] >= faults["reorder_wait_s"]):
                    group, held = held[:size], held[size:]
                    last = max(each["due_at"] for each in group)
                    for place, delivery in enumerate(reversed(group)):
                        due_at = last - (len(group) - place) / 1e6
                        self.store.put("delivery", {**delivery, "state": "queued", "due_at": due_at})

    def deliver_due(self, platform: str) -> int:
        """Try every delivery that is due, in order of its time. Returns how many were tried."""
        self.release_held()
        queued = [each for each in self.store.all("delivery", state="queued") if each["platform"] == platform]
        due = sorted(
            (each for each in queued if each["due_at"] <= self.clock.now()), key=lambda d: (d["due_at"], d["seq"])
        )
        for delivery in due:
            if self._stop.is_set():
                break
            self._deliver(delivery)
        if due:
            self.store.prune("delivery", keep=KEEP_SENT, states=("delivered", "failed", "dropped"))
        return len(due)

    def _deliver(self, delivery: Doc) -> None:
        rules = self.rules[delivery["platform"]]
        target = rules.target(delivery)
        if target is None:
            self.store.put("delivery", {**delivery, "state": "dropped", "why": delivery["why"] or "nobody to send to"})
            return
        body = delivery["body"].encode()
        delivery["status"] = self.post(target, body)
        delivery["attempts"] += 1
        with self.store.lock:
            wait_s = rules.judge(delivery, delivery["status"])
            if wait_s is not None:
                delivery["due_at"] = self.clock.now() + wait_s
            # A reset may have happened while the other side was thinking.
            if self.store.get("delivery", delivery["id"]) is not None:
                self.store.put("delivery", delivery)
        logger.info("%s %s: %s", delivery["platform"], delivery["type"], delivery["status"] or "no answer")

    def post(self, target: Target, body: bytes) -> int:
        """The status of the answer; 0 when there was none in time. Redirects are answers."""
        headers = {"Content-Type": "application/json", **target.sign(body, self.clock.now())}
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(
                    target.url, data=body, headers=headers, timeout=target.timeout_s, allow_redirects=False
                )
            except requests.RequestException as error:
                logger.info("no answer: %s", type(error).__name__)
                return 0
        return answer.status_code

    # -- threads

    def start(self) -> None:
        """One thread per platform: a slow receiver of one does not hold up the other."""
        for platform in self.rules:
            thread = threading.Thread(target=self._run, args=(platform,), name=f"outbox-{platform}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _run(self, platform: str) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self.deliver_due(platform)
            except Exception:  # the thread must outlive one bad delivery
                logger.exception("outbox of %s", platform)
            self._wake.wait(0.2)

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(timeout=1)
