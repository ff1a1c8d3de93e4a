from datetime import timedelta

import pytest

from meetings.models import Capture, Meeting, Waiting
from meetings.state import meeting_state, room_state
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay

pytestmark = pytest.mark.django_db


@pytest.fixture
def room(fake_platforms):
    return make_room(platform="fake")


def state(room, **more):
    return room_state(room=room, with_names=False, now=NOW, **more)


IDLE = {"platform": "fake", "phase": "idle", "meeting": None, "people": 0, "recording": False, "waiting": 0}


def test_idle_room(room):
    assert state(room) == IDLE


def test_opening(room):
    meeting = make_meeting(room, status="opening")
    assert state(room) == IDLE | {"phase": "opening", "meeting": str(meeting.pk)}


def test_open_with_people(room):
    meeting = make_meeting(room)
    ann = make_participant(meeting, "Ann")
    make_stay(ann)
    make_stay(ann)
    make_stay(make_participant(meeting, ""))
    make_stay(make_participant(meeting, "Recorder", is_person=False))
    make_stay(make_participant(meeting, "Gone"), left_at=NOW)
    Waiting.objects.create(meeting=meeting, session_id="w", started_at=NOW)
    Capture.objects.create(meeting=meeting, state="stopping")
    told = IDLE | {"phase": "open", "meeting": str(meeting.pk), "people": 2, "recording": True, "waiting": 1}
    assert state(room) == told
    names = room_state(room=room, with_names=True)
    assert names == told | {"names": ["Ann", "Somebody without a name"]}


def test_a_recorder_that_the_provider_sent_in_is_a_recording(room):
    """Where nobody is asked the provider may start by itself, and no page of a host is there to tell."""
    stay = make_stay(make_participant(make_meeting(room), "", is_person=False))
    assert (state(room)["recording"], state(room)["people"]) == (True, 0)
    stay.left_at = NOW
    stay.save()
    assert state(room)["recording"] is False


@pytest.mark.parametrize(("capture", "recording"), [("wanted", False), ("on", True), ("off", False), ("failed", False)])
def test_recording_means_that_it_runs(room, capture, recording):
    Capture.objects.create(meeting=make_meeting(room), state=capture)
    assert state(room)["recording"] is recording


def test_platform_is_that_of_the_live_meeting(room):
    make_meeting(room)
    room.platform = "fake-page"
    assert state(room)["platform"] == "fake"
    Meeting.objects.update(status="ended")
    assert state(room)["platform"] == "fake-page"


def test_a_failed_opening_is_told_for_two_minutes(room):
    make_meeting(room, status="failed", ended_at=NOW - timedelta(seconds=119))
    assert state(room) == IDLE | {"phase": "failed"}
    Meeting.objects.update(ended_at=NOW - timedelta(seconds=120))
    assert state(room) == IDLE


def test_queries_do_not_grow_with_people(room, django_assert_num_queries):
    meeting = make_meeting(room)
    for count in (1, 3):
        for _ in range(count):
            make_stay(make_participant(meeting))
        with django_assert_num_queries(4):
            room_state(room=room, with_names=True)


def test_the_end_is_told_once_it_is_near(room):
    meeting = make_meeting(room, expires_at=NOW + timedelta(hours=8))
    assert meeting_state(meeting=meeting, for_host=False) == {"ends_at": None}
    meeting.warned_at = NOW
    assert meeting_state(meeting=meeting, for_host=False) == {"ends_at": "2026-03-03T17:00:00+00:00"}


def test_hosts_are_told_about_the_recording(room):
    meeting = make_meeting(room, recording_trigger="prompt")
    make_stay(make_participant(meeting, answer="yes"))
    assert meeting_state(meeting=meeting, for_host=True, now=NOW) == {
        "ends_at": None,
        "capture_problem": "",
        "prompt": True,
        "can_start": True,
        "can_stop": False,
    }
