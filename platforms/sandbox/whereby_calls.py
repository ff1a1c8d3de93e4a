"""Whereby's rules for rooms, people and sessions, and its events (facts E)."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from typing import TYPE_CHECKING

from platforms.sandbox import signing
from platforms.sandbox.calls import Provider, Refused
from platforms.sandbox.clock import iso
from platforms.sandbox.config import HOSTED_BUCKET
from platforms.sandbox.outbox import Rules, Target
from platforms.sandbox.store import Doc

if TYPE_CHECKING:
    from platforms.sandbox.recorder import Recorder

WEBHOOK_TIMEOUT_S = 5.0
MAX_TRIES = 3
#: the room closes and is deleted this long after endDate
CLOSES_AFTER_S = 3600.0
MAX_RECORDING_S = 24 * 3600.0
SUBDOMAIN = "sandbox"
NORMAL_MODE_SEATS = 4
GROUP_MODE_SEATS = 200


class WherebyCalls(Provider):
    slug = "whereby"
    recorder: Recorder

    def rules(self) -> Rules:
        return Rules(target=self._target, judge=self._judge)

    # -- who may come in

    def find_room(self, name: str) -> Doc | None:
        """``name`` with or without the slash that the API puts before it."""
        room = self.store.get("room", self.room_id("/" + name.lstrip("/")))
        if room is None or room["state"] == "deleted" or room["ends_at"] + CLOSES_AFTER_S <= self.clock.now():
            return None
        return room

    def room_key(self, room: Doc) -> str:
        """The bearer secret in a host's link."""
        salt = self.config.secrets["whereby_host_salt"]
        return hashlib.sha256(f"{salt}:{room['meeting_id']}".encode()).hexdigest()

    def admit(self, room: Doc, ask: Doc) -> Doc:
        host = bool(ask.get("room_key")) and ask["room_key"] == self.room_key(room)
        seats = NORMAL_MODE_SEATS if room["mode"] == "normal" else GROUP_MODE_SEATS
        knocks = room["locked"] and not host
        if not knocks and len(self.humans(room["id"])) >= seats:
            raise Refused("meeting-full", "This room is full.")
        external = str(ask.get("external_id") or "")
        if len(external) > 36 or not external.replace("-", "").replace("_", "").isalnum():
            external = ""
        return {
            "state": "waiting" if knocks else "in",
            "user_id": external,
            "external_id": external or None,
            "metadata": ask.get("metadata") or None,
            "name": str(ask.get("name") or "Guest")[:100],
            "owner": host,
            "role": "host" if host else "visitor",
            "start_video_off": ask.get("video") == "off",
            "start_audio_off": ask.get("audio") == "off",
            "records": False,
        }

    def simulated(self, room: Doc, ask: Doc) -> Doc:
        shown = {"name": ask.get("name"), "external_id": ask.get("user_id"), "metadata": ask.get("metadata")}
        return shown | ({"room_key": self.room_key(room)} if ask.get("owner") else {})

    # -- sessions

    def live_session(self, room_id: str) -> Doc | None:
        sessions = self.store.all("session", room=room_id, state="open")
        return sessions[-1] if sessions else None

    def tick(self) -> None:
        late = float(self.faults.of(self.slug)["session_ended_delay_s"])
        now = self.clock.now()
        with self.store.lock:
            for session in self.store.all("session", state="open"):
                if session["platform"] != self.slug:
                    continue
                few = len(self.humans(session["room"])) < 2
                if not few:
                    session["few_since"] = None
                elif session["few_since"] is None:
                    session["few_since"] = now
                elif now - session["few_since"] >= late:
                    session.update(state="ended", ended_at=now)
                    room = self.store.get("room", session["room"])
                    if room is not None:
                        self.emit("room.session.ended", self._in_room(room) | {"roomSessionId": session["id"]}, room)
                self.store.put("session", session)
            for room in self.store.all("room", state="open"):
                if room["platform"] == self.slug and room["ends_at"] + CLOSES_AFTER_S <= now:
                    self.store.put("room", {**room, "state": "deleted"})

    def _session_for(self, room: Doc) -> Doc | None:
        """The room's session; made when there are two people (facts E2)."""
        session = self.live_session(room["id"])
        if session is not None:
            session["few_since"] = None if len(self.humans(room["id"])) >= 2 else session["few_since"]
        elif len(self.humans(room["id"])) >= 2:
            session = {
                "id": str(uuid.uuid4()),
                "room": room["id"],
                "room_name": room["name"],
                "platform": self.slug,
                "state": "open",
                "started_at": self.clock.now(),
                "ended_at": None,
                "few_since": None,
            }
            self.store.put("session", session)
            for person in self.humans(room["id"]):
                self.store.put("person", {**person, "meeting": session["id"]})
            self.emit("room.session.started", self._in_room(room), room)
        return session

    # -- events

    def emit(self, kind: str, data: Doc, room: Doc) -> None:
        event = {
            "id": hashlib.sha256(uuid.uuid4().bytes).hexdigest(),
            "apiVersion": "1.0",
            "createdAt": iso(self.clock.now()),
            "type": kind,
            "data": data,
        }
        self.outbox.send(self.slug, event, room=room["id"])

    def _in_room(self, room: Doc) -> Doc:
        session = self.live_session(room["id"])
        return {
            "meetingId": room["meeting_id"],
            "roomName": room["name"],
            "subdomain": SUBDOMAIN,
            "roomSessionId": session["id"] if session else None,
        }

    def _client(self, room: Doc, person: Doc) -> Doc:
        return self._in_room(room) | {
            "displayName": person["name"],
            "participantId": person["id"],
            "metadata": person.get("metadata"),
            "externalId": person.get("external_id"),
        }

    def _counted(self, room: Doc, person: Doc) -> Doc:
        """The recorder is a client too, and counts (facts E2)."""
        roles = Counter(each["role"] for each in self.people(room["id"]))
        return self._client(room, person) | {
            "roleName": person["role"],
            "numClients": sum(roles.values()),
            "numClientsByRoleName": dict(roles),
            "isDialIn": False,
        }

    def joined(self, room: Doc, person: Doc) -> None:
        if person["role"] == "recorder":
            self.emit("room.client.joined", self._counted(room, person), room)
            return
        session = self._session_for(room)
        if session is not None:
            self.store.put("session", session)
            self.store.put("person", {**person, "meeting": session["id"]})
        self.emit("room.client.joined", self._counted(room, person), room)
        trigger = room["recording"].get("startTrigger", "none")
        wanted = {"automatic": 1, "automatic-2nd-participant": 2}.get(trigger)
        records = room["recording"].get("type") == "cloud"
        if wanted is not None and records and len(self.humans(room["id"])) >= wanted:
            self.start_recording(room, person)

    def left(self, room: Doc, person: Doc) -> None:
        self.emit("room.client.left", self._counted(room, person), room)

    def waiting(self, room: Doc, person: Doc) -> None:
        self.emit("room.client.knocked", self._client(room, person), room)

    def stopped_waiting(self, room: Doc, person: Doc) -> None:
        # Nothing is told when somebody is let in; only giving up is an event.
        if person["state"] == "left":
            self.emit("room.client.knockCancelled", self._client(room, person), room)

    # -- recordings

    def records_locally(self, room: Doc, person: Doc) -> bool:
        return bool(room["recording"].get("type") == "local")

    def start_recording(self, room: Doc, person: Doc) -> None:
        """By the room's trigger or a host's button. The recorder comes in as a client of its own."""
        with self.store.lock:
            if self.recorder.running(room["id"]) or room["recording"].get("type") != "cloud":
                return
            session = self.live_session(room["id"])
            asked = {"type": "cloud", "instance_id": "", "layout": {}, "started_by": person["id"]}
            asked |= {"max_duration_s": MAX_RECORDING_S, "meeting": session["id"] if session else None}
            self.recorder.start(room, asked)

    def recording_started(self, room: Doc, recording: Doc) -> None:
        """No webhook says so. The recorder joins."""
        now = self.clock.now()
        client = {
            "id": str(uuid.uuid4()),
            "key": "",
            "room": room["id"],
            "room_name": room["name"],
            "platform": self.slug,
            "state": "in",
            "role": "recorder",
            "name": "",
            "owner": False,
            "user_id": "",
            "asked_at": now,
            "joined_at": now,
            "left_at": None,
            "eject_at": None,
            "muted": False,
            "injected": True,
            "why": "",
            "recording": recording["id"],
        }
        self.store.put("person", client)
        self.joined(room, client)

    def recording_stopped(self, room: Doc, recording: Doc) -> None:
        for client in self.people(room["id"]):
            if client.get("recording") == recording["id"]:
                client.update(state="left", left_at=self.clock.now())
                self.store.put("person", client)
                self.left(room, client)

    def recording_finished(self, room: Doc, recording: Doc) -> None:
        # No meetingId (facts E2).
        data = {
            "recordingId": recording["id"],
            "filename": recording["filename"],
            "roomName": room["name"],
            "status": "completed",
        }
        self.emit("recording.finished", data, room)

    def recording_failed(self, room: Doc, recording: Doc, message: str) -> None:
        """There is no such event: nobody hears of it (facts E2)."""

    def recording_place(self, room: Doc, recording: Doc) -> tuple[str, str]:
        target = room["recording"].get("destination") or {}
        ending = target.get("fileFormat", "mp4")
        recording["filename"] = f"{room['name'].lstrip('/')}-{iso(recording['started_at'], millis=False)}.{ending}"
        if target.get("provider") != "s3":
            return HOSTED_BUCKET, recording["filename"]
        if target.get("accessKeyId") != self.config.secrets["s3_key_id"]:
            raise LookupError("InvalidAccessKeyId")
        bucket, _, folder = str(target.get("bucket", "")).partition("/")
        return bucket, f"{folder.strip('/')}/{recording['filename']}".lstrip("/")

    # -- delivery

    def _target(self, delivery: Doc) -> Target | None:
        secret = self.config.secrets["whereby_webhook_secret"]
        return Target(
            url=f"{self.config.public_url}/v1/webhooks/whereby",
            sign=lambda body, now: signing.whereby_headers(secret, body, now),
            timeout_s=WEBHOOK_TIMEOUT_S,
        )

    def _judge(self, delivery: Doc, status: int) -> float | None:
        """Two more tries after 5xx or silence, none after 4xx, never disabled (facts E2)."""
        if 200 <= status < 300:
            delivery["state"] = "delivered"
        elif (status == 0 or status >= 500) and delivery["attempts"] < MAX_TRIES:
            return float(self.faults.of(self.slug)["retry_base_s"] * delivery["attempts"])
        else:
            delivery["state"] = "failed"
        return None
