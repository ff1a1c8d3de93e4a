"""Daily keeps the contract."""

from datetime import UTC, datetime
from typing import Any

import responses

from platforms.base import ProviderRoom, RecordingFormat
from platforms.daily.adapter import DailyAdapter
from platforms.events import (
    Event,
    Noted,
    ParticipantJoined,
    ParticipantLeft,
    RecordingFailed,
    RecordingReady,
    RecordingStarted,
    SessionEnded,
    SessionStarted,
    WaitingStarted,
)
from tests.platforms.contract import KEY, NOW, AdapterContract

API = "https://api.daily.co/v1"
NAME = f"weekly-sync-{KEY}"
ROOM = {
    "id": "987b5eb5-d116-4a4e-8e2c-14fcb5710966",
    "name": NAME,
    "api_created": True,
    "privacy": "private",
    "url": f"https://reflector.daily.co/{NAME}",
    "created_at": "2026-11-22T12:00:00.000Z",
    "config": {"exp": 1795424400},
}


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def noted(what: str, seconds: float, room_name: str = "") -> Event:
    return Noted(platform="daily", occurred_at=at(seconds), room_name=room_name, what=what)


EXPECTED: dict[str, Event] = {
    "daily-webhook.verification.json": Noted(platform="daily", occurred_at=NOW, what="webhook verification"),
    "daily-meeting.started.json": SessionStarted(
        platform="daily",
        occurred_at=at(1708526032.672),
        room_name="TrPmUX1DzjSwDaAFDfNj",
        provider_session_id="f2aa1ade-ff80-464c-b46e-50ffa577d48d",
    ),
    "daily-meeting.ended.json": SessionEnded(
        platform="daily",
        occurred_at=at(1708526104.671),
        room_name="TrPmUX1DzjSwDaAFDfNj",
        provider_session_id="f2aa1ade-ff80-464c-b46e-50ffa577d48d",
    ),
    "daily-participant.joined.json": ParticipantJoined(
        platform="daily",
        occurred_at=at(1708972279.96),
        room_name="test",
        session_id="0c0d2dda-f21d-4cf9-ab56-86bf3c407ffa",
        user_id="6497c79b-f326-4942-aef8-c36a29140ad1",
        name="testuser",
    ),
    "daily-participant.left.json": ParticipantLeft(
        platform="daily",
        occurred_at=at(1708972302.986),
        room_name="test",
        session_id="0c0d2dda-f21d-4cf9-ab56-86bf3c407ffa",
        user_id="16168c97-f973-4eae-9642-020fe3fda5db",
        name="bipol",
        joined_at=at(1708972291.567),
    ),
    "daily-waiting-participant.joined.json": WaitingStarted(
        platform="daily",
        occurred_at=at(1719586645.076),
        room_name="knocking",
        session_id="ed25c43f-e763-4f4d-acbd-51c399a616f1",
        name="bipol",
    ),
    "daily-recording.started.json": RecordingStarted(
        platform="daily",
        occurred_at=at(1692124183),
        recording_id="08fa0b24-9220-44c5-846c-3f116cf8e738",
        instance_id="c3df927c-f738-4471-a2b7-066fa7e95a6b",
        kind="cloud",
    ),
    "daily-recording.error.json": RecordingFailed(
        platform="daily",
        occurred_at=at(1693402871),
        room_name="iM5wNQvwtK4980eP049T",
        instance_id="c3df927c-f738-4471-a2b7-066fa7e95a6b",
        message="cloud-recording-error: Error fetching STS credentials",
    ),
    "daily-recording.ready-to-download.cloud.composed.json": RecordingReady(
        platform="daily",
        occurred_at=at(1760989241.512),
        room_name="daily-20251020193458",
        recording_id="0cb313e1-211f-4be0-833d-8c7305b19902",
        kind="cloud",
        key="monadical/daily-20251020193458/1760988935484",
        started_at=at(1760988935),
        duration_s=306.0,
    ),
    "daily-recording.ready-to-download.raw-tracks.composed.json": RecordingReady(
        platform="daily",
        occurred_at=at(1760989243.118),
        room_name="daily-20251020193458",
        recording_id="7443ee0a-dab1-40eb-b316-33d6c0d5ff88",
        kind="raw-tracks",
        key="monadical/daily-20251020193458/1760988935484",
        started_at=at(1760988935),
        duration_s=306.0,
    ),
    "daily-streaming.started.json": noted("streaming.started", 1692124183),
    "daily-streaming.updated.json": noted("streaming.updated", 1692124190),
    "daily-streaming.ended.json": noted("streaming.ended", 1692124200),
    "daily-streaming.error.json": noted("streaming.error", 1692124201, "my-room"),
    "daily-transcript.started.json": noted("transcript.started", 1733234355.6, "my-transcript-room"),
    "daily-transcript.ready-to-download.json": noted(
        "transcript.ready-to-download", 1733234480.1, "my-transcript-room"
    ),
}


class TestDaily(AdapterContract):
    adapter_class = DailyAdapter
    expected = EXPECTED
    formats = {
        RecordingFormat.MP4: ("daily-recording.ready-to-download.cloud.composed.json", {}),
        RecordingFormat.SOUND: (
            "daily-recording.ready-to-download.cloud.composed.json",
            {'"type": "cloud"': '"type": "cloud-audio-only"'},
        ),
        RecordingFormat.TRACKS: ("daily-recording.ready-to-download.raw-tracks.composed.json", {}),
    }
    create_url = f"{API}/rooms"

    def create_answer(self) -> dict[str, Any]:
        return ROOM

    def expect_lookup(self, *, found: bool) -> None:
        if found:
            responses.get(f"{API}/rooms/{NAME}", json=ROOM)
        else:
            responses.get(f"{API}/rooms/{NAME}", status=404, json={"error": "not-found"})

    def expect_end(self, room: ProviderRoom, status: int) -> None:
        responses.delete(f"{API}/rooms/{room.name}", status=status, json={"error": "not-found"})
