"""A long recording takes no more memory than a short one, from the provider's bucket to our storage and to a player."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from recordings.filestore import filestore
from recordings.models import Recording
from recordings.tasks import process_recording
from tests.recordings.conftest import API, BUCKET, KEY, STARTED, listed
from tests.services import free_port

pytestmark = pytest.mark.django_db

SIZE = 96 * 1024 * 1024
MOST = 24 * 1024 * 1024


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    """In a process of its own: what the server holds is not ours."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not _answers(address):
            assert time.monotonic() < deadline, "the S3 server did not start"
            time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait(10)


def _answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/moto-api/", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def long_mp4(spoken_mp4: Path, tmp_path: Path) -> Path:
    """Ann's phrases, and behind them a box that players skip."""
    path = tmp_path / "long.mp4"
    spoken = spoken_mp4.read_bytes()
    with path.open("wb") as file:
        file.write(spoken)
        file.write((SIZE - len(spoken)).to_bytes(4, "big") + b"free")
        file.truncate(SIZE)
    return path


def test_a_long_recording_is_fetched_kept_and_served_in_little_memory(meeting, bucket, api, long_mp4):
    bucket.upload_file(str(long_mp4), BUCKET, KEY)
    api.add("GET", f"{API}/recordings/rec-1", json=listed())
    row = Recording.objects.create(
        platform="daily",
        provider_recording_id="rec-1",
        meeting=meeting,
        provider_room_name="standup-abc",
        started_at=STARTED,
        provider_key=KEY,
        found_by="webhook",
    )
    tracemalloc.start()
    try:
        process_recording(str(row.pk))
        row.refresh_from_db()
        served = sum(map(len, filestore().read(row.file_key)))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (row.status, row.size_bytes, served) == ("done", SIZE, SIZE)
    assert most < MOST, f"{most // 1024**2} MB"
