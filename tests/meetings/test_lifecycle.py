from dataclasses import replace
from datetime import timedelta

import dramatiq
import pytest

from meetings import lifecycle, periodic, presence
from meetings.lifecycle import close_at_provider, end_meeting, end_what_is_over, wake_closing
from meetings.models import Capture, Meeting
from meetings.tasks import close_meeting
from platforms.base import PlatformRefused, PlatformUnavailable, PresentPerson, RoomPresence
from platforms.events import ParticipantJoined, ParticipantLeft
from platforms.periodic import jobs
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay, make_user

pytestmark = pytest.mark.django_db


def later(seconds=0, **more):
    return NOW + timedelta(seconds=seconds, **more)


@pytest.fixture
def meeting(fake_platforms):
    return make_meeting(make_room(platform="fake"), expires_at=later(hours=8))


@pytest.fixture
def page_meeting(fake_platforms):
    return make_meeting(make_room(platform="fake-page"), expires_at=later(hours=8))


def leave_at(meeting, seconds):
    make_stay(make_participant(meeting), left_at=later(seconds), reported_left_at=later(seconds))
    presence.settle(meeting)


def end_rules(meeting, seconds=0, **more):
    end_what_is_over(later(seconds, **more))
    meeting.refresh_from_db()
    return meeting.end_reason


def look(meeting, *seconds):
    for second in seconds:
        meeting.refresh_from_db()
        presence.reconcile([meeting], later(second))


# -- by a host


def test_ending_for_all(meeting):
    owner = make_user("owner")
    stay = make_stay(make_participant(meeting))
    end_meeting(meeting=meeting, reason=Meeting.EndReason.HOST, by=owner, now=later(60))
    meeting.refresh_from_db()
    stay.refresh_from_db()
    assert (meeting.status, meeting.end_reason, meeting.ended_by) == ("ended", "host", owner)
    assert (meeting.ended_at, meeting.close_due_at, stay.left_at) == (later(60), later(60), later(60))
    assert meeting.count_people() == 0


def test_ending_twice_keeps_the_first_end(meeting):
    end_meeting(meeting=meeting, reason="host", now=later(60))
    assert end_meeting(meeting=meeting, reason="limit", now=later(70)).end_reason == "host"
    meeting.refresh_from_db()
    assert meeting.ended_at == later(60)


def test_an_ended_meeting_never_reopens(provider, meeting):
    end_meeting(meeting=meeting, reason="host", now=later(60))
    provider.present[meeting.provider_room_name] = RoomPresence(
        room_name=meeting.provider_room_name,
        people=(PresentPerson(session_id="s", user_id="u", name="Late", joined_at=later(59)),),
    )
    look(meeting, 70, 90)
    meeting.refresh_from_db()
    assert (meeting.status, meeting.count_people()) == ("ended", 0)


# -- empty


def test_nobody_left_for_the_grace_time(meeting):
    leave_at(meeting, 600)
    look(meeting, 690, 710)
    assert end_rules(meeting, 719) == ""
    assert end_rules(meeting, 720) == "empty"


def test_grace_time_is_a_setting(meeting, settings):
    settings.EMPTY_GRACE_S = 30
    leave_at(meeting, 600)
    look(meeting, 612, 628)
    assert end_rules(meeting, 630) == "empty"


@pytest.mark.parametrize("looks", [[], [710], [700, 710], [590, 710]], ids=str)
def test_one_empty_look_ends_nothing(meeting, looks):
    leave_at(meeting, 600)
    look(meeting, *looks)
    assert end_rules(meeting, 730) == ""


def test_looks_of_long_ago_confirm_nothing(meeting):
    leave_at(meeting, 600)
    look(meeting, 690, 710)
    assert end_rules(meeting, 771) == ""


def test_a_provider_that_does_not_answer_ends_nothing(provider, meeting):
    leave_at(meeting, 600)
    provider.errors["presence"] = [PlatformUnavailable("503")] * 9
    look(meeting, 690, 710, 730)
    assert end_rules(meeting, 740) == ""


def test_somebody_whom_only_presence_sees_keeps_it_open(provider, meeting):
    leave_at(meeting, 600)
    provider.present[meeting.provider_room_name] = RoomPresence(
        room_name=meeting.provider_room_name,
        people=(PresentPerson(session_id="s2", user_id="u2", name="Bob", joined_at=later(500)),),
    )
    look(meeting, 690, 710)
    assert end_rules(meeting, 720) == ""
    meeting.refresh_from_db()
    assert (meeting.empty_since, meeting.count_people()) == (None, 1)


def test_somebody_on_the_way_in_keeps_it_open(meeting):
    leave_at(meeting, 600)
    make_participant(meeting, entered_at=later(700))
    look(meeting, 690, 710)
    assert end_rules(meeting, 730) == ""
    look(meeting, 740, 760)
    assert end_rules(meeting, 761) == "empty"


def test_somebody_who_came_and_went_is_on_no_way_in(meeting, settings):
    settings.EMPTY_GRACE_S = 5
    left = make_participant(meeting, entered_at=later(590))
    make_stay(left, joined_at=later(591), left_at=later(600), reported_left_at=later(600))
    presence.settle(meeting)
    look(meeting, 605, 620)
    assert end_rules(meeting, 621) == "empty"


def test_where_there_is_no_presence_events_must_do(page_meeting):
    leave_at(page_meeting, 600)
    assert end_rules(page_meeting, 719) == ""
    assert end_rules(page_meeting, 720) == "empty"


def test_coming_back_within_the_grace_time(page_meeting):
    leave_at(page_meeting, 600)
    make_stay(make_participant(page_meeting), joined_at=later(650))
    presence.settle(page_meeting)
    assert end_rules(page_meeting, 730) == ""


# -- never used


def test_nobody_came(meeting):
    look(meeting, 1760, 1780)
    assert end_rules(meeting, 1799) == ""
    assert end_rules(meeting, 1800) == "never_used"


def test_recorders_are_nobody(page_meeting):
    make_stay(make_participant(page_meeting, is_person=False))
    assert end_rules(page_meeting, 1800) == "never_used"


def test_people_whose_events_never_reached_us_are_not_put_out(page_provider, page_meeting):
    name = page_meeting.provider_room_name
    page_provider.present[name] = RoomPresence(room_name=name, people=None, session_open=True)
    presence.look(later(1490))
    assert page_provider.calls == []
    presence.look(later(1790))
    assert end_rules(page_meeting, 1800) == ""
    assert end_rules(page_meeting, hours=8) == "limit"


# -- the limit


def test_limit_is_warned_of_and_then_kept(meeting):
    make_stay(make_participant(meeting))
    end_rules(meeting, hours=7, minutes=54)
    assert meeting.warned_at is None
    end_rules(meeting, hours=7, minutes=55)
    assert meeting.warned_at == later(hours=7, minutes=55)
    assert end_rules(meeting, hours=7, minutes=59) == ""
    assert end_rules(meeting, hours=8) == "limit"
    assert meeting.warned_at == later(hours=7, minutes=55)


# -- closing at the provider


def test_closing_ends_the_providers_room_once(provider, meeting):
    end_meeting(meeting=meeting, reason="host", now=later(60))
    close_at_provider(meeting.pk, now=later(60))
    close_at_provider(meeting.pk, now=later(600))
    close_meeting(str(meeting.pk))
    meeting.refresh_from_db()
    assert provider.closed == [meeting.provider_room_name]
    assert (meeting.closed_at_provider_at, meeting.close_due_at) == (later(60), None)


def test_a_live_meeting_is_not_closed(provider, meeting):
    close_at_provider(meeting.pk, now=later(60))
    assert provider.calls == []


def test_closing_is_tried_again_later_and_later(provider, meeting):
    end_meeting(meeting=meeting, reason="host", now=later(60))
    provider.errors["end_room"] = [PlatformUnavailable("503")] * 12
    waits = []
    for _ in range(12):
        meeting.refresh_from_db()
        now = meeting.close_due_at
        close_at_provider(meeting.pk, now=now)
        meeting.refresh_from_db()
        waits.append((meeting.close_due_at - now).total_seconds())
    assert waits[:4] == [10, 20, 40, 80]
    assert waits[-1] == 900
    close_at_provider(meeting.pk, now=meeting.close_due_at)
    assert provider.closed == [meeting.provider_room_name]


def test_closing_is_left_to_the_providers_own_expiry_in_the_end(provider, meeting):
    end_meeting(meeting=meeting, reason="limit", now=later(hours=8))
    provider.errors["end_room"] = [PlatformUnavailable("503")]
    Capture.objects.create(meeting=meeting, state="stopping", started_at=NOW, stop_wanted_at=later(hours=8))
    close_at_provider(meeting.pk, now=later(hours=11))
    meeting.refresh_from_db()
    assert meeting.closed_at_provider_at == later(hours=11)
    assert meeting.captures.get().state == "off"


def test_a_second_worker_leaves_a_closing_alone(provider, meeting):
    end_meeting(meeting=meeting, reason="host", now=later(60))
    Meeting.objects.update(close_due_at=later(60) + lifecycle.CLOSE_LEASE)  # taken by another
    close_at_provider(meeting.pk, now=later(61))
    assert provider.calls == []


def test_what_is_due_is_woken(meeting, page_meeting):
    broker = dramatiq.get_broker()
    end_meeting(meeting=meeting, reason="host", now=later(60))
    broker.flush_all()
    wake_closing(later(59))
    wake_closing(later(60))
    queued = [dramatiq.Message.decode(raw).args for raw in broker.queues[close_meeting.queue_name].queue]
    broker.flush_all()
    assert queued == [(str(meeting.pk),)]


def test_jobs_come_round():
    names = {job.name for job in jobs()}
    assert {f"meetings.periodic.{name}" for name in ("look_at_presence", "end_meetings", "reconcile_captures")} <= names


def test_jobs_run_over_everything(provider, meeting, page_meeting):
    make_stay(make_participant(meeting, answer="yes"))
    make_stay(make_participant(meeting, answer="yes"))
    for job in (periodic.look_at_presence, periodic.end_meetings, periodic.reconcile_captures):
        job(later(30))
    assert meeting.captures.get().state == "wanted"
    periodic.end_meetings(later(hours=9))
    assert set(Meeting.objects.values_list("status", "end_reason")) == {("ended", "limit")}


# -- who was there after all


def joined(session_id, seconds, **fields):
    who = {"user_id": "somebody", "name": "Sam"} | fields
    return ParticipantJoined(
        platform="fake", room_name="room", session_id=session_id, occurred_at=later(seconds), **who
    )


def left(session_id, seconds, **fields):
    who = {"user_id": "somebody", "name": "Sam"} | fields
    return ParticipantLeft(platform="fake", room_name="room", session_id=session_id, occurred_at=later(seconds), **who)


@pytest.fixture
def over(meeting):
    """A meeting that was ended after ten minutes; its provider's room is still to be closed."""
    Meeting.objects.update(provider_room_name="room")
    return end_meeting(meeting=Meeting.objects.get(), reason=Meeting.EndReason.HOST, now=later(600))


def stays(meeting):
    rows = meeting.sessions.order_by("session_id")
    return list(rows.values_list("session_id", "participant__name", "joined_at", "left_at"))


def test_stays_of_which_no_event_came_are_found_when_the_room_is_closed(over, provider):
    ours = make_participant(over, "Ann", came_by_page=True)
    provider.past = [
        joined("a", 1, user_id=ours.provider_user_id, name="Ann at the provider"),
        left("a", 300, user_id=ours.provider_user_id),
        joined("b", 5),
        replace(joined("c", 5), room_name="another room"),
    ]
    close_at_provider(over.pk, now=later(600))
    found = [("a", "Ann", later(1), later(300)), ("b", "Sam", later(5), later(600))]
    assert stays(over) == found
    Meeting.objects.update(closed_at_provider_at=None, close_due_at=later(700))
    close_at_provider(over.pk, now=later(700))
    assert stays(over) == found


def test_what_events_told_is_not_told_again(over, provider):
    ended = {"left_at": later(300), "reported_left_at": later(300)}
    make_stay(make_participant(over, "Ann"), session_id="a", joined_at=later(1), **ended)
    before = stays(over)
    provider.past = [joined("a", 0, user_id="x"), left("a", 301, user_id="x")]
    close_at_provider(over.pk, now=later(600))
    assert stays(over) == before


def test_no_answer_about_who_was_there_is_asked_for_again_and_a_refusal_is_not(over, provider):
    provider.past = [joined("b", 5)]
    provider.errors["past_stays"] = [PlatformUnavailable("503"), PlatformRefused("no", status=403)]
    close_at_provider(over.pk, now=later(600))
    assert Meeting.objects.get().closed_at_provider_at is None
    assert provider.closed  # but the room is closed already
    close_at_provider(over.pk, now=later(700))
    assert Meeting.objects.get().closed_at_provider_at == later(700)
    assert stays(over) == []
