"""When a wave goes on by itself: after what happened meanwhile was looked at, by one step, and saying why."""

from datetime import timedelta

import pytest

from meetings.outcomes import judge
from rooms.models import Outcome, Room
from rooms.waves.engine import Action
from rooms.waves.tick import tick_wave
from rooms.waves.timeline import next_step, running
from tests.factories import make_meeting
from tests.rooms.waves.conftest import START, Told, checked, make_wave, on, outcome

pytestmark = pytest.mark.django_db


def test_no_step_before_the_outcomes_of_the_time_that_passed_were_looked_at(told):
    told.tick()
    moved = told.wave.rooms.filter(state="moved").first().room_id
    met = START + timedelta(minutes=5)
    last = outcome(moved, "pending", at=met, mature_at=met + timedelta(minutes=55))
    told.tick(days=7)
    assert told.wave.step == 0
    assert next_step(told.wave, told.now).waits == ("outcomes of the last meetings, which are still being looked at",)
    Outcome.objects.filter(pk=last.pk).update(status="failure", decided_at=told.now)
    told.tick()
    assert told.wave.step == 1


def test_outcomes_that_are_not_due_or_of_no_concern_do_not_keep_a_wave(told):
    told.tick()
    moved = told.wave.rooms.filter(state="moved").first().room_id
    due = START + timedelta(hours=1)
    stranger = Room.objects.create(name="Not in it", slug="not-in-it", platform="daily")
    outcome(stranger, "pending", at=START)
    outcome(moved, "pending", at=START, platform="whereby")
    outcome(moved, "pending", at=START, mature_at=due - timedelta(seconds=119))
    told.tick(hours=1)
    assert told.wave.step == 1


def met_on_target(told, *, room=None, platform="daily", **fields):
    room = room or Room.objects.get(pk=told.wave.rooms.filter(state="moved").first().room_id)
    meeting = make_meeting(room, platform=platform)
    columns = {"created_at": told.now, "outcomes_expected_at": None, **fields}
    type(meeting).objects.filter(pk=meeting.pk).update(**columns)
    return type(meeting).objects.filter(pk=meeting.pk)


@pytest.mark.parametrize("status", ["failed", "open", "ended"])
def test_no_step_before_somebody_asked_about_the_meetings_of_the_time_that_passed(told, status):
    """The sweeper was down: meetings that nobody has seen yet have no outcomes that could be overdue."""
    told.tick().now += timedelta(minutes=50)
    meeting = met_on_target(told, status=status, ended_at=None if status == "open" else told.now)
    told.tick(minutes=20)
    assert told.wave.step == 0
    assert next_step(told.wave, told.now).waits == ("outcomes of the last meetings, which are still being looked at",)
    assert running(told.now)[0][1] == next_step(told.wave, told.now)
    meeting.update(outcomes_expected_at=told.now)
    told.tick()
    assert told.wave.step == 1


def test_meetings_that_nobody_needs_to_have_asked_about_do_not_keep_a_wave(told):
    told.tick().now += timedelta(minutes=50)
    met_on_target(told, status="ended", ended_at=told.now, platform="whereby")
    met_on_target(told, status="ended", ended_at=told.now, created_at=told.now + timedelta(minutes=20, seconds=-119))
    stranger = Room.objects.create(name="Not in it", slug="not-in-it", platform="daily")
    met_on_target(told, status="ended", ended_at=told.now, room=stranger)
    met_on_target(told, status="opening")
    told.tick(minutes=20)
    assert told.wave.step == 1


def test_failures_that_nobody_has_seen_yet_hold_the_wave_instead_of_its_next_step(told):
    told.tick().now += timedelta(minutes=50)
    for _ in range(4):
        met_on_target(told, status="failed", failure="does not answer", ended_at=told.now)
    told.tick(minutes=20)
    judge(told.now)
    told.tick(seconds=15)
    assert (told.wave.status, told.wave.step) == ("held", 0)


def test_failures_hold_a_wave_that_is_still_catching_up(told):
    told.tick()
    moved = told.wave.rooms.filter(state="moved").first().room_id
    outcome(moved, "pending", at=START)
    for minute in (1, 2, 3):
        outcome(moved, "failure", at=START + timedelta(minutes=minute))
    told.tick(days=7)
    assert (told.wave.status, told.wave.step) == ("held", 0)


def test_no_step_on_checks_of_long_ago(told):
    told.tick()
    check = checked("credentials", "ok")
    told.tick(days=7)
    assert told.wave.step == 0
    (_, shown), *_ = running(told.now)
    assert shown == next_step(told.wave, told.now)
    assert shown.waits == ("Daily to be checked again: it was last on 3 March at 09:00 UTC",)
    check.checked_at = told.now - timedelta(minutes=30)
    check.save()
    told.tick()
    assert told.wave.step == 1


def test_a_tick_takes_one_step_even_where_steps_have_no_rooms_and_no_time(rooms, ann):
    steps = [{"percent": percent, "dwell_minutes": 0, "min_meetings": 0} for percent in (0.01, 0.02, 100)]
    told = Told(make_wave(steps=steps), ann)
    told.do("start")
    for step in range(3):
        assert tick_wave(told.pk, START).count(Action.TAKE_STEP) == 1
        assert told.wave.step == step


def test_the_log_says_why_the_wave_went_on(rooms, ann):
    steps = [
        {"percent": 10, "dwell_minutes": 60, "min_meetings": 1},
        {"percent": 100, "dwell_minutes": 60, "min_meetings": 0},
    ]
    told = Told(make_wave(steps=steps), ann)
    told.do("start")
    told.tick()
    first, applied = told.wave.entries.order_by("pk")[1:3]
    assert first.words == (
        "Step 1 of 2: up to 10 % of the rooms. It is the first step, which waits for no time and no meetings. "
        "Neither a check of Daily nor blackout hours stood in the way."
    )
    moved = len(on("daily"))
    assert applied.words == (
        f"Step 1 has all its rooms: of {moved} within 10 % none is left to be moved. The wave has moved {moved} and "
        "left 0 alone; the step’s time counts from here."
    )
    assert applied.numbers == {"rooms_within": moved, "moved": moved, "left_alone": 0}
    row = told.wave.rooms.filter(state="moved").first()
    for minute in (1, 2):
        outcome(row.room_id, at=START + timedelta(minutes=minute))
    told.tick(minutes=75)
    second = told.wave.entries.filter(what="step").first()
    assert second.words == (
        "Step 2 of 2: up to 100 % of the rooms. Step 1 had its time (75 min since 3 March at 09:00 UTC, 60 were "
        "needed) and its meetings (2 judged, 1 were needed). Neither a check of Daily nor blackout hours stood in the "
        "way."
    )
    assert second.numbers == {
        "step": 1,
        "percent": 100,
        "minutes": 75,
        "minutes_needed": 60,
        "meetings_judged": 2,
        "meetings_needed": 1,
    }
    told.tick(minutes=60)
    assert told.wave.entries.first().words == (
        "Completed: the wave has moved its rooms to Daily. Step 2 had its time (60 min since 3 March at 10:15 UTC, 60 "
        "were needed) and its meetings (0 judged, 0 were needed)."
    )
