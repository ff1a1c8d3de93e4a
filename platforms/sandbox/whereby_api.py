"""Whereby's REST interface (facts E1)."""

from __future__ import annotations

import hmac
import math
import re
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request

from platforms.sandbox.calls import Calls
from platforms.sandbox.clock import from_iso, iso
from platforms.sandbox.config import HOSTED_BUCKET
from platforms.sandbox.http import Limits, body, error, install_faults
from platforms.sandbox.recorder import Recorder
from platforms.sandbox.store import Doc
from platforms.sandbox.whereby_calls import CLOSES_AFTER_S, WherebyCalls

POINTS_PER_MINUTE = 100
READ, WRITE, HEAVY = 1, 3, 5
WORDS = ("amber", "brook", "cedar", "delta", "ember", "fjord", "grove", "haven")
TRIGGERS = ("none", "prompt", "automatic", "automatic-2nd-participant")


def bad(message: str, status: int = 400) -> Response:
    return error(status, {"error": message})


def page(items: list[Doc], shown: Callable[[Doc], Doc]) -> Response:
    """``{"cursor", "results"}``, newest first; the cursor is null on the last page."""
    try:
        start, limit = int(request.args.get("cursor") or 0), int(request.args.get("limit", 50))
    except ValueError:
        return bad("Invalid cursor or limit")
    limit = min(100, max(1, limit))
    newest = items[::-1]
    following = start + limit if start + limit < len(newest) else None
    cursor = None if following is None else str(following)
    return jsonify({"cursor": cursor, "results": [shown(item) for item in newest[start : start + limit]]})


def make_blueprint(whereby: WherebyCalls, calls: Calls, recorder: Recorder) -> Blueprint:
    api = Blueprint("whereby", __name__, url_prefix="/whereby/v1")
    store, clock, limits = whereby.store, whereby.clock, Limits(whereby.clock)

    def too_many(seconds: float) -> Response:
        payload: dict[str, Any] = {"error": "Rate limit active for throttle key: organization:1"}
        headers = {"Retry-After": str(math.ceil(seconds)), "X-RateLimit-Limit": str(POINTS_PER_MINUTE)}
        headers |= {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(math.ceil(clock.now() + seconds))}
        return error(429, payload | {"data": {"msLeft": int(seconds * 1000)}}, headers)

    def spoiled(status: int, retry_after_s: float | None) -> Response:
        return too_many(retry_after_s or 1.0) if status == 429 else bad("on purpose", status)

    install_faults(api, "whereby", whereby.faults, spoiled)

    @api.before_request
    def guard() -> Response | None:
        expected = f"Bearer {whereby.config.secrets['whereby_api_key']}"
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected.encode()):
            return bad("Invalid or missing API key", 401)
        if whereby.faults.of("whereby")["rate_limits"]:
            points = HEAVY if "/insights/" in request.path else READ if request.method == "GET" else WRITE
            for _ in range(points):
                wait_s = limits.over("points", POINTS_PER_MINUTE, 60.0)
                if wait_s:
                    return too_many(wait_s)
        return None

    # -- meetings

    def page_url(room: Doc) -> str:
        # The embed element wants "https://<sub>.whereby.com/…" somewhere in the address (facts H); in the path it
        # survives whatever a caller does with the query.
        return f"{whereby.config.base_url}/whereby/rooms/https://sandbox.whereby.com{room['name']}"

    def shown(room: Doc, fields: Any) -> Doc:
        view = {
            "meetingId": room["meeting_id"],
            "roomName": room["name"],
            "roomUrl": page_url(room),
            "startDate": iso(room["created"]),
            "endDate": iso(room["ends_at"]),
        }
        if "hostRoomUrl" in fields:
            view["hostRoomUrl"] = f"{page_url(room)}?roomKey={whereby.room_key(room)}"
        if "viewerRoomUrl" in fields:
            view["viewerRoomUrl"] = f"{page_url(room)}?viewer=true"
        return view

    def wanted_fields() -> list[str]:
        return ",".join(request.args.getlist("fields")).split(",")

    def wrong(asked: Doc) -> str | None:
        if not isinstance(asked.get("endDate"), str):
            return "endDate is required"
        try:
            if from_iso(asked["endDate"]) <= clock.now():
                return "endDate must be in the future"
        except ValueError:
            return "endDate must be an ISO date"
        if asked.get("roomMode", "normal") not in ("normal", "group"):
            return "roomMode must be normal or group"
        if not re.fullmatch(r"/?[a-z0-9-]{0,39}", str(asked.get("roomNamePrefix", ""))):
            return "roomNamePrefix may hold at most 39 of a-z, 0-9"
        recording = asked.get("recording") or {}
        if recording.get("startTrigger", "none") not in TRIGGERS:
            return "recording.startTrigger is unknown"
        if recording.get("type", "none") not in ("none", "local", "cloud"):
            return "recording.type must be none, local or cloud"
        return None

    @api.post("/meetings")
    def create_meeting() -> tuple[Response, int] | Response:
        asked = body()
        problem = wrong(asked)
        if problem:
            return bad(problem)
        pattern = asked.get("roomNamePattern", "uuid")
        tail = str(uuid.uuid4())
        if pattern == "human-short":
            tail = f"{secrets.choice(WORDS)}-{secrets.choice(WORDS)}-{secrets.randbelow(10000):04}"
        name = "/" + str(asked.get("roomNamePrefix", "")).lstrip("/") + tail
        room = {
            "id": whereby.room_id(name),
            "room": whereby.room_id(name),
            "platform": "whereby",
            "state": "open",
            "name": name,
            "meeting_id": str(10_000_000 + secrets.randbelow(80_000_000)),
            "created": clock.now(),
            "ends_at": from_iso(asked["endDate"]),
            "locked": bool(asked.get("isLocked")),
            "mode": asked.get("roomMode", "normal"),
            "recording": asked.get("recording") or {},
            "config": {},
        }
        store.put("room", room)
        return jsonify(shown(room, asked.get("fields") or [])), 201

    def rooms() -> list[Doc]:
        every = [room for room in store.all("room", state="open") if room["platform"] == "whereby"]
        return [room for room in every if room["ends_at"] + CLOSES_AFTER_S > clock.now()]

    def find(meeting_id: str) -> Doc | None:
        return next((room for room in rooms() if room["meeting_id"] == meeting_id), None)

    @api.get("/meetings")
    def list_meetings() -> Response:
        fields = wanted_fields()
        return page(rooms(), lambda room: shown(room, fields))

    @api.get("/meetings/<meeting_id>")
    def get_meeting(meeting_id: str) -> Response:
        room = find(meeting_id)
        return jsonify(shown(room, wanted_fields())) if room else bad("Meeting not found", 404)

    @api.delete("/meetings/<meeting_id>")
    def delete_meeting(meeting_id: str) -> tuple[str, int]:
        room = find(meeting_id)
        if room is not None:
            with store.lock:
                store.put("room", {**room, "state": "deleted"})
                calls.empty(room["id"], "ejected")
        return "", 204

    @api.put("/rooms/<name>/theme/<what>")
    @api.put("/rooms//<name>/theme/<what>")  # a room's name starts with a slash, which comes as %2F
    def put_theme(name: str, what: str) -> tuple[str, int] | Response:
        if what not in ("tokens", "logo", "room-background", "room-knock-page-background"):
            return bad("Not found", 404)
        room = whereby.find_room(name)
        if room is None:
            return bad("Room not found", 404)
        image = next(iter(request.files.values()), None)
        data = image.read() if image else request.get_data()
        if what == "logo" and not data:
            return bad("image is required")
        store.put("room", {**room, "theme": {**room.get("theme", {}), what: len(data)}})
        return "", 204

    # -- recordings

    def shown_recording(recording: Doc) -> Doc:
        return {
            "recordingId": recording["id"],
            "roomSessionId": recording.get("meeting"),
            "filename": recording["filename"],
            "startDate": iso(recording["started_at"]),
            "endDate": iso(recording["stopped_at"]),
            "sizeInMegaBytes": round(recording["size"] / 1_000_000, 3),
        }

    def recordings() -> list[Doc]:
        return [each for each in store.all("recording", state="finished") if each["platform"] == "whereby"]

    def find_recording(recording_id: str) -> Doc | None:
        return next((each for each in recordings() if each["id"] == recording_id), None)

    @api.get("/recordings")
    def list_recordings() -> Response:
        name = request.args.get("roomName")
        found = [each for each in recordings() if name is None or each["room_name"].lstrip("/") == name.lstrip("/")]
        return page(found, shown_recording)

    @api.get("/recordings/<recording_id>")
    def get_recording(recording_id: str) -> Response:
        recording = find_recording(recording_id)
        return jsonify(shown_recording(recording)) if recording else bad("Recording not found", 404)

    @api.get("/recordings/<recording_id>/access-link")
    def access_link(recording_id: str) -> Response:
        recording = find_recording(recording_id)
        if recording is None:
            return bad("Recording not found", 404)
        if recording["bucket"] != HOSTED_BUCKET:
            return bad("Recording is not hosted by the provider")
        seconds = min(43200, request.args.get("validForSeconds", 3600, type=int))
        link = recorder.storage.link(recording["bucket"], recording["key"], seconds)
        return jsonify({"accessLink": link, "expires": int((clock.now() + seconds) * 1000)})

    def remove(recording: Doc) -> None:
        if recording["bucket"] == HOSTED_BUCKET:
            recorder.storage.delete(recording["bucket"], recording["key"])
        recorder.forget(recording)

    @api.delete("/recordings/<recording_id>")
    def delete_recording(recording_id: str) -> tuple[str, int] | Response:
        recording = find_recording(recording_id)
        if recording is None:
            return bad("Recording not found", 404)
        remove(recording)
        return "", 204

    @api.post("/recordings/bulk-delete")
    def bulk_delete() -> Response:
        ids = body().get("recordingIds") or []
        found = [each for each in map(find_recording, ids) if each is not None]
        for recording in found:
            remove(recording)
        return jsonify({"recordingIds": [each["id"] for each in found]})

    # -- insights

    def shown_session(session: Doc) -> Doc:
        view = {
            "roomSessionId": session["id"],
            "roomName": session["room_name"],
            "startedAt": iso(session["started_at"]),
        }
        return view | ({"endedAt": iso(session["ended_at"])} if session["ended_at"] else {})

    @api.get("/insights/room-sessions")
    def room_sessions() -> Response:
        name = request.args.get("roomName")
        if not name:
            return bad("roomName is required")
        room_id = whereby.room_id("/" + name.lstrip("/"))
        return page(store.all("session", room=room_id, state=("open", "ended")), shown_session)

    def shown_participant(person: Doc) -> Doc:
        return {
            "participantId": person["id"],
            "roomSessionId": person.get("meeting"),
            "roomName": person["room_name"],
            "displayName": person["name"],
            "externalId": person.get("external_id"),
            "metadata": person.get("metadata"),
            "roleName": person["role"],
            "joinedAt": iso(person["joined_at"]),
        } | ({"leftAt": iso(person["left_at"])} if person["left_at"] else {})

    @api.get("/insights/participants")
    def participants() -> Response:
        session, external = request.args.get("roomSessionId"), request.args.get("externalId")
        if not session and not external:
            return bad("roomSessionId or externalId is required")
        people = [
            person
            for person in store.all("person", state=("in", "left"))
            if person["platform"] == "whereby" and person["joined_at"] and person["role"] != "recorder"
        ]
        if session:
            people = [person for person in people if person.get("meeting") == session]
        if external:
            people = [person for person in people if person.get("external_id") == external]
        return page(people, shown_participant)

    @api.get("/insights/participant")
    def participant() -> Response:
        person = store.get("person", request.args.get("participantId", ""))
        known = person is not None and person["platform"] == "whereby" and person["joined_at"]
        return jsonify(shown_participant(person)) if person and known else bad("Participant not found", 404)

    @api.get("/insights/rooms")
    def insight_rooms() -> Response:
        every = [room for room in store.all("room") if room["platform"] == "whereby"]
        return page(every, lambda room: {"roomName": room["name"], "startedAt": iso(room["created"])})

    return api
