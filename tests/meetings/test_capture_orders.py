"""Whatever order events come in, and whatever was ordered on the way: in the end the same is wanted, and it is so."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from meetings import capture
from meetings.capture import is_wanted, reconcile, situation, wish_start, wish_stop
from meetings.consent import recording_allowed
from meetings.models import Capture, Meeting, Participant
from platforms import events, registry
from platforms.signals import platform_event
from platforms.work import Defer, claim
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay
from tests.meetings.orders import ANN, BOB, shuffled

pytestmark = pytest.mark.django_db


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def tell(meeting, kind, seconds, **fields):
    event = getattr(events, kind)(
        platform="fake", room_name=meeting.provider_room_name, occurred_at=later(seconds), **fields
    )
    platform_event.send(sender=None, event=event)


def come(seconds, who):
    return partial(tell, kind="ParticipantJoined", seconds=seconds, session_id=f"s-{who}", user_id=str(who))


def go(seconds, who):
    return partial(tell, kind="ParticipantLeft", seconds=seconds, session_id=f"s-{who}", user_id=str(who))


def make(**fields):
    room = make_room(platform="fake", recording_trigger="automatic", consent_policy="choice", recording_type="cloud")
    meeting = make_meeting(room, **fields)
    for pk, name in ((ANN, "Ann"), (BOB, "Bob")):
        make_participant(meeting, name, pk=pk, answer=Participant.Answer.YES)
    return meeting


class Worker:
    """Does what is due, and lets a quarter of a minute pass each time."""

    def __init__(self):
        self.now = timezone.now()

    def __call__(self, meeting):
        self.now += timedelta(seconds=15)
        meeting.captures.filter(status="pending").update(due_at=NOW)
        for row in meeting.captures.filter(status="pending"):
            lease = claim(Capture, row.pk, now=self.now)
            try:
                capture.drive(lease, now=self.now)
            except Defer as wait:
                lease.defer(str(wait), wait.after)


def in_the_end(meeting, steps):
    """(wanted, recorded) once all is told and the worker has caught up; then it is undone."""
    provider = registry.get("fake").provider
    provider.recording.clear()
    with transaction.atomic():
        work = Worker()
        for step in steps:
            (work if step == "work" else step)(meeting)
        for _ in range(6):
            reconcile(meeting, now=work.now)
            work(meeting)
        found = is_wanted(meeting, now=work.now), meeting.captures.live().exists()
        assert recording_allowed(meeting, now=work.now)[0] or found == (False, False)
        transaction.set_rollback(True)
    return found


# -- the same is wanted in the end


OF_NOBODY_HERE = [
    partial(tell, kind="RecordingStarted", seconds=9, recording_id="r9"),
    partial(tell, kind="RecordingStarted", seconds=11, recording_id="r8"),
    partial(tell, kind="RecordingReady", seconds=90, recording_id="r9", started_at=later(9), duration_s=60),
    partial(tell, kind="RecordingFailed", seconds=9, message="no disk"),
]
FACTS = st.builds(
    lambda kind, seconds, who: kind(seconds, who),
    st.sampled_from([come, go]),
    st.integers(0, 100),
    st.sampled_from([ANN, BOB, "eve"]),
) | st.sampled_from(OF_NOBODY_HERE)


@shuffled(max_examples=30)
@given(st.lists(FACTS, max_size=6), st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_same_is_wanted_in_every_order(fake_platforms, facts, turns, random):
    meeting = Meeting.objects.filter(platform="fake").first() or make()
    other = [*facts, *["work"] * turns]
    random.shuffle(other)
    wanted, recorded = in_the_end(meeting, facts)
    wanted_too, recorded_too = in_the_end(meeting, other)
    assert wanted == wanted_too
    if wanted:
        assert recorded, "wanted, and does not run"
        assert recorded_too, "wanted, and does not run in the other order"


@pytest.mark.parametrize("turns", range(4))
def test_a_visit_of_somebody_who_was_not_asked_is_over(fake_platforms, turns):
    """She was inside for a minute, and that is told while it records."""
    facts = [come(0, ANN), "work", "work", come(10, "eve"), *["work"] * turns, go(70, "eve")]
    assert in_the_end(make(), facts) == (True, True)


# -- what the provider does by itself


def test_what_the_provider_recorded_by_itself_does_not_stand_for_the_trigger(fake_platforms):
    meeting = make()
    assert in_the_end(meeting, [*OF_NOBODY_HERE[2:], come(0, ANN)]) == (True, True)


def test_a_second_recording_is_shown_and_stopped_when_the_first_is_over(provider):
    meeting = make()
    make_stay(meeting.participants.get(pk=ANN))
    for name, seconds in (("r2", 12), ("r1", 10)):
        tell(meeting, "RecordingStarted", seconds, recording_id=name)
    first, second = (meeting.captures.get(provider_recording_id=name) for name in ("r1", "r2"))
    assert (first.state, second.state) == ("on", "off")
    tell(meeting, "RecordingReady", 60, recording_id="r1", started_at=later(10), duration_s=50)
    second.refresh_from_db()
    assert second.state == "on"
    come(70, "eve")(meeting)
    second.refresh_from_db()
    assert (second.state, second.status) == ("stopping", "pending")


def test_one_that_was_to_be_stopped_when_an_earlier_one_was_told_is_stopped_too(fake_platforms):
    earlier, later_one = OF_NOBODY_HERE[:2]
    assert in_the_end(make(), [later_one, come(20, "eve"), earlier]) == (False, False)


def test_when_the_room_is_gone_nothing_records_there(provider):
    meeting = make()
    for name in ("r1", "r2"):
        tell(meeting, "RecordingStarted", 10, recording_id=name)
    capture.note_closed(meeting, now=later(60))
    assert {row.state for row in meeting.captures.all()} == {"off"}


# -- what hosts decide


def test_a_hosts_stop_counts_before_the_order_was_given(provider):
    meeting = make()
    make_stay(meeting.participants.get(pk=ANN))
    assert reconcile(meeting, now=NOW).is_automatic
    wish_stop(meeting=meeting, reason="stopped by a host", now=later(1))
    assert not is_wanted(meeting, now=later(2))
    assert reconcile(meeting, now=later(2)) is None
    assert meeting.captures.get().reason == "stopped by a host"


def test_a_hosts_recording_that_was_stopped_for_somebody_is_offered_again(provider):
    meeting = make(recording_trigger="none")
    make_stay(meeting.participants.get(pk=ANN))
    wish_start(meeting=meeting, by=None, now=NOW)
    eve = make_participant(meeting, came_by_page=False)
    stay = make_stay(eve)
    reconcile(meeting, now=later(5))
    stay.left_at = later(9)
    stay.save()
    assert reconcile(meeting, now=later(10)) is None
    told = situation(meeting, now=later(10))
    assert told.can_start
    assert told.problem == "The recording was stopped for somebody who did not agree. A host may start it again now."
    wish_start(meeting=meeting, by=None, now=later(11))
    assert situation(meeting, now=later(11)).problem == ""
