from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser

from meetings import lifecycle, presence
from meetings.entering import enter, entry_for
from meetings.models import Capture, Meeting, Participant
from meetings.opening import open_meeting
from meetings.state import room_state
from meetings.tasks import drive_capture
from platforms import events
from platforms.signals import platform_event
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay

pytestmark = pytest.mark.django_db


def later(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def meeting(fake_platforms):
    return make_meeting(make_room(platform="fake"), consent_policy="not_asked")


@pytest.fixture
def tell(meeting):
    def event(kind, seconds, /, **fields):
        return tell_any(kind, seconds, **{"room_name": meeting.provider_room_name, **fields})

    return event


def tell_any(kind, seconds, /, **fields):
    """Send one event; what meetings' receiver says it touched."""
    event = getattr(events, kind)(**{"platform": "fake", "occurred_at": later(seconds), **fields})
    answers = {receiver.__module__: touched for receiver, touched in platform_event.send(sender=None, event=event)}
    return answers["meetings.receivers"]


def join(tell, seconds=0, session="s1", user="u1", **fields):
    return tell("ParticipantJoined", seconds, session_id=session, user_id=user, **fields)


def leave(tell, seconds, session="s1", user="u1", **fields):
    return tell("ParticipantLeft", seconds, session_id=session, user_id=user, **fields)


# -- from opening to end


def test_a_meeting_from_opening_to_its_end(provider):
    room = make_room(slug="standup", platform="fake")
    meeting = open_meeting(room=room, now=NOW)
    people = [enter(meeting=meeting, user=AnonymousUser(), name=name, answer="yes", now=NOW) for name in ("Ann", "Bob")]
    where = {"room_name": meeting.provider_room_name}
    for one in people:
        assert str(one.pk) in entry_for(participant=one, now=NOW).frame_url
        tell_any("ParticipantJoined", 1, session_id=f"s-{one.name}", user_id=str(one.pk), **where)
    assert room_state(room=room, with_names=True) == {
        "platform": "fake",
        "phase": "open",
        "meeting": str(meeting.pk),
        "people": 2,
        "recording": False,
        "waiting": 0,
        "names": ["Ann", "Bob"],
    }
    wanted = meeting.captures.get()
    drive_capture(str(wanted.pk))
    assert provider.recording == {meeting.provider_room_name: str(wanted.pk)}
    tell_any("RecordingStarted", 2, recording_id="r1", instance_id=str(wanted.pk))
    assert room_state(room=room, with_names=False)["recording"] is True
    for one in people:
        tell_any("ParticipantLeft", 600, session_id=f"s-{one.name}", user_id=str(one.pk), **where)
    for seconds in (690, 710):
        meeting.refresh_from_db()
        presence.reconcile([meeting], later(seconds))
    lifecycle.end_what_is_over(later(720))
    meeting.refresh_from_db()
    assert (meeting.status, meeting.end_reason) == (Meeting.Status.ENDED, Meeting.EndReason.EMPTY)
    lifecycle.close_at_provider(meeting.pk, now=later(721))
    assert provider.closed == [meeting.provider_room_name]
    wanted.refresh_from_db()
    assert wanted.state == Capture.State.OFF


# -- whose events


def test_what_is_touched_is_told(meeting, tell):
    ann = make_participant(meeting)
    always = {("meetings.Meeting", str(meeting.pk)), ("rooms.Room", str(meeting.room_id))}
    assert set(join(tell, user=ann.provider_user_id)) == always | {("meetings.Participant", str(ann.pk))}
    assert set(tell("SessionStarted", 1, provider_session_id="p")) == always
    assert set(tell("Noted", 1, what="streaming.started")) == always


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("ParticipantJoined", {"session_id": "s", "user_id": "u"}),
        ("ParticipantLeft", {"session_id": "s", "user_id": "u"}),
        ("WaitingStarted", {"session_id": "s"}),
        ("SessionEnded", {"provider_session_id": "p"}),
        ("RecordingReady", {"recording_id": "r"}),
        ("RecordingStarted", {"recording_id": "r", "instance_id": "not-a-uuid"}),
        ("RecordingFailed", {"message": "no"}),
        ("Unrecognised", {"reason": "odd"}),
    ],
)
@pytest.mark.parametrize("room_name", ["somebody-elses-room", ""])
def test_unknown_rooms_are_normal(meeting, kind, fields, room_name):
    assert tell_any(kind, 0, room_name=room_name, **fields) == []
    assert not Participant.objects.exists()
    assert not Capture.objects.exists()


def test_the_same_room_name_on_another_platform_is_another_room(meeting):
    room_name = meeting.provider_room_name
    assert tell_any("SessionStarted", 0, platform="fake-page", room_name=room_name, provider_session_id="p") == []


def test_a_person_of_another_meeting_is_a_stranger_here(meeting, tell):
    elsewhere = make_participant(make_meeting(make_room(platform="fake")))
    join(tell, user=elsewhere.provider_user_id)
    assert meeting.participants.get() != elsewhere
    assert not elsewhere.sessions.exists()


# -- people


def test_our_page_knows_the_name_better(meeting, tell):
    ann = make_participant(meeting, "Ann")
    join(tell, user=ann.provider_user_id, name="Anonymous 7", is_host=True)
    ann.refresh_from_db()
    assert (ann.name, ann.is_host) == ("Ann", False)


def test_who_came_by_the_link_has_the_name_told_last(meeting, tell):
    join(tell, 10, session="s2", name="Ann B.")
    join(tell, 0, session="s1", name="Ann A.")
    person = meeting.participants.get()
    assert (person.name, person.came_by_page, person.created_at) == ("Ann B.", False, NOW)


def test_recorders_are_nobody(meeting, tell):
    join(tell, user="rec", is_person=False, name="Recorder")
    assert meeting.count_people() == 0
    assert not meeting.participants.get().is_person


def test_a_session_without_a_user_is_one_person(meeting, tell):
    join(tell, 0, user="")
    leave(tell, 60, user="")
    assert meeting.participants.get().sessions.get().left_at == later(60)


@pytest.mark.parametrize("first", ["join", "leave"])
def test_a_user_that_is_told_once_is_known_for_the_session(meeting, tell, first):
    ann = make_participant(meeting, "Ann")
    if first == "join":
        join(tell, 0, user=ann.provider_user_id)
        leave(tell, 60, user="")
    else:
        leave(tell, 60, user="")
        join(tell, 0, user=ann.provider_user_id)
    assert meeting.participants.get() == ann
    stay = ann.sessions.get()
    assert (stay.joined_at, stay.left_at) == (NOW, later(60))


def test_the_provider_repeats_the_time_of_joining(meeting, tell):
    leave(tell, 60, joined_at=later(2))
    stay = meeting.sessions.get()
    assert (stay.joined_at, stay.left_at) == (later(2), later(60))


def test_rejoining_is_another_stay_of_the_same_person(meeting, tell):
    join(tell, 0)
    leave(tell, 60)
    join(tell, 70, session="s2")
    assert meeting.participants.get().sessions.count() == 2
    meeting.refresh_from_db()
    assert (meeting.count_people(), meeting.empty_since) == (1, None)


def test_leaving_asks_for_a_look_and_ends_nothing(meeting, tell):
    join(tell, 0)
    leave(tell, 60)
    tell("SessionEnded", 61, provider_session_id="p")
    meeting.refresh_from_db()
    assert (meeting.status, meeting.check_requested_at, meeting.empty_since) == ("open", later(61), later(60))


def test_stays_are_folded_after_the_end_too(meeting, tell):
    join(tell, 0)
    lifecycle.end_meeting(meeting=meeting, reason="host", now=later(60))
    assert meeting.sessions.get().left_at == later(60)
    leave(tell, 63)
    leave(tell, 30, session="s0", user="u0", joined_at=later(10))
    assert sorted(meeting.sessions.values_list("left_at", flat=True)) == [later(30), later(63)]
    meeting.refresh_from_db()
    assert (meeting.status, meeting.check_requested_at) == ("ended", None)


def test_knocking(meeting, tell):
    tell("WaitingStarted", 0, session_id="w1", name="Bob")
    tell("WaitingStarted", 0, session_id="w2")
    tell("WaitingEnded", 5, session_id="w2")
    assert room_state(room=meeting.room, with_names=False)["waiting"] == 1
    assert str(meeting.waiting.open().get()) == "Bob"


# -- recordings


@pytest.fixture
def capture(meeting):
    make_stay(make_participant(meeting))
    return Capture.objects.create(meeting=meeting, ordered_at=NOW, wanted_at=NOW)


def test_started_is_found_by_our_own_id(meeting, capture):
    touched = tell_any("RecordingStarted", 3, recording_id="r1", instance_id=str(capture.pk))
    assert ("meetings.Capture", str(capture.pk)) in touched
    capture.refresh_from_db()
    assert (capture.state, capture.started_at, capture.provider_recording_id) == ("on", later(3), "r1")


def test_started_under_the_id_of_another_platforms_order_is_nobodys(capture):
    assert tell_any("RecordingStarted", 3, platform="daily", recording_id="r", instance_id=str(capture.pk)) == []


def test_a_recording_that_the_provider_started_itself(meeting, tell):
    make_stay(make_participant(meeting))
    for _ in range(2):
        tell("RecordingStarted", 3, recording_id="r9")
    row = meeting.captures.get()
    assert (row.state, row.started_at, row.reason) == ("on", later(3), "started by the provider")
    tell("RecordingReady", 90, recording_id="r9", started_at=later(3), duration_s=60)
    row.refresh_from_db()
    assert (row.state, row.stopped_at) == ("off", later(63))


def test_ready_before_started_is_the_same_recording(meeting, tell, capture):
    tell("RecordingReady", 90, recording_id="r1", started_at=later(3), duration_s=60)
    tell_any("RecordingStarted", 3, recording_id="r1", instance_id=str(capture.pk))
    row = meeting.captures.get()
    assert (row.pk, row.state, row.stopped_at) == (capture.pk, "off", later(63))


def test_failure_is_kept_for_staff_and_host(meeting, tell, capture):
    tell("RecordingFailed", 9, instance_id=str(capture.pk), message="Error fetching STS credentials")
    capture.refresh_from_db()
    assert (capture.state, capture.error) == ("failed", "Error fetching STS credentials")


def test_failure_without_an_id_of_ours_is_kept_once(meeting, tell):
    for _ in range(2):
        tell("RecordingFailed", 9, message="no disk")
    row = meeting.captures.get()
    assert (row.state, row.error) == ("failed", "no disk")


def test_a_finished_recording_leaves_its_work_alone(meeting, tell, capture):
    """An event must not put back what the worker has written about its own work."""
    Capture.objects.update(status="running", attempts=3)
    tell_any("RecordingStarted", 3, recording_id="r1", instance_id=str(capture.pk))
    capture.refresh_from_db()
    assert (capture.status, capture.attempts) == ("running", 3)


# -- recordings on a host's own computer


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("RecordingStarted", {"recording_id": "r1", "kind": "local"}),
        ("RecordingReady", {"recording_id": "r1", "kind": "local", "started_at": NOW, "duration_s": 60}),
        ("RecordingFailed", {"instance_id": "c3df927c-f738-4471-a2b7-066fa7e95a6b", "message": "no disk"}),
        ("RecordingFailed", {"message": "no disk"}),
    ],
)
def test_a_recording_on_a_hosts_computer_is_not_ours(meeting, tell, kind, fields):
    Meeting.objects.update(recording_type="local")
    touched = tell(kind, 9, **fields)
    assert ("meetings.Meeting", str(meeting.pk)) in touched
    assert not Capture.objects.exists()


@pytest.mark.parametrize("kind", ["RecordingStarted", "RecordingReady"])
def test_neither_is_one_in_a_room_that_records_otherwise(meeting, tell, kind):
    tell(kind, 9, recording_id="r1", kind="local")
    assert not Capture.objects.exists()


def test_a_failure_of_our_own_order_is_kept_wherever_it_is(meeting, tell, capture):
    Meeting.objects.update(recording_type="local")
    tell("RecordingFailed", 9, instance_id=str(capture.pk), message="no disk")
    capture.refresh_from_db()
    assert (capture.state, capture.error) == ("failed", "no disk")
