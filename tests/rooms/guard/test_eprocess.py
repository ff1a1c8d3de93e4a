"""The factor of a block is at most 1 in the mean under the null, exactly, whatever meetings are like."""

import math
from itertools import product

import pytest

from rooms.experiments.drawing import BLOCK_SIZES, Arm, _arrangements
from rooms.guard.eprocess import ODDS, STAKES, Block, EProcess, chances_on_b, evidence, log_factors, threshold


def block_of(arms, succeeds_on, counted=None):
    """The block that this order of arms gives; ``succeeds_on`` has a pair (on A, on B) per meeting."""
    places = range(len(arms)) if counted is None else counted
    on_b = [place for place in places if arms[place] == Arm.B]
    on_a = [place for place in places if arms[place] == Arm.A]
    return Block(
        on_a=len(on_a),
        on_b=len(on_b),
        failed_a=sum(not succeeds_on[place][0] for place in on_a),
        failed_b=sum(not succeeds_on[place][1] for place in on_b),
    )


def mean_factors(size, succeeds_on, counted=None):
    """Mean over all orders of a block, each equally likely, one per alternative."""
    orders = _arrangements(size)
    factors = [[math.exp(log) for log in log_factors(block_of(arms, succeeds_on, counted))] for arms in orders]
    return [sum(column) / len(orders) for column in zip(*factors, strict=True)]


@pytest.mark.parametrize("size", BLOCK_SIZES[:3])
def test_where_the_platform_makes_no_difference_the_mean_is_exactly_one(size):
    for outcomes in product([True, False], repeat=size):
        assert mean_factors(size, [(one, one) for one in outcomes]) == pytest.approx([1.0] * len(ODDS))


@pytest.mark.parametrize("size", [2, 4])
def test_where_b_is_better_the_mean_is_at_most_one(size):
    at_least_as_good = [(False, False), (False, True), (True, True)]
    for succeeds_on in product(at_least_as_good, repeat=size):
        assert all(mean <= 1 + 1e-12 for mean in mean_factors(size, succeeds_on))


def test_a_block_of_which_some_meetings_do_not_count_is_as_fair():
    for counted in [(0, 1, 2), (0, 3), (1,), (0, 2, 3)]:
        for outcomes in product([True, False], repeat=4):
            means = mean_factors(4, [(one, one) for one in outcomes], counted)
            assert means == pytest.approx([1.0] * len(ODDS))


def test_where_b_is_worse_evidence_grows():
    means = mean_factors(4, [(True, False)] * 4)
    assert all(mean > 1.5 for mean in means)
    assert evidence([Block(2, 2, 0, 1)] * 20) > 1e4
    assert evidence([Block(2, 2, 1, 0)] * 20) < 1e-3


def test_chances_by_lot_are_hypergeometric():
    assert chances_on_b(2, 2, 2) == pytest.approx({0: 1 / 6, 1: 4 / 6, 2: 1 / 6})
    assert chances_on_b(1, 2, 3) == {2: 1.0}


def test_blocks_in_which_the_lot_decided_nothing_change_nothing():
    assert evidence([Block(2, 2, 0, 0), Block(2, 2, 2, 2), Block(0, 2, 0, 1), Block(0, 0, 0, 0)]) == pytest.approx(1)


def test_the_order_of_blocks_does_not_matter():
    blocks = [Block(2, 2, 0, 1), Block(2, 2, 1, 1), Block(2, 2, 1, 0), Block(2, 1, 0, 1)]
    assert evidence(blocks) == pytest.approx(evidence(reversed(blocks)))


def test_a_single_discordant_pair_is_a_bet_on_who_failed():
    expected = sum(stake * 2 * odds / (1 + odds) for stake, odds in zip(STAKES, ODDS, strict=True))
    assert evidence([Block(1, 1, 0, 1)]) == pytest.approx(expected)


def test_it_never_overflows():
    process = EProcess()
    for _ in range(100_000):
        process.add(Block(2, 2, 0, 2))
    assert process.e > 1e290
    assert math.isfinite(process.e)


def test_the_stakes_are_one_stake():
    assert sum(STAKES) == pytest.approx(1)


def test_the_threshold_grows_with_the_outcomes_that_are_watched():
    assert [threshold(1), threshold(6)] == [20, 120]


def test_more_failures_than_meetings_is_refused():
    with pytest.raises(ValueError, match="more failures"):
        Block(1, 1, 0, 2)
