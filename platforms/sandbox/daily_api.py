"""Daily's REST interface: rooms, presence, tokens, meetings (facts A1 to A6). Recordings and webhooks: next door."""

from __future__ import annotations

import hmac
import re
import secrets
import uuid
from typing import Any

from flask import Blueprint, Response, jsonify, request

from platforms.sandbox import signing
from platforms.sandbox.calls import Calls
from platforms.sandbox.clock import from_iso, iso
from platforms.sandbox.daily_calls import CLAIMS, SUBDOMAIN, DailyCalls
from platforms.sandbox.http import Limits, body, error, install_faults
from platforms.sandbox.store import Doc

NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
TEMPLATE = re.compile(r"[A-Za-z0-9./_{}-]{1,1024}")
#: operation -> (calls, seconds) twice: the short and the long limit (facts A1)
SLOW = {"delete_room": ((2, 1.0), (50, 30.0)), "list_recordings": ((2, 1.0), (50, 30.0))}
SLOW |= {"start_recording": ((1, 1.0), (5, 5.0))}
USUAL = ((20, 1.0), (100, 5.0))
SHORT_CLAIMS = {long: short for short, long in CLAIMS.items()}
BOOLEANS = {"eject_at_room_exp", "enable_knocking", "enable_prejoin_ui", "enable_chat", "enable_screenshare"}
BOOLEANS |= {"start_video_off", "start_audio_off", "owner_only_broadcast", "enable_advanced_chat"}
RECORDING_TYPES = ("cloud", "cloud-audio-only", "local", "raw-tracks")


def bad(info: str, status: int = 400, code: str = "invalid-request-error") -> Response:
    return error(status, {"error": code, "info": info})


def missing(what: str) -> Response:
    return bad(f"{what} not found", 404, "not-found")


def page(items: list[Doc], shown: Any, key: str = "id") -> Response:
    """One page, newest first, as ``{"total_count", "data"}`` (facts A1)."""
    newest = items[::-1]
    names = [item[key] for item in newest]
    after, before = request.args.get("starting_after"), request.args.get("ending_before")
    if after in names:
        newest = newest[names.index(after) + 1 :]
    elif before in names:
        newest = newest[: names.index(before)]
    try:
        limit = min(100, max(1, int(request.args.get("limit", 100))))
    except ValueError:
        return bad("limit must be a number")
    return jsonify({"total_count": len(items), "data": [shown(item) for item in newest[:limit]]})


def make_blueprint(daily: DailyCalls, calls: Calls) -> Blueprint:
    api = Blueprint("daily", __name__, url_prefix="/daily/v1")
    store, clock, limits = daily.store, daily.clock, Limits(daily.clock)

    def spoiled(status: int, retry_after_s: float | None) -> Response:
        code = {429: "rate-limit-error", 404: "not-found"}.get(status)
        code = code or ("server-error" if status >= 500 else "invalid-request-error")
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        return error(status, {"error": code, "info": "on purpose"}, headers)

    install_faults(api, "daily", daily.faults, spoiled)

    @api.before_request
    def guard() -> Response | None:
        header = request.headers.get("Authorization", "")
        if not header.startswith("Bearer "):
            return error(400, {"error": "authorization-header-error"})
        if not hmac.compare_digest(header[7:].encode(), daily.config.secrets["daily_api_key"].encode()):
            return error(401, {"error": "authentication-error"})
        if request.get_data() and request.get_json(silent=True) is None:
            return error(400, {"error": "json-parsing-error"})
        if daily.faults.of("daily")["rate_limits"]:
            operation = (request.endpoint or "").rsplit(".", 1)[-1]
            name = operation if operation in SLOW else "usual"
            if any(limits.over(f"{name}/{every}", count, every) for count, every in SLOW.get(name, USUAL)):
                return error(429, {"error": "rate-limit-error"})
        return None

    @api.get("/")
    def domain() -> Response:
        domain_id = daily.config.secrets["daily_domain_id"]
        return jsonify({"domain_name": SUBDOMAIN, "domain_id": domain_id, "config": {"max_webhook_count": 1}})

    # -- rooms

    def shown_room(room: Doc) -> Doc:
        fields = ("name", "api_created", "privacy", "url", "created_at", "config")
        return {"id": room["uuid"]} | {name: room[name] for name in fields}

    def wrong(properties: Doc) -> str | None:
        for name in ("exp", "nbf", "max_participants", "eject_after_elapsed"):
            value = properties.get(name)
            if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
                return f"property '{name}' must be a number"
        for name in BOOLEANS & set(properties):
            if properties[name] is not None and not isinstance(properties[name], bool):
                return f"property '{name}' must be a boolean"
        if properties.get("exp") is not None and properties["exp"] <= clock.now():
            return f"exp was set to a time in the past: {properties['exp']}"
        if properties.get("enable_recording") not in (None, False, *RECORDING_TYPES):
            return "property 'enable_recording' has an unknown value"
        template = properties.get("recordings_template")
        if template is not None and (not TEMPLATE.fullmatch(str(template)) or "{epoch_time}" not in template):
            return "recordings_template must contain epoch_time and only A-Z, a-z, 0-9, '.', '/', '_', '-'"
        bucket = properties.get("recordings_bucket")
        if bucket is not None and not {"bucket_name", "bucket_region", "assume_role_arn"} <= set(bucket):
            return "recordings_bucket needs bucket_name, bucket_region and assume_role_arn"
        return None

    @api.post("/rooms")
    def create_room() -> Response:
        asked = body()
        name = asked.get("name") or secrets.token_urlsafe(15).replace("-", "x").replace("_", "y")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            return bad(
                f"the room name {name!r} contains invalid characters "
                "(room names can contain A-Z, a-z, 0-9, '-', and '_')"
            )
        if asked.get("privacy", "public") not in ("public", "private"):
            return bad("privacy must be 'public' or 'private'")
        properties = asked.get("properties") or {}
        problem = wrong(properties) if isinstance(properties, dict) else "properties must be an object"
        if problem:
            return bad(problem)
        with store.lock:
            if daily.find_room(name) is not None:
                return bad(f"a room named {name} already exists")
            room = {
                "id": daily.room_id(name),
                "room": daily.room_id(name),
                "platform": "daily",
                "state": "open",
                "uuid": str(uuid.uuid4()),
                "name": name,
                "api_created": True,
                "privacy": asked.get("privacy", "public"),
                "url": f"{daily.config.base_url}/daily/rooms/{name}",
                "created_at": iso(clock.now()),
                "config": {k: v for k, v in properties.items() if v is not None},
            }
            store.delete("room", room["id"])
            store.put("room", room)
        return jsonify(shown_room(room))

    @api.get("/rooms")
    def list_rooms() -> Response:
        rooms = [room for room in store.all("room", state="open") if room["platform"] == "daily"]
        return page([room for room in rooms if daily.find_room(room["name"])], shown_room, key="uuid")

    @api.get("/rooms/<name>")
    def get_room(name: str) -> Response:
        room = daily.find_room(name)
        return missing(f"room {name}") if room is None else jsonify(shown_room(room))

    @api.post("/rooms/<name>")
    def update_room(name: str) -> Response:
        asked = body()
        properties = asked.get("properties") or {}
        problem = wrong(properties)
        if problem:
            return bad(problem)
        with store.lock:
            room = daily.find_room(name)
            if room is None:
                return missing(f"room {name}")
            merged = {**room["config"], **properties}
            room["config"] = {k: v for k, v in merged.items() if v is not None}
            room["privacy"] = asked.get("privacy", room["privacy"])
            store.put("room", room)
        return jsonify(shown_room(room))

    @api.delete("/rooms/<name>")
    def delete_room(name: str) -> Response:
        with store.lock:
            room = daily.find_room(name)
            if room is None:
                return missing(f"room {name}")
            store.put("room", {**room, "state": "deleted"})
            calls.empty(room["id"], "ejected")
        return jsonify({"deleted": True, "name": name})

    @api.post("/rooms/<name>/eject")
    def eject(name: str) -> Response:
        asked = body()
        ids, user_ids = asked.get("ids") or [], asked.get("user_ids") or []
        if len(ids) > 100 or len(user_ids) > 100:
            return bad("at most 100 ids")
        with store.lock:
            room = daily.find_room(name)
            if room is None:
                return missing(f"room {name}")
            out = [p for p in daily.people(room["id"]) if p["id"] in ids or p["user_id"] in user_ids]
            for person in out:
                calls.leave(person["id"], "ejected")
            if asked.get("ban"):
                store.put("room", {**room, "banned": [*room.get("banned", []), *user_ids]})
        return jsonify({"ejectedIds": [person["id"] for person in out]})

    # -- presence

    def present(room_id: str | None = None) -> list[Doc]:
        """Who was inside ``presence_lag_s`` ago."""
        then = clock.now() - float(daily.faults.of("daily")["presence_lag_s"])
        people = store.all("person", room=room_id, state=("in", "left"))
        return [
            p
            for p in people
            if p["platform"] == "daily" and p["joined_at"] and p["joined_at"] <= then and then < (p["left_at"] or 1e12)
        ]

    def shown_presence(person: Doc) -> Doc:
        return {
            "room": person["room_name"],
            "id": person["id"],
            "userId": person["user_id"],
            "userName": person["name"],
            "mtgSessionId": person.get("meeting"),
            "joinTime": iso(person["joined_at"]),
            "duration": int(clock.now() - person["joined_at"]),
        }

    @api.get("/rooms/<name>/presence")
    def room_presence(name: str) -> Response:
        room = daily.find_room(name)
        if room is None:
            return missing(f"room {name}")
        people = [shown_presence(person) for person in present(room["id"])]
        return jsonify({"total_count": len(people), "data": people[: request.args.get("limit", 100, type=int)]})

    @api.get("/presence")
    def presence() -> Response:
        rooms: dict[str, list[Doc]] = {}
        for person in present():
            rooms.setdefault(person["room_name"], []).append(shown_presence(person))
        return jsonify(rooms)

    # -- tokens

    @api.post("/meeting-tokens")
    def create_token() -> Response:
        properties = body().get("properties") or {}
        if properties.get("exp") is not None and properties["exp"] <= clock.now():
            return bad("exp was set to a time in the past")
        if len(str(properties.get("user_id") or "")) > 36:
            return bad("user_id must be at most 36 characters")
        claims = {SHORT_CLAIMS.get(name, name): value for name, value in properties.items() if value is not None}
        claims |= {"d": daily.config.secrets["daily_domain_id"], "iat": int(clock.now())}
        return jsonify({"token": signing.make_token(daily.config.secrets["daily_api_key"], claims)})

    @api.get("/meeting-tokens/<token>")
    def read_token(token: str) -> Response:
        claims = daily.read_token(token)
        if claims is None:
            return bad("invalid token")
        return jsonify({name: value for name, value in claims.items() if name not in ("d", "iat")})

    # -- meetings

    def shown_person(person: Doc) -> Doc:
        return {
            "user_id": person["user_id"],
            "participant_id": person["id"],
            "user_name": person["name"],
            "join_time": int(person["joined_at"]),
            "duration": int((person["left_at"] or clock.now()) - person["joined_at"]),
        }

    def people_of(session: Doc) -> list[Doc]:
        people = store.all("person", room=session["room"], state=("in", "left"))
        return [p for p in people if p.get("meeting") == session["id"] and p["joined_at"]]

    def shown_meeting(session: Doc) -> Doc:
        shown = {
            "id": session["id"],
            "room": session["room_name"],
            "start_time": int(session["started_at"]),
            "duration": int((session["ended_at"] or clock.now()) - session["started_at"]),
            "ongoing": session["state"] == "open",
            "max_participants": session["max_participants"],
        }
        if not request.args.get("no_participants"):
            shown["participants"] = [shown_person(person) for person in people_of(session)]
        return shown

    @api.get("/meetings")
    def list_meetings() -> Response:
        sessions = [s for s in store.all("session", state=("open", "ended")) if s["platform"] == "daily"]
        if request.args.get("room"):
            sessions = [s for s in sessions if s["room_name"] == request.args["room"]]
        if request.args.get("ongoing") == "true":
            sessions = [s for s in sessions if s["state"] == "open"]
        for name, keep in (("timeframe_start", 1), ("timeframe_end", -1)):
            if request.args.get(name):
                text = request.args[name]
                limit = float(text) if re.fullmatch(r"[\d.]+", text) else from_iso(text)
                sessions = [s for s in sessions if (s["started_at"] - limit) * keep >= 0]
        return page(sessions, shown_meeting)

    @api.get("/meetings/<meeting_id>")
    def get_meeting(meeting_id: str) -> Response:
        session = store.get("session", meeting_id)
        known = session is not None and session["platform"] == "daily" and session["state"] in ("open", "ended")
        return jsonify(shown_meeting(session)) if session and known else missing(f"meeting {meeting_id}")

    @api.get("/meetings/<meeting_id>/participants")
    def meeting_people(meeting_id: str) -> Response:
        session = store.get("session", meeting_id)
        if session is None or session["platform"] != "daily":
            return missing(f"meeting {meeting_id}")
        people = people_of(session)
        names, after = [person["id"] for person in people], request.args.get("joined_after")
        if after in names:
            people = people[names.index(after) + 1 :]
            if not people:  # no further page is a 404 here (facts A1)
                return missing("participants")
        limit = request.args.get("limit", 100, type=int)
        return jsonify({"data": [shown_person(person) for person in people[:limit]]})

    return api
