"""Who is in which room: the part that both providers share.

A *person* is one connection: ``state`` is waiting, in, left or refused. Whoever acts like a provider gives the rules
(:class:`Provider`): who may come in, and what is told to the world.
"""

from __future__ import annotations

import logging
import secrets
import time
import uuid
from abc import ABC, abstractmethod

from platforms.sandbox.clock import Clock
from platforms.sandbox.config import Config
from platforms.sandbox.faults import Faults
from platforms.sandbox.outbox import Outbox
from platforms.sandbox.store import Doc, Store

logger = logging.getLogger(__name__)


class Refused(Exception):
    """Somebody may not come in. ``kind`` is one of the call page's error words (facts D)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Provider(ABC):
    """One provider's rules. ``room`` ids are ``<slug>:<name>``."""

    slug: str

    def __init__(self, store: Store, clock: Clock, config: Config, faults: Faults, outbox: Outbox) -> None:
        self.store, self.clock, self.config, self.faults, self.outbox = store, clock, config, faults, outbox

    def room_id(self, name: str) -> str:
        return f"{self.slug}:{name}"

    def people(self, room_id: str, *states: str) -> list[Doc]:
        return self.store.all("person", room=room_id, state=states or ("in",))

    def humans(self, room_id: str) -> list[Doc]:
        return [person for person in self.people(room_id) if person["role"] != "recorder"]

    @abstractmethod
    def find_room(self, name: str) -> Doc | None:
        """The room as people see it: None when it does not exist or no longer does."""

    @abstractmethod
    def admit(self, room: Doc, ask: Doc) -> Doc:
        """What a person who asks to come in becomes: at least name, owner, role, user_id, state. Raises Refused."""

    @abstractmethod
    def simulated(self, room: Doc, ask: Doc) -> Doc:
        """What a simulated person (``name``, ``user_id``, ``owner``) shows at the door instead of a page's address."""

    @abstractmethod
    def joined(self, room: Doc, person: Doc) -> None: ...

    @abstractmethod
    def left(self, room: Doc, person: Doc) -> None: ...

    @abstractmethod
    def waiting(self, room: Doc, person: Doc) -> None: ...

    @abstractmethod
    def stopped_waiting(self, room: Doc, person: Doc) -> None: ...

    @abstractmethod
    def tick(self) -> None:
        """What happens by the passing of time."""

    # recordings, called by the recorder
    @abstractmethod
    def recording_started(self, room: Doc, recording: Doc) -> None: ...

    @abstractmethod
    def recording_stopped(self, room: Doc, recording: Doc) -> None: ...

    @abstractmethod
    def recording_finished(self, room: Doc, recording: Doc) -> None: ...

    @abstractmethod
    def recording_failed(self, room: Doc, recording: Doc, message: str) -> None: ...

    @abstractmethod
    def recording_place(self, room: Doc, recording: Doc) -> tuple[str, str]:
        """Bucket and key. Raises LookupError with the provider's words when it may not write there."""

    @abstractmethod
    def records_locally(self, room: Doc, person: Doc) -> bool:
        """Whether a host's button records on the host's own computer: pages show it, and nobody else hears of it."""

    @abstractmethod
    def start_recording(self, room: Doc, person: Doc) -> None:
        """A host asks for it in the call page."""

    @abstractmethod
    def live_session(self, room_id: str) -> Doc | None: ...


class Calls:
    def __init__(self, store: Store, clock: Clock, config: Config, providers: dict[str, Provider]) -> None:
        self.store, self.clock, self.config, self.providers = store, clock, config, providers
        self._seen: dict[str, float] = {}

    def provider(self, room_id: str) -> Provider:
        return self.providers[room_id.split(":", 1)[0]]

    def join(self, room: Doc, ask: Doc, *, injected: bool = False) -> Doc:
        """Come in, or wait at the door. Raises Refused."""
        provider = self.provider(room["id"])
        with self.store.lock:
            now = self.clock.now()
            person: Doc = {
                "id": str(uuid.uuid4()),
                "key": secrets.token_hex(16),
                "room": room["id"],
                "room_name": room["name"],
                "platform": provider.slug,
                "asked_at": now,
                "joined_at": None,
                "left_at": None,
                "eject_at": None,
                "muted": False,
                "injected": injected,
                "why": "",
                **provider.admit(room, ask),
            }
            self._seen[person["id"]] = time.monotonic()
            if person["state"] == "waiting":
                self.store.put("person", person)
                provider.waiting(room, person)
            else:
                self._enter(provider, room, person)
        logger.info("%s %s %s%s", provider.slug, person["id"], person["state"], " (injected)" if injected else "")
        return person

    def _enter(self, provider: Provider, room: Doc, person: Doc) -> None:
        person["state"], person["joined_at"] = "in", self.clock.now()
        self.store.put("person", person)
        provider.joined(room, person)

    def answer_knock(self, person: Doc, *, let_in: bool) -> None:
        with self.store.lock:
            current = self.store.get("person", person["id"])
            if current is None or current["state"] != "waiting":
                return
            provider = self.provider(current["room"])
            room = self.store.get("room", current["room"])
            if room is None:
                return
            provider.stopped_waiting(room, current)
            if let_in:
                self._enter(provider, room, current)
            else:
                self.store.put("person", {**current, "state": "refused", "left_at": self.clock.now(), "why": "refused"})

    def leave(self, session_id: str, why: str = "left") -> Doc | None:
        """Out, whatever the state was. Done already is fine."""
        with self.store.lock:
            person = self.store.get("person", session_id)
            if person is None or person["state"] not in ("in", "waiting"):
                return person
            provider = self.provider(person["room"])
            was, room = person["state"], self.store.get("room", person["room"])
            person.update(state="left", left_at=self.clock.now(), why=why)
            self.store.put("person", person)
            self._seen.pop(session_id, None)
            for take in self.store.all("take", room=person["room"], state="open"):
                if take["session"] == session_id:
                    self.store.put("take", {**take, "state": "closed"})
            if room is not None:
                (provider.left if was == "in" else provider.stopped_waiting)(room, person)
        logger.info("%s %s gone: %s", provider.slug, session_id, why)
        return person

    def empty(self, room_id: str, why: str) -> None:
        for person in self.provider(room_id).people(room_id, "in", "waiting"):
            self.leave(person["id"], why)

    def seen(self, session_id: str) -> None:
        self._seen[session_id] = time.monotonic()

    def tick(self) -> None:
        """Put out those whose page fell silent and those whose time is up."""
        alive, now = time.monotonic(), self.clock.now()
        for person in self.store.all("person", state=("in", "waiting")):
            if person["eject_at"] is not None and person["eject_at"] <= now:
                self.leave(person["id"], "ejected")
            elif not person["injected"]:
                # After a restart everybody has a fresh while to call again.
                last = self._seen.setdefault(person["id"], alive)
                if alive - last > self.config.gone_after_s:
                    self.leave(person["id"], "vanished")
