"""Rolling back and shrinking while where rooms came from takes none: nothing is promised that does not happen."""

import pytest
from django.urls import reverse
from django.utils import timezone

from platforms.models import Alert
from rooms import switching
from rooms.models import Room, Wave
from rooms.services import move_room
from rooms.waves.commands import Command, WaveChanged, WaveRefused, preview
from rooms.waves.timeline import next_step, running
from tests.rooms.waves.conftest import START, Told, make_wave, on, outcome

pytestmark = pytest.mark.django_db
CLOSED = "Whereby is closed for new meetings by Ann Archer since 3 March at 10:01 UTC: outage"


@pytest.fixture
def shut(told, ann):
    """Some rooms are on the target, and where they came from was closed a moment ago."""
    told.tick().tick(minutes=61)
    switching.close(platform="whereby", reason="outage", actor=ann, now=told.now)
    return told


def kept_words(count):
    return f"{count} rooms cannot go back yet: {CLOSED}; they follow by themselves."


def reopen(told, ann):
    switching.open(platform="whereby", reason="over", actor=ann, now=told.now)


@pytest.mark.parametrize(("command", "more"), [("rollback", {}), ("shrink", {"percent": 0})])
def test_what_cannot_go_back_is_said_before_and_follows_by_itself(shut, ann, command, more):
    moved = len(on("daily"))
    plan = preview(shut.wave, Command(command), now=shut.now, **more)
    assert (plan.moving, plan.words[:2]) == (0, ["No room goes back at once.", kept_words(moved)])
    shut.do(command, seen_hash=plan.hash, **more)
    shut.tick(seconds=15).tick(seconds=15)
    assert len(on("daily")) == moved
    assert shut.wave.entries.get(what="kept").words == kept_words(moved)
    waits = f"{moved} rooms to go back: {CLOSED}; they follow by themselves"
    assert next_step(shut.wave, shut.now).waits[-1] == waits
    assert [(wave.pk, step) for wave, step in running(shut.now)] == [(shut.pk, next_step(shut.wave, shut.now))]
    reopen(shut, ann)
    shut.tick(seconds=15)
    assert (on("daily"), shut.states) == (set(), {"waiting": 40 - moved, "returned": moved})


def test_a_wave_that_was_rolled_back_and_waits_for_a_platform_says_so_until_it_is_done(shut, ann):
    moved = len(on("daily"))
    shut.do("rollback")
    (step,) = [step for _, step in running(shut.now)]
    assert step.where.endswith(f"; {moved} rooms still to be moved back")
    assert step.waits == (f"{moved} rooms to go back: {CLOSED}; they follow by themselves",)
    with pytest.raises(WaveRefused, match="cannot go back yet: Whereby is closed"):
        shut.do("close")
    reopen(shut, ann)
    shut.tick(seconds=15)
    assert running(shut.now) == []
    assert next_step(shut.wave, shut.now).waits == ("somebody to resume it",)


def test_a_platform_that_closes_or_opens_after_the_look_is_another_plan(told, ann):
    told.tick()
    before = preview(told.wave, Command.ROLL_BACK, now=told.now)
    switching.close(platform="whereby", reason="outage", actor=ann, now=told.now)
    with pytest.raises(WaveChanged):
        told.do("rollback", seen_hash=before.hash)
    closed = preview(told.wave, Command.ROLL_BACK, now=told.now)
    reopen(told, ann)
    with pytest.raises(WaveChanged):
        told.do("rollback", seen_hash=closed.hash)
    told.do("rollback", seen_hash=before.hash)
    assert on("daily") == set()


def test_rooms_of_one_closed_platform_hold_up_no_others(rooms, ann, monkeypatch):
    """Chunks of the first alone would never come to the last."""
    monkeypatch.setattr("rooms.waves.carrying.CHUNK", 3)
    others = {room.pk for room in rooms[::4]}
    Room.objects.filter(pk__in=others).write_platform("elsewhere")
    told = Told(make_wave(selection={"filter": {}}, steps=[{"percent": 100, "dwell_minutes": 0, "min_meetings": 0}]))
    told.do("start")
    told.tick()
    assert len(on("daily")) == 40
    pinned = rooms[4]
    Room.objects.filter(pk=pinned.pk).update(pinned_at=START, pin_reason="board meets", pinned_by=ann)
    plan = preview(told.wave, Command.ROLL_BACK, now=told.now)
    # nothing is known of "elsewhere" any more
    assert plan.words[:3] == [
        "30 rooms that this wave moved go back to where they came from, at once for new meetings.",
        "9 rooms cannot go back yet: elsewhere is not configured; they follow by themselves.",
        "1 room is left alone: pinned, archived, or moved by hand since.",
    ]
    told.do("rollback", seen_hash=plan.hash)
    assert (len(on("whereby")), on("daily")) == (30, others)
    assert told.states == {"returned": 30, "moved": 10}


def test_rooms_that_are_still_to_go_back_are_in_no_other_wave(shut, ann):
    moved = len(on("daily"))
    shut.do("rollback")
    other = make_wave(name="Other", platform="whereby", selection={"filter": {"platform": "daily"}})
    with pytest.raises(WaveRefused, match="another wave holds the rooms that you chose"):
        preview(other, Command.START, now=shut.now)
    reopen(shut, ann)
    shut.tick(seconds=15)
    again = make_wave(name="Again", selection={"filter": {}})
    assert preview(again, Command.START, now=shut.now).words[0].startswith("40 rooms will move to Daily")
    assert moved > 0


def test_rolling_back_a_wave_that_is_over_names_the_wave_that_has_its_rooms_now(rooms, ann):
    told = Told(make_wave(steps=[{"percent": 100, "dwell_minutes": 0, "min_meetings": 0}]), ann)
    told.do("start")
    told.tick().tick()
    assert (told.wave.status, len(on("daily"))) == ("completed", 40)
    assert not any("another wave" in words for words in preview(told.wave, Command.ROLL_BACK, now=told.now).words)
    other = Told(make_wave(name="Other", platform="whereby", selection={"filter": {"platform": "daily"}}), ann)
    other.do("start")
    other.tick()
    going = len(on("daily"))
    assert 0 < going < 40
    plan = preview(told.wave, Command.ROLL_BACK, now=told.now)
    assert plan.moving == going
    assert plan.words[1] == (
        f"{going} of these rooms are in another wave now (“Other”), which leaves them alone from then on."
    )


def test_rooms_that_are_left_alone_anyway_are_not_said_to_follow(shut, ann):
    one, *_ = on("daily")
    switching.open(platform="whereby", reason="over", actor=ann, now=shut.now)
    move_room(room_id=one, platform="whereby", reason="sound", source="admin", actor=ann, now=shut.now)
    switching.close(platform="whereby", reason="outage", actor=ann, now=shut.now)
    left = len(on("daily"))
    assert preview(shut.wave, Command.ROLL_BACK, now=shut.now).words[1:3] == [
        kept_words(left),
        "1 room is left alone: pinned, archived, or moved by hand since.",
    ]


def test_the_guards_alert_says_that_rooms_stay(shut):
    Wave.objects.update(on_trip="roll_back")
    moved = shut.wave.rooms.filter(state="moved")
    for minute in range(3):
        outcome(moved[minute].room_id, "failure", at=shut.now)
    shut.tick(seconds=15)
    assert shut.wave.status == "rolled_back"
    alert = Alert.objects.get(key=f"wave {shut.pk} guard")
    count = moved.count()
    assert alert.title == f"The guard rolled back wave “To the new one”, but {count} rooms cannot go back yet"
    assert alert.words.endswith(f" {kept_words(count)}")


def test_the_page_promises_nothing_and_says_afterwards_what_stays(client, rooms, ann):
    client.force_login(ann)
    told = Told(make_wave(), ann)
    told.now = timezone.now()
    told.do("start")
    told.tick()
    switching.close(platform="whereby", reason="outage", actor=ann)
    url = reverse("admin:rooms_wave_command", args=[told.pk, "rollback"])
    page = client.get(url)
    assert ">Roll back the wave</button>" in page.content.decode()
    done = client.post(url, {"reason": "sound", "seen_hash": page.context["plan"].hash}, follow=True)
    said = [str(message) for message in done.context["messages"]]
    assert said[0] == "Rolled back: sound"
    assert said[1].startswith(f"{len(on('daily'))} rooms cannot go back yet: Whereby is closed")
    shrink = client.get(reverse("admin:rooms_wave_command", args=[told.pk, "shrink"]), {"percent": "0"})
    assert shrink.status_code == 409
