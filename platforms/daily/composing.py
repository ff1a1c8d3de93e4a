"""Our events as Daily's webhook bodies: the way back from ``events``, for the demo's history.

https://docs.daily.co/reference/rest-api/webhooks/events
"""

from __future__ import annotations

import json
from typing import Any

from platforms.events import (
    Event,
    ParticipantJoined,
    ParticipantLeft,
    RecordingFailed,
    RecordingReady,
    RecordingStarted,
    SessionEnded,
    SessionStarted,
    WaitingEnded,
    WaitingStarted,
)

PERMISSIONS = {"hasPresence": True, "canSend": True, "canReceive": {"base": True}, "canAdmin": False}


def compose(event: Event) -> bytes | None:
    at = event.occurred_at.timestamp()
    match event:
        case ParticipantJoined():
            return _body("participant.joined", "ptcpt-join", at, event.session_id, _person(event) | {"joined_at": at})
        case ParticipantLeft():
            joined = (event.joined_at or event.occurred_at).timestamp()
            payload = _person(event) | {"joined_at": joined, "duration": at - joined}
            return _body("participant.left", "ptcpt-left", at, event.session_id, payload)
        case WaitingStarted() | WaitingEnded():
            word = "joined" if isinstance(event, WaitingStarted) else "left"
            payload = {
                "room": event.room_name,
                "user_id": event.user_id,
                "user_name": event.name,
                "session_id": event.session_id,
                **({"joined_at": at} if word == "joined" else {}),
            }
            return _body(f"waiting-participant.{word}", f"wait-{word}", at, event.session_id, payload)
        case SessionStarted():
            payload = {"start_ts": at, "meeting_id": event.provider_session_id, "room": event.room_name}
            return _body("meeting.started", "met-sta", at, event.provider_session_id, payload)
        case SessionEnded():
            payload = {"end_ts": at, "meeting_id": event.provider_session_id, "room": event.room_name}
            return _body("meeting.ended", "met-end", at, event.provider_session_id, payload)
        case RecordingStarted():
            payload = {
                "action": "start-cloud-recording",
                "recording_id": event.recording_id,
                "layout": {"preset": "default"},
                "instance_id": event.instance_id,
                "start_ts": at,
            }
            return _body("recording.started", "rec-sta", at, event.instance_id, payload)
        case RecordingReady():
            payload = {
                "type": event.kind,
                "recording_id": event.recording_id,
                "room_name": event.room_name,
                "start_ts": event.started_at.timestamp() if event.started_at else None,
                "status": "finished",
                "duration": event.duration_s,
                "s3_key": event.key,
            }
            return _body("recording.ready-to-download", "rec-rtd", at, event.recording_id, payload)
        case RecordingFailed():
            payload = {
                "action": "cloud-recording-err",
                "error_msg": event.message,
                "instance_id": event.instance_id,
                "recording_id": event.recording_id,
                "room_name": event.room_name,
                "timestamp": at,
            }
            return _body("recording.error", "rec-err", at, event.instance_id, payload)
    return None


def _person(event: ParticipantJoined | ParticipantLeft) -> dict[str, Any]:
    return {
        "room": event.room_name,
        "user_id": event.user_id,
        "user_name": event.name,
        "session_id": event.session_id,
        "will_eject_at": None,
        "owner": event.is_host,
        "permissions": PERMISSIONS,
    }


def _body(kind: str, prefix: str, at: float, about: str, payload: dict[str, Any]) -> bytes:
    envelope = {
        "version": "1.0.0",
        "type": kind,
        "id": f"{prefix}-{about}-{int(at * 1000)}",
        "payload": payload,
        "event_ts": at,
    }
    return json.dumps(envelope).encode()
