"""What the facts of a meeting say, at each time somebody asks."""

import uuid
from datetime import timedelta

import pytest

from meetings.judging import Delivery, judge, ripe_at
from meetings.lifecycle import OPENER_LOST
from meetings.models import Capture, JoinBeacon, Meeting
from meetings.outcomes import facts_of
from rooms.outcomes import Kind, Status
from tests.factories import NOW, make_meeting, make_participant, make_stay

pytestmark = pytest.mark.django_db
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
END = NOW + 30 * MINUTE


@pytest.fixture
def ended(fake_platforms):
    meeting = make_meeting(status=Meeting.Status.ENDED, ended_at=END, platform="fake")
    Meeting.objects.filter(pk=meeting.pk).update(closed_at_provider_at=END, close_attempts=1)
    return Meeting.objects.get(pk=meeting.pk)


def came(meeting, *, after_s=None, beacon_s=None, at=NOW, left=END, **beacon):
    """Somebody who pressed Join at ``at``; the provider told of them, and their page of itself, so long after."""
    person = make_participant(meeting, created_at=at)
    JoinBeacon.objects.create(
        participant=person,
        pressed_at=at,
        joined_at=None if beacon_s is None else at + beacon_s * SECOND,
        **beacon,
    )
    if after_s is not None:
        make_stay(person, joined_at=at + after_s * SECOND, left_at=left, last_seen_at=left)
    return person


def verdict(meeting, kind, now=END + 60 * MINUTE, **more):
    facts = facts_of({meeting.pk}, now=now)[meeting.pk]
    for name, value in more.items():
        setattr(facts, name, value)
    return judge(facts, kind, now)


class TestJoined:
    def test_all_in_time_is_a_success_and_the_slowest_counts(self, ended):
        came(ended, after_s=3)
        came(ended, after_s=12.5)
        found = verdict(ended, Kind.JOINED)
        assert (found.status, found.value) == (Status.SUCCESS, 12.5)
        assert found.words == "2 people pressed Join, the slowest took 12.5 s"

    def test_one_who_took_too_long_is_a_failure(self, ended):
        came(ended, after_s=3)
        came(ended, after_s=75)
        found = verdict(ended, Kind.JOINED)
        assert (found.status, found.value) == (Status.FAILURE, 75)
        assert found.words == "1 of 2 people took longer than 60 s, the slowest 75.0 s"

    def test_one_who_never_got_in_is_a_failure_as_soon_as_no_sign_can_be_on_its_way(self, ended):
        Meeting.objects.update(status=Meeting.Status.OPEN, ended_at=None)
        ended.refresh_from_db()
        came(ended, after_s=3)
        came(ended, failed_at=NOW + 9 * SECOND, failure="connection")
        assert verdict(ended, Kind.JOINED, NOW + 149 * SECOND).status == Status.PENDING
        found = verdict(ended, Kind.JOINED, NOW + 150 * SECOND)
        assert found.status == Status.FAILURE
        assert found.words == "1 of 2 people never got in: the call could not be reached"

    def test_without_a_beacon_the_provider_alone_decides(self, ended):
        person = make_participant(ended, created_at=NOW)
        make_stay(person, joined_at=NOW + 4 * SECOND, left_at=END)
        assert verdict(ended, Kind.JOINED).value == 4
        make_participant(ended, created_at=NOW)
        assert verdict(ended, Kind.JOINED).words == "1 of 2 people never got in: no sign of them inside"

    def test_presence_shows_a_join_late_and_the_page_knows_better(self, ended):
        came(ended, after_s=70, beacon_s=5)
        assert verdict(ended, Kind.JOINED).value == 5

    def test_a_page_that_the_provider_does_not_confirm_counts_for_nothing_and_is_noted(self, ended):
        came(ended, beacon_s=2)
        assert verdict(ended, Kind.JOINED, END).status == Status.PENDING
        found = verdict(ended, Kind.JOINED)
        assert found.status == Status.EXCLUDED
        assert found.words == (
            "nobody’s join could be measured; 1 by their page inside, but the provider never told of them"
        )
        came(ended, after_s=3)
        assert verdict(ended, Kind.JOINED).words.startswith("1 person pressed Join, the slowest took 3.0 s; 1 by")

    def test_who_closed_the_page_or_had_to_knock_is_left_out(self, ended):
        came(ended, left_at=NOW + 10 * SECOND)
        knocking = came(ended, after_s=300)
        ended.waiting.create(session_id="s", user_id=knocking.provider_user_id, started_at=NOW)
        found = verdict(ended, Kind.JOINED)
        assert found.status == Status.EXCLUDED
        assert found.words == "nobody’s join could be measured; 2 left out (closed the page at once, had to be let in)"

    def test_who_left_the_page_after_a_minute_in_vain_was_failed(self, ended):
        came(ended, left_at=NOW + 61 * SECOND)
        assert verdict(ended, Kind.JOINED).status == Status.FAILURE

    def test_who_came_as_the_meeting_ended_is_left_out(self, ended):
        came(ended, at=END - 30 * SECOND)
        assert verdict(ended, Kind.JOINED).status == Status.EXCLUDED

    def test_a_live_meeting_is_pending_until_its_latest_end(self, ended):
        Meeting.objects.update(status=Meeting.Status.OPEN, ended_at=None, expires_at=NOW + 8 * 60 * MINUTE)
        ended.refresh_from_db()
        came(ended, after_s=3)
        found = verdict(ended, Kind.JOINED, NOW + 10 * MINUTE)
        assert (found.status, found.mature_at) == (Status.PENDING, NOW + 485 * MINUTE)

    def test_clocks_that_differ_never_make_a_negative_time(self, ended):
        came(ended, after_s=-2)
        assert verdict(ended, Kind.JOINED).value == 0


class TestNotOpened:
    @pytest.fixture
    def failed(self, fake_platforms):
        meeting = make_meeting(
            platform="fake", status=Meeting.Status.FAILED, ended_at=NOW, failure="503 from the provider"
        )
        Meeting.objects.update(opened_at=None)
        return meeting

    @pytest.mark.parametrize("kind", [Kind.JOINED, Kind.ERRORS])
    def test_it_is_a_failure_at_once(self, failed, kind):
        found = verdict(failed, kind, NOW)
        assert (found.status, found.words) == (
            Status.FAILURE,
            "the meeting could not be opened: 503 from the provider",
        )

    @pytest.mark.parametrize("kind", [Kind.PRESENCE, Kind.DELAY])
    def test_other_questions_do_not_apply(self, failed, kind):
        assert verdict(failed, kind, NOW).status == Status.EXCLUDED

    def test_a_death_of_our_own_is_not_the_platforms_failure(self, failed):
        Meeting.objects.update(failure=OPENER_LOST)
        assert verdict(failed, Kind.ERRORS, NOW).status == Status.EXCLUDED


class TestPresence:
    def test_all_seen_is_a_success(self, ended):
        came(ended, after_s=3)
        Meeting.objects.update(presence_checked_at=END)
        found = verdict(ended, Kind.PRESENCE)
        assert (found.status, found.words) == (Status.SUCCESS, "presence showed all of 1 stay")

    def test_a_long_stay_that_presence_never_showed_is_a_failure(self, ended):
        came(ended, after_s=3)
        ended.sessions.update(last_seen_at=None)
        Meeting.objects.update(presence_checked_at=END)
        assert verdict(ended, Kind.PRESENCE, END).status == Status.PENDING
        found = verdict(ended, Kind.PRESENCE)
        assert (found.status, found.words) == (Status.FAILURE, "presence never showed 1 of 1 stay")

    def test_a_short_stay_need_not_be_seen(self, ended):
        came(ended, after_s=3, left=NOW + 60 * SECOND)
        ended.sessions.update(last_seen_at=None)
        assert verdict(ended, Kind.PRESENCE).status == Status.EXCLUDED

    def test_somebody_inside_by_their_page_only_is_a_failure(self, ended):
        came(ended, beacon_s=3)
        assert verdict(ended, Kind.PRESENCE).words.endswith("1 inside by their page only")

    def test_it_does_not_apply_where_nobody_asked_or_nobody_can(self, ended):
        came(ended, after_s=3)
        assert verdict(ended, Kind.PRESENCE).words == "nobody asked for the presence"
        assert verdict(ended, Kind.PRESENCE, has_presence=False).words == (
            "this platform cannot be asked who is inside"
        )


class TestErrors:
    def test_none_is_a_success(self, ended):
        assert verdict(ended, Kind.ERRORS).status == Status.SUCCESS

    def test_a_recording_that_failed_is_an_error_at_once(self, ended):
        Meeting.objects.update(status=Meeting.Status.OPEN, ended_at=None)
        Capture.objects.create(meeting=ended, state=Capture.State.FAILED, failed_at=NOW, error="no bucket")
        found = verdict(ended, Kind.ERRORS, NOW)
        assert (found.status, found.words) == (Status.FAILURE, "recording: no bucket")

    def test_a_room_that_is_still_to_be_closed_is_waited_for(self, ended):
        Meeting.objects.update(closed_at_provider_at=None, close_attempts=4)
        found = verdict(ended, Kind.ERRORS)
        assert (found.status, found.words) == (Status.PENDING, "its room could not be closed in 4 tries")
        assert found.mature_at == END + 45 * MINUTE

    def test_a_room_that_closed_after_many_tries_is_an_error(self, ended):
        Meeting.objects.update(close_attempts=5)
        assert verdict(ended, Kind.ERRORS).words == "closing its room took 5 tries"


class TestDelay:
    def lags(self, ended, *lags, stale=0):
        deliveries = [Delivery(lag_s=lag, is_stale=number < stale) for number, lag in enumerate(lags)]
        return verdict(ended, Kind.DELAY, deliveries=deliveries)

    def test_the_95th_of_100_counts(self, ended):
        assert self.lags(ended, *[1.0] * 95, *[300.0] * 5).status == Status.SUCCESS
        found = self.lags(ended, *[1.0] * 94, *[300.0] * 6)
        assert (found.status, found.value) == (Status.FAILURE, 300)
        assert found.words == "100 webhooks, 95 % of them within 300.0 s"

    def test_one_that_was_signed_long_before_it_came_is_a_failure(self, ended):
        assert self.lags(ended, 1.0, 2.0, stale=1).status == Status.FAILURE

    def test_people_without_a_webhook_are_a_failure_and_nobody_is_nothing(self, ended):
        assert verdict(ended, Kind.DELAY).status == Status.EXCLUDED
        came(ended, after_s=3)
        assert verdict(ended, Kind.DELAY).status == Status.FAILURE

    def test_late_webhooks_are_waited_for(self, ended):
        assert verdict(ended, Kind.DELAY, END + 14 * MINUTE).status == Status.PENDING


def test_every_kind_ripens(ended):
    assert all(ripe_at(ended, kind) > END for kind in Kind)


def test_facts_of_nothing_are_nothing():
    assert facts_of({uuid.uuid4()}, now=NOW) == {}


def test_an_installation_may_wait_less_or_longer(ended, settings):
    assert ripe_at(ended, Kind.DELAY) == END + 15 * MINUTE
    settings.OUTCOME_PATIENCE = 0.02
    assert ripe_at(ended, Kind.DELAY) == END + 18 * SECOND
