"""The page tells how a join went: little, once, signed, and about itself only."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core import signing
from django.test import Client
from django.urls import reverse

from meetings import beacons
from meetings.entering import enter
from meetings.models import JoinBeacon, Participant
from tests.factories import NOW, make_meeting, make_participant

pytestmark = pytest.mark.django_db


@pytest.fixture
def person(fake_platforms):
    person = make_participant(make_meeting(platform="fake"))
    JoinBeacon.objects.create(participant=person, pressed_at=NOW)
    return person


def post(person, body, *, raw=None):
    url = reverse("call-beacon", args=[person.meeting.room.slug])
    data = json.dumps(body) if raw is None else raw
    # what a browser sends: no cookie of ours is needed, and no CSRF header can be there
    return Client(enforce_csrf_checks=True).post(url, data, content_type="application/json")


def tell(person, what, **more):
    return post(person, {"token": beacons.token_for(person), "what": what, **more})


def known(person):
    row = JoinBeacon.objects.get(participant=person)
    return row.framed_ms, row.joined_ms, bool(row.joined_at), row.failure, bool(row.failed_at), bool(row.left_at)


def test_a_join_is_kept_as_it_was_first_told(person):
    assert tell(person, "joined", framed_ms=310, joined_ms=1520).status_code == 204
    assert known(person) == (310, 1520, True, "", False, False)
    first = JoinBeacon.objects.get().joined_at
    assert tell(person, "joined", framed_ms=1, joined_ms=2).status_code == 204
    assert known(person) == (310, 1520, True, "", False, False)
    assert JoinBeacon.objects.get().joined_at == first


def test_a_failure_and_a_leave_are_kept_beside_it(person):
    tell(person, "failed", why="sdk")
    tell(person, "left")
    assert known(person) == (None, None, False, "sdk", True, True)


def test_a_page_says_that_it_is_gone_as_often_as_it_goes(person):
    for _ in range(2):
        Participant.objects.update(page_seen_at=NOW)
        assert tell(person, "gone").status_code == 204
        assert Participant.objects.get().page_seen_at is None
    assert known(person) == (None, None, False, "", False, False)


@pytest.mark.parametrize("why", ["<script>", 7, None, "x" * 300, ["sdk"]])
def test_a_reason_of_no_list_of_ours_is_other(person, why):
    assert tell(person, "failed", why=why).status_code == 204
    assert known(person)[3] == "other"


@pytest.mark.parametrize("ms", [-1, 600_001, 1e300, "12", True, None, [1]])
def test_a_time_out_of_bounds_is_dropped(person, ms):
    assert tell(person, "joined", joined_ms=ms, framed_ms=ms).status_code == 204
    assert known(person) == (None, None, True, "", False, False)


def test_not_a_number_is_dropped(person):
    body = f'{{"token": "{beacons.token_for(person)}", "what": "joined", "joined_ms": NaN, "framed_ms": Infinity}}'
    assert post(person, None, raw=body).status_code == 204
    assert known(person)[:3] == (None, None, True)


@pytest.mark.parametrize("token", ["", "nonsense", pytest.param(signing.dumps("x"), id="of something else"), None, 5])
def test_without_a_token_of_ours_nothing_is_asked_of_the_database(person, token, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert post(person, {"token": token, "what": "joined"}).status_code == 403
    assert known(person) == (None, None, False, "", False, False)


def test_an_old_token_is_refused(person, token_of_yesterday):
    assert post(person, {"token": token_of_yesterday(person), "what": "joined"}).status_code == 403


@pytest.fixture
def token_of_yesterday(monkeypatch):
    def make(person):
        old = (datetime.now(UTC) - beacons.TOKEN_AGE - timedelta(minutes=1)).timestamp()
        with monkeypatch.context() as patched:
            patched.setattr(signing.time, "time", lambda: old)
            return beacons.token_for(person)

    return make


@pytest.mark.parametrize("raw", ["", "[]", "1", "{", '"x"', "[" * 900, b"\xff\xfe"])
def test_what_is_no_object_is_refused(person, raw):
    assert post(person, None, raw=raw).status_code == 400


def test_what_nobody_knows_is_refused(person):
    assert tell(person, "danced").status_code == 400


def test_more_than_a_kilobyte_is_not_read(person):
    assert tell(person, "joined", why="x" * 1024).status_code == 413


def test_only_posts(person):
    assert Client().get(reverse("call-beacon", args=[person.meeting.room.slug])).status_code == 405


def test_somebody_who_was_deleted_tells_nothing(person):
    token = beacons.token_for(person)
    slug = person.meeting.room.slug
    Participant.objects.all().delete()
    answer = Client().post(
        reverse("call-beacon", args=[slug]), json.dumps({"token": token, "what": "left"}), "application/json"
    )
    assert (answer.status_code, JoinBeacon.objects.count()) == (204, 0)


def test_entering_notes_the_first_press(person, django_user_model):
    meeting = make_meeting(platform="fake")
    user = django_user_model.objects.create_user("guest")
    pressed = NOW + timedelta(seconds=1)
    first = enter(
        meeting=meeting, user=user, name="G", answer="yes", pressed_at=pressed, now=NOW + timedelta(seconds=9)
    )
    enter(meeting=meeting, user=user, name="G", answer="yes", now=NOW + timedelta(minutes=9))
    assert JoinBeacon.objects.get(participant=first).pressed_at == pressed


def test_no_fact_about_the_person_has_a_place_in_it():
    assert {field.name for field in JoinBeacon._meta.get_fields()} == {
        *("id", "participant", "pressed_at", "framed_ms", "joined_at", "joined_ms", "failed_at", "failure", "left_at"),
    }
