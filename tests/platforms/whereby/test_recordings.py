"""Recordings on Whereby: how they are started and stopped, listed, fetched and deleted."""

from datetime import timedelta
from typing import Any

import pytest
import responses
from responses import matchers

from platforms.base import (
    PlatformRefused,
    PlatformUnavailable,
    ProviderRecording,
)
from platforms.whereby.adapter import WherebyAdapter
from tests.platforms.contract import NOW
from tests.platforms.s3 import s3, s3_url, versions_of
from tests.platforms.whereby.account import FILE, HERE, NO_BUCKET, adapter
from tests.platforms.whereby.test_contract import API, NAME

__all__ = ["s3", "s3_url"]

# -- recordings ------------------------------------------------------------------------------------------------------


def test_recording_is_started_by_the_hosts_page() -> None:
    built = adapter()
    for order in (
        lambda: built.start_recording(HERE, instance_id="i", max_duration_s=60),
        lambda: built.stop_recording(HERE, instance_id="i"),
    ):
        with pytest.raises(PlatformRefused):
            order()
    assert built.recording_running(HERE) is None
    assert not built.capabilities.server_recording


@responses.activate
def test_recordings_are_listed_with_rooms_from_their_file_names() -> None:
    rows = [
        {
            "recordingId": "a",
            "roomSessionId": "s",
            "filename": FILE,
            "startDate": "2026-11-22T12:00:05.000Z",
            "endDate": "2026-11-22T12:01:35.000Z",
            "sizeInMegaBytes": 3,
        },
        {"recordingId": "b", "filename": "odd.mp4", "startDate": "soon"},
        {"recordingId": None},
        "odd",
    ]
    matcher = matchers.query_param_matcher({"limit": "100", "cursor": "c1", "sortBy": "startDate:desc"})
    responses.get(f"{API}/recordings", match=[matcher], json={"results": rows, "cursor": "c2"})
    page = adapter(AWS_WHEREBY_S3_BUCKET="whereby-bucket/calls").list_recordings(page="c1")
    assert page.next_page == "c2"
    assert page.items == (
        ProviderRecording(
            recording_id="a",
            room_name=NAME,
            started_at=NOW + timedelta(seconds=5),
            duration_s=90.0,
            key=f"calls/{FILE}",
            provider_session_id="s",
        ),
        ProviderRecording(recording_id="b", key="calls/odd.mp4"),
    )


@responses.activate
def test_recording_that_is_gone_is_none() -> None:
    responses.get(f"{API}/recordings/abc", status=404)
    assert adapter().get_recording("abc") is None


def fetched(built: WherebyAdapter, recording: ProviderRecording) -> bytes:
    with built.download(recording) as download:
        return b"".join(download.chunks)


@pytest.mark.parametrize("ours", [{}, {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}])
def test_download_uses_our_keys_or_those_that_whereby_has(s3: Any, s3_url: str, ours: dict[str, str]) -> None:
    s3.put_object(Bucket="whereby-bucket", Key=f"calls/{FILE}", Body=b"mp4")
    built = adapter(AWS_WHEREBY_S3_ENDPOINT_URL=s3_url, AWS_WHEREBY_S3_BUCKET="whereby-bucket/calls", **ours)
    assert fetched(built, ProviderRecording(recording_id="a", key=f"calls/{FILE}")) == b"mp4"


@responses.activate
def test_download_of_what_whereby_keeps_uses_its_link() -> None:
    responses.get(f"{API}/recordings/a/access-link", json={"accessLink": "https://files.example/x", "expires": 1})
    responses.get("https://files.example/x", body=b"linked")
    assert fetched(adapter(**NO_BUCKET), ProviderRecording(recording_id="a")) == b"linked"


@responses.activate
def test_link_that_is_not_https_is_refused() -> None:
    responses.get(f"{API}/recordings/a/access-link", json={"accessLink": "http://files.example/x"})
    with pytest.raises(PlatformRefused, match="not https"):
        fetched(adapter(), ProviderRecording(recording_id="a"))


def test_delete_removes_provider_copy_and_every_version(s3: Any, s3_url: str) -> None:
    for key in (FILE, FILE, "other.mp4"):
        s3.put_object(Bucket="whereby-bucket", Key=key, Body=b"x")
    with responses.RequestsMock() as mock:
        mock.add_passthru(s3_url)
        mock.get(f"{API}/recordings/a", json={"recordingId": "a", "filename": FILE})
        mock.delete(f"{API}/recordings/a", status=404)
        built = adapter(AWS_WHEREBY_S3_ENDPOINT_URL=s3_url)
        built.delete_recording(ProviderRecording(recording_id="a"))
    assert versions_of(s3, "whereby-bucket") == ["other.mp4"]


@responses.activate
def test_delete_without_an_answer_may_be_tried_later() -> None:
    responses.get(f"{API}/recordings/a", status=503)
    with pytest.raises(PlatformUnavailable):
        adapter().delete_recording(ProviderRecording(recording_id="a"))
