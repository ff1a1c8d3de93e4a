"""The guard's promises, by simulation: real draws, real e-process, a look after each meeting, fixed seeds.

Rates are asserted with three standard errors to spare, medians with the matching order statistic.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from datetime import timedelta
from math import inf, sqrt

import pytest

from rooms.experiments.blocks import answered, in_turn
from rooms.experiments.drawing import Arm, order_of
from rooms.guard.eprocess import Block, EProcess, evidence, threshold
from rooms.models import Assignment
from rooms.outcomes import Status
from tests.rooms.conftest import NOW

PER_ARM = 300
RUNS = 2000
BLOCK = 4
ROOMS = [uuid.UUID(int=number) for number in range(1, 11)]


def meetings_until_the_guard_acts(chance, act_at, rng, *, rooms=ROOMS, outcomes=1):
    """Meetings per arm when E of any outcome first reached ``act_at``; infinite when it never did.

    ``chance(arm, room, number)``: probability of success of a meeting, as the number of the meeting in time.
    """
    processes = [EProcess() for _ in range(outcomes)]
    salt = f"{rng.random()}"
    draws = dict.fromkeys(rooms, 0)
    orders = {}
    counts = {room: [[0, 0] for _ in range(outcomes)] for room in rooms}
    for number in range(2 * PER_ARM):
        room = rooms[rng.randrange(len(rooms))]
        block, place = divmod(draws[room], BLOCK)
        draws[room] += 1
        if place == 0:
            orders[room] = order_of(salt, room, block, BLOCK)
        arm = orders[room][place]
        for failed in counts[room]:
            failed[arm == Arm.B] += rng.random() >= chance(arm, room, number)
        if place < BLOCK - 1:
            continue
        for process, failed in zip(processes, counts[room], strict=True):
            process.add(Block(BLOCK // 2, BLOCK // 2, *failed))
            if process.e >= act_at:
                return (number + 1) / 2
        counts[room] = [[0, 0] for _ in range(outcomes)]
    return inf


def runs(chance, act_at, *, seed, count=RUNS, **more):
    rng = random.Random(seed)
    return sorted(meetings_until_the_guard_acts(chance, act_at, rng, **more) for _ in range(count))


def share_that_acted(results):
    """The share, and three of its standard errors."""
    share = sum(one < inf for one in results) / len(results)
    return share, 3 * sqrt(share * (1 - share) / len(results))


def median_at_most(results):
    """What the true median does not exceed, but for one seed in a thousand."""
    return results[int(len(results) / 2 + 3 * sqrt(len(results)) / 2)]


@pytest.mark.parametrize("base", [0.90, 0.95, 0.98, 0.99, 0.995])
def test_false_acts_are_rare_however_often_somebody_looks(base):
    share, error = share_that_acted(runs(lambda *_: base, threshold(1), seed=f"false {base}"))
    assert share + error <= 0.05


@pytest.mark.parametrize("base", [0.90, 0.98])
def test_false_acts_of_six_outcomes_together_are_as_rare(base):
    results = runs(lambda *_: base, threshold(6), seed=f"six {base}", outcomes=6, count=1000)
    share, error = share_that_acted(results)
    assert share + error <= 0.05


def test_rooms_that_differ_and_bad_days_cause_no_false_acts():
    worst_to_best = {room: 0.7 + 0.3 * place / len(ROOMS) for place, room in enumerate(ROOMS)}

    def chance(arm, room, number):
        outage = 200 <= number < 260
        return worst_to_best[room] * (0.5 if outage else 1)

    share, error = share_that_acted(runs(chance, threshold(1), seed="differ"))
    assert share + error <= 0.05


def test_a_better_arm_b_is_left_alone():
    results = runs(lambda arm, *_: 0.98 if arm == Arm.B else 0.90, threshold(1), seed="better", count=1000)
    share, error = share_that_acted(results)
    assert share + error <= 0.01


@pytest.mark.parametrize(("outcomes", "most"), [(1, 45), (6, 70)])
@pytest.mark.parametrize("rooms", [1, 10])
def test_a_drop_from_98_to_80_percent_is_found_soon(outcomes, most, rooms):
    """One outcome drops; with six, the threshold is that of six."""
    results = runs(
        lambda arm, *_: 0.80 if arm == Arm.B else 0.98,
        threshold(outcomes),
        seed=f"drop {outcomes} {rooms}",
        rooms=ROOMS[:rooms],
    )
    share, error = share_that_acted(results)
    assert share - error >= 0.95
    assert median_at_most(results) <= most


LAGGING_ROOMS = [uuid.UUID(int=number) for number in range(1, 21)]
LAG = timedelta(minutes=120)


def drawn_a_minute_apart(rng, count=260):
    """A meeting a minute, each in one of the rooms by chance."""
    salt = f"{rng.random()}"
    numbers = dict.fromkeys(LAGGING_ROOMS, 0)
    draws = []
    for minute in range(count):
        place = rng.randrange(len(LAGGING_ROOMS))
        block, turn = divmod(numbers[LAGGING_ROOMS[place]], BLOCK)
        one = Assignment(
            pk=minute,
            room_id=place,
            meeting_id=uuid.UUID(int=minute),
            number=numbers[LAGGING_ROOMS[place]],
            arm=order_of(salt, LAGGING_ROOMS[place], block, BLOCK)[turn],
            assigned_at=NOW + timedelta(minutes=minute),
        )
        numbers[LAGGING_ROOMS[place]] += 1
        draws.append(one)
    return draws


def acts_where_failures_lag_on_one_arm(rng, slow, chance):
    """Whether E reaches the threshold at any answer. ``slow``: the arm whose failures are known after ``LAG``; all
    other answers are known at once. ``chance(arm)``: probability of success."""
    draws = drawn_a_minute_apart(rng)
    coming = []
    for one in draws:
        failed = rng.random() >= chance(one.arm)
        known_at = one.assigned_at + (LAG if failed and one.arm == slow else timedelta(0))
        coming.append((known_at, one.pk, one.meeting_id, Status.FAILURE if failed else Status.SUCCESS))
    missing = Counter((one.room_id, one.number // BLOCK) for one in draws)
    answers = {}
    for known_at, number, meeting_id, status in sorted(coming):
        answers[meeting_id] = status
        block = (draws[number].room_id, draws[number].number // BLOCK)
        missing[block] -= 1
        if missing[block]:
            continue  # this answer completes no block: nothing to see
        so_far = draws[: int((known_at - NOW) / timedelta(minutes=1)) + 1]
        if evidence(answered(in_turn(so_far, size=BLOCK), answers)) >= threshold(1):
            return True
    return False


def test_answers_that_come_later_on_one_arm_cause_no_false_acts():
    """Both arms alike, but B's failures are known first: taken as they finish, its blocks with failures come first."""
    rng, count = random.Random("lag"), 250
    acts = sum(acts_where_failures_lag_on_one_arm(rng, Arm.A, lambda _: 0.90) for _ in range(count))
    assert acts / count <= 0.05 + 3 * sqrt(0.05 * 0.95 / count)


def test_harm_is_found_although_the_failures_of_b_come_late():
    rng = random.Random("lag and harm")
    acts = sum(
        acts_where_failures_lag_on_one_arm(rng, Arm.B, lambda arm: 0.80 if arm == Arm.B else 0.98) for _ in range(100)
    )
    assert acts >= 90
