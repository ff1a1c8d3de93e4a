"""Whereby keeps the contract."""

from datetime import datetime
from typing import Any

import responses

from platforms.base import ProviderRoom, RecordingFormat
from platforms.events import (
    Event,
    Noted,
    ParticipantJoined,
    ParticipantLeft,
    RecordingReady,
    SessionEnded,
    SessionStarted,
    WaitingEnded,
    WaitingStarted,
)
from platforms.whereby.adapter import WherebyAdapter
from tests.platforms.contract import KEY, AdapterContract

API = "https://api.whereby.dev/v1"
NAME = f"weeklys{KEY}-af0b7b66-c738-4981-887a-ad416754f32d"
MEETING = {
    "meetingId": "134",
    "roomName": f"/{NAME}",
    "roomUrl": f"https://joe.whereby.com/{NAME}",
    "startDate": "2026-11-22T12:00:00.000Z",
    "endDate": "2026-11-22T20:00:00.000Z",
    "hostRoomUrl": f"https://joe.whereby.com/{NAME}?roomKey=secret",
}
OTHER = {**MEETING, "meetingId": "133", "roomName": "/other"}
ROOM = "af0b7b66-c738-4981-887a-ad416754f32d"
CONNECTION = "5d0a7a1e-9a5e-4a0c-8f2e-2a3c4d5e6f70"
SESSION = "b8f3c2d1-1b7e-4c55-9a8d-6b6d5b1e3c11"


def common(iso: str) -> dict[str, Any]:
    return {"platform": "whereby", "occurred_at": datetime.fromisoformat(iso), "room_name": ROOM}


def noted(what: str, iso: str) -> Event:
    return Noted(**common(iso), what=what)


EXPECTED: dict[str, Event] = {
    "whereby-room.client.joined.json": ParticipantJoined(
        **common("2021-01-21T16:29:59.681Z"),
        session_id="<custom-id>",
        user_id="<custom-id>",
        name="Joe Bloggs",
        is_host=True,
    ),
    "whereby-room.client.joined.current-fields.json": ParticipantJoined(
        **common("2026-08-19T10:00:01.120Z"), session_id=CONNECTION, user_id="<custom-id>", name="Joe Bloggs"
    ),
    "whereby-room.client.left.json": ParticipantLeft(
        **common("2026-08-19T10:40:00.512Z"), session_id=CONNECTION, user_id="<custom-id>", name="Joe Bloggs"
    ),
    "whereby-room.client.knocked.json": WaitingStarted(
        **common("2026-08-19T09:59:40.001Z"), session_id=CONNECTION, user_id="<custom-id>", name="Joe Bloggs"
    ),
    "whereby-room.client.knockCancelled.json": WaitingEnded(
        **common("2026-08-19T09:59:55.001Z"), session_id=CONNECTION, user_id="<custom-id>", name="Joe Bloggs"
    ),
    "whereby-room.session.started.json": SessionStarted(
        **common("2026-08-19T10:00:01.300Z"), provider_session_id=SESSION
    ),
    "whereby-room.session.ended.json": SessionEnded(**common("2026-08-19T10:41:30.300Z"), provider_session_id=SESSION),
    "whereby-recording.finished.json": RecordingReady(
        platform="whereby",
        occurred_at=datetime.fromisoformat("2023-10-31T13:09:44.373Z"),
        room_name="speaker1-session2-0b1fbe30-2346-4681-85a5-f309f11e509f",
        recording_id="a9fd1a4f-34f8-4f20-b518-11e9d277316f",
        key="speaker1-session2-0b1fbe30-2346-4681-85a5-f309f11e509f-2023-10-31T13:09:35Z.mp4",
        started_at=datetime.fromisoformat("2023-10-31T13:09:35Z"),
        filename="speaker1-session2-0b1fbe30-2346-4681-85a5-f309f11e509f-2023-10-31T13:09:35Z.mp4",
    ),
    "whereby-transcription.started.json": noted("transcription.started", "2026-08-19T10:00:05.000Z"),
    "whereby-transcription.finished.json": noted("transcription.finished", "2026-08-19T11:00:05.000Z"),
    "whereby-transcription.failed.json": noted("transcription.failed", "2026-08-19T11:00:05.000Z"),
    "whereby-assistant.requested.json": noted("assistant.requested", "2026-08-19T10:01:00.000Z"),
}


class TestWhereby(AdapterContract):
    adapter_class = WherebyAdapter
    expected = EXPECTED
    formats = {
        RecordingFormat.MP4: ("whereby-recording.finished.json", {}),
        RecordingFormat.MKV: ("whereby-recording.finished.json", {".mp4": ".mkv"}),
    }
    create_url = f"{API}/meetings"

    def create_answer(self) -> dict[str, Any]:
        return MEETING

    def expect_lookup(self, *, found: bool) -> None:
        responses.get(f"{API}/meetings", json={"results": [OTHER], "cursor": "next"})
        responses.get(f"{API}/meetings", json={"results": [MEETING] if found else [], "cursor": None})

    def expect_end(self, room: ProviderRoom, status: int) -> None:
        responses.delete(f"{API}/meetings/{room.provider_id}", status=status)
