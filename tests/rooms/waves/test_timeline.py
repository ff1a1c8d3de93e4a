"""Where a wave is, what comes next, when, and what it waits for."""

from datetime import timedelta

import pytest

from rooms import switching
from rooms.models import Room, Wave
from rooms.waves.reading import read
from rooms.waves.timeline import next_step, planned, running
from tests.rooms.waves.conftest import START, Told, make_wave

pytestmark = pytest.mark.django_db


def words(told):
    return next_step(told.wave, told.now).words


def test_before_the_first_step(told):
    assert words(told) == (
        "Before the first step: 40 rooms. Next: step 1 of 3, up to 10 %, not before 3 March at 09:00 UTC."
    )


def test_while_a_step_dwells_and_waits_for_meetings(told):
    told.tick()
    steps = told.wave.steps
    steps[0]["min_meetings"] = 20
    Wave.objects.update(steps=steps)
    assert words(told) == (
        "Step 1 of 3: up to 10 % of 40 rooms. Next: step 2 of 3, up to 50 %, not before 3 March at 10:00 UTC. "
        "Waits for the time of this step to pass, until 3 March at 10:00 UTC; "
        "and for meetings in rooms that it moved: 0 of 20 judged since this step."
    )


def test_in_blackout_hours_the_time_is_after_them(told):
    told.tick()
    Wave.objects.update(blackouts=[{"days": [1], "from": "08:00", "to": "18:00"}])
    step = next_step(told.wave, told.now)
    assert (step.at, step.needs_somebody) == (START + timedelta(hours=9), False)
    assert "the end of its blackout hours, 3 March at 18:00 UTC" in step.waits


def test_a_closed_platform_needs_somebody(told, ann):
    switching.close(platform="daily", reason="outage", actor=ann, now=START)
    step = next_step(told.wave, told.now)
    assert step.needs_somebody
    (wait,) = step.waits
    assert wait.startswith("Daily to be ready: Rooms cannot go to Daily, which is closed for new meetings by Ann")


def test_waves_side_by_side_are_told_as_each_by_itself(told, ann, django_assert_max_num_queries):
    told.tick()
    for number in range(3):
        room = Room.objects.create(name=f"Extra {number}", slug=f"extra-{number}", platform="whereby")
        Told(make_wave(name=f"Wave {number}", selection={"rooms": [room.pk]}), ann).do("start")
    with django_assert_max_num_queries(6):
        shown = running(told.now)
    assert [wave.name for wave, _ in shown] == ["To the new one", "Wave 0", "Wave 1", "Wave 2"]
    assert [step for _, step in shown] == [next_step(wave, told.now) for wave, _ in shown]


def test_held_rolled_back_and_completed(told):
    told.tick()
    told.do("pause", "lunch")
    assert words(told) == (
        "Held since 3 March at 09:00 UTC. Step 1 of 3: up to 10 % of 40 rooms. Next: step 2 of 3, up to 50 %. "
        "Waits for somebody to resume it or roll it back (Paused: lunch)."
    )
    told.do("rollback")
    assert words(told) == (
        "Rolled back on 3 March at 09:00 UTC. Next: step 1 of 3, up to 10 %. Waits for somebody to resume it."
    )
    Wave.objects.update(status="completed", finished_at=START)
    assert words(told) == "Completed on 3 March at 09:00 UTC."


def test_what_is_planned_is_the_earliest_that_can_be(told):
    told.tick()
    wave, hour = told.wave, timedelta(hours=1)
    late = told.now + timedelta(minutes=90)
    assert planned(wave, read(wave, told.now).state, told.now) == [
        (START + hour, 5_000),
        (START + 2 * hour, 10_000),
        (START + 3 * hour, 10_000),
    ]
    assert planned(wave, read(wave, late).state, late)[0] == (late, 5_000)
    told.do("pause")
    assert planned(told.wave, read(told.wave, told.now).state, told.now) == []
