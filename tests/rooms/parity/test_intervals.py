"""Against published figures and against counting; and the words made of them."""

import random

import pytest

from rooms.parity.intervals import Count, difference, percent, visible_drop, wilson
from rooms.parity.verdicts import verdict


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(successes, total, low, high):
    assert wilson(Count(successes, total)) == pytest.approx((low, high), abs=0.00006)


@pytest.mark.parametrize(
    ("new", "old", "low", "high"),
    # Newcombe 1998, "Interval estimation for the difference", table II, method 10
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((5, 56), (0, 29), -0.0381, 0.1926)],
)
def test_difference_as_published(new, old, low, high):
    assert difference(Count(*old), Count(*new)) == pytest.approx((low, high), abs=0.00006)


def test_nothing_known():
    assert wilson(Count(0, 0)) == (0.0, 1.0)
    assert difference(Count(0, 0), Count(9, 9)) == (-1.0, 1.0)
    assert visible_drop(Count(0, 0), 20) is None


def test_a_drop_of_the_size_that_is_named_is_seen_four_times_in_five():
    old = Count(980, 1000)
    lowest = visible_drop(old, 60)
    assert lowest is not None
    draw = random.Random(1)
    seen = 0
    for _ in range(2000):
        new = Count(sum(draw.random() < lowest for _ in range(60)), 60)
        # one-sided 5 % is the upper end of a two-sided 90 % interval
        seen += difference(old, new, confidence=0.9)[1] < 0
    assert 0.7 < seen / 2000 < 0.92


def test_percent():
    assert [percent(share) for share in (0, 0.705, 0.985, 0.9994, 0.9997)] == [
        "0 %",
        "70 %",
        "98.5 %",
        "99.9 %",
        "100 %",
    ]


def test_verdict_says_what_could_have_been_seen():
    found = verdict(Count(22, 23), Count(22, 23), drawn=True)
    assert found.kind == "inconclusive"
    assert found.words == "Inconclusive: with 23 meetings we could only have seen a drop to about 62 %."


def test_verdict_passes_when_a_loss_is_ruled_out():
    assert verdict(Count(990, 1000), Count(988, 1000), drawn=True).kind == "pass"
    assert verdict(Count(990, 1000), Count(930, 1000), drawn=True).kind == "inconclusive"


def test_only_the_guard_says_harm():
    worse = verdict(Count(100, 100), Count(80, 100), drawn=True)
    assert (worse.kind, worse.words.startswith("Lower so far")) == ("inconclusive", True)
    assert verdict(Count(9, 9), Count(2, 9), drawn=True, harm="E = 700").kind == "harm"


def test_no_verdict_where_rooms_were_assigned():
    found = verdict(Count(1000, 1000), Count(800, 1000), drawn=False)
    assert found.kind == "not comparable"
    assert found.words == "No verdict: rooms were set to a platform, and rooms differ."


def test_no_share_below_ten():
    found = verdict(Count(500, 500), Count(4, 4), drawn=True)
    assert (found.kind, found.words) == ("too few", "Not enough data: 6 meetings more needed before a share is shown.")
