"""Questions about meetings are answered once; silence past maturity is a failure."""

import uuid
from datetime import timedelta

import pytest

from rooms import outcomes
from rooms.models import Outcome
from rooms.outcomes import Kind, Status
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def row(room):
    question = Outcome(
        meeting_id=uuid.uuid4(),
        room=room,
        platform=room.platform,
        kind=Kind.RECORDING,
        met_at=NOW,
        mature_at=NOW + 2 * HOUR,
        look_at=NOW,
    )
    outcomes.expect([question])
    return Outcome.objects.get()


def see(row, verdict, now):
    return outcomes.record({row.pk: verdict}, now=now)[0]


def test_questions_are_written_down_once(row, room):
    again = Outcome(
        meeting_id=row.meeting_id, room=room, platform="daily", kind=row.kind, met_at=NOW, mature_at=NOW + HOUR
    )
    outcomes.expect([again])
    assert [(one.platform, one.mature_at) for one in Outcome.objects.all()] == [("whereby", NOW + 2 * HOUR)]


def test_a_young_question_stays_pending_and_is_looked_at_again_ever_more_rarely(row):
    young = see(row, outcomes.pending("nothing yet"), NOW + timedelta(minutes=1))
    assert (young.status, young.words, young.look_at) == (
        Status.PENDING,
        "nothing yet",
        NOW + timedelta(seconds=70),
    )
    older = see(row, outcomes.pending("nothing yet"), NOW + HOUR)
    assert older.look_at == NOW + HOUR + timedelta(minutes=3)


def test_silence_past_maturity_is_a_failure(row):
    late = see(row, outcomes.pending("no recording arrived"), NOW + 2 * HOUR)
    assert (late.status, late.words, late.decided_at) == (Status.FAILURE, "no recording arrived", NOW + 2 * HOUR)


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (outcomes.success("came", value=31.5), Status.SUCCESS),
        (outcomes.failure("disk full"), Status.FAILURE),
        (outcomes.excluded("nothing to record"), Status.EXCLUDED),
    ],
)
def test_an_answer_decides_and_ends_the_looking(row, verdict, status):
    answered = see(row, verdict, NOW + HOUR)
    assert (answered.status, answered.words, answered.value) == (status, verdict.words, verdict.value)
    assert (answered.decided_at, answered.look_at) == (NOW + HOUR, None)


def test_what_is_decided_stays_decided(row):
    see(row, outcomes.failure("disk full"), NOW + HOUR)
    for verdict in (outcomes.excluded("withdrawn"), outcomes.pending("?"), outcomes.failure("other words")):
        again = see(row, verdict, NOW + HOUR)
        assert (again.status, again.words) == (Status.FAILURE, "disk full")
    see(row, outcomes.success("came"), NOW + HOUR)
    assert Outcome.objects.get().status == Status.FAILURE


def test_a_success_that_comes_late_stays_a_failure_and_says_when_it_came(row):
    see(row, outcomes.pending("no recording arrived"), NOW + 2 * HOUR)
    came = outcomes.success("arrived", value=3 * 3600, answered_at=NOW + 3 * HOUR + timedelta(minutes=5))
    late = see(row, came, NOW + 4 * HOUR)
    assert (late.status, late.words) == (Status.FAILURE, "no recording arrived – came 1 h 5 min too late")
    assert late.look_at is None


def test_what_came_in_time_is_a_success_however_late_somebody_looks(row):
    in_time = outcomes.success("arrived", answered_at=NOW + HOUR)
    assert see(row, in_time, NOW + timedelta(days=7)).status == Status.SUCCESS


def test_what_came_after_maturity_is_a_failure_though_nobody_had_looked(row):
    late = see(row, outcomes.success("arrived", answered_at=NOW + 3 * HOUR), NOW + 4 * HOUR)
    assert (late.status, late.words) == (Status.FAILURE, "came 1 h 0 min too late: arrived")


def test_maturity_follows_the_meeting_while_nothing_is_decided(row):
    put_off = see(row, outcomes.pending("live", mature_at=NOW + 9 * HOUR), NOW + 3 * HOUR)
    assert (put_off.status, put_off.mature_at) == (Status.PENDING, NOW + 9 * HOUR)


def test_only_what_is_due_is_looked_at(row):
    assert outcomes.due([Kind.RECORDING], now=NOW, most=10) == [row]
    assert outcomes.due([Kind.JOINED], now=NOW, most=10) == []
    assert outcomes.due([Kind.RECORDING], now=NOW - HOUR, most=10) == []


def test_decided_counts_successes_and_failures_of_one_platform_and_kind(row):
    assert list(outcomes.decided(platform="whereby", kind=Kind.RECORDING)) == []
    see(row, outcomes.success(), NOW + HOUR)
    assert list(outcomes.decided(platform="whereby", kind=Kind.RECORDING)) == [row]
    assert list(outcomes.decided(platform="whereby", kind=Kind.RECORDING, since=NOW + HOUR)) == []
    assert list(outcomes.decided(platform="daily", kind=Kind.RECORDING)) == []


def test_recording_many_costs_as_many_queries_as_recording_one(room, django_assert_num_queries):
    outcomes.expect(
        Outcome(meeting_id=uuid.uuid4(), room=room, platform="whereby", kind=Kind.JOINED, met_at=NOW, mature_at=NOW)
        for _ in range(50)
    )
    verdicts = {pk: outcomes.success() for pk in Outcome.objects.values_list("pk", flat=True)}
    with django_assert_num_queries(4):  # savepoint, lock and read, update, release
        outcomes.record(verdicts, now=NOW)
