"""What became of a meeting's recordings, asked only where something should have been recorded."""

from datetime import timedelta

import pytest
from django.test import override_settings

from meetings import outcomes as outcomes_of_meetings
from meetings.models import Capture, Meeting
from recordings import outcomes
from recordings.models import Recording, Transcript
from recordings.outcomes import facts_of, judge_one, together
from rooms.models import Outcome, Room
from rooms.outcomes import Kind, Status
from tests.accounts_for_platforms import BOTH
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
END = NOW + 30 * MINUTE


@pytest.fixture(autouse=True)
def both_platforms():
    with override_settings(PLATFORM_ENVIRON=BOTH):
        yield


@pytest.fixture
def meeting():
    """On a platform whose recordings our server starts."""
    return make_meeting(make_room(platform="daily"), status=Meeting.Status.ENDED, ended_at=END)


def ran(meeting, *, minutes=20, **more):
    return Capture.objects.create(
        meeting=meeting,
        **{
            "state": Capture.State.OFF,
            "ordered_at": NOW,
            "started_at": NOW,
            "stopped_at": NOW + minutes * MINUTE,
            **more,
        },
    )


def recorded(meeting, *, number=1, fetched=NOW + 22 * MINUTE, **more):
    return Recording.objects.create(
        platform=meeting.platform,
        provider_recording_id=f"r{number}",
        meeting=meeting,
        **{
            "found_by": "webhook",
            "started_at": NOW,
            "duration_s": 1200,
            "fetched_at": fetched,
            "status": Recording.Status.DONE if fetched else Recording.Status.PENDING,
            **more,
        },
    )


def transcribed(recording, *, after=5 * MINUTE, **more):
    finished = recording.fetched_at + after
    return Transcript.objects.create(
        recording=recording, **{"status": Transcript.Status.DONE, "finished_at": finished, **more}
    )


def inside(meeting, *stays):
    for from_minute, to_minute in stays:
        make_stay(make_participant(meeting), joined_at=NOW + from_minute * MINUTE, left_at=NOW + to_minute * MINUTE)


def verdict(meeting, kind=Kind.RECORDING, now=END + HOUR):
    return judge_one(facts_of({meeting.pk})[meeting.pk], kind, now)


class TestRecording:
    def test_delivered_is_a_success_with_its_wait(self, meeting):
        ran(meeting)
        recorded(meeting)
        found = verdict(meeting)
        assert (found.status, found.value, found.answered_at) == (Status.SUCCESS, 120, NOW + 22 * MINUTE)
        assert found.words == "1 recording delivered, 120 s after its end"

    def test_each_run_must_arrive(self, meeting):
        ran(meeting, minutes=5)
        ran(meeting, minutes=5)
        recorded(meeting)
        found = verdict(meeting)
        assert (found.status, found.words) == (Status.PENDING, "1 of 2 recordings delivered")
        assert found.mature_at == END + 2 * HOUR
        recorded(meeting, number=2)
        assert verdict(meeting).status == Status.SUCCESS

    def test_an_error_is_a_failure_at_once(self, meeting):
        Meeting.objects.update(status=Meeting.Status.OPEN, ended_at=None)
        ran(meeting, state=Capture.State.FAILED, failed_at=NOW, error="the bucket is gone")
        assert verdict(meeting, now=NOW).words == "the recording failed: the bucket is gone"

    def test_one_that_cannot_be_fetched_is_a_failure(self, meeting):
        ran(meeting)
        recorded(meeting, fetched=None, status=Recording.Status.QUARANTINED, last_error="an empty file")
        assert verdict(meeting).words == "the recording could not be fetched: an empty file"

    def test_a_refusal_excludes_and_is_no_failure(self, meeting):
        ran(meeting)
        recorded(meeting, delete_wanted_at=END, delete_reason="somebody inside did not agree to be recorded")
        found = verdict(meeting)
        assert (found.status, found.words) == (
            Status.EXCLUDED,
            "removed: somebody inside did not agree to be recorded",
        )

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"recording_type": "none"}, "this room records nothing"),
            ({"recording_type": "local"}, "this room records on the host’s own computer"),
            ({"recording_trigger": "prompt"}, "nobody started a recording"),
            ({"status": Meeting.Status.FAILED}, "the meeting could not be opened"),
        ],
    )
    def test_where_nothing_was_to_be_recorded_the_question_does_not_apply(self, meeting, fields, words):
        Meeting.objects.update(**fields)
        found = verdict(meeting)
        assert (found.status, found.words) == (Status.EXCLUDED, words)

    def test_too_few_people_too_short_a_run_or_no_consent_say_so(self, meeting):
        inside(meeting, (0, 10))
        assert verdict(meeting).words == "2 people were not inside long enough for a recording to begin"
        inside(meeting, (0, 10))
        assert verdict(meeting).words.startswith("not everybody agreed to be recorded")
        ran(meeting, stopped_at=NOW + 5 * SECOND)
        assert verdict(meeting).words == "what was recorded was too short to be kept"

    def test_a_live_meeting_is_pending(self, meeting):
        Meeting.objects.update(status=Meeting.Status.OPEN, ended_at=None)
        ran(meeting)
        recorded(meeting)
        assert verdict(meeting).status == Status.PENDING


class TestByItself:
    """Where nobody is asked, a provider without orders starts by itself: nothing here knows that it did."""

    @pytest.fixture
    def meeting(self):
        room = make_room(platform="whereby", consent_policy=Room.ConsentPolicy.NOT_ASKED)
        return make_meeting(room, status=Meeting.Status.ENDED, ended_at=END)

    def test_with_enough_people_a_recording_must_arrive(self, meeting):
        inside(meeting, (0, 10), (5, 10))
        assert verdict(meeting).words == "0 of 1 recording delivered"
        recorded(meeting)
        assert verdict(meeting).status == Status.SUCCESS

    def test_people_one_after_the_other_are_not_enough(self, meeting):
        inside(meeting, (0, 10), (10, 20))
        assert verdict(meeting).status == Status.EXCLUDED


def test_together_counts_people_not_stays(meeting):
    alone = make_participant(meeting)
    for _ in range(2):
        make_stay(alone, joined_at=NOW, left_at=NOW + 10 * MINUTE)
    make_stay(make_participant(meeting), joined_at=NOW + 4 * MINUTE)
    stays = list(meeting.sessions.all())
    assert together(stays, 1, END) == 30 * MINUTE
    assert together(stays, 2, END) == 6 * MINUTE
    assert together(stays, 3, END) == timedelta(0)


class TestTranscript:
    def test_all_that_was_delivered_must_be_listened_to(self, meeting):
        ran(meeting)
        recording = recorded(meeting)
        assert verdict(meeting, Kind.TRANSCRIPT).words == "0 of 1 transcript there"
        transcribed(recording)
        found = verdict(meeting, Kind.TRANSCRIPT)
        assert (found.status, found.value, found.words) == (
            Status.SUCCESS,
            300,
            "1 transcript, 300 s after delivery",
        )

    def test_one_that_is_stuck_is_a_failure(self, meeting):
        ran(meeting)
        transcribed(recorded(meeting), status=Transcript.Status.QUARANTINED, last_error="no such language")
        assert verdict(meeting, Kind.TRANSCRIPT).words == "it could not be transcribed: no such language"

    def test_without_a_recording_it_does_not_apply_and_counts_no_failure_twice(self, meeting):
        ran(meeting)
        assert verdict(meeting, Kind.TRANSCRIPT).status == Status.PENDING
        found = verdict(meeting, Kind.TRANSCRIPT, END + 2 * HOUR)
        assert (found.status, found.words) == (
            Status.EXCLUDED,
            "there is no recording to listen to: 0 of 1 recording delivered",
        )
        Capture.objects.all().delete()
        assert verdict(meeting, Kind.TRANSCRIPT).words == (
            "2 people were not inside long enough for a recording to begin"
        )


def test_rows_are_answered_in_a_few_queries(meeting, django_assert_max_num_queries):
    for number in range(10):
        other = make_meeting(make_room(platform="daily"), status=Meeting.Status.ENDED, ended_at=END)
        ran(other)
        transcribed(recorded(other, number=number))
    outcomes_of_meetings.expect_new(END)
    with django_assert_max_num_queries(11):
        outcomes.judge(END + HOUR)
    answered = Outcome.objects.filter(kind__in=outcomes.KINDS, status=Status.SUCCESS)
    assert answered.count() == 20


def test_a_recording_that_comes_after_two_hours_stays_a_failure_and_says_so(meeting):
    ran(meeting)
    outcomes_of_meetings.expect_new(END)
    outcomes.judge(END + 2 * HOUR)
    row = Outcome.objects.get(kind=Kind.RECORDING)
    assert (row.status, row.words) == (Status.FAILURE, "0 of 1 recording delivered")
    recorded(meeting, fetched=END + 150 * MINUTE)
    outcomes.judge(END + 4 * HOUR)
    row.refresh_from_db()
    assert (row.status, row.words) == (Status.FAILURE, "0 of 1 recording delivered – came 30 min too late")
