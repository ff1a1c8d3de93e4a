"""The call page of both providers, and the small interface that the page talks to."""

from __future__ import annotations

import hmac
import uuid
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request

from platforms.sandbox.calls import Calls, Refused
from platforms.sandbox.http import body, error
from platforms.sandbox.recorder import Recorder
from platforms.sandbox.store import Doc


def make_blueprint(calls: Calls, recorder: Recorder) -> Blueprint:
    pages = Blueprint("pages", __name__)
    store, clock = calls.store, calls.clock

    def call_page(platform: str, name: str) -> Response | tuple[str, int]:
        """The page itself knows nothing: token, names and keys stay in its address, where its script reads them."""
        provider = calls.providers.get(platform)
        if provider is None or provider.faults.of(platform)["down"]:
            return "The sandbox plays that this provider is down.", 503
        room = provider.find_room(name)
        shown = {"platform": platform, "name": name.lstrip("/"), "open": room is not None}
        shown |= {"prompt": bool(room) and room["platform"] == "whereby" and _prompts(room)} if room else {}
        return Response(render_template("call.html", room=shown), 200 if room else 404)

    def _prompts(room: Doc) -> bool:
        return bool(room["recording"].get("startTrigger") == "prompt")

    @pages.get("/daily/rooms/<name>")
    def daily_room(name: str) -> Response | tuple[str, int]:
        return call_page("daily", name)

    @pages.get("/whereby/rooms/<name>")
    def whereby_room(name: str) -> Response | tuple[str, int]:
        return call_page("whereby", name)

    @pages.get("/whereby/rooms/https://sandbox.whereby.com/<name>")
    def whereby_room_url(name: str) -> Response | tuple[str, int]:
        return call_page("whereby", name)

    # -- what the page says

    def now_ms() -> int:
        return int(clock.now() * 1000)

    def caller(session_id: str) -> Doc | None:
        person = store.get("person", session_id)
        given = request.args.get("key", "")
        if person is None or not person["key"] or not hmac.compare_digest(person["key"].encode(), given.encode()):
            return None
        return person

    def gone() -> Response:
        return error(404, {"error": "gone"})

    def shown(person: Doc) -> Doc:
        return {name: person[name] for name in ("id", "user_id", "name", "owner", "muted", "role")} | {
            "joined_at": int((person["joined_at"] or person["asked_at"]) * 1000)
        }

    def state(person: Doc) -> Doc:
        """All that a page shows. ``take`` names the set of running recordings: a change means a new file."""
        provider = calls.provider(person["room"])
        room = store.get("room", person["room"])
        view: Doc = {"state": person["state"], "why": person["why"], "now_ms": now_ms(), "me": shown(person)}
        if room is None or person["state"] not in ("in", "waiting"):
            view["deleted"] = room is None or room["state"] == "deleted"
            return view
        if person["state"] == "waiting":
            return view
        running = recorder.running(room["id"])
        view["people"] = [shown(each) for each in provider.humans(room["id"])]
        view["recordings"] = [
            {
                "id": each["id"],
                "instance_id": each["instance_id"],
                "type": each["type"],
                "started_by": each["started_by"],
                "layout": each["layout"],
            }
            for each in running
        ]
        view["recordings"] += [
            {"id": own, "instance_id": "", "type": "local", "started_by": each["id"], "layout": {}}
            for each in provider.people(room["id"])
            if (own := each.get("own_recording"))
        ]
        failed = store.all("recording", room=room["id"], state="error")
        view["errors"] = [{"id": each["id"], "instance_id": each["instance_id"], "why": each["why"]} for each in failed]
        if person["owner"]:
            view["waiting"] = [shown(each) for each in provider.people(room["id"], "waiting")]
        return view

    @pages.post("/_call/join")
    def join() -> Response:
        asked = body()
        provider = calls.providers.get(str(asked.get("platform")))
        room = provider.find_room(str(asked.get("room"))) if provider else None
        if provider is None or room is None:
            return error(403, {"kind": "no-room", "message": "The meeting you're trying to join does not exist."})
        try:
            person = calls.join(room, asked)
        except Refused as refusal:
            return error(403, {"kind": refusal.kind, "message": str(refusal)})
        flags = {name: person.get(name, False) for name in ("start_video_off", "start_audio_off")}
        current = store.get("person", person["id"]) or person
        return jsonify({"session": person["id"], "key": person["key"], **flags, **state(current)})

    @pages.post("/_call/<session_id>/beat")
    def beat(session_id: str) -> Response:
        person = caller(session_id)
        if person is None:
            return gone()
        calls.seen(session_id)
        muted = bool(body().get("muted"))
        if person["state"] == "in" and muted != person["muted"]:
            with store.lock:
                current = store.get("person", session_id)
                if current is not None:
                    person = store.put("person", {**current, "muted": muted})
        return jsonify(state(person))

    @pages.post("/_call/<session_id>/chunk")
    def chunk(session_id: str) -> Response:
        """One second of sound. Query: take, seq, start (ms of the sandbox's clock), recordings, final."""
        person = caller(session_id)
        if person is None:
            return gone()
        # A page may hand in its last chunk just after it was put out; nothing is taken later than that.
        if person["state"] != "in" and clock.now() - (person["left_at"] or 0) > 10:
            return gone()
        args = request.args
        take_id = "".join(each for each in args.get("take", "0") if each.isalnum() or each == "-")
        following = recorder.add_chunk(
            person,
            take_id=take_id,
            seq=args.get("seq", 0, type=int),
            start_ms=args.get("start", now_ms(), type=int),
            ids=args.get("recordings", "").split(","),
            data=request.get_data(),
        )
        if args.get("final"):
            recorder.close_take(person, take_id)
        return jsonify({"next": following})

    @pages.post("/_call/<session_id>/leave")
    def leave(session_id: str) -> Response:
        person = caller(session_id)
        if person is not None:
            calls.leave(session_id)
        return jsonify({})

    @pages.post("/_call/<session_id>/do")
    def do(session_id: str) -> Response:
        """A host's buttons: admit, refuse, eject (with ``who``), start_recording, stop_recording, end_meeting."""
        person = caller(session_id)
        if person is None:
            return gone()
        if not person["owner"] or person["state"] != "in":
            return error(403, {"error": "only a host may do this"})
        asked = body()
        act(person, str(asked.get("what")), str(asked.get("who", "")), str(asked.get("instance", "")))
        return jsonify(state(store.get("person", session_id) or person))

    def act(host: Doc, what: str, who: str, instance: str) -> None:
        provider = calls.provider(host["room"])
        room: dict[str, Any] | None = store.get("room", host["room"])
        other = store.get("person", who) if who else None
        if other is not None and other["room"] == host["room"]:
            if what in ("admit", "refuse"):
                calls.answer_knock(other, let_in=what == "admit")
            elif what == "eject":
                calls.leave(who, "ejected")
        if room is None:
            return
        if what in ("start_recording", "stop_recording") and provider.records_locally(room, host):
            with store.lock:
                current = store.get("person", host["id"]) or host
                store.put(
                    "person", {**current, "own_recording": str(uuid.uuid4()) if what == "start_recording" else ""}
                )
        elif what == "start_recording":
            provider.start_recording(room, host)
        elif what == "stop_recording":
            for recording in recorder.running(room["id"], instance or None):
                recorder.stop(recording, "a host")
        elif what == "end_meeting":
            calls.empty(room["id"], "ended")

    return pages
