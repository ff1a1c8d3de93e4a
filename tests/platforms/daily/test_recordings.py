"""Recordings on Daily: how they are started and stopped, listed, fetched and deleted."""

from datetime import UTC, datetime
from typing import Any

import pytest
import responses
from responses import matchers

from platforms.base import (
    PlatformRefused,
    PlatformUnavailable,
    ProviderRecording,
    ProviderTrack,
)
from platforms.daily.adapter import DailyAdapter
from tests.platforms.daily.account import CLOUD_KEY, HERE, adapter, sent
from tests.platforms.daily.test_contract import API, NAME
from tests.platforms.s3 import s3, s3_url, versions_of

__all__ = ["s3", "s3_url"]

# -- recording control -----------------------------------------------------------------------------------------------


@responses.activate
def test_recording_starts_with_our_instance() -> None:
    responses.post(f"{API}/rooms/{NAME}/recordings/start", json={"status": "sent"})
    adapter().start_recording(HERE, instance_id="i-1", max_duration_s=7200)
    assert sent() == {"type": "cloud", "instanceId": "i-1", "maxDuration": 7200}


@responses.activate
def test_recording_of_a_call_that_is_not_registered_yet_is_tried_later() -> None:
    info = f"room {NAME} does not seem to be hosting a call currently"
    responses.post(f"{API}/rooms/{NAME}/recordings/start", status=404, json={"error": "not-found", "info": info})
    with pytest.raises(PlatformUnavailable) as unavailable:
        adapter().start_recording(HERE, instance_id="i-1", max_duration_s=7200)
    assert unavailable.value.retry_after_s == 2


@responses.activate
def test_recording_that_runs_already_has_started() -> None:
    answer = {"error": "invalid-request-error", "info": "room has an active stream with this instanceId"}
    responses.post(f"{API}/rooms/{NAME}/recordings/start", status=400, json=answer)
    adapter().start_recording(HERE, instance_id="i-1", max_duration_s=7200)


@responses.activate
def test_recording_refused_for_another_reason_is_refused() -> None:
    responses.post(f"{API}/rooms/{NAME}/recordings/start", status=400, json={"error": "invalid-request-error"})
    with pytest.raises(PlatformRefused):
        adapter().start_recording(HERE, instance_id="i-1", max_duration_s=7200)


@pytest.mark.parametrize("status", [200, 400, 404])
@responses.activate
def test_stop_is_idempotent(status: int) -> None:
    responses.post(f"{API}/rooms/{NAME}/recordings/stop", status=status, json={"error": "invalid-request-error"})
    adapter().stop_recording(HERE, instance_id="i-1")
    assert sent() == {"instanceId": "i-1", "type": "cloud"}


@responses.activate
def test_running_recording_is_seen_in_the_list() -> None:
    matcher = matchers.query_param_matcher({"room_name": NAME, "limit": "100"})
    finished, running = {"id": "a", "status": "finished"}, {"id": "b", "status": "in-progress"}
    responses.get(f"{API}/recordings", match=[matcher], json={"data": [finished, running]})
    responses.get(f"{API}/recordings", match=[matcher], json={"data": [finished]})
    assert [adapter().recording_running(HERE), adapter().recording_running(HERE)] == [True, False]


# -- recordings ------------------------------------------------------------------------------------------------------


@responses.activate
def test_list_infers_kinds_and_leaves_odd_ones_out() -> None:
    rows = [
        {
            "id": "raw",
            "room_name": "r",
            "start_ts": 1760988935,
            "status": "finished",
            "duration": 306,
            "s3key": "d/r/1",
            "mtgSessionId": "m",
            "tracks": [{"type": "audio", "s3Key": "d/r/1-a", "size": 5}, {"type": "audio", "s3Key": None}],
        },
        {"id": "cloud", "room_name": "r", "status": "finished", "s3key": "d/r/2", "tracks": None},
        {"id": "audio", "type": "cloud-audio-only", "status": "in-progress"},
        {"id": "stopped", "status": "canceled", "duration": "nan"},
        {"id": None, "status": "finished"},
        {"id": "what", "status": "melted"},
        None,
        "odd",
    ]
    responses.get(f"{API}/recordings", json={"total_count": 8, "data": rows})
    page = adapter().list_recordings()
    assert page.next_page is None
    assert [(item.recording_id, item.kind, item.state) for item in page.items] == [
        ("raw", "raw-tracks", "finished"),
        ("cloud", "cloud", "finished"),
        ("audio", "cloud-audio-only", "in-progress"),
        ("stopped", "cloud", "canceled"),
    ]
    assert page.items[0] == ProviderRecording(
        recording_id="raw",
        room_name="r",
        kind="raw-tracks",
        started_at=datetime.fromtimestamp(1760988935, tz=UTC),
        duration_s=306.0,
        key="d/r/1",
        provider_session_id="m",
        tracks=(ProviderTrack(kind="audio", key="d/r/1-a", size=5),),
    )


@responses.activate
def test_full_page_leads_to_the_next() -> None:
    rows = [{"id": f"r{number}", "status": "finished"} for number in range(100)]
    first = matchers.query_param_matcher({"limit": "100"})
    second = matchers.query_param_matcher({"limit": "100", "starting_after": "r99"})
    responses.get(f"{API}/recordings", match=[first], json={"data": [*rows[:99], {"id": "r99", "status": "odd"}]})
    responses.get(f"{API}/recordings", match=[second], json={"data": rows[:1]})
    page = adapter().list_recordings()
    assert (len(page.items), page.next_page) == (99, "r99")
    assert adapter().list_recordings(page=page.next_page).next_page is None


@responses.activate
def test_recording_that_is_gone_is_none() -> None:
    responses.get(f"{API}/recordings/abc", status=404, json={"error": "not-found"})
    assert adapter().get_recording("abc") is None


def with_bucket(s3_url: str) -> DailyAdapter:
    return adapter(AWS_DAILY_S3_ENDPOINT_URL=s3_url)


def fetched(built: DailyAdapter, recording: ProviderRecording) -> bytes:
    with built.download(recording) as download:
        return b"".join(download.chunks)


def test_download_comes_from_our_bucket(s3: Any, s3_url: str) -> None:
    s3.put_object(Bucket="daily-bucket", Key=CLOUD_KEY, Body=b"mp4")
    assert fetched(with_bucket(s3_url), ProviderRecording(recording_id="abc", key=CLOUD_KEY)) == b"mp4"


def test_download_falls_back_to_an_access_link(s3: Any, s3_url: str) -> None:
    with responses.RequestsMock() as mock:
        mock.add_passthru(s3_url)
        mock.get(
            f"{API}/recordings/abc/access-link",
            match=[matchers.query_param_matcher({"valid_for_secs": "3600"})],
            json={"download_link": "https://files.example/x?sig=1", "expires": 1},
        )
        mock.get("https://files.example/x?sig=1", body=b"linked")
        assert fetched(with_bucket(s3_url), ProviderRecording(recording_id="abc", key="gone")) == b"linked"


@responses.activate
def test_without_credentials_of_our_own_the_link_is_used() -> None:
    responses.get(f"{API}/recordings/abc/access-link", json={"download_link": "https://files.example/x"})
    responses.get("https://files.example/x", body=b"linked")
    built = adapter(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert fetched(built, ProviderRecording(recording_id="abc", key=CLOUD_KEY)) == b"linked"
    assert "Authorization" not in responses.calls[1].request.headers


def test_delete_removes_provider_copy_and_every_version(s3: Any, s3_url: str) -> None:
    for key in (CLOUD_KEY, CLOUD_KEY, f"{CLOUD_KEY}.event.json", f"{CLOUD_KEY}-raw-track", "reflector/room/other"):
        s3.put_object(Bucket="daily-bucket", Key=key, Body=b"x")
    with responses.RequestsMock() as mock:
        mock.add_passthru(s3_url)
        mock.get(f"{API}/recordings/abc", json={"id": "abc", "status": "finished", "s3key": CLOUD_KEY})
        mock.delete(f"{API}/recordings/abc", json={"deleted": True})
        with_bucket(s3_url).delete_recording(ProviderRecording(recording_id="abc"))
    assert versions_of(s3, "daily-bucket") == [f"{CLOUD_KEY}-raw-track", "reflector/room/other"]


def test_delete_of_raw_tracks_takes_the_tracks_and_leaves_the_mix(s3: Any, s3_url: str) -> None:
    for key in (CLOUD_KEY, f"{CLOUD_KEY}-raw-track"):
        s3.put_object(Bucket="daily-bucket", Key=key, Body=b"x")
    raw = ProviderRecording(recording_id="abc", kind="raw-tracks", key=CLOUD_KEY)
    with responses.RequestsMock() as mock:
        mock.add_passthru(s3_url)
        mock.get(f"{API}/recordings/abc", status=404, json={"error": "not-found"})
        mock.delete(f"{API}/recordings/abc", status=404, json={"error": "not-found"})
        with_bucket(s3_url).delete_recording(raw)
    assert versions_of(s3, "daily-bucket") == [CLOUD_KEY]
