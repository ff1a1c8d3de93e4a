"""Waves in the database: what ticks do to rooms, in which order, and what they leave alone."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from platforms.models import Alert, ReadinessResult
from rooms import switching
from rooms.models import Move, Room, Wave, WaveRoom
from rooms.services import move_room
from rooms.waves import carrying
from rooms.waves.carrying import move_forth
from rooms.waves.engine import Action, bucket_of
from rooms.waves.tick import tick, tick_wave
from rooms.waves.timeline import next_step
from tests.rooms.waves.conftest import START, Told, checked, make_wave, on, outcome

pytestmark = pytest.mark.django_db


def by_hand(room_id, platform, ann, **more):
    return move_room(room_id=room_id, platform=platform, reason="sound", source="admin", actor=ann, **more)


def row_of(told, room_id):
    return told.wave.rooms.get(room_id=room_id)


# -- forth ----------------------------------------------------------------------------------------------


def test_a_wave_goes_step_by_step_to_the_end(told, rooms):
    assert (told.states, on("daily")) == ({"waiting": 40}, set())
    told.tick()
    first = on("daily")
    assert first == told.within == {room.pk for room in rooms if bucket_of("0" * 32, room.uuid) < 1_000}
    assert 0 < len(first) < 40
    told.tick(minutes=59)
    assert on("daily") == first
    told.tick(minutes=1)
    assert first < on("daily") == told.within
    told.tick(minutes=60)
    assert (len(on("daily")), told.wave.status) == (40, "running")
    told.tick(minutes=60)
    assert (told.wave.status, told.wave.finished_at, told.states) == ("completed", told.now, {"moved": 40})
    assert told.log == ["started", *["step", "applied"] * 3, "completed"]


def test_moves_say_wave_and_reason_and_share_the_batch_of_their_step(told):
    told.tick().tick(minutes=60)
    moves = Move.objects.all()
    assert set(moves.values_list("source", "reason", "wave", "actor")) == {("wave", "pilot", told.pk, None)}
    assert len(set(moves.values_list("batch", flat=True))) == 2
    assert set(told.wave.rooms.filter(state="moved").values_list("move", flat=True)) == {move.pk for move in moves}
    assert moves[0].by_whom == "by wave “To the new one”"


def test_a_second_tick_at_the_same_moment_does_nothing(told):
    told.tick()
    before = (on("daily"), Move.objects.count(), told.log)
    told.tick().tick()
    assert (on("daily"), Move.objects.count(), told.log) == before


def test_after_a_week_without_a_scheduler_one_step_is_taken_and_dwells_in_full(told):
    told.tick().tick(days=7)
    assert (told.wave.step, told.wave.step_started_at) == (1, told.now)
    told.tick(minutes=59)
    assert told.wave.step == 1
    told.tick(minutes=1)
    assert told.wave.step == 2


def test_a_step_waits_for_meetings_that_were_judged_since_it_was_applied(rooms, ann):
    told = Told(make_wave(steps=[{"percent": 10, "dwell_minutes": 0, "min_meetings": 2}, *make_wave_steps()]), ann)
    told.do("start")
    told.tick()
    moved = [row.room_id for row in told.wave.rooms.filter(state="moved")]
    unmoved = told.wave.rooms.filter(state="waiting").first().room_id
    now = told.now + timedelta(minutes=5)
    outcome(moved[0], at=told.now - timedelta(minutes=1))  # before the step
    outcome(unmoved, at=now)
    outcome(moved[0], at=now, platform="whereby")
    later = now + timedelta(hours=2)
    outcome(moved[0], "pending", at=now, mature_at=later)
    outcome(moved[0], "excluded", at=now)
    half = outcome(moved[0], at=now)
    outcome(moved[0], "pending", at=now, mature_at=later, meeting_id=half.meeting_id, kind="recording")
    one = outcome(moved[0], at=now)
    outcome(moved[0], at=now, meeting_id=one.meeting_id, kind="errors")  # the same meeting
    told.tick(minutes=10)
    assert told.wave.step == 0
    outcome(moved[-1], "failure", at=now)
    told.tick(minutes=1)
    assert told.wave.step == 1


def test_a_step_that_moved_no_room_waits_for_its_time_alone(rooms, ann):
    steps = [{"percent": percent, "dwell_minutes": 60, "min_meetings": 5} for percent in (0.01, 100)]
    told = Told(make_wave(steps=steps), ann)
    told.do("start")
    assert told.tick().states == {"waiting": 40}
    assert told.tick(minutes=59).wave.step == 0
    told.tick(minutes=1)
    assert (told.wave.step, told.states) == (1, {"moved": 40})
    words = told.wave.entries.filter(what="step").first().words
    assert "and the wave has moved no room yet in which people could have met." in words
    told.tick(hours=2)
    assert (told.wave.status, next_step(told.wave, told.now).waits) == (
        "running",
        ("meetings in rooms that it moved: 0 of 5 judged since this step",),
    )


def test_a_step_whose_rooms_staff_all_moved_away_goes_on_waiting_for_meetings(rooms, ann):
    steps = [{"percent": percent, "dwell_minutes": 0, "min_meetings": 5} for percent in (10, 100)]
    told = Told(make_wave(steps=steps), ann)
    told.do("start")
    for room_id in on(told.tick().wave.platform):
        by_hand(room_id, "whereby", ann, now=told.now)
    told.tick(days=1)
    assert (told.wave.step, on("daily")) == (0, set())
    assert next_step(told.wave, told.now).waits == ("meetings in rooms that it moved: 0 of 5 judged since this step",)


def make_wave_steps():
    return [{"percent": 100, "dwell_minutes": 0, "min_meetings": 0}]


def test_a_failed_check_a_closed_platform_and_blackout_hours_stop_it(told, ann):
    check = ReadinessResult.objects.create(
        platform="daily", key="bucket", title="Bucket", status="failed", words="cannot be read", checked_at=START
    )
    told.tick()
    assert told.log == ["started"]
    check.delete()
    switching.close(platform="daily", reason="outage", actor=ann)
    told.tick()
    assert told.log == ["started"]
    switching.open(platform="daily", reason="over", actor=ann)
    hours = {"days": [1], "from": "08:00", "to": "18:00"}
    Wave.objects.update(blackouts=[hours])
    told.tick()
    assert told.log == ["started"]
    told.tick(hours=9)
    assert told.log == ["started", "step", "applied"]


def test_a_check_that_stops_every_move_stops_a_wave_that_names_others(rooms, ann):
    told = Told(make_wave(required_checks=["webhook.active"]), ann)
    checked("webhook.active", "ok")
    credentials = checked("credentials", "failed")
    told.do("start")
    told.tick()
    assert (told.log, on("daily")) == (["started"], set())
    # nor does the code that moves let it through, whoever calls it
    Wave.objects.update(step=0, reached=10_000)
    assert (move_forth(told.pk, now=told.now), on("daily")) == (0, set())
    Wave.objects.update(step=-1, reached=0)
    credentials.delete()
    told.tick()
    assert told.log == ["started", "step", "applied"]
    assert on("daily") == told.within


@pytest.mark.parametrize("status", ["failed", "unproven", None])
def test_a_check_that_a_wave_names_must_have_passed(rooms, ann, status):
    told = Told(make_wave(required_checks=["delivered"]), ann)
    if status:
        checked("delivered", status, is_blocking=False)
    told.do("start")
    told.tick()
    assert told.log == ["started"]
    Wave.objects.update(step=0, reached=10_000)
    assert (move_forth(told.pk, now=told.now), on("daily")) == (0, set())
    Wave.objects.update(step=-1, reached=0)
    ReadinessResult.objects.all().delete()
    checked("delivered", "ok")
    told.tick()
    assert told.log == ["started", "step", "applied"]


# -- left alone -----------------------------------------------------------------------------------------


@pytest.fixture
def to_all(rooms, ann):
    """One step to everything."""
    told = Told(make_wave(steps=make_wave_steps(), on_trip="hold"), ann)
    told.do("start")
    return told


def test_a_pinned_room_is_left_alone_and_follows_when_the_pin_ends(to_all, rooms, ann):
    Room.objects.filter(pk=rooms[0].pk).update(
        pinned_at=START, pin_reason="board meets", pin_until=START + timedelta(hours=1), pinned_by=ann
    )
    Wave.objects.update(steps=[{"percent": 100, "dwell_minutes": 600, "min_meetings": 0}])
    to_all.tick()
    row = row_of(to_all, rooms[0].pk)
    assert (row.state, row.words) == (
        "left",
        "“Room 0” is pinned to Whereby: board meets. It follows when the pin ends.",
    )
    assert to_all.wave.step_started_at == START
    to_all.tick(minutes=59)
    assert rooms[0].pk not in on("daily")
    to_all.tick(minutes=1)
    assert rooms[0].pk in on("daily")
    row = row_of(to_all, rooms[0].pk)
    assert (row.state, row.words) == ("moved", "")
    assert to_all.wave.step_started_at == START


def test_a_room_that_is_still_pinned_when_the_wave_is_over_does_not_follow(told, rooms):
    Room.objects.filter(pk=rooms[0].pk).update(
        pinned_at=START, pin_reason="board meets", pin_until=START + timedelta(days=2)
    )
    told.tick().tick(hours=1).tick(hours=1).tick(hours=1)
    assert (told.wave.status, told.states) == ("completed", {"moved": 39, "left": 1})
    assert row_of(told, rooms[0].pk).words == (
        "“Room 0” is pinned to Whereby: board meets. The wave is over: it does not follow."
    )
    told.tick(days=3)
    assert len(on("daily")) == 39


def test_an_archived_room_is_left_alone(to_all, rooms):
    Room.objects.filter(pk=rooms[0].pk).update(archived_at=START)
    to_all.tick()
    row = row_of(to_all, rooms[0].pk)
    assert row.state == "left"
    assert row.words == "“Room 0” is archived. It follows when it is taken out of the archive."


def test_rooms_that_are_deleted_on_the_way_hold_nothing_up(told):
    told.tick()
    moved, waiting = (told.wave.rooms.filter(state=state).first().room_id for state in ("moved", "waiting"))
    Room.objects.filter(pk__in=[moved, waiting]).delete()
    told.tick(hours=1).tick(hours=1)
    assert (told.states, len(on("daily"))) == ({"moved": 38}, 38)
    told.do("rollback")
    assert (told.states, on("daily")) == ({"returned": 38}, set())
    told.do("resume")
    Room.objects.all().delete()
    for _ in range(4):
        told.tick(hours=1)
    assert (told.wave.status, told.states) == ("completed", {})


def test_a_wave_that_was_shrunk_grows_again_with_the_same_rooms(told):
    told.tick().tick(hours=1)
    half = on("daily")
    told.do("shrink", percent=20)
    fifth = on("daily")
    told.tick(days=1)
    assert (told.wave.status, fifth < half, on("daily")) == ("held", True, fifth)
    told.do("resume")
    assert on("daily") == told.tick().within == fifth
    told.tick(minutes=59)
    assert on("daily") == fifth
    told.tick(minutes=1)
    assert (on("daily"), told.wave.reached) == (half, 5_000)
    told.do("shrink", percent=0)
    assert (on("daily"), told.wave.step) == (set(), -1)
    told.do("resume")
    told.tick()
    assert (told.wave.reached, on("daily")) == (1_000, told.within)


def test_a_room_that_staff_moved_meanwhile_is_left_alone(to_all, rooms, ann):
    there, back, forth = rooms[:3]
    by_hand(there.pk, "daily", ann, now=START)
    by_hand(back.pk, "daily", ann, now=START)
    by_hand(back.pk, "whereby", ann, now=START)
    to_all.tick()
    by_hand(forth.pk, "whereby", ann, now=START)
    to_all.tick()
    words = {row.room_id: (row.state, row.words) for row in to_all.wave.rooms.filter(room__in=rooms[:3])}
    by_ann = "by Ann Archer on 3 March at 09:00 UTC: sound. The wave leaves it there."
    assert words == {
        there.pk: ("left", f"Moved to Daily {by_ann}"),
        back.pk: ("left", f"Moved back to Whereby {by_ann}"),
        forth.pk: ("left", f"Moved back to Whereby {by_ann}"),
    }
    assert on("whereby") == {back.pk, forth.pk}
    to_all.do("rollback")
    assert on("daily") == {there.pk}


def test_rooms_that_were_there_stay_there_whatever_becomes_of_the_wave(rooms, ann):
    by_hand(rooms[0].pk, "daily", ann)
    told = Told(make_wave(selection={"rooms": [room.pk for room in rooms[:3]]}, steps=make_wave_steps()), ann)
    told.do("start")
    assert told.states == {"there": 1, "waiting": 2}
    told.tick()
    assert told.states == {"there": 1, "moved": 2}
    told.do("rollback")
    assert (told.states, on("daily")) == ({"there": 1, "returned": 2}, {rooms[0].pk})


def test_moves_before_the_start_do_not_count_as_interference(rooms, ann):
    by_hand(rooms[0].pk, "daily", ann)
    by_hand(rooms[0].pk, "whereby", ann)
    told = Told(make_wave(steps=make_wave_steps()), ann)
    told.do("start")
    told.tick()
    assert told.states == {"moved": 40}


# -- the guard ------------------------------------------------------------------------------------------


def test_failures_in_a_row_hold_the_wave_and_tell_people_with_the_way_out(told):
    told.tick()
    moved = told.wave.rooms.filter(state="moved").first().room_id
    for minute in (1, 2, 3):
        outcome(moved, "failure", at=told.now + timedelta(minutes=minute), words="no recording")
    told.tick(minutes=60)
    wave = told.wave
    assert (wave.status, wave.step) == ("held", 0)
    entry = wave.entries.first()
    assert (entry.what, entry.actor, entry.numbers["by"], entry.numbers["failures"]) == ("held", None, "guard", 3)
    assert entry.words.startswith("Held by the guard: 3 failures in a row")
    assert wave.held_reason == entry.words
    alert = Alert.objects.get()
    assert (alert.settled_at, alert.inverse_url) == (None, f"/admin/rooms/wave/{told.pk}/resume/")
    assert alert.evidence["failures"] == 3
    held = on("daily")
    told.tick(days=2)
    assert on("daily") == held

    told.do("resume", "it was the bucket")
    alert.refresh_from_db()
    assert alert.settled_at == told.now
    assert told.wave.step_started_at == told.now
    told.tick(minutes=59)
    assert (told.wave.status, told.wave.step) == ("running", 0)
    told.tick(minutes=1)
    assert told.wave.step == 1


def test_by_its_policy_the_guard_rolls_back(told):
    Wave.objects.update(on_trip="roll_back")
    told.tick()
    moved = told.wave.rooms.filter(state="moved").first().room_id
    for minute in (1, 2, 3):
        outcome(moved, "failure", at=told.now + timedelta(minutes=minute))
    told.tick(minutes=5)
    assert (told.wave.status, on("daily")) == ("rolled_back", set())
    back = Move.objects.filter(to_platform="whereby")
    assert set(back.values_list("source", "wave", "actor")) == {("guard", told.pk, None)}
    assert back[0].by_whom == "by the guard of wave “To the new one”"
    assert back[0].reason.startswith("Rolled back by the guard: 3 failures in a row")


# -- in chunks, and after a death -----------------------------------------------------------------------


def test_a_tick_moves_so_many_and_the_next_one_goes_on(told, monkeypatch):
    monkeypatch.setattr(carrying, "CHUNK", 3)
    Wave.objects.update(steps=make_wave_steps())
    told.tick()
    Move.objects.all().delete()  # not of interest here
    Room.objects.filter(platform="daily").write_platform("whereby")
    WaveRoom.objects.update(state="waiting", move=None)
    Wave.objects.update(step_started_at=None)
    assert move_forth(told.pk, now=told.now, most=7) == 7
    assert len(on("daily")) == 7
    assert told.wave.step_started_at is None
    told.tick()
    assert len(on("daily")) == 40
    assert Move.objects.count() == 40


def test_a_wave_that_fails_does_not_stop_the_others(rooms, ann, monkeypatch):
    half = [room.pk for room in rooms[:20]]
    broken = Told(make_wave(name="broken", selection={"rooms": half}), ann)
    fine = Told(make_wave(name="fine", selection={"rooms": [room.pk for room in rooms[20:]]}), ann)
    broken.do("start")
    fine.do("start")
    Wave.objects.filter(name="broken").update(steps=[{"percent": "a lot"}])
    with pytest.raises((KeyError, ValueError)):
        tick(START)
    assert (broken.log, fine.log) == (["started"], ["started", "step", "applied"])


def queries_of(do):
    with CaptureQueriesContext(connection) as captured:
        do()
    return [query["sql"] for query in captured if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]


def wave_over(count, ann):
    """One step to all of so many rooms."""
    rooms = Room.objects.bulk_create(
        Room(
            name=f"{count} {number}",
            slug=f"of-{count}-{number}",
            platform="whereby",
            uuid=uuid.UUID(int=count * 1_000 + number),  # the same ones in the first step each time
        )
        for number in range(count)
    )
    selection = {"rooms": [room.pk for room in rooms]}
    steps = [{"percent": 50, "dwell_minutes": 60, "min_meetings": 5}, *make_wave_steps()]
    told = Told(make_wave(name=f"{count} rooms", selection=selection, steps=steps), ann)
    told.do("start")
    return told


def test_a_tick_takes_the_same_few_queries_however_many_rooms(db, ann):
    moving, waiting = {}, {}
    for count in (10, 500):
        told = wave_over(count, ann)
        first = queries_of(lambda told=told: tick(told.now))
        assert told.log == ["started", "step", "applied"]
        assert len(on("daily")) > count / 4
        nothing = queries_of(lambda told=told: tick(told.now + timedelta(minutes=1)))
        assert told.log == ["started", "step", "applied"]
        moving[count], waiting[count] = len(first), len(nothing)
        Wave.objects.update(status="completed")
    assert waiting[10] == waiting[500] <= 8
    # two decisions and one chunk; SQLite writes many rows in a few statements instead of one
    assert moving[10] <= 26
    assert moving[500] <= 28


def test_a_tick_that_has_moved_all_that_one_may_does_not_decide_again(told, monkeypatch):
    monkeypatch.setattr("rooms.waves.tick.MOST_FORTH", 3)
    monkeypatch.setattr(move_forth, "__kwdefaults__", {"most": 3})
    Wave.objects.update(steps=make_wave_steps())
    assert tick_wave(told.pk, told.now) == [Action.TAKE_STEP]
    assert tick_wave(told.pk, told.now) == [Action.MOVE_ON]
    assert len(on("daily")) == 6
    WaveRoom.objects.filter(pk__in=told.wave.rooms.filter(state="waiting")[2:]).delete()
    assert tick_wave(told.pk, told.now) == [Action.MOVE_ON, Action.APPLIED]
    assert len(on("daily")) == 8
