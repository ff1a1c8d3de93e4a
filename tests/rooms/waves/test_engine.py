"""What a wave does next, as a function of state and clock."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.waves.engine import BUCKETS, Action, State, Step, Wait, bucket_of, decide, earliest, look, step_reached
from tests.rooms.waves.test_blackouts import blackout

NOW = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)  # a Tuesday
DAY = timedelta(days=1)
STEPS = (
    Step(reach=500, dwell=DAY, min_meetings=20),
    Step(reach=2_500, dwell=DAY, min_meetings=20),
    Step(reach=10_000, dwell=DAY, min_meetings=0),
)
APPLIED = State(running=True, steps=STEPS, step=0, reached=500, applied_at=NOW - DAY, meetings=20)


# -- buckets: these numbers are in people's databases and must never change -----------------------------


@pytest.mark.parametrize(
    ("salt", "room", "bucket"),
    [
        ("", "00000000-0000-0000-0000-000000000000", 804),
        ("0" * 32, "00000000-0000-0000-0000-000000000000", 6920),
        ("0" * 32, "00000000-0000-0000-0000-000000000001", 7593),
        ("5f2c1d8e9b7a4c3d8e1f0a9b8c7d6e5f", "123e4567-e89b-12d3-a456-426614174000", 2342),
        ("5f2c1d8e9b7a4c3d8e1f0a9b8c7d6e5e", "123e4567-e89b-12d3-a456-426614174000", 1470),
    ],
)
def test_golden_buckets(salt, room, bucket):
    assert bucket_of(salt, uuid.UUID(room)) == bucket


def test_buckets_are_spread_evenly_and_differ_from_wave_to_wave():
    rooms = [uuid.UUID(int=number) for number in range(20_000)]
    one = [bucket_of("one", room) for room in rooms]
    two = [bucket_of("two", room) for room in rooms]
    for share in (500, 2_500, 5_000):
        within = sum(bucket < share for bucket in one)
        # five standard deviations of a binomial
        assert abs(within - 2 * share) < 5 * (20_000 * share / BUCKETS * (1 - share / BUCKETS)) ** 0.5
    both = sum(a < 5_000 and b < 5_000 for a, b in zip(one, two, strict=True))
    assert 4_600 < both < 5_400


# -- steps ----------------------------------------------------------------------------------------------


def test_the_first_step_is_taken_at_once():
    state = replace(APPLIED, step=-1, reached=0, applied_at=None, meetings=0)
    assert decide(state, NOW) == [Action.TAKE_STEP]


def test_a_step_is_applied_once_no_room_is_left_to_look_at():
    taken = replace(APPLIED, step=1, reached=2_500, applied_at=None, meetings=0)
    assert decide(replace(taken, to_move=3), NOW) == [Action.MOVE_ON]
    assert look(replace(taken, to_move=3), NOW).waits == (Wait.ROOMS,)
    assert decide(taken, NOW) == [Action.APPLIED]


@pytest.mark.parametrize(
    ("change", "waits"),
    [
        ({"applied_at": NOW - DAY + timedelta(seconds=1)}, (Wait.DWELL,)),
        ({"meetings": 19}, (Wait.MEETINGS,)),
        ({"meetings": 0, "applied_at": NOW}, (Wait.DWELL, Wait.MEETINGS)),
        ({"blockers": ["Bucket: cannot be read."]}, (Wait.BLOCKERS,)),
        ({"blackouts": [blackout("08:00", "18:00")]}, (Wait.BLACKOUT,)),
        ({"catching_up": ["outcomes"]}, (Wait.CATCHING_UP,)),
        ({"catching_up": ["outcomes"], "meetings": 19}, (Wait.CATCHING_UP, Wait.MEETINGS)),
        ({"running": False}, (Wait.PERSON,)),
    ],
)
def test_the_next_step_waits(change, waits):
    assert decide(APPLIED, NOW) == [Action.TAKE_STEP]
    seen = look(replace(APPLIED, **change), NOW)
    assert (seen.actions, seen.waits) == ((), waits)


def test_where_the_wave_has_moved_no_room_no_meetings_are_waited_for():
    """5 % of a few rooms may be none: it would wait for ever."""
    without = replace(APPLIED, meetings=0, has_moved=False)
    assert decide(without, NOW) == [Action.TAKE_STEP]
    assert look(replace(without, applied_at=NOW), NOW).waits == (Wait.DWELL,)
    assert look(replace(without, has_moved=True), NOW).waits == (Wait.MEETINGS,)


def test_nothing_is_moved_to_the_target_in_blackout_hours_or_while_a_check_fails():
    applying = replace(APPLIED, applied_at=None, to_move=7, to_follow=1)
    standing: list[dict[str, Any]] = [
        {"blackouts": [blackout("08:00", "18:00")]},
        {"blockers": ["no account"]},
        {"catching_up": ["outcomes"]},
    ]
    for change in standing:
        assert decide(replace(applying, **change), NOW) == []
        assert decide(replace(APPLIED, to_follow=1, **change), NOW) == []


def test_rooms_go_back_whatever_stands_in_the_way_of_going_on():
    state = replace(APPLIED, to_return=5, blockers=["no account"], blackouts=[blackout("00:00", "00:00")])
    assert decide(state, NOW) == [Action.MOVE_BACK]
    assert decide(replace(state, running=False), NOW) == [Action.MOVE_BACK]


def test_a_wave_is_not_over_while_it_is_catching_up_and_the_guard_still_acts():
    last = replace(APPLIED, step=2, reached=10_000, meetings=0, catching_up=["outcomes"])
    seen = look(last, NOW)
    assert (seen.actions, seen.waits) == ((), (Wait.CATCHING_UP,))
    assert decide(replace(last, tripped=True), NOW) == [Action.TRIP]


def test_a_trip_comes_before_the_next_step():
    assert decide(replace(APPLIED, tripped=True), NOW) == [Action.TRIP]
    assert decide(replace(APPLIED, tripped=True, running=False), NOW) == []


def test_a_room_whose_pin_ended_follows_without_holding_anything_up():
    assert decide(replace(APPLIED, to_follow=1), NOW) == [Action.MOVE_ON, Action.TAKE_STEP]
    assert decide(replace(APPLIED, applied_at=None, to_follow=1), NOW) == [Action.MOVE_ON, Action.APPLIED]


def test_a_wave_is_over_when_its_last_step_has_dwelt():
    last = replace(APPLIED, step=2, reached=10_000, meetings=0)
    assert decide(last, NOW) == [Action.COMPLETE]
    assert decide(replace(last, applied_at=NOW), NOW) == []
    assert decide(replace(last, blockers=["no account"]), NOW) == [Action.COMPLETE]


def test_earliest_is_the_end_of_the_dwell_or_of_the_blackout_after_it():
    state = replace(APPLIED, applied_at=NOW - timedelta(hours=2))
    assert earliest(state, NOW) == NOW + timedelta(hours=22)
    assert earliest(replace(state, blackouts=[blackout("06:00", "18:00")]), NOW) == NOW + timedelta(hours=33)
    assert earliest(replace(state, applied_at=NOW - 9 * DAY), NOW) == NOW
    assert earliest(replace(state, applied_at=None), NOW) is None
    assert earliest(replace(state, step=2), NOW) is None


def test_a_shrunk_wave_stands_at_the_last_step_within_its_reach():
    assert [step_reached(STEPS, reached) for reached in (0, 499, 500, 2_499, 9_999, 10_000)] == [-1, -1, 0, 0, 1, 2]


# -- a whole wave, by a scheduler that calls when it likes ----------------------------------------------


class Simulated:
    """A wave of rooms, moved by nothing but what ``decide`` says; ``moved`` is never taken from, only added to."""

    def __init__(self, steps, rooms, per_tick, blackouts=()):
        self.buckets = {room: bucket_of("salt", room) for room in rooms}
        self.moved = {}
        self.per_tick = per_tick
        self.state = State(running=True, steps=steps, step=-1, reached=0, applied_at=None, blackouts=blackouts)
        self.taken = []
        self.applied = []
        self.completed_at = None

    def waiting(self):
        reached = self.state.reached
        return [room for room, bucket in self.buckets.items() if bucket < reached and room not in self.moved]

    def tick(self, now):
        if self.completed_at:
            return
        self.state = replace(self.state, to_move=len(self.waiting()))
        for action in decide(self.state, now):
            match action:
                case Action.MOVE_ON:
                    for room in self.waiting()[: self.per_tick]:
                        self.moved[room] = now
                case Action.APPLIED:
                    self.applied.append(now)
                    self.state = replace(self.state, applied_at=now)
                case Action.TAKE_STEP:
                    self.taken.append(now)
                    step = self.state.step + 1
                    reached = max(self.state.reached, self.state.steps[step].reach)
                    self.state = replace(self.state, step=step, reached=reached, applied_at=None)
                case Action.COMPLETE:
                    self.completed_at = now
                case _:
                    raise AssertionError(action)


percentages = st.lists(st.integers(1, 9_999), max_size=4, unique=True).map(lambda found: [*sorted(found), 10_000])
pauses = st.lists(st.integers(1, 15 * 24 * 60), min_size=1, max_size=60)


@given(reaches=percentages, dwell_h=st.integers(0, 72), pauses=pauses, rooms=st.integers(0, 60), seed=st.integers(0))
def test_growing_never_removes_and_no_dwell_is_shortened(reaches, dwell_h, pauses, rooms, seed):
    """Pauses are minutes between two ticks, up to two weeks."""
    dwell = timedelta(hours=dwell_h)
    steps = [Step(reach=reach, dwell=dwell, min_meetings=0) for reach in reaches]
    wave = Simulated(steps, [uuid.UUID(int=(seed + number) % 2**128) for number in range(rooms)], per_tick=25)
    now, before = NOW, set()
    for pause in pauses:
        steps_before = len(wave.taken)
        wave.tick(now)
        assert len(wave.taken) <= steps_before + 1
        assert before <= set(wave.moved)
        assert all(wave.buckets[room] < wave.state.reached for room in wave.moved)
        before = set(wave.moved)
        now += timedelta(minutes=pause)
    for applied, taken in zip(wave.applied, wave.taken[1:], strict=False):
        assert taken - applied >= dwell
    if wave.completed_at:
        assert set(wave.moved) == set(wave.buckets)
        assert wave.completed_at - wave.applied[-1] >= dwell


@given(pauses=pauses, rooms=st.integers(1, 40))
def test_no_room_is_moved_in_blackout_hours(pauses, rooms):
    hours = [blackout("08:00", "18:00"), blackout("22:00", "02:00", days={4, 5})]
    steps = [Step(reach=reach, dwell=timedelta(hours=1), min_meetings=0) for reach in (1_000, 5_000, 10_000)]
    wave = Simulated(steps, [uuid.UUID(int=number) for number in range(rooms)], per_tick=3, blackouts=hours)
    now = NOW
    for pause in pauses:
        wave.tick(now)
        now += timedelta(minutes=pause)
    for at in [*wave.moved.values(), *wave.taken]:
        assert not 8 <= at.hour < 18
        assert at.weekday() not in (4, 5) or at.hour < 22
        assert at.weekday() not in (5, 6) or at.hour >= 2


def test_a_scheduler_that_was_down_a_week_goes_on_with_one_step_that_dwells_in_full():
    wave = Simulated(STEPS, [uuid.UUID(int=number) for number in range(200)], per_tick=1_000)
    wave.state = replace(wave.state, meetings=1_000)
    for seconds in range(0, 60, 15):
        wave.tick(NOW + timedelta(seconds=seconds))
    assert wave.state.step == 0
    back = NOW + timedelta(days=7)
    for seconds in range(0, 3_600, 15):
        wave.tick(back + timedelta(seconds=seconds))
    assert wave.state.step == 1
    assert wave.state.applied_at == back + timedelta(seconds=30)
    assert earliest(wave.state, back) == wave.state.applied_at + DAY
