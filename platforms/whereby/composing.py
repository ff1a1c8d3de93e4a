"""Our events as Whereby's webhook bodies: the way back from ``events``, for the demo's history.

https://docs.whereby.com/monitoring-usage/webhooks
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from platforms.events import (
    Event,
    ParticipantJoined,
    ParticipantLeft,
    RecordingReady,
    SessionEnded,
    SessionStarted,
    WaitingEnded,
    WaitingStarted,
)


def compose(event: Event) -> bytes | None:
    """There is no event for a recording that starts or fails."""
    room = {"meetingId": _digits(event.room_name), "roomName": f"/{event.room_name}"}
    match event:
        case ParticipantJoined() | ParticipantLeft():
            word = "joined" if isinstance(event, ParticipantJoined) else "left"
            role = {"roleName": "host" if event.is_host else "visitor"}
            return _body(event, f"room.client.{word}", room | _person(event) | role)
        case WaitingStarted():
            return _body(event, "room.client.knocked", room | _person(event))
        case WaitingEnded():
            return _body(event, "room.client.knockCancelled", room | _person(event))
        case SessionStarted() | SessionEnded():
            word = "started" if isinstance(event, SessionStarted) else "ended"
            return _body(event, f"room.session.{word}", room | {"roomSessionId": event.provider_session_id})
        case RecordingReady():
            started = _iso(event.started_at or event.occurred_at, "seconds")
            data = {
                "recordingId": event.recording_id,
                "filename": f"{event.room_name}-{started}.mp4",
                "status": "completed",
            }
            return _body(event, "recording.finished", data)
    return None


def _person(event: ParticipantJoined | ParticipantLeft | WaitingStarted | WaitingEnded) -> dict[str, Any]:
    return {"displayName": event.name, "participantId": event.session_id, "externalId": event.user_id}


def _body(event: Event, kind: str, data: dict[str, Any]) -> bytes:
    envelope = {"apiVersion": "1.0", "createdAt": _iso(event.occurred_at, "milliseconds"), "type": kind, "data": data}
    digest = hashlib.sha256(json.dumps(envelope).encode()).hexdigest()
    return json.dumps({"id": digest, **envelope}).encode()


def _iso(moment: datetime, to: str) -> str:
    return moment.astimezone(UTC).isoformat(timespec=to).replace("+00:00", "Z")


def _digits(name: str) -> str:
    return str(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
