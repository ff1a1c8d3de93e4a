"""What is Daily's own: rooms, tokens, presence."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import responses
from requests.structures import CaseInsensitiveDict
from responses import matchers

from platforms.base import (
    DeliveryRejected,
    PlatformRefused,
    PlatformUnavailable,
    PresentPerson,
    ProviderRoom,
)
from platforms.daily.adapter import ADAPTER, DailyAdapter, room_name
from platforms.events import ParticipantJoined, ParticipantLeft
from tests.accounts_for_platforms import BOTH
from tests.platforms.contract import KEY, NOW, options, person
from tests.platforms.daily.account import HERE, adapter, sent
from tests.platforms.daily.test_contract import API, NAME, ROOM
from tests.platforms.s3 import s3, s3_url

__all__ = ["s3", "s3_url"]

# -- settings and door -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "configured"),
    [
        ("DAILY_WEBHOOK_SECRET", "not base64!", False),
        ("DAILY_WEBHOOK_SECRET", f"{BOTH['DAILY_WEBHOOK_SECRET']},abc", False),
        ("DAILY_SUBDOMAIN", "https://reflector.daily.co", False),
        ("DAILY_ROOM_URL_PATTERN", "https://reflector.daily.co/", False),
        ("DAILY_ROOM_URL_PATTERN", "daily.co/{room_name}", False),
        ("DAILY_ROOM_URL_PATTERN", "https://{domain}.daily.co/{room_name}", False),
        ("DAILY_API_KEY", "key with spaces", False),
        ("AWS_DAILY_ROLE_ARN", "role/daily", True),
        ("AWS_DAILY_S3_BUCKET", "s3://daily-bucket", True),
        ("AWS_DAILY_ROLE_ARN", "", True),
        ("AWS_SECRET_ACCESS_KEY", "", True),
        ("AWS_DAILY_S3_ENDPOINT_URL", "localhost:9000", True),
    ],
)
def test_malformed_variable_is_named(name: str, value: str, configured: bool) -> None:
    built = adapter(**{name: value})
    assert [problem.variable for problem in built.problems()] == [name]
    assert built.configured is configured


def test_defaults_alone_are_not_half_a_configuration() -> None:
    built = DailyAdapter.from_environment({"DAILY_SUBDOMAIN": "reflector", "AWS_REGION": "eu-west-1"}, lambda: NOW)
    assert (built.configured, built.problems()) == (False, [])


def test_published_signature_vector() -> None:
    secret = "cmVmbGVjdG9yLXJvb21zLXN5bnRoZXRpYy1rZXktMDE="
    headers = CaseInsensitiveDict(
        {
            "X-Webhook-Timestamp": "1768018896877",
            "X-Webhook-Signature": "/ZOqqH9+41e6zkV0ebE8eD2Ts0cYLBmYL5M5Lmv2GZM=",
        }
    )
    built = adapter(DAILY_WEBHOOK_SECRET=secret)
    proof = built.verify(headers, b'{"test":"test"}')
    assert (proof.at, proof.stale) == (datetime(2026, 1, 10, 4, 21, 36, 877000, tzinfo=UTC), True)
    with pytest.raises(DeliveryRejected):
        built.verify(headers, b'{"test": "test"}')


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("", "https://reflector.daily.co"),
        ("http://localhost:8001/daily/rooms/{room_name}", "http://localhost:8001"),
        ("https://meet.example.org/{subdomain}/{room_name}", "https://meet.example.org"),
    ],
)
def test_origins_come_from_the_room_url_pattern(pattern: str, origin: str) -> None:
    origins = adapter(DAILY_ROOM_URL_PATTERN=pattern).origins()
    assert (origins.frame, origins.permissions, origins.script, origins.style) == ((origin,), (origin,), (), ())


# -- rooms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("weekly-sync", f"weekly-sync-{KEY}"),
        ("Žluťoučký kůň", f"Zlutoucky-kun-{KEY}"),
        ("会議", KEY),
        ("x" * 300, "x" * 95 + f"-{KEY}"),
    ],
)
def test_room_name_keeps_dailys_rules(prefix: str, name: str) -> None:
    assert room_name(options(name_prefix=prefix)) == name
    assert len(name) <= 128


@responses.activate
def test_room_is_private_expires_and_says_everything_explicitly() -> None:
    responses.post(f"{API}/rooms", json=ROOM)
    room = adapter().create_room(options())
    assert sent() == {
        "name": NAME,
        "privacy": "private",
        "properties": {
            "exp": int((NOW + timedelta(hours=9)).timestamp()),
            "eject_at_room_exp": True,
            "enable_knocking": True,
            "enable_prejoin_ui": False,
            "enable_chat": True,
            "enable_screenshare": True,
            "start_video_off": False,
            "start_audio_off": False,
            "lang": "en",
        },
    }
    assert room == ProviderRoom(
        name=NAME,
        provider_id=ROOM["id"],  # type: ignore[arg-type]
        url=f"https://reflector.daily.co/{NAME}",
        expires_at=datetime.fromtimestamp(1795424400, tz=UTC),
    )


@responses.activate
def test_options_reach_daily() -> None:
    responses.post(f"{API}/rooms", json=ROOM)
    asked = options(
        knocking=False,
        chat=False,
        screen_share=False,
        camera_on=False,
        microphone_on=False,
        language="ja",
        max_participants=12,
        recording_type="cloud",
    )
    adapter(AWS_DAILY_S3_BUCKET="daily-bucket/calls").create_room(asked)
    assert sent()["properties"] == {
        "exp": int((NOW + timedelta(hours=9)).timestamp()),
        "eject_at_room_exp": True,
        "enable_knocking": False,
        "enable_prejoin_ui": False,
        "enable_chat": False,
        "enable_screenshare": False,
        "start_video_off": True,
        "start_audio_off": True,
        "lang": "jp",
        "max_participants": 12,
        "enable_recording": "cloud",
        "recordings_bucket": {
            "bucket_name": "daily-bucket",
            "bucket_region": "us-west-2",
            "assume_role_arn": "arn:aws:iam::123456789012:role/daily",
            "allow_api_access": True,
        },
        "recordings_template": "calls/{domain_name}/{room_name}/{epoch_time}",
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("de-AT", "de"),
        ("pt-BR", "pt-BR"),
        ("pt-PT", "pt"),
        ("ja-JP", "jp"),
        ("nb-NO", "no"),
        ("NB", "no"),
        ("xx", None),
    ],
)
@responses.activate
def test_languages_are_spelt_as_daily_spells_them(ours: str, theirs: str | None) -> None:
    responses.post(f"{API}/rooms", json=ROOM)
    adapter().create_room(options(language=ours))
    assert sent()["properties"].get("lang") == theirs


@responses.activate
def test_without_a_bucket_daily_keeps_the_recording() -> None:
    responses.post(f"{API}/rooms", json=ROOM)
    adapter(AWS_DAILY_S3_BUCKET="", AWS_DAILY_ROLE_ARN="").create_room(options(recording_type="cloud"))
    assert sent()["properties"]["enable_recording"] == "cloud"
    assert "recordings_bucket" not in sent()["properties"]


@responses.activate
def test_name_that_exists_already_is_our_own_earlier_room() -> None:
    answer = {"error": "invalid-request-error", "info": f"a room named {NAME} already exists"}
    responses.post(f"{API}/rooms", status=400, json=answer)
    responses.get(f"{API}/rooms/{NAME}", json=ROOM)
    assert adapter().create_room(options()).name == NAME


@responses.activate
def test_invalid_option_is_refused_with_dailys_words() -> None:
    answer = {"error": "invalid-request-error", "info": "exp is in the past"}
    responses.post(f"{API}/rooms", status=400, json=answer)
    responses.get(f"{API}/rooms/{NAME}", status=404, json={"error": "not-found"})
    with pytest.raises(PlatformRefused, match="exp is in the past"):
        adapter().create_room(options())


@pytest.mark.parametrize("url", ["https://reflector.daily.co.evil.example/x", "http://reflector.daily.co/x", None, 7])
@responses.activate
def test_room_address_is_checked_against_the_pattern(url: Any) -> None:
    responses.post(f"{API}/rooms", json={**ROOM, "url": url})
    with pytest.raises(PlatformRefused, match="DAILY_ROOM_URL_PATTERN"):
        adapter().create_room(options())


# -- entry -----------------------------------------------------------------------------------------------------------


@responses.activate
def test_token_is_bound_to_room_and_person() -> None:
    responses.post(f"{API}/meeting-tokens", json={"token": "jwt"})
    entry = adapter().entry(HERE, person(expires_at=NOW + timedelta(hours=2), camera_on=False))
    assert sent() == {
        "properties": {
            "room_name": NAME,
            "user_id": "6f3fd5fc-4a35-4c53-9d9f-fb2bb4a7bb4e",
            "user_name": "Zoë",
            "is_owner": False,
            "exp": int((NOW + timedelta(hours=2)).timestamp()),
            "enable_screenshare": True,
            "start_video_off": True,
            "start_audio_off": False,
            "enable_prejoin_ui": False,
            "enable_recording_ui": False,
            "lang": "en",
        }
    }
    assert entry.frame_url == f"https://reflector.daily.co/{NAME}?t=jwt"
    assert entry.page == {"url": HERE.url, "token": "jwt", "userName": "Zoë", "isHost": False, "lang": "en"}
    assert "camera" in entry.allow


@responses.activate
def test_who_is_not_admitted_knocks_and_hosts_never_do() -> None:
    responses.post(f"{API}/meeting-tokens", json={"token": "jwt"})
    for index, (who, knocks, owner) in enumerate(
        [
            (person(admitted=False), True, False),
            (person(admitted=False, is_host=True), None, True),
            (person(), None, False),
        ]
    ):
        adapter().entry(HERE, who)
        properties = sent(index)["properties"]
        assert (properties.get("knocking"), properties["is_owner"]) == (knocks, owner)


@responses.activate
def test_answer_without_a_token_is_unavailable() -> None:
    responses.post(f"{API}/meeting-tokens", json={})
    with pytest.raises(PlatformUnavailable):
        adapter().entry(HERE, person())


# -- presence --------------------------------------------------------------------------------------------------------


@responses.activate
def test_presence_asks_once_for_all_rooms() -> None:
    asked = responses.get(
        f"{API}/presence",
        json={
            "one": [
                {"room": "one", "id": "s1", "userId": "u1", "userName": "Zoë", "joinTime": "2026-11-22T11:59:00.000Z"},
                {"room": "one", "id": "s2", "userId": None, "userName": None, "joinTime": "never"},
                {"room": "one", "id": None},
                "odd",
            ],
            "odd": "not a list",
            "foreign": [{"id": "s9"}],
        },
    )
    found = adapter().presence(["one", "two", "odd"])
    assert {name: presence.people for name, presence in found.items()} == {
        "one": (
            PresentPerson(
                session_id="s1", user_id="u1", name="Zoë", joined_at=datetime(2026, 11, 22, 11, 59, tzinfo=UTC)
            ),
            PresentPerson(session_id="s2", user_id="", name="", joined_at=None),
        ),
        "two": (),
        "odd": None,
    }
    assert {presence.observed_at for presence in found.values()} == {NOW}
    assert asked.call_count == 1


@responses.activate
def test_presence_of_unknown_shape_says_nothing() -> None:
    responses.get(f"{API}/presence", json=[])
    with pytest.raises(PlatformUnavailable):
        adapter().presence(["one"])


# -- who was there ---------------------------------------------------------------------------------------------------


def came(session_id: str, **more: Any) -> ParticipantJoined:
    at = datetime.fromtimestamp(1760988935, tz=UTC)
    fields: dict[str, Any] = {"occurred_at": at, "user_id": "u", "name": "Zoë", **more}
    return ParticipantJoined(platform="daily", room_name=NAME, session_id=session_id, **fields)


def went(session_id: str, seconds: float) -> ParticipantLeft:
    at = datetime.fromtimestamp(1760988935, tz=UTC)
    return ParticipantLeft(
        platform="daily",
        room_name=NAME,
        session_id=session_id,
        occurred_at=at + timedelta(seconds=seconds),
        joined_at=at,
        user_id="u",
        name="Zoë",
    )


@responses.activate
def test_past_stays_are_told_like_webhooks_tell_them() -> None:
    zoe = {"user_id": "u", "user_name": "Zoë", "participant_id": "s1", "join_time": 1760988935, "duration": 60}
    people = [
        zoe,
        zoe | {"participant_id": "s2", "user_id": None, "user_name": None, "duration": None},
        zoe | {"participant_id": None},
        zoe | {"participant_id": "s3", "join_time": "soon"},
        None,
        "odd",
    ]
    rows = [{"id": "m1", "participants": people}, {"id": "m2", "participants": None}, "odd"]
    running = {"id": "m3", "ongoing": True, "participants": [zoe | {"participant_id": "s4"}]}
    asked = responses.get(
        f"{API}/meetings",
        match=[matchers.query_param_matcher({"room": NAME, "limit": "100"})],
        json={"total_count": 4, "data": [*rows, running]},
    )
    told = list(adapter().past_stays(HERE))
    assert told == [came("s1"), went("s1", 60), came("s2", user_id="", name=""), came("s4")]
    assert asked.call_count == 1


@responses.activate
def test_past_stays_are_read_page_by_page() -> None:
    rows: list[dict[str, Any]] = [{"id": f"m{number}", "participants": []} for number in range(100)]
    last = {"participant_id": "s", "user_id": "u", "user_name": "Zoë", "join_time": 1760988935, "duration": 1}
    first = matchers.query_param_matcher({"room": NAME, "limit": "100"})
    second = matchers.query_param_matcher({"room": NAME, "limit": "100", "starting_after": "m99"})
    responses.get(f"{API}/meetings", match=[first], json={"data": rows})
    responses.get(f"{API}/meetings", match=[second], json={"data": [{"id": "m100", "participants": [last]}]})
    assert list(adapter().past_stays(HERE)) == [came("s"), went("s", 1)]


# -- events beyond the samples ---------------------------------------------------------------------------------------


def only_event(fields: dict[str, Any]) -> Any:
    (event,) = ADAPTER.from_environment(BOTH, lambda: NOW).interpret(json.dumps(fields).encode())
    return event


def test_times_may_come_in_milliseconds_and_as_strings() -> None:
    payload = {"room": "r", "meeting_id": "m", "start_ts": "1708526032672"}
    event = only_event({"type": "meeting.started", "payload": payload, "event_ts": None})
    assert event.occurred_at == datetime(2024, 2, 21, 14, 33, 52, 672000, tzinfo=UTC)


def test_leaving_without_a_time_is_dated_by_its_duration() -> None:
    payload = {"room": "r", "session_id": "s", "joined_at": 1708972291, "duration": 60}
    event = only_event({"type": "participant.left", "payload": payload})
    assert (event.occurred_at - event.joined_at) == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"type": "participant.joined", "event_ts": 1, "payload": {"room": "r", "joined_at": 1708972279}},
            "session_id",
        ),
        ({"type": "participant.joined", "payload": {"session_id": "s", "joined_at": 1708972279}}, "a room"),
        ({"type": "participant.joined", "payload": {"session_id": "s", "room": "r"}}, "a time"),
        ({"type": "meeting.melted", "event_ts": 1708972279}, "unknown type 'meeting.melted'"),
        ({}, "the event has no type"),
    ],
)
def test_what_is_missing_is_said(fields: dict[str, Any], reason: str) -> None:
    assert reason in only_event(fields).reason


# -- doctor ----------------------------------------------------------------------------------------------------------


@responses.activate
def test_diagnose_never_raises() -> None:
    responses.get(f"{API}/", body=requests.ConnectionError("x"))
    findings = list(adapter().diagnose(webhook_url="https://rooms.example.org/v1/webhooks/daily"))
    assert [finding.ok for finding in findings] == [False]


@responses.activate
def test_diagnose_finds_a_failed_webhook() -> None:
    url = "https://rooms.example.org/v1/webhooks/daily"
    responses.get(f"{API}/", json={"domain_name": "reflector"})
    responses.get(f"{API}/webhooks", json=[{"uuid": "w", "url": url, "state": "FAILED", "retryType": "exponential"}])
    built = adapter(AWS_DAILY_S3_BUCKET="", AWS_DAILY_ROLE_ARN="")
    findings = list(built.diagnose(webhook_url=url))
    assert {finding.key: finding.ok for finding in findings} == {
        "credentials": True,
        "webhook.registered": True,
        "webhook.active": False,
        "webhook.retries": True,
        "webhook.events": False,
        "webhook.secret": True,
        "clock": True,
        "bucket.readable": True,
    }
    active = next(finding for finding in findings if finding.key == "webhook.active")
    assert (active.fix, active.evidence["state"]) == ("manage.py sync_daily_webhook", "FAILED")
    assert "state" in active.what


@responses.activate
def test_diagnose_compares_what_daily_signs_with() -> None:
    url = "https://rooms.example.org/v1/webhooks/daily"
    responses.get(f"{API}/", json={})
    built = adapter(AWS_DAILY_S3_BUCKET="", AWS_DAILY_ROLE_ARN="")
    for signs_with, expected in (
        ("b3RoZXI=", (False, True)),
        (built.webhook_secrets[-1], (True, True)),
        ("", (True, False)),
    ):
        responses.upsert(responses.GET, f"{API}/webhooks", json=[{"uuid": "w", "url": url, "hmac": signs_with}])
        secret = next(each for each in built.diagnose(webhook_url=url) if each.key == "webhook.secret")
        assert (secret.ok, secret.proven) == expected
        assert signs_with not in secret.what or not signs_with


@responses.activate
def test_webhook_at_an_older_address_of_ours_is_ours() -> None:
    built = adapter(AWS_DAILY_S3_BUCKET="", AWS_DAILY_ROLE_ARN="")
    url = "https://rooms.example.org/v1/webhooks/daily"
    for address, is_ours in (
        ("https://rooms.example.org/v1/daily", True),
        ("https://other.example.org/v1/daily", False),
    ):
        responses.upsert(
            responses.GET, f"{API}/webhooks", json=[{"uuid": "w", "url": address, "state": "ACTIVE", "failedCount": 2}]
        )
        state = built.webhook_state(webhook_url=url)
        assert (state.points_at, state.is_ours, state.is_active, state.failed_count) == (address, is_ours, True, 2)


@responses.activate
def test_token_of_who_records_on_their_own_computer_shows_the_button() -> None:
    responses.post(f"{API}/meeting-tokens", json={"token": "jwt"})
    adapter().entry(HERE, person(is_host=True, records_locally=True))
    properties = sent()["properties"]
    assert (properties["enable_recording_ui"], properties["enable_recording"]) == (True, "local")
