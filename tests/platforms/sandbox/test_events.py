"""The events have exactly the fields of the collected payloads, traps included."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.platforms.sandbox.conftest import Daily, Receiver, Whereby

PAYLOADS = Path(__file__).parents[2] / "payloads"


def shape(value: Any) -> Any:
    """Field names, all the way down; not into objects whose names are data."""
    if not isinstance(value, dict):
        return None
    return {name: None if name in ("numClientsByRoleName", "layout") else shape(item) for name, item in value.items()}


def sample(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def event(receiver: Receiver, kind: str) -> dict[str, Any]:
    return next(each for each in receiver.events() if each["type"] == kind)


@pytest.fixture
def daily_call(daily: Daily, receiver: Receiver) -> Daily:
    """Two people, one of them let in; a recording is started; everybody leaves."""
    daily.webhook(receiver.url)
    daily.room("demo", "private", enable_knocking=True)
    ann = daily.join("demo", owner=True)
    ben = daily.join("demo", "Ben", knock=True)
    assert ben["state"] == "waiting"
    daily.control("POST", f"people/{ben['id']}/admit")
    daily("POST", "/rooms/demo/recordings/start", {"instanceId": "11111111-1111-4111-8111-111111111111"})
    daily.later(1)
    daily("POST", "/rooms/demo/recordings/stop", {"instanceId": "11111111-1111-4111-8111-111111111111"})
    daily.leave(ann)
    daily.leave(ben)
    daily.sandbox.outbox.deliver_due("daily")
    return daily


@pytest.mark.parametrize(
    "kind",
    ["participant.joined", "participant.left", "waiting-participant.joined", "meeting.started", "recording.started"],
)
def test_daily_event_is_like_the_sample(daily_call: Daily, receiver: Receiver, kind: str) -> None:
    assert shape(event(receiver, kind)) == shape(sample(f"daily-{kind}"))


def test_daily_meeting_ends_late(daily_call: Daily, receiver: Receiver) -> None:
    assert "meeting.ended" not in receiver.types()
    daily_call.sandbox.clock.advance(21)
    daily_call.sandbox.outbox.deliver_due("daily")
    ended = event(receiver, "meeting.ended")
    assert shape(ended) == shape(sample("daily-meeting.ended"))
    assert ended["event_ts"] - ended["payload"]["end_ts"] == pytest.approx(20)


def test_daily_recording_start_names_no_room(daily_call: Daily, receiver: Receiver) -> None:
    assert "demo" not in json.dumps(event(receiver, "recording.started"))


def test_daily_recording_error_is_like_the_sample(daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url)
    daily.control("POST", "faults/daily", {"recording_errors": 1})
    daily.room("demo")
    daily.join("demo")
    assert daily("POST", "/rooms/demo/recordings/start") == {"status": "sent"}
    daily.later(0)
    failed = event(receiver, "recording.error")
    assert shape(failed) == shape(sample("daily-recording.error"))
    assert failed["payload"]["error_msg"] == sample("daily-recording.error")["payload"]["error_msg"]
    assert isinstance(failed["payload"]["timestamp"], str)


def test_daily_wrong_role_shows_only_in_the_call(daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url)
    bucket = {"bucket_name": "sandbox-daily", "bucket_region": "us-west-2", "assume_role_arn": "arn:other"}
    daily.room("demo", recordings_bucket=bucket)
    daily.join("demo")
    assert daily("POST", "/rooms/demo/recordings/start") == {"status": "sent"}
    daily.later(0)
    assert "STS credentials" in event(receiver, "recording.error")["payload"]["error_msg"]


@pytest.fixture
def whereby_call(whereby: Whereby, receiver: Receiver) -> Whereby:
    """A host and a visitor who knocked; recorded from the second person on; then only the host."""
    recording = {"type": "cloud", "startTrigger": "automatic-2nd-participant"}
    room = whereby.room(isLocked=True, recording=recording)["roomName"]
    whereby.join(room, owner=True, user_id="u-1")
    gone = whereby.join(room, "Cem")
    whereby.leave(gone)
    ben = whereby.join(room, "Ben")
    whereby.control("POST", f"people/{ben['id']}/admit")
    whereby.later(1)
    whereby.leave(ben)
    whereby.later(1)
    whereby.later(30)
    return whereby


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("room.client.joined", "room.client.joined.current-fields"),
        ("room.client.left", "room.client.left"),
        ("room.client.knocked", "room.client.knocked"),
        ("room.client.knockCancelled", "room.client.knockCancelled"),
        ("room.session.started", "room.session.started"),
        ("room.session.ended", "room.session.ended"),
    ],
)
def test_whereby_event_is_like_the_sample(whereby_call: Whereby, receiver: Receiver, kind: str, name: str) -> None:
    assert shape(event(receiver, kind)) == shape(sample(f"whereby-{name}"))


def test_whereby_counts_the_recorder_as_a_client(whereby_call: Whereby, receiver: Receiver) -> None:
    joined = [each["data"] for each in receiver.events() if each["type"] == "room.client.joined"]
    assert [each["roleName"] for each in joined] == ["host", "visitor", "recorder"]
    assert joined[-1]["numClients"] == 3
    assert joined[-1]["numClientsByRoleName"] == {"host": 1, "visitor": 1, "recorder": 1}


def test_whereby_lone_host_has_no_session(whereby: Whereby, receiver: Receiver) -> None:
    whereby.join(whereby.room()["roomName"], owner=True)
    whereby.later(120)
    assert receiver.types() == ["room.client.joined"]
    assert receiver.events()[0]["data"]["roomSessionId"] is None


@pytest.mark.parametrize(("trigger", "people", "records"), [
    ("none", 2, False), ("automatic", 1, True), ("automatic-2nd-participant", 1, False),
    ("automatic-2nd-participant", 2, True), ("prompt", 2, False),
])  # fmt: skip
def test_whereby_trigger_starts_the_recording(whereby: Whereby, trigger: str, people: int, records: bool) -> None:
    room = whereby.room(recording={"type": "cloud", "startTrigger": trigger})["roomName"]
    for number in range(people):
        whereby.join(room, f"P{number}")
    assert bool(whereby.control("GET", "recordings")) is records
