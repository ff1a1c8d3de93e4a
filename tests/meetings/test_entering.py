import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser

from meetings.consent import recording_allowed
from meetings.entering import ConsentNeeded, MeetingOver, MustWait, enter, entry_for, page_is_gone, still_here
from meetings.models import Capture, Meeting, Participant
from meetings.signals import consent_withdrawn
from platforms.base import PlatformUnavailable
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay, make_user

pytestmark = pytest.mark.django_db
YES, NO, NONE = Participant.Answer.YES, Participant.Answer.NO, Participant.Answer.NONE


@pytest.fixture
def room(fake_platforms):
    return make_room(platform="fake", owner=make_user("owner"))


@pytest.fixture
def meeting(room):
    return make_meeting(room, url="https://fake.example/standup", host_url="https://fake.example/standup?role=host")


def guest(meeting, name="Ann", answer=YES, **more):
    return enter(meeting=meeting, user=AnonymousUser(), name=name, answer=answer, **{"now": NOW, **more})


def test_guest(meeting):
    ann = guest(meeting)
    assert (ann.name, ann.answer, ann.is_host, ann.came_by_page) == ("Ann", "yes", False, True)
    assert (ann.platform, ann.provider_user_id, ann.entered_at) == ("fake", str(ann.pk), NOW)
    consent = ann.consents.get()
    assert (consent.answer, consent.policy, consent.answered_at) == ("yes", "choice", NOW)
    assert consent.text.body.startswith("May this meeting on Fake be recorded")


def test_two_guests_are_two_people(meeting):
    assert guest(meeting) != guest(meeting)


def test_guest_comes_back_by_cookie(meeting):
    ann = guest(meeting)
    again = guest(meeting, name="Ann B.", participant_id=str(ann.pk))
    assert (again, again.name) == (ann, "Ann B.")
    assert ann.consents.count() == 1
    assert meeting.participants.count() == 1


def test_new_answer_adds_a_row(meeting):
    ann = guest(meeting, answer=NO)
    guest(meeting, answer=YES, participant_id=ann.pk)
    assert list(ann.consents.values_list("answer", flat=True)) == ["no", "yes"]


def test_a_cookie_of_another_meeting_is_nobody_here(meeting, fake_platforms):
    stranger = make_participant(make_meeting(make_room(platform="fake")))
    assert guest(meeting, participant_id=stranger.pk) != stranger
    assert guest(meeting, participant_id=uuid.uuid4()).meeting == meeting


def test_account_is_one_person_on_every_device(meeting, room):
    ann = make_user("ann")
    first = enter(meeting=meeting, user=ann, name="Ann", answer=YES, now=NOW)
    assert enter(meeting=meeting, user=ann, name="Ann", answer=YES, now=NOW) == first
    assert first.user == ann


def test_a_cookie_does_not_make_a_guest_somebody_with_an_account(meeting):
    ann = enter(meeting=meeting, user=make_user("ann"), name="Ann", answer=YES, now=NOW)
    assert guest(meeting, name="Next at this computer", participant_id=ann.pk) != ann


def test_signing_in_later_keeps_the_person(meeting):
    ann = guest(meeting)
    account = make_user("ann")
    again = enter(meeting=meeting, user=account, name="Ann", answer=YES, participant_id=ann.pk, now=NOW)
    assert (again, again.user) == (ann, account)


@pytest.mark.parametrize("answer", [NO, NONE])
def test_required_consent(meeting, answer):
    Meeting.objects.update(consent_policy="required")
    with pytest.raises(ConsentNeeded):
        guest(meeting, answer=answer)
    assert not meeting.participants.exists()
    assert guest(meeting, answer=YES).answer == "yes"


@pytest.mark.parametrize("change", [{"consent_policy": "not_asked"}, {"recording_type": "none"}])
def test_nothing_is_noted_where_nobody_is_asked(meeting, change):
    Meeting.objects.update(**change)
    ann = guest(meeting, answer=YES)
    assert (ann.answer, ann.consents.count()) == ("none", 0)


def test_ended_meeting(meeting):
    ann = guest(meeting)
    Meeting.objects.update(status="ended")
    with pytest.raises(MeetingOver):
        guest(meeting)
    with pytest.raises(MeetingOver):
        entry_for(participant=ann)


# -- what the page gets


def test_entry_of_a_guest_has_no_secret_of_the_hosts(provider, meeting):
    entry = entry_for(participant=guest(meeting), now=NOW)
    assert entry.frame_url.startswith("https://fake.example/standup?t=")
    ((room, person),) = provider.entered
    assert room.host_url == ""
    assert (person.name, person.is_host, person.admitted, person.expires_at) == (
        "Ann",
        False,
        True,
        meeting.expires_at,
    )


def test_entry_of_a_host(provider, meeting, room):
    owner = enter(meeting=meeting, user=room.owner, name="Owner", answer=YES, now=NOW)
    entry_for(participant=owner, now=NOW)
    ((given, person),) = provider.entered
    assert (given.host_url, person.is_host, person.participant_id) == (meeting.host_url, True, str(owner.pk))


def test_locked_room_admits_members_and_lets_others_knock(provider, meeting, room):
    Meeting.objects.update(is_locked=True)
    member = make_user("member")
    room.members.add(member)
    for person in (
        guest(meeting),
        enter(meeting=meeting, user=member, name="Member", answer=YES, now=NOW),
        enter(meeting=meeting, user=make_user("other"), name="Other", answer=YES, now=NOW),
        enter(meeting=meeting, user=room.owner, name="Owner", answer=YES, now=NOW),
    ):
        entry_for(participant=person, now=NOW)
    assert [person.admitted for _, person in provider.entered] == [False, True, False, True]


def test_provider_that_does_not_answer_is_said(provider, meeting):
    ann = guest(meeting)
    provider.errors["entry"] = [PlatformUnavailable("503")]
    with pytest.raises(PlatformUnavailable):
        entry_for(participant=ann, now=NOW)
    assert entry_for(participant=ann, now=NOW)


# -- refusing while a recording runs


@pytest.fixture
def recording(meeting):
    make_stay(make_participant(meeting, answer=YES))
    return Capture.objects.create(meeting=meeting, state="on", started_at=NOW, ordered_at=NOW, is_automatic=True)


@pytest.mark.parametrize("answer", [NO, NONE])
def test_who_refuses_waits_until_the_recording_is_confirmed_stopped(provider, meeting, recording, answer):
    bob = guest(meeting, "Bob", answer)
    recording.refresh_from_db()
    assert (recording.state, bob.held_until_stopped) == ("stopping", True)
    with pytest.raises(MustWait, match="being stopped"):
        entry_for(participant=bob, now=NOW + timedelta(seconds=9))
    assert provider.entered == []
    Capture.objects.update(state="off", stopped_at=NOW)
    assert entry_for(participant=bob, now=NOW + timedelta(seconds=11))
    bob.refresh_from_db()
    assert not bob.held_until_stopped


def test_who_agrees_does_not_wait(meeting, recording):
    bob = guest(meeting, "Bob", YES)
    assert entry_for(participant=bob, now=NOW)
    recording.refresh_from_db()
    assert recording.state == "on"


def test_a_recording_that_was_never_ordered_holds_nobody(meeting):
    Capture.objects.create(meeting=meeting, is_automatic=True)
    make_stay(make_participant(meeting, answer=YES))
    assert entry_for(participant=guest(meeting, "Bob", NO), now=NOW)
    assert not meeting.captures.exists()


def test_changing_yes_to_no_takes_the_yes_back(meeting, recording):
    told = []

    def listen(meeting, participant, **_):
        told.append((meeting.pk, participant.pk))

    consent_withdrawn.connect(listen)
    try:
        bob = guest(meeting, "Bob", YES)
        guest(meeting, "Bob", NO, participant_id=bob.pk)
        guest(meeting, "Bob", NO, participant_id=bob.pk)
    finally:
        consent_withdrawn.disconnect(listen)
    assert told == [(meeting.pk, bob.pk)]


# -- the page of a call is open


def later(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("platform", ["fake-page", "fake"])
def test_whoever_refused_is_not_forgotten_while_their_page_is_open(fake_platforms, platform):
    """A slow frame gets in by itself at any time: the camera's question may be answered after minutes."""
    meeting = make_meeting(make_room(platform=platform))
    ben = guest(meeting, answer=NO)
    for seconds in range(5, 121, 5):
        ben.refresh_from_db()
        still_here(participant=ben, now=later(seconds))
        assert not recording_allowed(meeting, now=later(seconds))[0]
    assert not recording_allowed(meeting, now=later(159))[0]
    assert recording_allowed(meeting, now=later(181))[0]


def test_a_frame_that_lost_its_connection_comes_back_unrecorded(meeting):
    ben = guest(meeting, answer=NO)
    still_here(participant=ben, now=later(290))
    make_stay(ben, joined_at=later(3), left_at=later(300), reported_left_at=later(300))
    assert not recording_allowed(meeting, now=later(301))[0]


def test_a_page_that_is_loaded_again_counts_though_its_old_frame_goes_later(meeting):
    ben = guest(meeting, answer=NO)
    entry_for(participant=ben, now=later(300))
    make_stay(ben, joined_at=later(3), left_at=later(301), reported_left_at=later(301))
    assert not recording_allowed(meeting, now=later(302))[0]
    make_stay(ben, joined_at=later(303), left_at=later(310), reported_left_at=later(310))
    assert recording_allowed(meeting, now=later(311))[0]


def test_a_page_that_is_gone_holds_up_nobody(meeting):
    ben = guest(meeting, answer=NO)
    make_stay(ben, joined_at=later(3), left_at=later(300), reported_left_at=later(300))
    still_here(participant=ben, now=later(299))
    page_is_gone(ben.pk)
    page_is_gone(ben.pk)
    assert recording_allowed(meeting, now=later(301))[0]


def test_a_page_that_wakes_up_stops_what_records(provider, meeting, recording):
    """E.g. a computer that slept for hours: its frame is about to connect again."""
    ben = guest(meeting, answer=NO)
    Participant.objects.filter(pk=ben.pk).update(entered_at=NOW - timedelta(hours=2), held_until_stopped=False)
    meeting.captures.update(state="on", stop_wanted_at=None)
    ben.refresh_from_db()
    still_here(participant=ben, now=NOW)
    assert meeting.captures.get().state == "stopping"


def test_pages_of_people_who_agreed_write_nothing(meeting, django_assert_num_queries):
    ben = guest(meeting, answer=YES)
    with django_assert_num_queries(0):
        still_here(participant=ben, now=later(30))


# -- recordings on a host's own computer


@pytest.mark.parametrize(("kind", "by_host"), [("local", True), ("cloud", False), ("none", False)])
def test_only_hosts_of_such_meetings_record_on_their_own_computer(provider, meeting, room, kind, by_host):
    Meeting.objects.update(recording_type=kind)
    owner = enter(meeting=meeting, user=room.owner, name="Owner", answer=YES, now=NOW)
    entry_for(participant=owner, now=NOW)
    entry_for(participant=guest(meeting), now=NOW)
    assert [person.records_locally for _, person in provider.entered] == [by_host, False]
