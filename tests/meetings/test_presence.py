from datetime import timedelta

import pytest

from meetings import presence
from meetings.models import Meeting, Participant, Waiting
from meetings.presence import forget_knocks
from platforms.base import PlatformUnavailable, PresentPerson, RoomPresence
from platforms.events import ParticipantJoined, ParticipantLeft
from platforms.signals import platform_event
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay

pytestmark = pytest.mark.django_db


def later(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def meeting(fake_platforms):
    return make_meeting(make_room(platform="fake"))


@pytest.fixture
def show(provider, meeting):
    """Let the provider show these people, and look at once."""

    def at(seconds, *people):
        name = meeting.provider_room_name
        provider.present[name] = RoomPresence(room_name=name, people=people, observed_at=later(seconds))
        presence.reconcile([meeting], later(seconds))

    return at


def person(participant, session="s1", joined=0):
    user_id = participant if isinstance(participant, str) else participant.provider_user_id
    return PresentPerson(
        session_id=session, user_id=user_id, name="As told", joined_at=None if joined is None else later(joined)
    )


def test_a_missed_join_is_added(meeting, show):
    ann = make_participant(meeting, "Ann")
    show(20, person(ann, joined=3))
    stay = ann.sessions.get()
    assert (stay.joined_at, stay.last_seen_at, stay.left_at) == (later(3), later(20), None)
    assert (meeting.count_people(), meeting.participants.count()) == (1, 1)


def test_a_stranger_is_added_as_one_who_was_not_asked(meeting, show):
    show(20, person("their-own-id"))
    stranger = meeting.participants.get()
    assert (stranger.name, stranger.came_by_page, stranger.provider_user_id) == ("As told", False, "their-own-id")


def test_without_a_time_of_joining_the_first_sight_is_it(meeting, show):
    ann = make_participant(meeting)
    show(40, person(ann, joined=None))
    show(20, person(ann, joined=None))
    assert ann.sessions.get().joined_at == later(20)


def test_a_missed_leave_is_presumed_after_two_looks(meeting, show):
    stay = make_stay(make_participant(meeting), joined_at=NOW)
    for seconds, inside in ((30, True), (50, False)):
        show(seconds)
        stay.refresh_from_db()
        assert (stay.left_at is None) is inside, seconds
    assert (stay.left_at, stay.presumed_left_at) == (NOW, NOW)
    meeting.refresh_from_db()
    assert meeting.empty_since == NOW


def test_whoever_shows_up_again_was_never_gone(meeting, show):
    ann = make_participant(meeting)
    stay = make_stay(ann, session_id="s1")
    show(30)
    show(50)
    show(70, person(ann))
    stay.refresh_from_db()
    assert (stay.left_at, stay.last_seen_at) == (None, later(70))


def test_what_the_provider_reports_overrules_what_is_presumed(meeting, show):
    ann = make_participant(meeting)
    stay = make_stay(ann, session_id="s1")
    show(30)
    show(50)
    left = ParticipantLeft(
        platform="fake",
        room_name=meeting.provider_room_name,
        occurred_at=later(17),
        session_id="s1",
        user_id=ann.provider_user_id,
    )
    platform_event.send(sender=None, event=left)
    stay.refresh_from_db()
    assert (stay.left_at, stay.presumed_left_at) == (later(17), None)


def test_a_ghost_does_not_reopen_a_stay(meeting, show):
    ann = make_participant(meeting)
    make_stay(ann, session_id="s1", reported_left_at=later(10), left_at=later(10))
    show(20, person(ann))
    assert ann.sessions.get().left_at == later(10)


def test_a_join_that_presence_does_not_show_yet_stays(meeting, show):
    """Presence lags up to 25 s behind."""
    show(1)
    show(18)
    joined = ParticipantJoined(
        platform="fake", room_name=meeting.provider_room_name, occurred_at=NOW, session_id="s1", user_id="u"
    )
    platform_event.send(sender=None, event=joined)
    assert meeting.count_people() == 1
    show(35)
    assert meeting.count_people() == 1


def test_unavailable_or_unknown_changes_nothing(provider, meeting):
    make_stay(make_participant(meeting))
    provider.errors["presence"] = [PlatformUnavailable("503")]
    presence.reconcile([meeting], later(60))
    name = meeting.provider_room_name
    provider.present[name] = RoomPresence(room_name=name, people=None)
    presence.reconcile([meeting], later(80))
    presence.reconcile([meeting], later(100))
    meeting.refresh_from_db()
    assert (meeting.count_people(), meeting.presence_checked_at) == (1, None)


def test_a_room_that_the_answer_leaves_out_changes_nothing(meeting, monkeypatch):
    make_stay(make_participant(meeting))
    monkeypatch.setattr("tests.fake_platform.adapter.FakeAdapter.presence", lambda self, names: {})
    presence.reconcile([meeting], later(60))
    meeting.refresh_from_db()
    assert meeting.presence_checked_at is None


def test_presence_starts_what_the_trigger_asks_for(meeting, show):
    people = [make_participant(meeting, answer=Participant.Answer.YES) for _ in range(2)]
    show(20, *(person(one, session=f"s{number}") for number, one in enumerate(people)))
    assert meeting.captures.get().state == "wanted"


def test_one_request_for_all_meetings_of_a_platform(provider, meeting):
    for _ in range(3):
        make_meeting(make_room(platform="fake"))
    presence.look(NOW)
    assert provider.calls == ["presence"]
    assert Meeting.objects.filter(presence_checked_at=NOW).count() == 4


def test_looks_come_every_20_s_and_on_request_every_15_s(provider, meeting):
    def looks(*seconds):
        provider.calls.clear()
        for second in seconds:
            presence.look(later(second))
        return len(provider.calls)

    assert looks(0, 5, 10, 15, 19) == 1
    assert looks(20) == 1
    Meeting.objects.update(check_requested_at=later(25))
    assert looks(30, 34) == 0
    assert looks(35) == 1
    meeting.refresh_from_db()
    assert meeting.check_requested_at is None
    assert looks(50) == 0


def test_nothing_live_nothing_asked(provider, meeting):
    Meeting.objects.update(status="ended")
    presence.look(NOW)
    assert provider.calls == []


@pytest.mark.parametrize(
    ("platform", "gone_for_s", "waiting"), [("fake-page", 61, 0), ("fake-page", 59, 1), ("fake", 61, 1)]
)
def test_a_knock_whose_page_is_gone_is_forgotten(fake_platforms, platform, gone_for_s, waiting):
    meeting = make_meeting(make_room(platform=platform))
    kim = make_participant(meeting, "Kim", came_by_page=True, entered_at=NOW)
    Waiting.objects.create(meeting=meeting, session_id="k", user_id=kim.provider_user_id, started_at=NOW)
    forget_knocks(NOW + timedelta(seconds=gone_for_s))
    assert meeting.waiting.open().count() == waiting
