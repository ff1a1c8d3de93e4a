"""Daily's REST interface, second half: recordings and webhooks (facts A4, A6, A7)."""

from __future__ import annotations

import base64
import binascii
import secrets
import uuid

from flask import Blueprint, Response, jsonify, request

from platforms.sandbox.clock import iso
from platforms.sandbox.daily_api import RECORDING_TYPES, bad, missing, page
from platforms.sandbox.daily_calls import DEFAULT_INSTANCE, MAX_RECORDING_S, DailyCalls
from platforms.sandbox.http import body, error
from platforms.sandbox.recorder import Recorder
from platforms.sandbox.store import Doc

EVENT_TYPES = frozenset(
    f"{thing}.{what}"
    for thing, whats in {
        "recording": ("ready-to-download", "started", "error"),
        "streaming": ("started", "updated", "ended", "error"),
        "meeting": ("started", "ended"),
        "participant": ("joined", "left"),
        "waiting-participant": ("joined", "left"),
        "batch-processor": ("job-finished", "error"),
        "transcript": ("started", "ready-to-download", "error"),
        "dialout": ("connected", "answered", "error", "stopped", "warning"),
        "dialin": ("ready", "connected", "error", "stopped", "warning"),
    }.items()
    for what in whats
)


def add_recordings(api: Blueprint, daily: DailyCalls, recorder: Recorder) -> None:
    store = daily.store

    def shown(recording: Doc) -> Doc:
        """No type and no instanceId, and no duration while it runs (facts A6)."""
        status = {"finished": "finished", "canceled": "canceled", "error": "canceled"}
        view: Doc = {
            "id": recording["id"],
            "room_name": recording["room_name"],
            "start_ts": int(recording["started_at"]),
            "status": status.get(recording["state"], "in-progress"),
            "max_participants": recording["max_participants"],
        }
        if view["status"] == "finished":
            view |= {"duration": round(recording["duration"]), "s3key": recording["key"]}
            view |= {"share_token": recording["id"].replace("-", "")[:12]}
        # "Often missing": here always in the same half of all recordings.
        if recording.get("meeting") and int(recording["id"][0], 16) % 2:
            view["mtgSessionId"] = recording["meeting"]
        if recording["type"] == "raw-tracks":
            view["tracks"] = recording["tracks"]
        return view

    def known() -> list[Doc]:
        every = store.all("recording", state=("in-progress", "stopping", "mixing", "finished", "canceled", "error"))
        return [recording for recording in every if recording["platform"] == "daily"]

    def find(recording_id: str) -> Doc | None:
        return next((recording for recording in known() if recording["id"] == recording_id), None)

    @api.post("/rooms/<name>/recordings/start")
    def start_recording(name: str) -> Response:
        asked = body()
        room = daily.find_room(name)
        if room is None:
            return missing(f"room {name}")
        instance = asked.get("instanceId", DEFAULT_INSTANCE)
        kind = asked.get("type") or "cloud"
        if "instanceId" in asked:
            try:
                uuid.UUID(str(instance))
            except ValueError:
                return bad("instanceId must be a UUID")
            if instance == DEFAULT_INSTANCE:
                return bad("instanceId is reserved")
        if kind not in RECORDING_TYPES or kind == "local":
            return bad(f"type must be one of {', '.join(RECORDING_TYPES)}")
        if kind == "raw-tracks" and not room["config"].get("recordings_bucket"):
            return bad("raw-tracks recordings need a recordings_bucket")
        people = daily.people(room["id"])
        if not people or daily.faults.take("daily", "not_hosting"):
            return bad(f"room {name} does not seem to be hosting a call currently", 404, "not-found")
        with store.lock:
            if recorder.running(room["id"], instance):
                return bad(f"room {name} has an active stream for instance {instance}")
            session = daily.live_session(room["id"])
            recorder.start(
                room,
                {
                    "type": kind,
                    "instance_id": instance,
                    "layout": asked.get("layout") or {"preset": "default"},
                    "started_by": people[0]["id"],
                    "max_duration_s": float(asked.get("maxDuration") or MAX_RECORDING_S),
                    "meeting": session["id"] if session else None,
                },
            )
        return jsonify({"status": "sent"})

    @api.post("/rooms/<name>/recordings/stop")
    def stop_recording(name: str) -> Response:
        asked = body()
        room = daily.find_room(name)
        if room is None:
            return missing(f"room {name}")
        kind = asked.get("type") or "cloud"
        for recording in recorder.running(room["id"], asked.get("instanceId", DEFAULT_INSTANCE)):
            # A raw-tracks recording is only stopped by its name (facts A4).
            if (recording["type"] == "raw-tracks") == (kind == "raw-tracks"):
                recorder.stop(recording, "asked")
                return jsonify({"status": "sent"})
        return bad(f"room {name} has no active recording")

    @api.post("/rooms/<name>/recordings/update")
    def update_recording(name: str) -> Response:
        room, asked = daily.find_room(name), body()
        if room is None:
            return missing(f"room {name}")
        for recording in recorder.running(room["id"], asked.get("instanceId", DEFAULT_INSTANCE)):
            if recording["type"] != "raw-tracks":
                store.put("recording", {**recording, "layout": asked.get("layout") or recording["layout"]})
                return jsonify({"status": "sent"})
        return bad("no recording that could be updated")

    @api.get("/recordings")
    def list_recordings() -> Response:
        wanted = request.args.get("room_name")
        return page([each for each in known() if wanted in (None, each["room_name"])], shown)

    @api.get("/recordings/<recording_id>")
    def get_recording(recording_id: str) -> Response:
        recording = find(recording_id)
        return jsonify(shown(recording)) if recording else missing(f"recording {recording_id}")

    @api.get("/recordings/<recording_id>/access-link")
    def access_link(recording_id: str) -> Response:
        recording = find(recording_id)
        if recording is None or recording["state"] != "finished":
            return missing(f"recording {recording_id}")
        room = store.get("room", recording["room"])
        bucket = (room or {"config": {}})["config"].get("recordings_bucket")
        if bucket and not bucket.get("allow_api_access"):
            return error(403, {"error": "forbidden-error", "info": "the bucket does not allow access by the API"})
        seconds = request.args.get("valid_for_secs", 3600, type=int)
        if not (900 if bucket else 1) <= seconds <= 43200:
            return bad("valid_for_secs is out of range")
        link = recorder.storage.link(recording["bucket"], recording["key"], seconds)
        return jsonify({"download_link": link, "expires": int(daily.clock.now()) + seconds})

    @api.delete("/recordings/<recording_id>")
    def delete_recording(recording_id: str) -> Response:
        recording = find(recording_id)
        if recording is None:
            return missing(f"recording {recording_id}")
        recorder.forget(recording)
        return jsonify({"deleted": True, "id": recording_id})


def add_webhooks(api: Blueprint, daily: DailyCalls) -> None:
    store, clock = daily.store, daily.clock

    def shown(hook: Doc) -> Doc:
        fields = ("url", "hmac", "basicAuth", "retryType", "eventTypes", "state", "failedCount")
        view = {"uuid": hook["id"]} | {name: hook[name] for name in fields}
        moment = hook["lastMomentPushed"]
        view |= {"lastMomentPushed": None if moment is None else iso(moment)}
        view |= {"domainId": daily.config.secrets["daily_domain_id"]}
        return view | {name: iso(hook[name]) for name in ("createdAt", "updatedAt")}

    def wrong(asked: Doc) -> str | None:
        if not isinstance(asked.get("url"), str) or not asked["url"].startswith(("http://", "https://")):
            return "url must be a URL"
        if asked.get("retryType", "circuit-breaker") not in ("circuit-breaker", "exponential"):
            return "retryType must be circuit-breaker or exponential"
        unknown = set(asked.get("eventTypes") or []) - EVENT_TYPES
        if unknown:
            return f"unknown eventTypes: {', '.join(sorted(map(str, unknown)))}"
        try:
            base64.b64decode(asked.get("hmac") or "", validate=True)
        except (binascii.Error, ValueError, TypeError):
            return "hmac must be base64"
        return None

    def probe_and_save(hook: Doc) -> Response:
        # Sent on create and on update, signed, bytes without spaces (facts B3).
        if daily.outbox.post(daily.target_of(hook), b'{"test":"test"}') != 200:
            return bad("non-200 status code returned from webhook endpoint, recvd during verification")
        store.put("webhook", hook)
        return jsonify(shown(hook))

    @api.post("/webhooks")
    def create_webhook() -> Response:
        asked = body()
        problem = wrong(asked)
        if problem:
            return bad(problem)
        if store.all("webhook"):
            return bad("max_webhook_count reached: 1")
        return probe_and_save(
            {
                "id": str(uuid.uuid4()),
                "url": asked["url"],
                "hmac": asked.get("hmac") or base64.b64encode(secrets.token_bytes(32)).decode(),
                "basicAuth": asked.get("basicAuth"),
                "retryType": asked.get("retryType", "circuit-breaker"),
                "eventTypes": asked.get("eventTypes") or sorted(EVENT_TYPES),
                "state": "ACTIVE",
                "failedCount": 0,
                "lastMomentPushed": None,
                "createdAt": clock.now(),
                "updatedAt": clock.now(),
            }
        )

    @api.get("/webhooks")
    def list_webhooks() -> Response:
        return jsonify([shown(hook) for hook in store.all("webhook")])

    @api.get("/webhooks/<hook_id>")
    def get_webhook(hook_id: str) -> Response:
        hook = store.get("webhook", hook_id)
        return jsonify(shown(hook)) if hook else missing("webhook")

    @api.post("/webhooks/<hook_id>")
    def update_webhook(hook_id: str) -> Response:
        hook, asked = store.get("webhook", hook_id), body()
        if hook is None:
            return missing("webhook")
        fields = ("url", "hmac", "basicAuth", "retryType", "eventTypes")
        hook |= {name: asked[name] for name in fields if asked.get(name)}
        problem = wrong(hook)
        if problem:
            return bad(problem)
        return probe_and_save({**hook, "state": "ACTIVE", "failedCount": 0, "updatedAt": clock.now()})

    @api.delete("/webhooks/<hook_id>")
    def delete_webhook(hook_id: str) -> Response:
        if store.get("webhook", hook_id) is None:
            return missing("webhook")
        store.delete("webhook", hook_id)
        return jsonify({"uuid": hook_id, "deleted": True})
