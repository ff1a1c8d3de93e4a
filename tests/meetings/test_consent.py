from datetime import timedelta

import pytest

from meetings import capture
from meetings.consent import recording_allowed, text_for, withdraw
from meetings.entering import enter
from meetings.models import Capture, Consent, Meeting, Participant, Waiting
from meetings.signals import consent_withdrawn
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay

pytestmark = pytest.mark.django_db
YES, NO, NONE = Participant.Answer.YES, Participant.Answer.NO, Participant.Answer.NONE


@pytest.fixture
def meeting(fake_platforms):
    return make_meeting(make_room(platform="fake"))


@pytest.fixture
def told():
    heard = []

    def listen(meeting, participant, **_):
        heard.append((meeting, participant))

    consent_withdrawn.connect(listen)
    yield heard
    consent_withdrawn.disconnect(listen)


# -- the words


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, True),
        ({"consent_policy": "required"}, True),
        ({"consent_policy": "not_asked"}, False),
        ({"recording_type": "none"}, False),
        ({"recording_type": "local"}, True),
    ],
)
def test_only_where_something_is_recorded_and_somebody_is_asked(fake_platforms, fields, asked):
    room = make_room(platform="fake", **fields)
    assert bool(text_for(room)) is asked
    assert text_for(make_meeting(room)) == text_for(room)
    if asked:
        assert len(text_for(room).split("\n")) == 3


def test_what_no_means_depends_on_policy_and_platform(fake_platforms):
    words = {
        text_for(make_room(platform=platform, consent_policy=policy)).split("\n")[2]
        for platform in ("fake", "fake-page")
        for policy in ("choice", "required")
    }
    assert len(words) == 3  # "you cannot join" is the same everywhere
    assert all(line.startswith("No: ") for line in words)


def test_the_words_are_those_of_the_meeting_not_of_where_the_room_goes_next(fake_platforms):
    room = make_room(platform="fake")
    meeting = make_meeting(room)
    room.platform = "fake-page"
    assert "Fake page" in text_for(room)
    assert "Fake page" not in text_for(meeting)


def test_answers_keep_the_words_that_were_shown(meeting):
    ann = enter(meeting=meeting, user=None, name="Ann", answer=YES, now=NOW)
    Meeting.objects.update(consent_policy="required")
    enter(meeting=meeting, user=None, name="Ann", answer=YES, participant_id=ann.pk, now=NOW)
    first, second = ann.consents.all()
    assert first.text != second.text
    assert (first.policy, second.policy) == ("choice", "required")


# -- may a recording of everybody run


@pytest.mark.parametrize(
    ("answers", "allowed"),
    [([], True), ([YES], True), ([YES, YES], True), ([YES, NO], False), ([NONE], False), (["withdrawn"], False)],
)
@pytest.mark.parametrize("policy", ["choice", "required"])
def test_everybody_inside_has_to_agree(meeting, policy, answers, allowed):
    meeting.consent_policy = policy
    for answer in answers:
        make_stay(make_participant(meeting, answer=answer))
    assert recording_allowed(meeting, now=NOW)[0] is allowed


def test_where_nobody_is_asked_nobody_has_to_agree(meeting):
    meeting.consent_policy = "not_asked"
    make_stay(make_participant(meeting))
    assert recording_allowed(meeting, now=NOW) == (True, "")


@pytest.mark.parametrize("kind", ["none", "local"])
def test_rooms_without_cloud_recording_make_none(meeting, kind):
    meeting.recording_type = kind
    assert recording_allowed(meeting, now=NOW)[0] is False


def test_who_came_by_the_link_was_not_asked(meeting):
    make_stay(make_participant(meeting, came_by_page=False))
    assert recording_allowed(meeting, now=NOW) == (
        False,
        "One person came by a direct link and could not be asked about recording.",
    )


def test_reasons_name_nobody(meeting):
    make_stay(make_participant(meeting, "Bob", answer=NO))
    make_stay(make_participant(meeting, "Link", came_by_page=False))
    assert recording_allowed(meeting, now=NOW)[1] == "2 people in the meeting did not agree to being recorded."


def test_recorders_are_not_people(meeting):
    make_stay(make_participant(meeting, is_person=False, came_by_page=False))
    assert recording_allowed(meeting, now=NOW)[0] is True


def test_who_left_does_not_count(meeting):
    make_stay(make_participant(meeting, answer=NO, entered_at=NOW), left_at=NOW + timedelta(seconds=10))
    assert recording_allowed(meeting, now=NOW + timedelta(seconds=20))[0] is True


@pytest.mark.parametrize(("seconds", "allowed"), [(0, False), (59, False), (60, True)])
def test_who_is_about_to_come_in_counts_for_a_minute(meeting, seconds, allowed):
    make_participant(meeting, answer=NO, entered_at=NOW)
    assert recording_allowed(meeting, now=NOW + timedelta(seconds=seconds))[0] is allowed


def test_who_refused_and_knocks_counts_until_they_stop(meeting):
    bob = make_participant(meeting, answer=NO)
    knock = Waiting.objects.create(
        meeting=meeting, session_id="w1", user_id=bob.provider_user_id, started_at=NOW - timedelta(minutes=9)
    )
    assert recording_allowed(meeting, now=NOW)[0] is False
    knock.ended_at = NOW
    knock.save()
    assert recording_allowed(meeting, now=NOW)[0] is True


# -- taking it back


@pytest.fixture
def ann(meeting):
    return enter(meeting=meeting, user=None, name="Ann", answer=YES, now=NOW)


def test_withdrawing_stops_the_recording_and_asks_for_removal(meeting, ann, told):
    make_stay(ann)
    running = Capture.objects.create(meeting=meeting, state="on", started_at=NOW, ordered_at=NOW)
    withdraw(participant=ann, now=NOW + timedelta(minutes=5))
    running.refresh_from_db()
    ann.refresh_from_db()
    assert (running.state, ann.answer) == ("stopping", "withdrawn")
    last = ann.consents.last()
    assert (last.answer, last.answered_at) == ("withdrawn", NOW + timedelta(minutes=5))
    assert last.text == ann.consents.first().text
    assert told == [(meeting, ann)]


def test_withdrawing_long_after_the_meeting(meeting, ann, told):
    Meeting.objects.update(status="ended", ended_at=NOW)
    withdraw(participant=ann, now=NOW + timedelta(days=400))
    assert told == [(meeting, ann)]


def test_withdrawing_twice_is_once(ann, told):
    withdraw(participant=ann)
    withdraw(participant=ann)
    assert Consent.objects.filter(answer="withdrawn").count() == 1
    assert len(told) == 1


def test_who_never_agreed_has_nothing_to_take_back(meeting, told):
    bob = enter(meeting=meeting, user=None, name="Bob", answer=NO, now=NOW)
    withdraw(participant=bob)
    bob.refresh_from_db()
    assert (bob.answer, told) == ("no", [])


# -- a host's own computer


@pytest.mark.parametrize("platform", ["fake", "fake-page"])
@pytest.mark.parametrize("policy", ["choice", "required"])
def test_nothing_is_promised_about_a_recording_on_a_hosts_computer(fake_platforms, platform, policy):
    words = text_for(make_room(platform=platform, consent_policy=policy, recording_type="local"))
    assert "on their own computer" in words
    assert "We neither start, stop nor keep such a recording" in words
    assert not any(claim in words for claim in ("is stopped", "none is made", "stops it", "have to wait", "transcript"))


def test_a_page_that_sees_a_local_recording_makes_nobody_wait(fake_platforms):
    meeting = make_meeting(make_room(platform="fake-page", recording_type="local"))
    capture.report_from_page(meeting=meeting, recording=True, now=NOW)
    assert not Capture.objects.exists()
    assert not enter(meeting=meeting, user=None, name="Bob", answer=NO, now=NOW).held_until_stopped
