"""From a page's chunks to the file in the bucket and the event that tells of it."""

import io
import json
from pathlib import Path
from typing import Any

import av
import boto3
import numpy as np
import pytest

from platforms.sandbox.config import DAILY_BUCKET, DAILY_ROLE, HOSTED_BUCKET, WHEREBY_BUCKET
from platforms.sandbox.mixing import RATE
from platforms.sandbox.server import Sandbox
from platforms.sandbox.storage import Storage, free_port
from tests.platforms.sandbox.conftest import NOW, Daily, Receiver, Whereby
from tests.platforms.sandbox.test_mixing import loudness, tone

BUCKET = {"bucket_name": DAILY_BUCKET, "bucket_region": "us-west-2", "assume_role_arn": DAILY_ROLE}
INSTANCE = "11111111-1111-4111-8111-111111111111"


def s3(sandbox: Sandbox) -> Any:
    return boto3.client(
        "s3", endpoint_url=sandbox.storage.url, region_name="us-west-2",
        aws_access_key_id="x", aws_secret_access_key="y",
    )  # fmt: skip


def sound_of(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(file.streams.audio[0])])


class Page:
    """What the call page's script does, without a browser."""

    def __init__(self, daily: Daily, room: str, **ask: Any) -> None:
        self.client = daily.client
        answer = self.client.post("/_call/join", json={"platform": daily.platform, "room": room, **ask})
        assert answer.status_code == 200, answer.get_json()
        self.joined = answer.get_json()
        self.id, self.key = self.joined["session"], self.joined["key"]

    def post(self, path: str, data: bytes = b"", json: Any = None, **query: Any) -> Any:
        what = {"data": data} if json is None else {"json": json}
        return self.client.post(f"/_call/{self.id}/{path}", query_string={"key": self.key, **query}, **what)

    def beat(self, muted: bool = False) -> Any:
        return self.post("beat", json={"muted": muted}).get_json()

    def speak(self, file: Path, start_ms: int, pieces: int = 3, take: str = "1") -> None:
        """Hand in a WebM file in pieces, as MediaRecorder cuts it; the recordings are those that run."""
        ids = ",".join(each["id"] for each in self.beat()["recordings"])
        data = file.read_bytes()
        size = len(data) // pieces + 1
        for seq in range(pieces):
            more = {"final": 1} if seq == pieces - 1 else {}
            part = data[seq * size : (seq + 1) * size]
            answer = self.post("chunk", part, take=take, seq=seq, start=start_ms, recordings=ids, **more)
            assert answer.get_json() == {"next": seq + 1}


def start(daily: Daily, **ask: Any) -> None:
    assert daily("POST", "/rooms/demo/recordings/start", {"instanceId": INSTANCE, **ask}) == {"status": "sent"}


def stop(daily: Daily, **ask: Any) -> None:
    assert daily("POST", "/rooms/demo/recordings/stop", {"instanceId": INSTANCE, **ask}) == {"status": "sent"}


def test_two_microphones_become_one_file(buckets: Sandbox, daily: Daily, receiver: Receiver, tmp_path: Path) -> None:
    daily.webhook(receiver.url)
    daily.room("demo", recordings_bucket=BUCKET)
    ann, ben = Page(daily, "demo", name="Ann"), Page(daily, "demo", name="Ben")
    start(daily)
    ann.speak(tone(tmp_path / "a.webm", 2, 440), int((NOW + 1) * 1000))
    ben.speak(tone(tmp_path / "b.webm", 2, 1000), int((NOW + 4) * 1000))
    daily.later(7)
    stop(daily)
    daily.later(0)
    (shown,) = daily("GET", "/recordings")["data"]
    key = f"sandbox/demo/{int(NOW * 1000)}"
    assert (shown["status"], shown["duration"], shown["s3key"], shown["max_participants"]) == ("finished", 7, key, 2)
    sound = sound_of(s3(buckets).get_object(Bucket=DAILY_BUCKET, Key=key)["Body"].read())
    assert len(sound) / RATE == pytest.approx(7, abs=0.1)
    assert loudness(sound, 0, 0.9) < 0.01
    assert loudness(sound, 1.1, 2.9) > 0.2
    assert loudness(sound, 3.2, 3.8) < 0.01
    assert loudness(sound, 4.1, 5.9) > 0.2
    buckets.outbox.deliver_due("daily")
    payload = next(e for e in receiver.events() if e["type"] == "recording.ready-to-download")["payload"]
    assert payload == {
        "type": "cloud",
        "recording_id": shown["id"],
        "room_name": "demo",
        "start_ts": int(NOW),
        "status": "finished",
        "max_participants": 2,
        "duration": 7,
        "s3_key": key,
    }
    assert not list(buckets.config.takes.rglob("*.webm"))


def test_raw_tracks_come_per_person(buckets: Sandbox, daily: Daily, receiver: Receiver, tmp_path: Path) -> None:
    daily.webhook(receiver.url)
    daily.room("demo", recordings_bucket=BUCKET)
    ann = Page(daily, "demo", name="Ann")
    start(daily, type="raw-tracks")
    file = tone(tmp_path / "a.webm", 2, 440)
    begun = int((NOW + 1) * 1000)
    ann.speak(file, begun)
    daily.later(4)
    stop(daily, type="raw-tracks")
    daily.later(0)
    buckets.outbox.deliver_due("daily")
    payload = next(e for e in receiver.events() if e["type"] == "recording.ready-to-download")["payload"]
    key = f"sandbox/demo/{int(NOW * 1000)}"
    track = f"{key}-{ann.id}-cam-audio-{begun}"
    assert payload["s3_key"] == key
    assert payload["tracks"] == [{"type": "audio", "s3Key": track, "size": file.stat().st_size}]
    assert s3(buckets).get_object(Bucket=DAILY_BUCKET, Key=track)["Body"].read() == file.read_bytes()
    assert daily("GET", "/recordings")["data"][0]["tracks"] == payload["tracks"]


def test_repeated_chunk_counts_once(daily: Daily) -> None:
    daily.room("demo")
    ann = Page(daily, "demo")
    start(daily)
    ids = ann.beat()["recordings"][0]["id"]
    for _ in range(2):
        answer = ann.post("chunk", b"abc", take="1", seq=0, start=0, recordings=ids)
        assert answer.get_json() == {"next": 1}
    assert ann.post("chunk", b"late", take="1", seq=5, start=0, recordings=ids).get_json() == {"next": 1}
    (file,) = daily.sandbox.config.takes.rglob("*.webm")
    assert file.read_bytes() == b"abc"


def test_page_needs_its_key(daily: Daily) -> None:
    daily.room("demo")
    ann = Page(daily, "demo")
    ann.key = "wrong"
    assert ann.post("beat", json={}).status_code == 404
    assert ann.post("chunk", b"x", take="1").status_code == 404


def test_only_a_host_has_buttons(daily: Daily) -> None:
    daily.room("demo")
    ann = Page(daily, "demo")
    assert ann.post("do", json={"what": "end_meeting"}).status_code == 403
    assert ann.beat()["state"] == "in"


def test_stop_waits_for_the_last_chunk(buckets: Sandbox, daily: Daily, tmp_path: Path) -> None:
    buckets.config.flush_s = 3600
    daily.room("demo")
    ann = Page(daily, "demo")
    start(daily)
    ids = ann.beat()["recordings"][0]["id"]
    ann.post("chunk", b"", take="1", seq=0, start=int(NOW * 1000), recordings=ids)
    daily.later(5)
    stop(daily)
    daily.later(0)
    assert daily("GET", "/recordings")["data"][0]["status"] == "in-progress"
    data = tone(tmp_path / "a.webm", 2, 440).read_bytes()
    ann.post("chunk", data, take="1", seq=1, start=int(NOW * 1000), recordings=ids, final=1)
    daily.later(0)
    assert daily("GET", "/recordings")["data"][0]["status"] == "finished"


@pytest.mark.parametrize("how", ["leave", "delete", "vanish", "maximum"])
def test_recording_ends_with_the_call(buckets: Sandbox, daily: Daily, how: str) -> None:
    daily.room("demo")
    ann = Page(daily, "demo")
    start(daily, maxDuration=60)
    daily.later(10)
    if how == "leave":
        ann.post("leave")
    elif how == "delete":
        daily("DELETE", "/rooms/demo")
    elif how == "vanish":
        buckets.config.gone_after_s = 0
    else:
        daily.later(51)
    for _ in range(3):
        daily.later(6)
    (shown,) = daily("GET", "/recordings")["data"]
    assert shown["status"] == "finished"
    assert daily.control("GET", "people")[0]["state"] == ("in" if how == "maximum" else "left")


def test_recording_of_no_length_is_cancelled(buckets: Sandbox, daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url)
    daily.room("demo")
    Page(daily, "demo")
    start(daily)
    stop(daily)
    daily.later(1)
    assert daily("GET", "/recordings")["data"][0]["status"] == "canceled"
    assert "recording.ready-to-download" not in receiver.types()


def test_hosted_recording_has_a_link(buckets: Sandbox, daily: Daily) -> None:
    daily.room("demo")
    Page(daily, "demo")
    start(daily)
    daily.later(2)
    stop(daily)
    daily.later(0)
    (shown,) = daily("GET", "/recordings")["data"]
    answer = daily("GET", f"/recordings/{shown['id']}/access-link", valid_for_secs=60)
    assert answer["expires"] == int(NOW) + 62
    assert answer["download_link"].startswith(f"{buckets.storage.url}/{HOSTED_BUCKET}/")
    assert daily("DELETE", f"/recordings/{shown['id']}") == {"deleted": True, "id": shown["id"]}
    daily("GET", f"/recordings/{shown['id']}")
    assert daily.status == 404


def test_own_bucket_gives_a_link_only_when_allowed(buckets: Sandbox, daily: Daily) -> None:
    daily.room("demo", recordings_bucket=BUCKET)
    Page(daily, "demo")
    start(daily)
    daily.later(2)
    stop(daily)
    daily.later(0)
    (shown,) = daily("GET", "/recordings")["data"]
    daily("GET", f"/recordings/{shown['id']}/access-link")
    assert daily.status == 403


def test_injected_sound_is_heard_from_joining_to_leaving(
    buckets: Sandbox, whereby: Whereby, receiver: Receiver, tmp_path: Path
) -> None:
    key_id = buckets.config.secrets["s3_key_id"]
    destination = {"provider": "s3", "bucket": f"{WHEREBY_BUCKET}/calls", "accessKeyId": key_id, "fileFormat": "mp4"}
    recording = {"type": "cloud", "startTrigger": "automatic", "destination": destination}
    room = whereby.room(recording=recording, roomNamePrefix="demo")["roomName"]
    whereby.join(room, "Host", owner=True)
    whereby.later(1)
    form = {"platform": "whereby", "room": room, "name": "Ann", "audio": tone(tmp_path / "a.webm", 8, 440).open("rb")}
    ann = whereby.control("POST", "people", data=form, content_type="multipart/form-data")
    whereby.later(3)
    whereby.leave(ann)
    whereby.later(2)
    (host,) = [each for each in whereby.control("GET", "people") if each["name"] == "Host"]
    whereby.leave(host)
    whereby.later(0)
    whereby.later(6)
    whereby.later(0)
    (shown,) = whereby("GET", "/recordings", roomName=room)["results"]
    assert set(shown) == {"recordingId", "roomSessionId", "filename", "startDate", "endDate", "sizeInMegaBytes"}
    assert shown["filename"] == f"{room[1:]}-2026-09-21T14:13:20Z.mp4"
    object_ = s3(buckets).get_object(Bucket=WHEREBY_BUCKET, Key=f"calls/{shown['filename']}")
    sound = sound_of(object_["Body"].read())
    assert loudness(sound, 0, 0.9) < 0.01
    assert loudness(sound, 1.1, 3.9) > 0.2
    assert loudness(sound, 4.2, 6) < 0.01
    buckets.outbox.deliver_due("whereby")
    finished = next(event for event in receiver.events() if event["type"] == "recording.finished")
    assert finished["data"] == {
        "recordingId": shown["recordingId"],
        "filename": shown["filename"],
        "roomName": room,
        "status": "completed",
    }
    assert "meetingId" not in json.dumps(finished)


def test_objects_survive_a_restart_unless_deleted(buckets: Sandbox, tmp_path: Path) -> None:
    for name in ("kept", "gone"):
        (tmp_path / name).write_bytes(name.encode())
        buckets.storage.put(HOSTED_BUCKET, f"room/{name}-2026-09-21T14:13:20Z.mp4", tmp_path / name, "video/mp4")
    client = s3(buckets)
    client.delete_object(Bucket=HOSTED_BUCKET, Key="room/gone-2026-09-21T14:13:20Z.mp4")
    buckets.storage.prune()
    client.delete_object(Bucket=HOSTED_BUCKET, Key="room/kept-2026-09-21T14:13:20Z.mp4")
    again = Storage(buckets.config.objects, port=free_port(0), key_id="x", secret="y")
    again.start()
    try:
        found = client.list_objects_v2(Bucket=HOSTED_BUCKET, Prefix="room/")["Contents"]
        assert [each["Key"] for each in found] == ["room/kept-2026-09-21T14:13:20Z.mp4"]
        kept = client.head_object(Bucket=HOSTED_BUCKET, Key=found[0]["Key"])
        assert kept["ContentType"] == "video/mp4"
    finally:
        again.stop()
