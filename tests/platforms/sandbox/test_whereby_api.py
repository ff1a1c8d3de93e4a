"""Whereby's REST interface against facts E1."""

import re

from tests.platforms.sandbox.conftest import Whereby


def test_key_is_required(whereby: Whereby) -> None:
    assert whereby.client.get("/whereby/v1/meetings").status_code == 401
    assert whereby.client.get("/whereby/v1/meetings", headers={"Authorization": "Bearer x"}).status_code == 401


def test_meeting_is_made_read_listed_and_deleted_twice(whereby: Whereby) -> None:
    made = whereby.room(roomNamePrefix="demo", fields=["hostRoomUrl"])
    assert set(made) == {"meetingId", "roomName", "roomUrl", "startDate", "endDate", "hostRoomUrl"}
    assert re.fullmatch(r"/demo[0-9a-f-]{36}", made["roomName"])
    assert made["endDate"] == "2099-01-01T00:00:00.000Z"
    path = f"/meetings/{made['meetingId']}"
    assert "hostRoomUrl" not in whereby("GET", path)
    assert whereby("GET", path, fields="hostRoomUrl") == made
    assert whereby("DELETE", path) is None
    assert whereby.status == 204
    whereby("DELETE", path)
    assert whereby.status == 204
    whereby("GET", path)
    assert whereby.status == 404


def test_address_satisfies_the_embed_element(whereby: Whereby) -> None:
    made = whereby.room(fields=["hostRoomUrl"])
    # the pattern of v3-embed.js 3.30.3
    for address in (made["roomUrl"], made["hostRoomUrl"]):
        found = re.search(r"https://([^.]+)(\.whereby\.com)/.+", address)
        assert found is not None
        assert found[1] == "sandbox"
    page = made["hostRoomUrl"].removeprefix("http://localhost:8001")
    answer = whereby.client.get(page)
    assert answer.status_code == 200
    assert "X-Frame-Options" not in answer.headers
    assert "Set-Cookie" not in answer.headers


def test_end_date_is_required_and_in_the_future(whereby: Whereby) -> None:
    for ask in ({}, {"endDate": "soon"}, {"endDate": "2020-01-01T00:00:00Z"}):
        whereby("POST", "/meetings", ask)
        assert whereby.status == 400


def test_room_goes_an_hour_after_its_end(whereby: Whereby) -> None:
    made = whereby.room(endDate="2026-09-21T15:00:00Z")
    whereby.later(3600 + 2790)
    whereby("GET", f"/meetings/{made['meetingId']}")
    assert whereby.status == 200
    whereby.later(30)
    whereby("GET", f"/meetings/{made['meetingId']}")
    assert whereby.status == 404


def test_list_goes_by_cursor(whereby: Whereby) -> None:
    made = [whereby.room()["meetingId"] for _ in range(3)]
    first = whereby("GET", "/meetings", limit=2)
    rest = whereby("GET", "/meetings", limit=2, cursor=first["cursor"])
    assert [each["meetingId"] for each in first["results"] + rest["results"]] == made[::-1]
    assert rest["cursor"] is None


def test_normal_room_has_four_seats(whereby: Whereby) -> None:
    room = whereby.room(roomMode="normal")["roomName"]
    for number in range(4):
        whereby.join(room, f"P{number}")
    whereby.control("POST", "people", {"platform": "whereby", "room": room, "name": "Five"})
    assert whereby.status == 403


def test_over_the_limit_says_when(whereby: Whereby) -> None:
    whereby.control("POST", "faults/whereby", {"rate_limits": True})
    for _ in range(100):
        whereby("GET", "/meetings")
    answer = whereby.client.get("/whereby/v1/meetings", headers=whereby.headers)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "60"
    assert answer.get_json()["error"].startswith("Rate limit active for throttle key: ")
    assert answer.get_json()["data"]["msLeft"] == 60000


def test_points_are_those_of_the_operation(whereby: Whereby) -> None:
    whereby.control("POST", "faults/whereby", {"rate_limits": True})
    name = whereby.room()["roomName"]  # 3 points
    for _ in range(19):  # 95
        whereby("GET", "/insights/room-sessions", roomName=name)
    assert whereby.status == 200
    assert [whereby("GET", "/meetings") and whereby.status for _ in range(3)] == [200, 200, 429]


def test_insights_tell_sessions_and_people(whereby: Whereby) -> None:
    room = whereby.room()["roomName"]
    whereby.join(room, user_id="u-1")
    ben = whereby.join(room, "Ben")
    whereby.later(10)
    whereby.leave(ben)
    whereby.later(0)
    whereby.later(21)
    whereby("GET", "/insights/room-sessions")
    assert whereby.status == 400
    (session,) = whereby("GET", "/insights/room-sessions", roomName=room)["results"]
    assert set(session) == {"roomSessionId", "roomName", "startedAt", "endedAt"}
    people = whereby("GET", "/insights/participants", roomSessionId=session["roomSessionId"])["results"]
    assert {person["displayName"] for person in people} == {"Ann", "Ben"}
    (ann,) = whereby("GET", "/insights/participants", externalId="u-1")["results"]
    assert "leftAt" not in ann


def test_logo_is_taken(whereby: Whereby) -> None:
    room = whereby.room()["roomName"]
    answer = whereby.client.put(f"/whereby/v1/rooms{room}/theme/logo", data=b"\x89PNG", headers=whereby.headers)
    assert answer.status_code == 204
    answer = whereby.client.put("/whereby/v1/rooms/none/theme/logo", data=b"\x89PNG", headers=whereby.headers)
    assert answer.status_code == 404
