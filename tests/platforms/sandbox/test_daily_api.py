"""Daily's REST interface against facts A."""

import pytest

from platforms.sandbox.config import DAILY_BUCKET, DAILY_ROLE
from tests.platforms.sandbox.conftest import NOW, Daily

BUCKET = {"bucket_name": DAILY_BUCKET, "bucket_region": "us-west-2", "assume_role_arn": DAILY_ROLE}


def test_errors_of_authorization(daily: Daily) -> None:
    bare = daily.client.get("/daily/v1/rooms")
    assert (bare.status_code, bare.get_json()) == (400, {"error": "authorization-header-error"})
    wrong = daily.client.get("/daily/v1/rooms", headers={"Authorization": "Bearer x"})
    assert (wrong.status_code, wrong.get_json()) == (401, {"error": "authentication-error"})


def test_room_is_made_read_changed_and_deleted(daily: Daily) -> None:
    room = daily.room("demo_1", "private", enable_knocking=True, exp=NOW + 60)
    assert set(room) == {"id", "name", "api_created", "privacy", "url", "created_at", "config"}
    assert room["url"] == "http://localhost:8001/daily/rooms/demo_1"
    assert room["config"] == {"enable_knocking": True, "exp": NOW + 60}
    assert daily("GET", "/rooms/demo_1") == room
    changed = daily("POST", "/rooms/demo_1", {"properties": {"enable_knocking": None, "enable_chat": True}})
    assert changed["config"] == {"enable_chat": True, "exp": NOW + 60}
    assert daily("GET", "/rooms")["total_count"] == 1
    assert daily("DELETE", "/rooms/demo_1") == {"deleted": True, "name": "demo_1"}
    assert daily("DELETE", "/rooms/demo_1")["error"] == "not-found"
    assert daily.status == 404


@pytest.mark.parametrize("name", ["a b", "ä", "x" * 129, "a/b"])
def test_room_name_has_rules(daily: Daily, name: str) -> None:
    answer = daily("POST", "/rooms", {"name": name})
    assert (daily.status, answer["error"]) == (400, "invalid-request-error")
    assert "invalid characters" in answer["info"]


def test_second_room_of_a_name_is_refused(daily: Daily) -> None:
    daily.room("demo")
    answer = daily("POST", "/rooms", {"name": "demo"})
    assert (daily.status, answer["error"]) == (400, "invalid-request-error")
    assert answer["info"] == "a room named demo already exists"


def test_expiry_lies_in_the_future_and_then_ends_the_room(daily: Daily) -> None:
    daily("POST", "/rooms", {"name": "old", "properties": {"exp": NOW - 1}})
    assert daily.status == 400
    daily.room("demo", exp=NOW + 60)
    daily.later(61)
    daily("GET", "/rooms/demo")
    assert daily.status == 404


def test_list_pages_newest_first(daily: Daily) -> None:
    for number in range(3):
        daily.room(f"room-{number}")
    first = daily("GET", "/rooms", limit=2)
    assert (first["total_count"], [room["name"] for room in first["data"]]) == (3, ["room-2", "room-1"])
    rest = daily("GET", "/rooms", starting_after=first["data"][-1]["id"])
    assert [room["name"] for room in rest["data"]] == ["room-0"]


def test_token_says_who_comes_in(daily: Daily) -> None:
    daily.room("demo", "private")
    wish = {"room_name": "demo", "user_id": "u-1", "user_name": "Ann", "is_owner": True, "exp": NOW + 60}
    token = daily("POST", "/meeting-tokens", {"properties": wish})["token"]
    assert token.count(".") == 2
    person = daily.join("demo", "ignored", token=token)
    assert (person["user_id"], person["name"], person["owner"], person["state"]) == ("u-1", "Ann", True, "in")
    assert daily("GET", f"/meeting-tokens/{token}") == wish


@pytest.mark.parametrize(
    ("properties", "after_s", "kind"),
    [
        ({"room_name": "other"}, 0, "not-allowed"),
        ({"room_name": "demo", "exp": NOW + 5}, 6, "exp-token"),
        ({"room_name": "demo", "nbf": NOW + 5}, 0, "nbf-token"),
    ],
)
def test_token_that_does_not_open(daily: Daily, properties: dict[str, object], after_s: float, kind: str) -> None:
    daily.room("demo")
    token = daily("POST", "/meeting-tokens", {"properties": properties})["token"]
    daily.later(after_s)
    answer = daily.client.post("/_call/join", json={"platform": "daily", "room": "demo", "token": token})
    assert (answer.status_code, answer.get_json()["kind"]) == (403, kind)


def test_private_room_without_token_and_lobby_is_closed(daily: Daily) -> None:
    daily.room("demo", "private")
    answer = daily.client.post("/_call/join", json={"platform": "daily", "room": "demo", "name": "Ann"})
    assert answer.get_json()["kind"] == "not-allowed"


def test_full_room_and_absent_room(daily: Daily) -> None:
    daily.room("demo", max_participants=1)
    daily.join("demo")
    ask = {"platform": "daily", "room": "demo"}
    assert daily.client.post("/_call/join", json=ask).get_json()["kind"] == "meeting-full"
    assert daily.client.post("/_call/join", json=ask | {"room": "no"}).get_json()["kind"] == "no-room"


def test_eject_time_is_fixed_at_joining(daily: Daily) -> None:
    daily.room("demo", exp=NOW + 60, eject_at_room_exp=True)
    person = daily.join("demo")
    daily("POST", "/rooms/demo", {"properties": {"exp": NOW + 600}})
    daily.later(61)
    assert daily.control("GET", "people")[0]["state"] == "left"
    assert daily.control("GET", "people")[0]["id"] == person["id"]


def test_presence_of_domain_and_room_lags_when_told(daily: Daily) -> None:
    daily.room("demo")
    person = daily.join("demo", user_id="u-1")
    item = {
        "room": "demo",
        "id": person["id"],
        "userId": "u-1",
        "userName": "Ann",
        "mtgSessionId": daily("GET", "/presence")["demo"][0]["mtgSessionId"],
        "joinTime": "2026-09-21T14:13:20.000Z",
        "duration": 0,
    }
    assert daily("GET", "/presence") == {"demo": [item]}
    assert daily("GET", "/rooms/demo/presence") == {"total_count": 1, "data": [item]}
    daily.control("POST", "faults/daily", {"presence_lag_s": 15})
    assert daily("GET", "/presence") == {}
    daily.later(10)
    daily.leave(person)
    daily.later(6)
    assert daily("GET", "/rooms/demo/presence")["total_count"] == 1
    daily.later(10)
    assert daily("GET", "/rooms/demo/presence")["total_count"] == 0


def test_eject_and_ban(daily: Daily) -> None:
    daily.room("demo")
    person = daily.join("demo", user_id="u-1")
    ask = {"ids": ["nobody"], "user_ids": ["u-1"], "ban": True}
    assert daily("POST", "/rooms/demo/eject", ask) == {"ejectedIds": [person["id"]]}
    assert daily("POST", "/rooms/demo/eject", {"ids": ["nobody"]}) == {"ejectedIds": []}
    daily.control("POST", "people", {"platform": "daily", "room": "demo", "user_id": "u-1"})
    assert daily.status == 403


def test_meeting_begins_with_the_second_person_or_after_half_a_minute(daily: Daily) -> None:
    daily.room("demo")
    alone = daily.join("demo")
    assert daily("GET", "/meetings")["data"] == []
    daily.later(31)
    daily.later(1)
    (meeting,) = daily("GET", "/meetings", room="demo", ongoing="true")["data"]
    assert (meeting["room"], meeting["ongoing"], meeting["start_time"]) == ("demo", True, int(NOW))
    assert [person["participant_id"] for person in meeting["participants"]] == [alone["id"]]
    daily.leave(alone)
    assert daily("GET", f"/meetings/{meeting['id']}")["ongoing"] is False
    people = daily("GET", f"/meetings/{meeting['id']}/participants")["data"]
    assert people[0]["duration"] == 32
    daily("GET", f"/meetings/{meeting['id']}/participants", joined_after=people[-1]["participant_id"])
    assert daily.status == 404


def test_recording_start_has_its_refusals(daily: Daily) -> None:
    daily.room("demo")
    start = "/rooms/demo/recordings/start"
    answer = daily("POST", start)
    assert (daily.status, answer["error"]) == (404, "not-found")
    assert answer["info"] == "room demo does not seem to be hosting a call currently"
    daily.join("demo")
    daily("POST", start, {"instanceId": "c3df927c-f738-4471-a2b7-066fa7e95a6b"})
    assert daily.status == 400
    daily("POST", start, {"type": "raw-tracks"})
    assert daily.status == 400
    daily.control("POST", "faults/daily", {"not_hosting": 1})
    daily("POST", start)
    assert daily.status == 404
    assert daily("POST", start, {"surprise": 1}) == {"status": "sent"}
    assert "has an active stream" in daily("POST", start)["info"]
    assert daily.status == 400
    daily("POST", "/rooms/demo/recordings/stop", {"type": "raw-tracks"})
    assert daily.status == 400
    assert daily("POST", "/rooms/demo/recordings/stop") == {"status": "sent"}
    daily("POST", "/rooms/demo/recordings/stop")
    assert daily.status == 400


def test_running_recording_shows_little(daily: Daily) -> None:
    daily.room("demo", recordings_bucket=BUCKET)
    daily.join("demo")
    daily("POST", "/rooms/demo/recordings/start", {"type": "raw-tracks"})
    (shown,) = daily("GET", "/recordings", room_name="demo")["data"]
    shown.pop("mtgSessionId", None)
    assert shown == {
        "id": shown["id"],
        "room_name": "demo",
        "start_ts": int(NOW),
        "status": "in-progress",
        "max_participants": 1,
        "tracks": [],
    }


def test_limits_are_off_until_asked_for(daily: Daily) -> None:
    assert {daily("GET", "/recordings") and daily.status for _ in range(5)} == {200}
    daily.control("POST", "faults/daily", {"rate_limits": True})
    statuses = []
    for _ in range(3):
        daily("GET", "/recordings")
        statuses.append(daily.status)
    assert statuses == [200, 200, 429]
    daily.later(1.1)
    daily("GET", "/recordings")
    assert daily.status == 200


def test_faults_hit_the_next_calls_of_an_operation(daily: Daily) -> None:
    faults = [{"operation": "create_room", "times": 2, "status": 429, "retry_after_s": 3}]
    daily.control("POST", "faults/daily", {"requests": faults})
    daily("GET", "/rooms")
    assert daily.status == 200
    answer = daily.client.post("/daily/v1/rooms", json={"name": "demo"}, headers=daily.headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    daily("POST", "/rooms", {"name": "demo"})
    assert daily.status == 429
    daily.room("demo")


def test_create_may_happen_without_its_answer(daily: Daily) -> None:
    faults = [{"operation": "create_room", "status": 504, "after": True}]
    daily.control("POST", "faults/daily", {"requests": faults})
    daily("POST", "/rooms", {"name": "demo"})
    assert daily.status == 504
    assert daily("GET", "/rooms/demo")["name"] == "demo"


def test_provider_that_is_down_has_no_pages_either(daily: Daily) -> None:
    daily.room("demo")
    daily.control("POST", "faults/daily", {"down": True})
    daily("GET", "/rooms/demo")
    assert daily.status == 503
    assert daily.client.get("/daily/rooms/demo").status_code == 503
    daily.control("DELETE", "faults/daily")
    assert daily.client.get("/daily/rooms/demo").status_code == 200


def test_unknown_fault_is_refused(daily: Daily) -> None:
    daily.control("POST", "faults/daily", {"nonsense": 1})
    assert daily.status == 400
    daily.control("POST", "faults/daily", {"delay_s": "soon"})
    assert daily.status == 400
