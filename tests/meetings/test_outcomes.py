"""Outcomes come of the rows that there are, in any order of looking, at a cost that does not grow."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from meetings import outcomes
from meetings.judging import ripe_at
from meetings.models import Meeting
from platforms.models import WebhookEvent
from rooms.models import Outcome
from rooms.outcomes import Kind, Status
from tests.factories import NOW, make_meeting, make_participant, make_stay

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
END = NOW + 30 * MINUTE


def a_meeting_that_went_well(**fields):
    meeting = make_meeting(
        **{
            "platform": "fake",
            "status": Meeting.Status.ENDED,
            "ended_at": END,
            "closed_at_provider_at": END,
            "close_attempts": 1,
            "presence_checked_at": END,
            **fields,
        }
    )
    person = make_participant(meeting, created_at=NOW)
    make_stay(person, joined_at=NOW + timedelta(seconds=2), left_at=END, last_seen_at=END)
    event = {"occurred_at": NOW, "received_at": NOW + timedelta(seconds=3), "signed_at": NOW}
    WebhookEvent.objects.create(
        platform=meeting.platform,
        body=str(meeting.pk).encode(),
        body_sha256=meeting.pk.hex,
        touched=[["meetings.Meeting", str(meeting.pk)], ["rooms.Room", str(meeting.room_id)]],
        **event,
    )
    return meeting


def answers():
    return {row.kind: row.status for row in Outcome.objects.all()}


def test_a_meeting_is_asked_about_once_it_is_open(fake_platforms):
    opening = make_meeting(platform="fake", status=Meeting.Status.OPENING)
    outcomes.judge(NOW)
    assert Outcome.objects.count() == 0
    Meeting.objects.filter(pk=opening.pk).update(status=Meeting.Status.OPEN)
    outcomes.judge(NOW)
    assert answers() == dict.fromkeys(Kind.values, Status.PENDING)
    assert {row.met_at for row in Outcome.objects.all()} == {NOW}


def test_a_meeting_that_went_well_is_a_success_however_late_and_often_somebody_looks(fake_platforms):
    a_meeting_that_went_well()
    for later in (timedelta(days=7), timedelta(days=7), timedelta(days=8)):
        outcomes.judge(END + later)
        assert {kind: answers()[kind] for kind in outcomes.KINDS} == dict.fromkeys(outcomes.KINDS, Status.SUCCESS)
    joined, delay = Outcome.objects.get(kind=Kind.JOINED), Outcome.objects.get(kind=Kind.DELAY)
    assert (joined.value, delay.value, joined.decided_at) == (2, 3, END + timedelta(days=7))


def test_looking_all_the_time_ends_in_the_same_rows_as_looking_once(fake_platforms):
    a_meeting_that_went_well()
    moment = NOW
    while moment < END + 60 * MINUTE:
        outcomes.judge(moment)
        moment += timedelta(seconds=45)
    often = list(Outcome.objects.order_by("kind").values_list("kind", "status", "words", "value"))
    Outcome.objects.all().delete()
    Meeting.objects.update(outcomes_expected_at=None)
    outcomes.judge(moment)
    assert list(Outcome.objects.order_by("kind").values_list("kind", "status", "words", "value")) == often


def test_a_failed_opening_counts_at_once_against_the_platform_that_failed(fake_platforms):
    make_meeting(platform="fake", status=Meeting.Status.FAILED, ended_at=NOW, failure="503")
    Meeting.objects.update(opened_at=None)
    outcomes.judge(NOW)
    failed = Outcome.objects.filter(status=Status.FAILURE)
    assert {(row.kind, row.platform) for row in failed} == {("joined", "fake"), ("errors", "fake")}


def test_webhooks_of_other_meetings_and_platforms_are_not_this_ones(fake_platforms):
    a_meeting_that_went_well()
    WebhookEvent.objects.update(platform="fake-page")
    outcomes.judge(END + 60 * MINUTE)
    assert Outcome.objects.get(kind=Kind.DELAY).words == "people were inside, and no webhook told of them"


def test_a_meeting_that_is_gone_leaves_nothing_pending(fake_platforms):
    meeting = make_meeting(platform="fake")
    outcomes.judge(NOW)
    meeting.delete()
    outcomes.judge(END + 60 * MINUTE)
    assert set(Outcome.objects.filter(kind__in=outcomes.KINDS).values_list("status", flat=True)) == {Status.EXCLUDED}


@pytest.mark.parametrize("meetings", [1, 20])
def test_the_cost_does_not_grow_with_the_meetings(fake_platforms, django_assert_max_num_queries, meetings):
    for _ in range(meetings):
        a_meeting_that_went_well()
    with django_assert_max_num_queries(18):
        outcomes.judge(END + 60 * MINUTE)
    assert Outcome.objects.filter(kind=Kind.JOINED, status=Status.SUCCESS).count() == meetings


def test_meetings_of_long_ago_are_read_apart_from_those_of_today(fake_platforms):
    a_meeting_that_went_well()
    past = timedelta(days=40)
    old = a_meeting_that_went_well(opened_at=NOW - past, ended_at=END - past)
    WebhookEvent.objects.filter(body=str(old.pk).encode()).update(
        occurred_at=NOW - past, received_at=NOW - past + timedelta(seconds=7)
    )
    with CaptureQueriesContext(connection) as queries:
        outcomes.judge(END + 60 * MINUTE)
    assert sum("platforms_webhookevent" in query["sql"] for query in queries) == 2
    assert set(Outcome.objects.filter(kind=Kind.DELAY).values_list("value", flat=True)) == {3, 7}


def test_webhooks_are_read_for_many_meetings_at_once(fake_platforms):
    ends = [END + timedelta(seconds=second) for second in (1, 100, 299, 300)]
    ripe = {ripe_at(make_meeting(platform="fake", status="ended", ended_at=end), Kind.DELAY) for end in ends}
    assert ripe == {END + 20 * MINUTE}
