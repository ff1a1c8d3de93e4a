"""Failures in a row on a wave's target, in rooms that it moved, are noticed; anything less is not."""

import uuid
from datetime import timedelta

import pytest

from rooms.guard.tripwire import tripped
from rooms.models import Outcome, Wave, WaveRoom
from rooms.outcomes import Kind, Status
from tests.factories import make_room
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def wave(room):
    wave = Wave.objects.create(
        name="Pilot", platform="daily", reason="try it", status=Wave.Status.RUNNING, started_at=NOW, trip_after=3
    )
    WaveRoom.objects.create(wave=wave, room=room, bucket=1, from_platform="whereby", state=WaveRoom.State.MOVED)
    return wave


@pytest.fixture
def met(room):
    """met(minute, status): a meeting that opened then and was answered a minute later, unless told otherwise."""

    def make(minute, status=Status.FAILURE, *, kind=Kind.ERRORS, platform="daily", on=room, answered=None):
        at = NOW + minute * MINUTE
        decided = None if status == Status.PENDING else NOW + (minute + 1 if answered is None else answered) * MINUTE
        return Outcome.objects.create(
            meeting_id=uuid.uuid4(),
            room=on,
            platform=platform,
            kind=kind,
            status=status,
            words=f"{status} at {minute}",
            met_at=at,
            mature_at=at + 60 * MINUTE,
            decided_at=decided,
        )

    return make


def trip(wave, minute=10):
    return tripped(wave, NOW + minute * MINUTE)


def test_three_failures_in_a_row_trip_and_say_which(wave, met, room):
    rows = [met(1), met(2), met(3)]
    found = trip(wave)
    assert found.words == (
        "3 failures in a row of “no provider error” on Daily: “Standup”: failure at 1; “Standup”: failure at 2; "
        "“Standup”: failure at 3."
    )
    assert found.numbers == {
        "kind": "errors",
        "failures": 3,
        "trip_after": 3,
        "meetings": [str(row.meeting_id) for row in rows],
        "rooms": [room.pk],
        "first_met_at": (NOW + MINUTE).isoformat(),
        "last_met_at": (NOW + 3 * MINUTE).isoformat(),
    }


def test_two_do_not(wave, met):
    met(1), met(2)
    assert trip(wave) is None


def test_a_success_between_them_breaks_the_row(wave, met):
    met(1), met(2), met(3, Status.SUCCESS), met(4)
    assert trip(wave) is None


def test_what_does_not_apply_does_not_break_it(wave, met):
    met(1), met(2), met(3, Status.EXCLUDED), met(4)
    assert trip(wave) is not None


def test_kinds_are_counted_apart(wave, met):
    met(1), met(2), met(3, kind=Kind.JOINED)
    assert trip(wave) is None


def test_the_order_is_that_of_the_meetings_not_of_the_answers(wave, met):
    met(1, answered=9), met(2, Status.SUCCESS, answered=3), met(3, answered=4), met(4, answered=5)
    assert trip(wave) is None


def test_a_meeting_that_outlasts_the_failures_breaks_the_row(wave, met):
    met(1), met(2), met(3, Status.PENDING), met(4)
    assert trip(wave, minute=5) is None


def test_a_meeting_that_has_hardly_begun_does_not(wave, met):
    met(1), met(2), met(3, Status.PENDING), met(3.5, answered=3.8)
    assert trip(wave, minute=3.9) is not None


def test_a_recording_that_is_still_awaited_does_not_break_the_row(wave, met):
    met(1, kind=Kind.RECORDING), met(2, kind=Kind.RECORDING)
    met(3, Status.PENDING, kind=Kind.RECORDING), met(4, kind=Kind.RECORDING)
    assert trip(wave).numbers["kind"] == "recording"


def test_other_platforms_and_rooms_that_the_wave_did_not_move_do_not_count(wave, met):
    there_already = make_room(platform="daily")
    WaveRoom.objects.create(wave=wave, room=there_already, bucket=2, from_platform="daily", state=WaveRoom.State.THERE)
    for minute in (1, 2, 3):
        met(minute, platform="whereby")
        met(minute, on=there_already)
        met(minute, on=make_room(platform="daily"))
    assert trip(wave) is None


def test_meetings_before_the_wave_do_not_count(wave, met):
    met(-3), met(-2), met(-1, answered=1)
    assert trip(wave) is None


def test_what_whoever_resumed_had_seen_does_not_trip_again(wave, met):
    met(1), met(2), met(3)
    wave.guarded_from = NOW + 5 * MINUTE
    assert trip(wave) is None
    met(6), met(7)
    assert trip(wave) is None
    met(8)
    assert trip(wave).numbers["first_met_at"] == (NOW + 6 * MINUTE).isoformat()


def test_a_wave_that_has_not_started_is_not_guarded(wave, met):
    met(1), met(2), met(3)
    wave.started_at = None
    assert trip(wave) is None


def test_the_cost_does_not_grow_with_the_meetings(wave, met, django_assert_max_num_queries):
    for minute in range(40):
        met(minute, Status.SUCCESS)
    with django_assert_max_num_queries(1):
        assert trip(wave, 60) is None
