"""Counts by week: those of a platform are counted another way than those of an experiment, and come out the same."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from rooms.models import Outcome
from rooms.parity.figures import Side, _by_week, _of_platform_by_week, figures
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db
DAILY = Side("daily", "Daily", "daily")
#: with the nights in March and October in which Berlin's clocks change
UNTIL = datetime(2026, 11, 4, 15, 30, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=365)


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Auckland"])
def zone(request):
    with timezone.override(request.param):
        yield ZoneInfo(request.param)


def told(room, *moments, status="success", kind="joined", platform="daily"):
    Outcome.objects.bulk_create(
        Outcome(
            meeting_id=uuid.uuid4(), room=room, platform=platform, kind=kind, status=status, met_at=at, mature_at=at
        )
        for at in moments
    )


def both_ways(since=SINCE, until=UNTIL):
    grouped = sorted(_by_week(DAILY.outcomes(since, until)))
    ranged = sorted(_of_platform_by_week("daily", since, until))
    return grouped, ranged


def test_a_week_begins_on_monday_at_midnight_where_its_reader_is(room, zone):
    for monday in (datetime(2026, 3, 30, tzinfo=zone), datetime(2026, 10, 26, tzinfo=zone)):
        told(room, monday - timedelta(microseconds=1), monday, monday + timedelta(hours=1))
    grouped, ranged = both_ways()
    assert ranged == grouped
    weeks = figures(DAILY, SINCE, UNTIL).weeks["joined"]
    assert [(week.begins.replace(tzinfo=None), week.count.total) for week in weeks] == [
        (datetime(2026, 3, 23), 1),
        (datetime(2026, 3, 30), 2),
        (datetime(2026, 10, 19), 1),
        (datetime(2026, 10, 26), 2),
    ]


def test_the_time_that_is_looked_at_has_its_first_moment_and_not_its_last(room, zone):
    told(room, SINCE - timedelta(microseconds=1), SINCE, UNTIL - timedelta(microseconds=1), UNTIL)
    grouped, ranged = both_ways()
    assert ranged == grouped
    assert sum(number for *_, number in ranged) == 2


def test_both_ways_count_the_same(room, zone):
    dice = random.Random(7)
    for _ in range(400):
        told(
            room,
            SINCE + (UNTIL - SINCE) * dice.uniform(-0.05, 1.05),
            status=dice.choice(Outcome.Status.values),
            kind=dice.choice(Outcome.Kind.values),
            platform=dice.choice(["daily", "whereby"]),
        )
    grouped, ranged = both_ways()
    assert len(ranged) > 100
    assert ranged == grouped
    for days in (7, 30):
        grouped, ranged = both_ways(UNTIL - timedelta(days=days), UNTIL)
        assert ranged == grouped


def test_nothing_is_counted_where_there_is_nothing(room):
    told(room, NOW, platform="whereby")
    assert both_ways() == ([], [])
