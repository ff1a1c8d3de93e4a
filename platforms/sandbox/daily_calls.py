"""Daily's rules for rooms, people and sessions, and its events (facts A2, A5, A6, B)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from platforms.sandbox import signing
from platforms.sandbox.calls import Provider, Refused
from platforms.sandbox.config import DAILY_ROLE, HOSTED_BUCKET
from platforms.sandbox.outbox import Rules, Target
from platforms.sandbox.store import Doc

if TYPE_CHECKING:
    from platforms.sandbox.recorder import Recorder

#: "webhooks: a few seconds" (facts B4)
WEBHOOK_TIMEOUT_S = 8.0
BREAKER_AT = 3
MAX_TRIES = 5
MAX_WAIT_S = 900.0
#: a session starts when somebody stays alone for this long, and ends when alone for that long (facts A6)
ALONE_STARTS_S = 30.0
ALONE_ENDS_S = 600.0
SUBDOMAIN = "sandbox"
#: used when none is given; reserved, not to be sent (facts A4)
DEFAULT_INSTANCE = "c3df927c-f738-4471-a2b7-066fa7e95a6b"
MAX_RECORDING_S = 10800.0
PERMISSIONS = {"hasPresence": True, "canSend": True, "canReceive": {"base": True}, "canAdmin": False}
#: short claim names of signed tokens (facts A5) -> ours
CLAIMS = {"r": "room_name", "o": "is_owner", "u": "user_name", "ud": "user_id", "eje": "eject_after_elapsed"}
CLAIMS |= {"ejt": "eject_at_token_exp", "vo": "start_video_off", "ao": "start_audio_off", "er": "enable_recording"}


class DailyCalls(Provider):
    slug = "daily"
    recorder: Recorder

    def rules(self) -> Rules:
        return Rules(target=self._target, judge=self._judge)

    # -- who may come in

    def find_room(self, name: str) -> Doc | None:
        room = self.store.get("room", self.room_id(name))
        if room is None or room["state"] == "deleted":
            return None
        expires = room["config"].get("exp")
        return None if expires is not None and expires <= self.clock.now() else room

    def read_token(self, token: str) -> Doc | None:
        claims = signing.read_token(self.config.secrets["daily_api_key"], token)
        if claims is None or claims.get("d") != self.config.secrets["daily_domain_id"]:
            return None
        return {CLAIMS.get(name, name): value for name, value in claims.items()}

    def _claims(self, room: Doc, ask: Doc) -> Doc:
        token = ask.get("token")
        if not token:
            return {}
        claims = self.read_token(str(token))
        if claims is None or claims.get("room_name", room["name"]) != room["name"]:
            raise Refused("not-allowed", "This meeting token is not valid for this room.")
        now = self.clock.now()
        if claims.get("exp") is not None and claims["exp"] <= now:
            raise Refused("exp-token", "This meeting token has expired.")
        if claims.get("nbf") is not None and claims["nbf"] > now:
            raise Refused("nbf-token", "This meeting token is not valid yet.")
        return claims

    def admit(self, room: Doc, ask: Doc) -> Doc:
        config, claims, now = room["config"], self._claims(room, ask), self.clock.now()
        if config.get("nbf") is not None and config["nbf"] > now:
            raise Refused("nbf-room", "This room is not open yet.")
        user_id = str(claims.get("user_id") or uuid.uuid4())
        if user_id in room.get("banned", []):
            raise Refused("not-allowed", "You are not allowed to join this meeting.")
        owner = bool(claims.get("is_owner"))
        knocks = bool(claims.get("knocking")) or (room["privacy"] == "private" and not claims)
        knocks = knocks and not owner
        if knocks and not config.get("enable_knocking"):
            raise Refused("not-allowed", "You are not allowed to join this meeting.")
        if not knocks and len(self.people(room["id"])) >= int(config.get("max_participants") or 200):
            raise Refused("meeting-full", "This meeting is full.")
        return {
            "state": "waiting" if knocks else "in",
            "user_id": user_id,
            "name": str(claims.get("user_name") or ask.get("name") or "Guest"),
            "owner": owner,
            "role": "owner" if owner else "participant",
            "eject_at": self._eject_at(room, claims, now),
            "start_video_off": bool(claims.get("start_video_off", config.get("start_video_off"))),
            "start_audio_off": bool(claims.get("start_audio_off", config.get("start_audio_off"))),
            "records": claims.get("start_cloud_recording") is True,
            "records_locally": claims.get("enable_recording") == "local",
            "permissions": {**PERMISSIONS, "canAdmin": owner},
        }

    def simulated(self, room: Doc, ask: Doc) -> Doc:
        claims = {"r": room["name"], "d": self.config.secrets["daily_domain_id"], "knocking": bool(ask.get("knock"))}
        claims |= {"u": ask.get("name"), "ud": ask.get("user_id"), "o": bool(ask.get("owner"))}
        return {"token": signing.make_token(self.config.secrets["daily_api_key"], claims)}

    @staticmethod
    def _eject_at(room: Doc, claims: Doc, now: float) -> float | None:
        """Fixed at joining; the token's settings win over the room's (facts A2)."""
        if claims.get("eject_after_elapsed") is not None:
            return now + float(claims["eject_after_elapsed"])
        if claims.get("eject_at_token_exp") and claims.get("exp") is not None:
            return float(claims["exp"])
        config = room["config"]
        if config.get("eject_after_elapsed") is not None:
            return now + float(config["eject_after_elapsed"])
        if config.get("eject_at_room_exp") and config.get("exp") is not None:
            return float(config["exp"])
        return None

    # -- sessions

    def live_session(self, room_id: str) -> Doc | None:
        sessions = self.store.all("session", room=room_id, state=("pending", "open"))
        return sessions[-1] if sessions else None

    def tick(self) -> None:
        for session in self.store.all("session", state=("pending", "open")):
            if session["platform"] == self.slug:
                self._tick_session(session)

    def _tick_session(self, session: Doc) -> None:
        with self.store.lock:
            now, count = self.clock.now(), len(self.people(session["room"]))
            if count == 1 and session["alone_since"] is None:
                session["alone_since"] = now
            elif count != 1:
                session["alone_since"] = None
            session["max_participants"] = max(session["max_participants"], count)
            alone_s = 0.0 if session["alone_since"] is None else now - session["alone_since"]
            if session["state"] == "pending" and (count >= 2 or alone_s >= ALONE_STARTS_S):
                session["state"] = "open"
                self.store.put("session", session)
                self._meeting_started(session)
            if count == 0 or (session["state"] == "open" and alone_s >= ALONE_ENDS_S):
                was_open = session["state"] == "open"
                session.update(state="ended" if was_open else "discarded", ended_at=now)
                if was_open:
                    self._meeting_ended(session)
            self.store.put("session", session)

    def _touch_session(self, room: Doc) -> Doc:
        session = self.live_session(room["id"])
        if session is None:
            session = {
                "id": str(uuid.uuid4()),
                "room": room["id"],
                "room_name": room["name"],
                "platform": self.slug,
                "state": "pending",
                "started_at": self.clock.now(),
                "ended_at": None,
                "alone_since": None,
                "max_participants": 0,
            }
        self.store.put("session", session)
        return session

    # -- events

    def emit(self, kind: str, id_: str, payload: Doc, *, room: str, at: float | None = None, delay: float = 0) -> None:
        """``at`` is the event's own time; ``delay`` seconds pass before it is told, and its time says so."""
        stamp = (self.clock.now() if at is None else at) + delay
        event = {"version": "1.0.0", "type": kind, "id": id_, "payload": payload, "event_ts": round(stamp, 3)}
        self.outbox.send(self.slug, event, room=room, delay_s=delay)

    def _participant(self, room: Doc, person: Doc) -> Doc:
        return {
            "room": room["name"],
            "user_id": person["user_id"],
            "user_name": person["name"],
            "session_id": person["id"],
            "joined_at": round(person["joined_at"] or person["asked_at"], 3),
            "will_eject_at": person["eject_at"],
            "owner": person["owner"],
            "permissions": person["permissions"],
        }

    def joined(self, room: Doc, person: Doc) -> None:
        session = self._touch_session(room)
        self.store.put("person", {**person, "meeting": session["id"]})
        stamp = int(person["joined_at"] * 1000)
        id_ = f"ptcpt-join-{person['user_id']}-{stamp}"
        self.emit("participant.joined", id_, self._participant(room, person), room=room["id"], at=person["joined_at"])
        self._tick_session(session)
        if person["records"]:
            self.start_recording(room, person)

    def left(self, room: Doc, person: Doc) -> None:
        payload = self._participant(room, person) | {"duration": person["left_at"] - person["joined_at"]}
        id_ = f"ptcpt-left-{person['user_id']}-{int(person['left_at'] * 1000)}"
        self.emit("participant.left", id_, payload, room=room["id"], at=person["left_at"])
        session = self.live_session(room["id"])
        if session is not None:
            self._tick_session(session)

    def _knocker(self, room: Doc, person: Doc) -> Doc:
        # The sample has no user_id (facts B1).
        return {k: v for k, v in self._participant(room, person).items() if k != "user_id"}

    def waiting(self, room: Doc, person: Doc) -> None:
        payload = self._knocker(room, person) | {"duration": 0}
        self.emit("waiting-participant.joined", f"1-w-ptcpt-joined-{person['id']}", payload, room=room["id"])

    def stopped_waiting(self, room: Doc, person: Doc) -> None:
        payload = self._knocker(room, person) | {"duration": self.clock.now() - person["asked_at"]}
        self.emit("waiting-participant.left", f"1-w-ptcpt-left-{person['id']}", payload, room=room["id"])

    def _meeting_started(self, session: Doc) -> None:
        start = session["started_at"]
        payload = {"start_ts": round(start, 3), "meeting_id": session["id"], "room": session["room_name"]}
        self.emit("meeting.started", f"met-sta-{session['id']}-{int(start)}", payload, room=session["room"])

    def _meeting_ended(self, session: Doc) -> None:
        end = session["ended_at"]
        payload: Doc = {
            "start_ts": int(session["started_at"]),
            "end_ts": round(end, 3),
            "meeting_id": session["id"],
            "room": session["room_name"],
        }
        late = float(self.faults.of(self.slug)["meeting_ended_delay_s"])
        self.emit("meeting.ended", f"met-end-{session['id']}-{int(end)}", payload, room=session["room"], delay=late)

    # -- recordings

    def recording_started(self, room: Doc, recording: Doc) -> None:
        # No room anywhere in this one (facts B1).
        action = "start-raw-tracks-recording" if recording["type"] == "raw-tracks" else "start-cloud-recording"
        payload = {
            "action": action,
            "recording_id": recording["id"],
            "layout": recording["layout"],
            "started_by": recording["started_by"],
            "instance_id": recording["instance_id"],
            "start_ts": int(recording["started_at"]),
        }
        id_ = f"rec-sta-{recording['instance_id']}-{int(recording['started_at'])}"
        self.emit("recording.started", id_, payload, room=room["id"])

    def recording_stopped(self, room: Doc, recording: Doc) -> None:
        """Told only when the file is there."""

    def records_locally(self, room: Doc, person: Doc) -> bool:
        return bool(person.get("records_locally"))

    def start_recording(self, room: Doc, person: Doc) -> None:
        """By an owner's page or by ``start_cloud_recording`` in a token."""
        with self.store.lock:
            if self.recorder.running(room["id"], DEFAULT_INSTANCE) or not person["owner"]:
                return
            session = self.live_session(room["id"])
            asked: Doc = {"type": "cloud", "instance_id": DEFAULT_INSTANCE, "layout": {"preset": "default"}}
            asked |= {"started_by": person["id"], "max_duration_s": MAX_RECORDING_S}
            self.recorder.start(room, asked | {"meeting": session["id"] if session else None})

    def recording_finished(self, room: Doc, recording: Doc) -> None:
        payload: Doc = {
            "type": recording["type"],
            "recording_id": recording["id"],
            "room_name": recording["room_name"],
            "start_ts": int(recording["started_at"]),
            "status": "finished",
            "max_participants": recording["max_participants"],
            "duration": round(recording["duration"]),
            "s3_key": recording["key"],
        }
        if recording["type"] == "raw-tracks":
            payload["tracks"] = recording["tracks"]
        id_ = f"rec-rtd-{recording['instance_id']}-{int(self.clock.now())}"
        self.emit("recording.ready-to-download", id_, payload, room=recording["room"])

    def recording_failed(self, room: Doc, recording: Doc, message: str) -> None:
        now = int(self.clock.now())
        payload = {
            "action": "cloud-recording-error",
            "error_msg": f"cloud-recording-error: {message}",
            "instance_id": recording["instance_id"],
            "room_name": recording["room_name"],
            "timestamp": str(now),
        }
        self.emit("recording.error", f"rec-err-{recording['instance_id']}-{now}", payload, room=room["id"])

    def recording_place(self, room: Doc, recording: Doc) -> tuple[str, str]:
        bucket = room["config"].get("recordings_bucket") or {}
        if bucket and bucket.get("assume_role_arn") != DAILY_ROLE:
            raise LookupError("Error fetching STS credentials")
        template = room["config"].get("recordings_template") or "{domain_name}/{room_name}/{epoch_time}"
        session = self.live_session(room["id"]) or {"id": ""}
        words = {
            "epoch_time": int(recording["started_at"] * 1000),
            "domain_name": SUBDOMAIN,
            "room_name": room["name"],
            "mtg_session_id": session["id"],
            "instance_id": recording["instance_id"],
            "recording_id": recording["id"],
        }
        for word, value in words.items():
            template = template.replace("{" + word + "}", str(value))
        return str(bucket.get("bucket_name") or HOSTED_BUCKET), template

    # -- delivery

    def webhook(self) -> Doc | None:
        hooks = self.store.all("webhook")
        return hooks[0] if hooks else None

    def target_of(self, hook: Doc) -> Target:
        def sign(body: bytes, now: float) -> dict[str, str]:
            headers = signing.daily_headers(hook["hmac"], body, now)
            return headers | ({"Authorization": f"Basic {hook['basicAuth']}"} if hook["basicAuth"] else {})

        return Target(url=hook["url"], sign=sign, timeout_s=WEBHOOK_TIMEOUT_S)

    def _target(self, delivery: Doc) -> Target | None:
        hook = self.webhook()
        if hook is None:
            delivery["why"] = "no webhook is registered"
        elif hook["state"] != "ACTIVE":
            delivery["why"] = "the webhook is FAILED"
        elif delivery["type"] not in hook["eventTypes"]:
            delivery["why"] = "not in eventTypes"
        else:
            return self.target_of(hook)
        return None

    def _judge(self, delivery: Doc, status: int) -> float | None:
        hook: dict[str, Any] | None = self.webhook()
        if hook is None:
            delivery["state"] = "dropped"
            return None
        hook["lastMomentPushed"] = self.clock.now()
        if status == 200:
            delivery["state"], hook["failedCount"] = "delivered", 0
            self.store.put("webhook", hook)
            return None
        hook["failedCount"] += 1
        wait_s = None
        if hook["retryType"] == "circuit-breaker":
            delivery["state"] = "failed"
            if hook["failedCount"] >= BREAKER_AT:
                hook["state"] = "FAILED"
        elif delivery["attempts"] < MAX_TRIES:
            base = float(self.faults.of(self.slug)["retry_base_s"])
            wait_s = min(MAX_WAIT_S, base * 4 ** (delivery["attempts"] - 1))
        else:
            delivery["state"] = "failed"
        self.store.put("webhook", hook)
        return wait_s
