"""All orders and repetitions of a meeting's events end in the same rows.

What the world told is what these tests shuffle: bodies of both providers through their adapters, and observations of
presence. What we *order* (a recording stopped because somebody came in) happens in time and is not undone by learning
later that they had left.
"""

import itertools
import json
import uuid
from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meetings import presence
from meetings.models import Capture, Meeting, Participant, ParticipantSession, Waiting
from platforms import registry
from platforms.base import PresentPerson, RoomPresence
from platforms.signals import platform_event
from tests.accounts_for_platforms import BOTH
from tests.factories import NOW, make_meeting, make_participant, make_room

pytestmark = pytest.mark.django_db
ANN, BOB, CAPTURE = (uuid.UUID(int=number) for number in (1, 2, 3))
#: made anew by each run
GENERATED = {"id", "receipt_token"}
WORK = {"attempts", "due_at", "woken_at", "lease_token", "lease_until", "finished_at", "last_error", "wanted_at"}
#: without looking for the smallest example: each takes a second, and a test has two minutes
shuffled = partial(
    settings,
    deadline=None,
    database=None,
    max_examples=15,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def later(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def both_platforms(settings):
    settings.PLATFORM_ENVIRON = BOTH


def make(platform, **fields):
    """A meeting with two people who came by our page, and nothing told of them yet."""
    room = make_room(platform=platform, recording_trigger="none", consent_policy="not_asked")
    meeting = make_meeting(room, provider_room_name=f"{platform}-room", **fields)
    for pk, name in ((ANN, "Ann"), (BOB, "Bob")):
        make_participant(meeting, name, pk=pk)
    return meeting


def tell(meeting, event_type, seconds, number=0, **fields):
    """One delivery, as the provider words it. ``number`` makes the same fact come under another id."""
    delivery = f"{event_type}-{seconds}-{number}"
    at = later(seconds).timestamp()
    if meeting.platform == "daily":
        room = {} if event_type == "recording.started" else {"room": meeting.provider_room_name}
        body = {"version": "1.0.0", "type": event_type, "id": delivery, "payload": room | fields, "event_ts": at}
    else:
        body = {
            "id": delivery,
            "apiVersion": "1.0",
            "createdAt": later(seconds).isoformat(),
            "type": event_type,
            "data": {"meetingId": "1", "roomName": f"/{meeting.provider_room_name}", **fields},
        }
    for event in registry.get(meeting.platform).interpret(json.dumps(body).encode()):
        platform_event.send(sender=None, event=event)


def show(meeting, seconds, *people):
    """One look at the presence: ``(session, user, joined)`` of each."""
    seen = tuple(
        PresentPerson(session_id=session, user_id=str(user), name="", joined_at=later(joined))
        for session, user, joined in people
    )
    presence.note_presence(
        meeting,
        RoomPresence(room_name=meeting.provider_room_name, people=seen, observed_at=later(seconds)),
        now=later(seconds),
    )


def rows(meeting):
    """Everything that is stored of a meeting, without what is made anew by each run."""
    people = dict(Participant.objects.filter(meeting=meeting).values_list("pk", "provider_user_id"))

    def dump(query, left_out=frozenset()):
        found = []
        for row in query:
            values = {
                field.name: getattr(row, field.attname)
                for field in row._meta.concrete_fields
                if field.name not in GENERATED | left_out
            }
            if "participant" in values:
                values["participant"] = people[values["participant"]]
            found.append(values)
        return sorted(found, key=repr)

    return {
        "meeting": dump(Meeting.objects.filter(pk=meeting.pk)),
        "people": dump(Participant.objects.filter(meeting=meeting)),
        "stays": dump(ParticipantSession.objects.filter(meeting=meeting)),
        "waiting": dump(Waiting.objects.filter(meeting=meeting)),
        "captures": dump(Capture.objects.filter(meeting=meeting), WORK),
        "capture ids": sorted(str(row.pk) for row in meeting.captures.filter(pk=CAPTURE)),
    }


def after(meeting, facts):
    """The rows after these facts, which are then undone."""
    with transaction.atomic():
        for fact in facts:
            fact(meeting)
        found = rows(meeting)
        transaction.set_rollback(True)
    return found


def same_in_all_orders(meeting, facts):
    expected = after(meeting, facts)
    for order in itertools.permutations(facts):
        assert after(meeting, [*order, order[0]]) == expected
    return expected


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


@st.composite
def some_clients(draw):
    """Comings and goings, with ids that come again, of whom not every event says who they are."""
    session = draw(st.sampled_from(["p1", "p2", "p3", "p4"]))
    owner = {"p1": str(ANN), "p2": str(ANN), "p3": str(BOB), "p4": ""}[session]
    return partial(
        draw(st.sampled_from([client_joined, client_left])),
        seconds=draw(st.integers(0, 300)),
        **clients(
            draw(st.sampled_from([owner, ""])),
            participantId=session,
            displayName=draw(st.sampled_from(["", "Ann", "Eve"])),
            roleName=draw(st.sampled_from(["visitor", "host"])),
        ),
    )


@shuffled(max_examples=20)
@given(st.lists(some_clients(), max_size=8), st.randoms(use_true_random=False))
def test_any_clients_at_whereby(facts, random):
    meeting = Meeting.objects.filter(platform="whereby").first() or make("whereby")
    other = [*facts, *random.sample(facts, len(facts) // 2)]
    random.shuffle(other)
    assert after(meeting, other) == after(meeting, facts)
