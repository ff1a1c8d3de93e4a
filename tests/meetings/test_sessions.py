"""Sessions that are told to be several people's, or nobody's: all orders end in the same rows, in the right ones."""

import json
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetings import lifecycle
from meetings.models import Meeting, Participant
from platforms import registry
from platforms.signals import platform_event
from recordings.models import Recording, Transcript, TranscriptSegment
from tests.accounts_for_platforms import BOTH
from tests.meetings.orders import ANN, BOB, after, later, make, same_in_all_orders, show, shuffled, tell

pytestmark = pytest.mark.django_db
PAYLOADS = Path(__file__).parent.parent / "payloads"


@pytest.fixture(autouse=True)
def both_platforms(settings):
    settings.PLATFORM_ENVIRON = BOTH


def come(seconds, user, name="", session="s1"):
    return partial(
        tell, event_type="participant.joined", seconds=seconds, session_id=session, user_id=user, user_name=name
    )


def go(seconds, user, name="", session="s1"):
    return partial(
        tell, event_type="participant.left", seconds=seconds, session_id=session, user_id=user, user_name=name
    )


def stays(told):
    return {(stay["participant"], stay["session_id"]): (stay["joined_at"], stay["left_at"]) for stay in told["stays"]}


def heads(meeting, facts):
    """How many are inside at the end, asked before it is undone."""
    return len({stay["participant"] for stay in after(meeting, facts)["stays"] if stay["left_at"] is None})


# -- the documented samples: one session, two people


def sample(name):
    body = json.loads((PAYLOADS / f"daily-participant.{name}.json").read_text())

    def fact(meeting):
        body["payload"]["room"] = meeting.provider_room_name
        for event in registry.get("daily").interpret(json.dumps(body).encode()):
            platform_event.send(sender=None, event=event)

    return fact


def test_documented_samples():
    """Joined and left share the session and differ in the person: the leave is not of who joined."""
    told = same_in_all_orders(make("daily"), [sample("joined"), sample("left")])
    left_at = {person: left for (person, _), (_, left) in stays(told).items()}
    assert left_at["6497c79b-f326-4942-aef8-c36a29140ad1"] is None
    assert left_at["16168c97-f973-4eae-9642-020fe3fda5db"] is not None
    assert {person["name"] for person in told["people"]} == {"Ann", "Bob", "testuser", "bipol"}


def test_documented_samples_between_events_that_name_nobody():
    at = 1708972280 - later(0).timestamp()
    session = "0c0d2dda-f21d-4cf9-ab56-86bf3c407ffa"
    facts = [
        sample("joined"),
        sample("left"),
        come(at + 50, "", session=session),
        go(at + 90, "", "Eve", session=session),
    ]
    told = same_in_all_orders(make("daily"), facts)
    assert {left for _, left in stays(told).values()} == {later(at + 90)}
    assert len(told["stays"]) == 2


# -- what is told without a name


def test_a_session_of_nobody_is_one_strangers():
    told = same_in_all_orders(make("daily"), [come(1, "", "Eve"), go(60, "", "Eve"), come(70, "", "Eva")])
    ((joined, left),) = stays(told).values()
    assert (joined, left) == (later(1), None)
    assert sorted(person["name"] for person in told["people"]) == ["Ann", "Bob", "Eva"]


def test_what_names_nobody_holds_for_everybody_who_is_named():
    told = same_in_all_orders(make("daily"), [come(1, "u1"), come(5, "u2"), go(60, ""), come(9, "u3", session="s2")])
    assert stays(told) == {
        ("u1", "s1"): (later(1), later(60)),
        ("u2", "s1"): (later(5), later(60)),
        ("u3", "s2"): (later(9), None),
    }


def test_the_last_leave_told_counts():
    told = same_in_all_orders(make("daily"), [come(1, "u1"), go(60, "u1"), go(90, "u1")])
    assert stays(told) == {("u1", "s1"): (later(1), later(90))}


def test_a_named_leave_ends_that_persons_stay_only():
    facts = [come(1, "u1"), come(5, "u2"), go(60, "u2"), come(3, "")]
    assert heads(make("daily"), facts) == 1


def test_people_of_our_page_keep_their_name_and_are_never_deleted():
    told = same_in_all_orders(make("daily"), [come(1, "", "Eve"), come(2, str(ANN), "Eve"), go(60, "", "Eve")])
    assert {person["provider_user_id"]: person["name"] for person in told["people"]} == {
        str(ANN): "Ann",
        str(BOB): "Bob",
    }
    assert stays(told) == {(str(ANN), "s1"): (later(1), later(60))}


def test_long_ids_are_not_taken_for_each_other():
    one, other = "s" * 199 + "1", "s" * 199 + "2"
    told = same_in_all_orders(
        make("daily"), [come(1, "", session=one), come(2, "", session=other), go(3, "u", "", one)]
    )
    assert {session for _, session in stays(told)} == {one, other}
    assert len(told["people"]) == 4


def test_the_strangers_words_become_the_persons_words():
    meeting = make("daily")
    come(1, "", "Eve")(meeting)
    stranger = Participant.objects.get(name="Eve")
    transcript = Transcript.objects.create(recording=Recording.objects.create(meeting=meeting, platform="daily"))
    segment = TranscriptSegment.objects.create(
        transcript=transcript, participant=stranger, start_ms=0, end_ms=1, text="hello"
    )
    go(60, "u1", "Eve")(meeting)
    segment.refresh_from_db()
    assert segment.participant.provider_user_id == "u1"
    assert not Participant.objects.filter(pk=stranger.pk).exists()


# -- many more, in orders and with repetitions that hypothesis finds

SESSIONS = st.sampled_from(["p1", "p2"])
PEOPLE = st.sampled_from([str(ANN), str(BOB), "eve", "", ""])
NAMES = st.sampled_from(["", "Eve", "Zoe"])
SECONDS = st.integers(0, 200)


@st.composite
def deliveries_of_daily(draw):
    seconds = draw(SECONDS)
    joined = draw(st.none() | st.integers(0, seconds))
    return partial(
        tell,
        event_type=draw(st.sampled_from(["participant.joined", "participant.left"])),
        seconds=seconds,
        session_id=draw(SESSIONS),
        user_id=draw(PEOPLE),
        user_name=draw(NAMES),
        owner=draw(st.booleans()),
        **({} if joined is None else {"joined_at": later(joined).timestamp()}),
    )


@st.composite
def looks(draw):
    seconds = draw(SECONDS)
    shown = st.tuples(SESSIONS, PEOPLE, st.none() | st.integers(0, seconds), NAMES)
    return partial(look, seconds=seconds, people=draw(st.lists(shown, max_size=3)))


def look(meeting, seconds, people):
    show(meeting, seconds, *people)


@st.composite
def deliveries_of_whereby(draw):
    return partial(
        tell,
        event_type=draw(st.sampled_from(["room.client.joined", "room.client.left"])),
        seconds=draw(SECONDS),
        participantId=draw(SESSIONS),
        externalId=draw(PEOPLE),
        displayName=draw(NAMES),
        roleName=draw(st.sampled_from(["visitor", "visitor", "host", "recorder"])),
    )


def end(meeting):
    lifecycle.end_meeting(meeting=meeting, reason="host", now=later(150))


def found_in_any_order(platform, facts, random):
    meeting = Meeting.objects.filter(platform=platform).first() or make(platform)
    other = [*facts, *random.sample(facts, len(facts) // 2)]
    random.shuffle(other)
    expected = after(meeting, facts)
    assert after(meeting, other) == expected
    facts = [fact for fact in facts if isinstance(fact, partial)]
    named = {fact.keywords.get("user_id") or fact.keywords.get("externalId") for fact in facts}
    named |= {person for fact in facts for _, person, *_ in fact.keywords.get("people", [])}
    known_people = {person["provider_user_id"] for person in expected["people"]}
    assert named - {None, ""} | {str(ANN), str(BOB)} <= known_people, "somebody was lost"
    told = {fact.keywords.get("session_id") or fact.keywords.get("participantId") for fact in facts} - {None}
    assert told <= {stay["session_id"] for stay in expected["stays"]}, "a session was lost"


ENDS = st.sampled_from([[], [end]])
RANDOM = st.randoms(use_true_random=False)


@shuffled(max_examples=25)
@given(st.lists(deliveries_of_daily() | looks(), max_size=8), ENDS, RANDOM)
def test_any_people_at_daily(facts, ends, random):
    found_in_any_order("daily", [*ends, *facts], random)


@shuffled(max_examples=25)
@given(st.lists(deliveries_of_whereby(), max_size=8), ENDS, RANDOM)
def test_any_people_at_whereby(facts, ends, random):
    found_in_any_order("whereby", [*ends, *facts], random)
