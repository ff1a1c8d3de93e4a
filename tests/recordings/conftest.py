"""A meeting that was recorded on Daily: its API played by ``responses``, its bucket by a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
import requests
import responses as responses_library
from moto.server import ThreadedMotoServer

from meetings.models import Meeting, Participant, ParticipantSession
from recordings.demo_media import Clip, speech, write_mp4
from rooms.models import Room
from tests.accounts_for_platforms import BOTH
from tests.speech import ANN

API = "https://api.daily.co/v1"
STARTED = datetime(2026, 11, 20, 9, 0, 10, tzinfo=UTC)
KEY = "reflector/standup-abc/1795338010000"
BUCKET = "daily-bucket"


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_address, settings, tmp_path):
    settings.PLATFORM_ENVIRON = {**BOTH, "AWS_DAILY_S3_ENDPOINT_URL": s3_address}
    settings.MEDIA_STORAGE = f"file://{tmp_path / 'media'}"
    client = boto3.client(
        "s3", endpoint_url=s3_address, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-west-2"
    )
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield client
    requests.post(f"{s3_address}/moto-api/reset", timeout=10)


@pytest.fixture
def api() -> Iterator[responses_library.RequestsMock]:
    with responses_library.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.add_passthru("http://127.0.0.1")
        yield mock


@pytest.fixture
def meeting(db) -> Meeting:
    room = Room.objects.create(name="Standup", slug="standup", platform="daily")
    return Meeting.objects.create(
        room=room,
        platform="daily",
        status=Meeting.Status.ENDED,
        provider_room_name="standup-abc",
        created_at=STARTED - timedelta(seconds=10),
        opened_at=STARTED - timedelta(seconds=10),
        ended_at=STARTED + timedelta(minutes=5),
        consent_policy="choice",
        recording_type="cloud",
    )


def person(
    meeting: Meeting, name: str, answer: str = "yes", *, joined_s: float = 0, left_s: float = 300
) -> Participant:
    """Somebody who was inside from ``joined_s`` to ``left_s`` seconds after the recording began."""
    participant = Participant(meeting=meeting, platform=meeting.platform, name=name, answer=answer, came_by_page=True)
    participant.provider_user_id = str(participant.pk)
    participant.save()
    joined, left = STARTED + timedelta(seconds=joined_s), STARTED + timedelta(seconds=left_s)
    ParticipantSession.objects.create(
        meeting=meeting,
        participant=participant,
        session_id=f"session-{name}",
        joined_at=joined,
        last_joined_at=joined,
        reported_left_at=left,
        left_at=left,
    )
    return participant


def listed(recording_id: str = "rec-1", **changes: object) -> dict[str, object]:
    """A recording as Daily's API lists it."""
    return {
        "id": recording_id,
        "room_name": "standup-abc",
        "start_ts": int(STARTED.timestamp()),
        "status": "finished",
        "duration": 17,
        "s3key": KEY,
        **changes,
    }


@pytest.fixture(scope="module")
def spoken_mp4(tmp_path_factory) -> Path:
    """Ann's phrases as an MP4 with AAC sound and H.264 pictures."""
    path = tmp_path_factory.mktemp("media") / "ann.mp4"
    write_mp4(path, [Clip(1.0, speech(ANN))])
    return path
