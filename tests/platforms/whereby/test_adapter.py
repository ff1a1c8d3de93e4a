"""What is Whereby's own: rooms, embed attributes, sessions."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from requests.structures import CaseInsensitiveDict
from responses import matchers

from platforms.base import (
    DeliveryRejected,
    PlatformRefused,
    ProviderRoom,
    RoomPresence,
)
from platforms.events import ParticipantJoined, RecordingFailed, RecordingReady, SessionEnded, SessionStarted
from platforms.whereby.adapter import WherebyAdapter, display_name, room_name_prefix
from tests.accounts_for_platforms import BOTH
from tests.platforms.contract import KEY, NOW, PAYLOADS, options, person
from tests.platforms.s3 import s3, s3_url
from tests.platforms.whereby.account import FILE, HERE, NO_BUCKET, adapter, sent
from tests.platforms.whereby.test_contract import API, MEETING, NAME

__all__ = ["s3", "s3_url"]

# -- settings and door -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["AWS_WHEREBY_S3_BUCKET", "AWS_WHEREBY_ACCESS_KEY_ID", "AWS_WHEREBY_ACCESS_KEY_SECRET"]
)
def test_half_a_bucket_group_is_named(name: str) -> None:
    built = adapter(**{name: ""})
    assert [problem.variable for problem in built.problems()] == [name]
    assert built.configured


def test_only_a_bucket_means_that_the_rest_is_missing() -> None:
    environ = {name: value for name, value in BOTH.items() if name.startswith("AWS_")}
    built = WherebyAdapter.from_environment(environ, lambda: NOW)
    assert not built.configured
    assert [problem.variable for problem in built.problems()] == ["WHEREBY_API_KEY", "WHEREBY_WEBHOOK_SECRET"]


@pytest.mark.parametrize(
    ("secret", "timestamp", "body", "signature"),
    [
        (
            "whereby-test-secret",
            "1606227791",
            '{"a":"é"}',
            "f633290278c8f6a853d1a3bf7a7297b8069ab8fcf693f124ad8ce99847cef16d",
        ),
        (
            "synthetic-whereby-secret",
            "1768018896",
            '{"id":"evt-1","apiVersion":"1.0","createdAt":"2026-01-10T04:21:36.000Z","type":"room.client.joined",'
            '"data":{"meetingId":"134","roomName":"/demo-af0b7b66-c738-4981-887a-ad416754f32d",'
            '"displayName":"Zoë","numClients":1}}',
            "60d7c0d6fb7eca29d27cd8d7d5a60e0161e7d3f00dc8b9bc36d18f8ff7122f7d",
        ),
    ],
)
def test_published_signature_vectors(secret: str, timestamp: str, body: str, signature: str) -> None:
    built = adapter(WHEREBY_WEBHOOK_SECRET=secret)
    headers = CaseInsensitiveDict({"Whereby-Signature": f"t={timestamp},v1={signature}"})
    proof = built.verify(headers, body.encode())
    assert (proof.at, proof.stale) == (datetime.fromtimestamp(int(timestamp), tz=UTC), True)
    # re-serialised as ASCII, as a careless receiver would
    with pytest.raises(DeliveryRejected):
        built.verify(headers, json.dumps(json.loads(body), separators=(",", ":")).encode())


def test_second_signature_in_the_header_counts() -> None:
    built = adapter(WHEREBY_WEBHOOK_SECRET="whereby-test-secret")
    good = "f633290278c8f6a853d1a3bf7a7297b8069ab8fcf693f124ad8ce99847cef16d"
    headers = CaseInsensitiveDict({"Whereby-Signature": f"t=1606227791, v1={'0' * 64}, v1={good}"})
    assert built.verify(headers, '{"a":"é"}'.encode()).stale


@pytest.mark.parametrize(
    ("api", "room_url", "frame", "permissions"),
    [
        ("", "", ("https://*.whereby.com",), ()),
        ("", "https://joe.whereby.com/x?roomKey=1", ("https://joe.whereby.com",), ("https://joe.whereby.com",)),
        ("http://localhost:8001/whereby/v1", "", ("http://localhost:8001",), ("http://localhost:8001",)),
    ],
)
def test_origins_are_those_of_the_room(
    api: str, room_url: str, frame: tuple[str, ...], permissions: tuple[str, ...]
) -> None:
    origins = adapter(WHEREBY_API_URL=api).origins(room_url)
    assert (origins.frame, origins.permissions, origins.script) == (frame, permissions, ())
    assert origins.style[0].startswith("'sha256-")


# -- rooms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("Weekly Sync", f"weeklys{KEY}"), ("a-b_c", f"abc{KEY}"), ("Žluť", f"zlut{KEY}"), ("会議", KEY)],
)
def test_prefix_keeps_wherebys_rules(prefix: str, expected: str) -> None:
    assert room_name_prefix(options(name_prefix=prefix)) == expected
    assert len(expected) <= 39


@responses.activate
def test_room_is_asked_for_with_everything_explicit() -> None:
    responses.post(f"{API}/meetings", status=201, json=MEETING)
    room = adapter().create_room(options())
    assert sent() == {
        "endDate": "2026-11-22T20:00:00.000Z",  # it closes an hour later
        "isLocked": False,
        "roomMode": "group",
        "roomNamePrefix": f"weeklys{KEY}",
        "roomNamePattern": "uuid",
        "recording": {"type": "none", "destination": {"provider": "whereby"}, "startTrigger": "none"},
        "fields": ["hostRoomUrl"],
    }
    assert room == ProviderRoom(
        name=NAME,
        provider_id="134",
        url=f"https://joe.whereby.com/{NAME}",
        host_url=f"https://joe.whereby.com/{NAME}?roomKey=secret",
        expires_at=NOW + timedelta(hours=9),
    )


@responses.activate
def test_options_reach_whereby() -> None:
    responses.post(f"{API}/meetings", status=201, json=MEETING)
    asked = options(
        locked=True,
        mode="normal",
        chat=False,
        recording_type="cloud",
        recording_trigger="automatic-2nd-participant",
        expires_at=NOW + timedelta(minutes=5),
    )
    room = adapter(AWS_WHEREBY_S3_BUCKET="whereby-bucket/calls").create_room(asked)
    body = sent()
    assert (body["isLocked"], body["roomMode"], body["endDate"]) == (True, "normal", "2026-11-22T12:01:00.000Z")
    assert body["recording"] == {
        "type": "cloud",
        "destination": {
            "provider": "s3",
            "authenticationType": "accessKey",
            "bucket": "whereby-bucket/calls",
            "accessKeyId": "AKIAMADEUPWHEREBY000",
            "accessKeySecret": "made-up",
            "fileFormat": "mp4",
        },
        "startTrigger": "automatic-2nd-participant",
    }
    assert room.url == f"https://joe.whereby.com/{NAME}?chat=off"
    assert room.host_url == f"https://joe.whereby.com/{NAME}?roomKey=secret&chat=off"


@responses.activate
def test_without_a_bucket_whereby_keeps_the_recording() -> None:
    responses.post(f"{API}/meetings", status=201, json=MEETING)
    adapter(**NO_BUCKET).create_room(options(recording_type="cloud", recording_trigger="surprise"))
    assert sent()["recording"] == {
        "type": "cloud",
        "destination": {"provider": "whereby", "fileFormat": "mp4"},
        "startTrigger": "none",
    }


@pytest.mark.parametrize(
    "url",
    ["https://joe.whereby.com.evil.example/x", "http://joe.whereby.com/x", "https://evil.example/joe.whereby.com/", ""],
)
@pytest.mark.parametrize("field", ["roomUrl", "hostRoomUrl"])
@responses.activate
def test_room_addresses_must_be_wherebys(field: str, url: str) -> None:
    if field == "hostRoomUrl" and not url:
        url = "https://evil.example/"
    responses.post(f"{API}/meetings", status=201, json={**MEETING, field: url})
    with pytest.raises(PlatformRefused, match="whereby.com"):
        adapter().create_room(options())


@responses.activate
def test_room_addresses_on_the_host_of_another_api_are_accepted() -> None:
    url = "http://localhost:8001/room?roomUrl=https://sandbox.whereby.com/x"
    responses.post("http://localhost:8001/v1/meetings", json={**MEETING, "roomUrl": url, "hostRoomUrl": None})
    room = adapter(WHEREBY_API_URL="http://localhost:8001/v1").create_room(options(chat=False))
    assert room.url == f"{url}&chat=off"  # the embed element looks for the unescaped address
    assert room.host_url == ""


@responses.activate
def test_logo_goes_to_the_room_by_its_slashed_name() -> None:
    put = responses.put(f"{API}/rooms/%2F{NAME}/theme/logo", status=204)
    adapter().set_logo(HERE, b"\x89PNG")
    assert b"\x89PNG" in (put.calls[0].request.body or b"")
    assert put.calls[0].request.headers["Content-Type"].startswith("multipart/form-data")


# -- entry -----------------------------------------------------------------------------------------------------------


def test_guests_never_get_the_host_address() -> None:
    guest, host = adapter().entry(HERE, person()), adapter().entry(HERE, person(is_host=True))
    assert guest.page["room"] == HERE.url
    assert host.page["room"] == HERE.host_url
    assert "roomKey" not in guest.frame_url + json.dumps(dict(guest.page))
    assert "roomKey=k" in host.frame_url


def test_embed_attributes_and_plain_frame_say_the_same() -> None:
    entry = adapter().entry(HERE, person(name="A <b>; $c", language="ja", camera_on=False, screen_share=False))
    assert entry.page["attributes"] == {
        "displayName": "A b c",
        "externalId": "6f3fd5fc-4a35-4c53-9d9f-fb2bb4a7bb4e",
        "lang": "jp",
        "video": "off",
        "screenshare": "off",
        "precallReview": "off",
        "skipMediaPermissionPrompt": "on",
        "recording": "off",
    }
    query = {name: values[0] for name, values in parse_qs(urlsplit(entry.frame_url).query).items()}
    assert query == entry.page["attributes"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("de-AT", "de"),
        ("pt-BR", "pt"),
        ("ja-JP", "jp"),
        ("nn-NO", "nb"),
        ("zh-TW", "zh-hant"),
        ("zh-Hant", "zh-hant"),
        ("zh", None),
        ("xx", None),
    ],
)
def test_languages_are_spelt_as_whereby_spells_them(ours: str, theirs: str | None) -> None:
    assert adapter().entry(HERE, person(language=ours)).page["attributes"].get("lang") == theirs
    assert adapter().speaks(ours) is (theirs is not None)


def test_display_name_keeps_wherebys_rules() -> None:
    assert display_name("Zoë $!<>:; Ångström" + "x" * 200) == ("Zoë Ångström" + "x" * 200)[:100]


def test_odd_identifier_is_left_out() -> None:
    assert "externalId" not in adapter().entry(HERE, person(participant_id="a b")).page["attributes"]


# -- sessions --------------------------------------------------------------------------------------------------------


@responses.activate
def test_presence_says_only_whether_a_session_runs() -> None:
    def sessions(name: str, *rows: dict[str, Any]) -> Any:
        matcher = matchers.query_param_matcher({"roomName": f"/{name}", "limit": "100"})
        return responses.get(f"{API}/insights/room-sessions", match=[matcher], json={"results": list(rows)})

    asked = sessions("one", {"roomSessionId": "s", "startedAt": "x", "endedAt": "y"}, {"roomSessionId": "t"})
    sessions("two", {"roomSessionId": "s", "endedAt": "2026-11-22T11:00:00Z"})
    sessions("three")
    built = adapter()
    answer = built.presence(["one", "two", "three"])
    assert {name: (presence.people, presence.session_open) for name, presence in answer.items()} == {
        "one": (None, True),
        "two": (None, False),
        "three": (None, None),
    }
    built.presence(["one"])
    assert asked.call_count == 1


@responses.activate
def test_presence_stops_asking_when_points_run_low_and_rooms_can_still_be_made() -> None:
    asked = responses.get(f"{API}/insights/room-sessions", json={"results": []})
    responses.post(f"{API}/meetings", status=201, json=MEETING)
    built = adapter()
    answer = built.presence([f"room{number}" for number in range(30)])
    assert asked.call_count == 12  # 5 points each, of 90, with 30 kept for others
    assert answer["room29"] == RoomPresence(room_name="room29", people=None)
    assert built.create_room(options()).name == NAME


# -- events beyond the samples ---------------------------------------------------------------------------------------


def only_event(kind: str, **data: Any) -> Any:
    body = {"id": "e", "createdAt": "2026-11-22T12:00:00.000Z", "type": kind, "data": data}
    (event,) = adapter().interpret(json.dumps(body).encode())
    return event


@pytest.mark.parametrize(
    ("role", "is_host", "is_person"),
    [
        ("owner", True, True),
        ("host", True, True),
        ("granted_visitor", False, True),
        ("viewer", False, True),
        ("recorder", False, False),
        ("streamer", False, False),
        ("captioner", False, False),
        ("assistant", False, False),
        ("new_role", False, True),
    ],
)
def test_machines_are_not_people(role: str, is_host: bool, is_person: bool) -> None:
    event = only_event("room.client.joined", roomName="/r", participantId="p", roleName=role)
    assert isinstance(event, ParticipantJoined)
    assert (event.is_host, event.is_person) == (is_host, is_person)


def test_recording_key_is_below_the_folder_that_whereby_was_given() -> None:
    body = (PAYLOADS / "whereby-recording.finished.json").read_bytes()
    (event,) = adapter(AWS_WHEREBY_S3_BUCKET="whereby-bucket/calls").interpret(body)
    assert isinstance(event, RecordingReady)
    assert event.key == f"calls/{event.filename}"


def test_room_of_a_recording_is_taken_from_the_event_first() -> None:
    event = only_event("recording.finished", recordingId="a", filename=FILE, roomName="/named", status="completed")
    assert (event.room_name, event.started_at) == ("named", NOW + timedelta(seconds=5))


@pytest.mark.parametrize(("kind", "event_class"), [("started", SessionStarted), ("ended", SessionEnded)])
def test_session_needs_no_id(kind: str, event_class: type[SessionStarted | SessionEnded]) -> None:
    event = only_event(f"room.session.{kind}", meetingId="134", roomName=f"/{NAME}", roomSessionId=None)
    assert event == event_class(platform="whereby", occurred_at=NOW, room_name=NAME, provider_session_id="")


def test_recording_that_failed_is_told() -> None:
    event = only_event("recording.finished", recordingId="a", status="failed")
    assert isinstance(event, RecordingFailed)


# -- doctor ----------------------------------------------------------------------------------------------------------


@responses.activate
def test_diagnose_says_what_cannot_be_asked() -> None:
    responses.get(f"{API}/meetings", json={"results": [], "cursor": None})
    findings = list(adapter(**NO_BUCKET).diagnose(webhook_url="https://rooms.example.org/v1/webhooks/whereby"))
    assert {finding.key: (finding.ok, finding.proven, finding.applies) for finding in findings} == {
        "credentials": (True, True, True),
        "webhook.registered": (True, False, True),
        "clock": (True, False, True),
        "bucket.readable": (True, True, False),
    }
    assert "https://rooms.example.org/v1/webhooks/whereby" in findings[1].what


@responses.activate
def test_diagnose_stops_at_a_wrong_key() -> None:
    responses.get(f"{API}/meetings", status=401, json={"error": "unauthorized"})
    assert [finding.ok for finding in adapter().diagnose(webhook_url="x")] == [False]


def test_who_records_on_their_own_computer_keeps_the_button() -> None:
    entry = adapter().entry(HERE, person(is_host=True, records_locally=True))
    assert "recording" not in entry.page["attributes"]
    assert "recording=" not in entry.frame_url
