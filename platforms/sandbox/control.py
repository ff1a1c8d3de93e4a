"""``/_control/``: what tests and demos use to look inside, spoil things, move the clock and send simulated people."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from flask import Blueprint, Response, jsonify, request

from platforms.sandbox.calls import Calls, Refused
from platforms.sandbox.faults import Faults
from platforms.sandbox.http import body, error
from platforms.sandbox.outbox import Outbox
from platforms.sandbox.recorder import Recorder
from platforms.sandbox.store import Doc

logger = logging.getLogger(__name__)

SECRET_FIELDS = ("key", "seq")


def _bad(message: str, status: int = 400) -> Response:
    return error(status, {"error": message})


def _open(doc: Doc) -> Doc:
    return {name: value for name, value in doc.items() if name not in SECRET_FIELDS}


def make_blueprint(calls: Calls, recorder: Recorder, outbox: Outbox, faults: Faults) -> Blueprint:
    control = Blueprint("control", __name__, url_prefix="/_control")
    store, clock = calls.store, calls.clock

    @control.before_request
    def guard() -> Response | None:
        """A page of some other site must not reach in through the developer's browser."""
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return _bad("not from another site", 403)
        return None

    def listing(kind: str) -> Response:
        """Query: platform, room (name), state."""
        items = [_open(item) for item in store.all(kind)]
        for name, field in (("platform", "platform"), ("state", "state")):
            wanted = request.args.get(name)
            items = [item for item in items if wanted in (None, item.get(field))]
        room = request.args.get("room")
        if room:
            items = [item for item in items if item.get("room", "").partition(":")[2].lstrip("/") == room.lstrip("/")]
        return jsonify(items)

    @control.get("/rooms")
    def rooms() -> Response:
        return listing("room")

    @control.get("/deliveries")
    def deliveries() -> Response:
        return listing("delivery")

    @control.get("/recordings")
    def recordings() -> Response:
        return listing("recording")

    @control.get("/webhooks")
    def webhooks() -> Response:
        return listing("webhook")

    # -- people

    @control.get("/people")
    def people() -> Response:
        return listing("person")

    @control.post("/people")
    def add_person() -> tuple[Response, int] | Response:
        """JSON, or a form with a file ``audio`` (WAV, WebM, …) that "sounds" from the moment of joining.

        ``platform``, ``room``, ``name``, ``user_id``, ``owner``; ``knock`` (waits at the door where there is one);
        or what a page would show there: ``token``, ``room_key``, ``external_id``.
        """
        asked: dict[str, Any] = body() or request.form.to_dict()
        provider = calls.providers.get(str(asked.get("platform")))
        room = provider.find_room(str(asked.get("room", "")).lstrip("/")) if provider else None
        if provider is None or room is None:
            return _bad("no such room", 404)
        if not {"token", "room_key", "external_id"} & set(asked):
            asked = {**asked, **provider.simulated(room, asked)}
        try:
            person = calls.join(room, asked, injected=True)
        except Refused as refusal:
            return _bad(f"{refusal.kind}: {refusal}", 403)
        file = request.files.get("audio")
        if file is not None:
            path = calls.config.state / "injected" / f"{uuid.uuid4().hex}.audio"
            path.parent.mkdir(parents=True, exist_ok=True)
            file.save(path)
            logger.warning("INJECTED sound, not from a microphone: session %s", person["id"])
            with store.lock:
                current = store.get("person", person["id"]) or person
                store.put("person", {**current, "audio": str(path)})
        return jsonify(_open(store.get("person", person["id"]) or person)), 201

    @control.delete("/people/<session_id>")
    def remove_person(session_id: str) -> Response:
        person = calls.leave(session_id, request.args.get("why", "left"))
        return jsonify(_open(person)) if person else _bad("no such person", 404)

    @control.post("/people/<session_id>/<what>")
    def answer(session_id: str, what: str) -> Response:
        person = store.get("person", session_id)
        if person is None or what not in ("admit", "refuse", "start_recording"):
            return _bad("no such person or order", 404)
        room = store.get("room", person["room"])
        if what == "start_recording":
            if room is not None:
                calls.provider(person["room"]).start_recording(room, person)
        else:
            calls.answer_knock(person, let_in=what == "admit")
        return jsonify(_open(store.get("person", session_id) or person))

    # -- what goes wrong

    @control.get("/faults/<platform>")
    def read_faults(platform: str) -> Response:
        return jsonify(_open(faults.of(platform))) if platform in calls.providers else _bad("no such platform", 404)

    @control.post("/faults/<platform>")
    def set_faults(platform: str) -> Response:
        if platform not in calls.providers:
            return _bad("no such platform", 404)
        try:
            return jsonify(_open(faults.set(platform, body())))
        except ValueError as problem:
            return _bad(str(problem))

    @control.delete("/faults/<platform>")
    def reset_faults(platform: str) -> Response:
        faults.reset(platform)
        return jsonify(_open(faults.of(platform)))

    @control.post("/deliveries/<delivery_id>/again")
    def deliver_again(delivery_id: str) -> Response:
        """Send a finished delivery once more: the same bytes, signed anew."""
        delivery = store.get("delivery", delivery_id)
        if delivery is None:
            return _bad("no such delivery", 404)
        again = {**delivery, "id": uuid.uuid4().hex, "state": "queued", "due_at": clock.now(), "attempts": 0, "why": ""}
        return jsonify(_open(store.put("delivery", again)))

    @control.post("/tick")
    def tick() -> Response:
        """Do now what time would do: needed only when the clock is frozen and nobody wants to wait."""
        everything(calls, recorder)
        return jsonify({"now": clock.now()})

    # -- clock

    @control.get("/clock")
    def read_clock() -> Response:
        return jsonify({"now": clock.now(), "frozen": clock.frozen_at is not None, "offset_s": clock.offset_s})

    @control.post("/clock")
    def set_clock() -> Response:
        """``{"at": unix seconds}``, ``{"advance_s": n}``, ``{"freeze": true|false}``, ``{"reset": true}``."""
        asked = body()
        if asked.get("reset"):
            clock.reset()
        if "freeze" in asked:
            if asked["freeze"]:
                clock.freeze()
            else:
                clock.run()
        if "at" in asked:
            clock.advance(float(asked["at"]) - clock.now())
        clock.advance(float(asked.get("advance_s", 0)))
        return read_clock()

    @control.post("/reset")
    def reset() -> Response:
        """Everybody out, everything forgotten but the secrets and, unless ``{"webhooks": true}``, Daily's webhook."""
        with store.lock:
            store.clear("room", "person", "session", "recording", "take", "delivery", "faults")
            if body().get("webhooks"):
                store.clear("webhook")
        clock.reset()
        return jsonify({})

    return control


def everything(calls: Calls, recorder: Recorder) -> None:
    """One step of time."""
    calls.tick()
    for provider in calls.providers.values():
        provider.tick()
    recorder.tick()
