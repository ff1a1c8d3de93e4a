"""All orders and repetitions of a meeting's events end in the same rows.

What the world told is what these tests shuffle: bodies of both providers through their adapters, and observations of
presence. What we *order* (a recording stopped because somebody came in) happens in time and is not undone by learning
later that they had left.
"""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetings.models import Capture, Meeting
from tests.accounts_for_platforms import BOTH
from tests.factories import NOW
from tests.meetings.orders import ANN, BOB, CAPTURE, after, later, make, same_in_all_orders, show, shuffled, tell

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def both_platforms(settings):
    settings.PLATFORM_ENVIRON = BOTH


# -- the facts

daily_join = partial(tell, event_type="participant.joined")
daily_left = partial(tell, event_type="participant.left")
client_joined = partial(tell, event_type="room.client.joined")
client_left = partial(tell, event_type="room.client.left")


def daily_person(session, user, joined, name="Ann", **more):
    return {
        "session_id": session,
        "user_id": str(user),
        "user_name": name,
        "joined_at": later(joined).timestamp(),
        **more,
    }


COMING_AND_GOING = [
    partial(daily_join, seconds=1, **daily_person("s1", ANN, 1)),
    # the leave repeats the time of joining, 4 ms off
    partial(daily_left, seconds=60, **daily_person("s1", ANN, 1.004, duration=59)),
    partial(daily_join, seconds=70, **daily_person("s2", ANN, 70)),
    partial(daily_join, seconds=5, **daily_person("s3", BOB, 5, name="Bob")),
    partial(daily_left, seconds=90, **daily_person("s3", BOB, 5, name="Bob")),
]
RECORDED = [
    partial(tell, event_type="recording.started", seconds=10, recording_id="r1", instance_id=str(CAPTURE)),
    partial(
        tell,
        event_type="recording.ready-to-download",
        seconds=200,
        recording_id="r1",
        start_ts=later(10).timestamp(),
        duration=80,
        s3_key="k",
    ),
    partial(tell, event_type="recording.error", seconds=50, instance_id=str(CAPTURE), error_msg="odd", timestamp="1"),
    partial(tell, event_type="meeting.ended", seconds=91, meeting_id="p"),
]
KNOCKING = [
    partial(tell, event_type="waiting-participant.joined", seconds=1, **daily_person("w1", "", 1, name="Eve")),
    partial(tell, event_type="waiting-participant.left", seconds=9, **daily_person("w1", "", 1, name="Eve")),
    partial(tell, event_type="waiting-participant.joined", seconds=20, **daily_person("w1", "", 20, name="Eva")),
    partial(daily_join, seconds=30, **daily_person("s9", "stranger", 30, name="Eva")),
]
SEEN = [
    partial(daily_join, seconds=1, **daily_person("s1", ANN, 1)),
    lambda meeting: show(meeting, 40, ("s1", ANN, 1), ("ghost", BOB, 2)),
    lambda meeting: show(meeting, 60),
    partial(daily_join, seconds=70, **daily_person("s2", ANN, 70)),
    partial(daily_left, seconds=45, **daily_person("s1", ANN, 1)),
]
LOOKS = [
    lambda meeting: show(meeting, 20, ("s1", ANN, 1), ("s3", BOB, 5)),
    lambda meeting: show(meeting, 40, ("s1", ANN, 1)),
    lambda meeting: show(meeting, 80),
    lambda meeting: show(meeting, 100),
]
WITHOUT_NAMES = [
    partial(daily_join, seconds=1, **daily_person("s1", "u1", 1, name="Eve")),
    partial(daily_left, seconds=60, session_id="s1", user_name="Eve B."),
    partial(daily_join, seconds=70, **daily_person("s1", "u1", 70, name="Eve C.")),
    partial(daily_join, seconds=2, **daily_person("s2", BOB, 2)),
]


def clients(external, **more):
    return {"externalId": str(external), "displayName": "Ann", "roleName": "visitor", **more}


WHEREBY = [
    partial(client_joined, seconds=1, **clients(ANN, participantId="p1")),
    partial(client_left, seconds=60, **clients(ANN, participantId="p1")),
    partial(client_joined, seconds=70, **clients(ANN, participantId="p1")),  # the same id again
    partial(client_left, seconds=90, **clients(ANN, participantId="p1")),
    partial(client_joined, seconds=6, participantId="p3", displayName="", roleName="recorder"),
]


# -- all orders


def test_coming_and_going():
    told = same_in_all_orders(make("daily"), COMING_AND_GOING)
    assert {stay["session_id"]: stay["left_at"] for stay in told["stays"]} == {
        "s1": later(60),
        "s2": None,
        "s3": later(90),
    }


def test_recording():
    meeting = make("daily")
    Capture.objects.create(pk=CAPTURE, meeting=meeting, ordered_at=NOW)
    told = same_in_all_orders(meeting, RECORDED)
    (capture,) = told["captures"]
    assert (capture["state"], capture["error"], capture["stopped_at"]) == ("off", "odd", later(90))
    assert told["capture ids"] == [str(CAPTURE)]


def test_recording_that_nobody_here_ordered():
    told = same_in_all_orders(make("daily"), RECORDED[1:])
    assert len(told["captures"]) == 2  # a finished one and a failed one: nothing says that they are the same


def test_knocking():
    told = same_in_all_orders(make("daily"), KNOCKING)
    (waiting,) = told["waiting"]
    assert (waiting["started_at"], waiting["ended_at"]) == (later(20), later(9))


def test_presence_between_events():
    told = same_in_all_orders(make("daily"), SEEN)
    assert {stay["session_id"]: stay["left_at"] for stay in told["stays"]}["s1"] == later(45)


def test_presence_alone():
    told = same_in_all_orders(make("daily"), LOOKS)
    assert {stay["session_id"]: stay["left_at"] for stay in told["stays"]} == {"s1": later(40), "s3": later(20)}
    assert told["meeting"][0]["empty_since"] == later(40)


def test_events_that_leave_out_who_it_was():
    told = same_in_all_orders(make("daily"), WITHOUT_NAMES)
    assert {person["provider_user_id"]: person["name"] for person in told["people"]} == {
        str(ANN): "Ann",
        str(BOB): "Bob",
        "u1": "Eve C.",
    }


def test_whereby():
    told = same_in_all_orders(make("whereby"), WHEREBY)
    assert {person["name"]: person["is_person"] for person in told["people"]} == {"Ann": True, "Bob": True, "": False}
    assert [stay["left_at"] for stay in told["stays"] if stay["session_id"] == "p1"] == [later(90)]


def test_a_meeting_that_is_over():
    meeting = make("daily", status="ended", ended_at=later(80), end_reason="host")
    told = same_in_all_orders(meeting, COMING_AND_GOING[1:])
    assert {stay["session_id"]: stay["left_at"] for stay in told["stays"]} == {
        "s1": later(60),
        "s2": later(80),
        "s3": later(90),
    }


@pytest.mark.parametrize(("leaves", "recorded"), [(0, 1), (1, 0), (2, 0)])
def test_what_the_trigger_wants_in_the_end(leaves, recorded):
    meeting = make("daily", recording_trigger="automatic-2nd-participant")
    facts = [
        COMING_AND_GOING[0],
        COMING_AND_GOING[3],
        *[COMING_AND_GOING[1], COMING_AND_GOING[4]][:leaves],
    ]
    assert len(same_in_all_orders(meeting, facts)["captures"]) == recorded


# -- many more facts, in orders and with repetitions that hypothesis finds

EVERYTHING = [*COMING_AND_GOING, *RECORDED, *KNOCKING, *SEEN, *LOOKS]
EXPECTED: list[dict] = []


@shuffled()
@given(st.permutations(EVERYTHING), st.lists(st.sampled_from(EVERYTHING), max_size=10), st.integers(0, 3))
def test_everything_at_daily(order, again, number):
    meeting = Meeting.objects.filter(platform="daily").first() or make("daily")
    Capture.objects.get_or_create(pk=CAPTURE, defaults={"meeting": meeting, "ordered_at": NOW})
    # the same facts, under other ids
    repeated = [partial(fact, number=number) if isinstance(fact, partial) else fact for fact in again]
    if not EXPECTED:
        EXPECTED.append(after(meeting, EVERYTHING))
    assert after(meeting, [*order, *repeated]) == EXPECTED[0]
