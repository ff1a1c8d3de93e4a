"""Hours in which nothing is moved: across midnight, and when the clock is put forward or back."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from rooms.waves.blackouts import Blackout, end_of_blackout

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))


def blackout(begins, ends, *, days=EVERY_DAY, zone=UTC):
    return Blackout(days=frozenset(days), begins=time.fromisoformat(begins), ends=time.fromisoformat(ends), zone=zone)


def at(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def free_from(text, *blackouts):
    free = end_of_blackout(blackouts, at(text))
    return free and f"{free:%a %d %H:%M}"


@pytest.mark.parametrize(
    ("moment", "free"),
    [
        ("2026-03-03T07:59", "Tue 03 07:59"),
        ("2026-03-03T08:00", "Tue 03 18:00"),
        ("2026-03-03T17:59", "Tue 03 18:00"),
        ("2026-03-03T18:00", "Tue 03 18:00"),
        ("2026-03-07T12:00", "Sat 07 12:00"),
    ],
)
def test_office_hours(moment, free):
    assert free_from(moment, blackout("08:00", "18:00", days=range(5))) == free


@pytest.mark.parametrize(
    ("moment", "free"),
    [
        ("2026-03-06T21:59", "Fri 06 21:59"),
        ("2026-03-06T22:00", "Sat 07 06:00"),
        ("2026-03-07T05:59", "Sat 07 06:00"),
        ("2026-03-07T22:30", "Sat 07 22:30"),
        ("2026-03-06T05:00", "Fri 06 05:00"),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment, free):
    assert free_from(moment, blackout("22:00", "06:00", days={4})) == free


def test_hours_that_touch_or_overlap_are_one():
    pair = (blackout("08:00", "12:00"), blackout("11:00", "13:00"), blackout("13:00", "14:00"))
    assert free_from("2026-03-03T09:00", *pair) == "Tue 03 14:00"


def test_a_whole_day_and_a_whole_week():
    assert free_from("2026-03-08T12:00", blackout("00:00", "00:00", days={6})) == "Mon 09 00:00"
    assert free_from("2026-03-08T12:00", blackout("00:00", "00:00")) is None


def test_hours_are_local():
    hours = blackout("08:00", "18:00", zone=BERLIN)
    assert free_from("2026-01-13T07:00", hours) == "Tue 13 17:00"
    assert free_from("2026-07-14T06:00", hours) == "Tue 14 16:00"
    assert free_from("2026-07-14T05:59", hours) == "Tue 14 05:59"


def test_the_night_in_which_an_hour_is_skipped():
    """Berlin, 29 March 2026: 02:00 is 03:00."""
    hours = blackout("22:00", "06:00", zone=BERLIN)
    assert end_of_blackout([hours], at("2026-03-29T01:30")) == at("2026-03-29T04:00")
    begins, ends = next(w for w in hours.windows(at("2026-03-29T01:30")) if w[1] > at("2026-03-29T01:30"))
    assert ends - begins == timedelta(hours=7)


@pytest.mark.parametrize(
    ("hours", "moment", "free"),
    [
        (("01:00", "02:30"), "2026-03-29T00:40", "2026-03-29T01:00"),
        (("02:30", "05:00"), "2026-03-29T00:59", "2026-03-29T00:59"),
        (("02:30", "05:00"), "2026-03-29T01:10", "2026-03-29T03:00"),
        (("02:15", "02:45"), "2026-03-29T00:59", "2026-03-29T00:59"),
        (("02:15", "02:45"), "2026-03-29T01:00", "2026-03-29T01:00"),
        (("02:15", "02:45"), "2026-03-28T01:20", "2026-03-28T01:45"),
        (("02:15", "02:45"), "2026-03-30T00:20", "2026-03-30T00:45"),
    ],
)
def test_hours_that_begin_or_end_in_the_skipped_hour_do_so_when_the_clock_leaps(hours, moment, free):
    assert end_of_blackout([blackout(*hours, zone=BERLIN)], at(moment)) == at(free)


def test_the_night_in_which_an_hour_comes_twice():
    """Berlin, 25 October 2026: 03:00 is 02:00 again; both are inside."""
    hours = blackout("02:15", "02:45", zone=BERLIN)
    assert end_of_blackout([hours], at("2026-10-25T00:20")) == at("2026-10-25T01:45")
    assert end_of_blackout([hours], at("2026-10-25T01:20")) == at("2026-10-25T01:45")
    assert end_of_blackout([hours], at("2026-10-25T01:45")) == at("2026-10-25T01:45")
