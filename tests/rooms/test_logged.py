"""Whoever or whatever changed something is named: people in the admin's log and in the row's own, machinery in rows."""

from __future__ import annotations

import html
import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from platforms.models import ReadinessResult
from rooms.models import Experiment, ExperimentEntry, Move, MoveOrder, PlatformSwitch, Room, Waiver, Wave, WaveEntry
from rooms.tasks import carry_out_move_order
from rooms.waves.engine import bucket_of
from rooms.waves.tick import tick

pytestmark = pytest.mark.django_db
STEPS = [{"percent": percent, "dwell_minutes": 60, "min_meetings": 0} for percent in (25, 50, 100)]


@pytest.fixture
def press(ann, client):
    """``press(address, reason=…)``: what the page says, agreed to; the lines that the log got by it."""
    client.force_login(ann)

    def agree(address, **typed):
        known = set(LogEntry.objects.values_list("pk", flat=True))
        page = client.get(address).content.decode()
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
        client.post(address, {name: html.unescape(value) for name, value in hidden.items()} | typed)
        new = LogEntry.objects.exclude(pk__in=known).order_by("pk")
        assert {entry.user for entry in new} == {ann}, "nobody is named"
        return [(entry.get_edited_object(), entry.change_message) for entry in new]

    return agree


@pytest.fixture
def rooms(db):
    return Room.objects.bulk_create(
        Room(name=f"R{n}", slug=f"r{n}", platform="whereby", uuid=uuid.UUID(int=n)) for n in range(8)
    )


def move_url(rooms, to="daily"):
    return f"{reverse('admin:rooms_room_move')}?to={to}&rooms={','.join(str(room.pk) for room in rooms)}"


def test_rooms_moved_at_once_and_moved_back(press, rooms, ann):
    lines = press(move_url(rooms), reason="cheaper")
    assert [room.pk for room, _ in lines] == [room.pk for room in rooms]
    assert all("cheaper" in words and "Daily" in words for _, words in lines)
    moves = list(Move.objects.all())
    assert {(move.actor, move.source, move.reason) for move in moves} == {(ann, "bulk", "cheaper")}
    lines = press(reverse("admin:rooms_room_undo", args=[moves[0].batch]))
    assert len(lines) == len(rooms)
    assert all("Whereby" in words for _, words in lines)
    assert {(move.actor, move.source) for move in Move.objects.filter(undoes__isnull=False)} == {(ann, "undo")}


def test_an_order_what_it_moved_later_and_its_end(press, rooms, ann):
    later = timezone.localtime() + timedelta(days=1)
    ((order, words),) = press(move_url(rooms), reason="cheaper", when="at", at=f"{later:%Y-%m-%dT%H:%M}")
    assert isinstance(order, MoveOrder)
    assert words == "Ordered: 8 rooms to Daily: cheaper"
    MoveOrder.objects.update(due_at=timezone.now())
    carry_out_move_order(str(order.pk))
    assert {(m.actor, m.source, m.order, m.reason) for m in Move.objects.all()} == {(ann, "schedule", order, "cheaper")}
    ((back, words),) = press(reverse("admin:rooms_moveorder_undo", args=[order.pk]))
    assert (back.undoes, back.actor, words) == (order, ann, "Taken back")
    assert press(reverse("admin:rooms_moveorder_cancel", args=[back.pk])) == [(back, "Cancelled")]
    assert MoveOrder.objects.get(pk=back.pk).cancelled_by == ann


def test_an_order_taken_back_from_the_list_of_rooms(press, rooms, ann, monkeypatch):
    """The banner's button, as that on the order's own page."""
    for module in ("moving", "undoing"):
        monkeypatch.setattr(f"rooms.staff.{module}.MOST_AT_ONCE", 3)
    ((order, _),) = press(move_url(rooms), reason="cheaper", when="now")
    carry_out_move_order(str(order.pk))
    ((back, words),) = press(reverse("admin:rooms_room_undo", args=[order.batch]))
    assert (back.undoes, back.actor, words) == (order, ann, "Taken back")


def test_pins_and_the_archive(press, rooms, ann):
    room = rooms[0]
    ((pinned, words),) = press(reverse("admin:rooms_room_pin", args=[room.pk]), reason="board meets")
    assert (pinned.pinned_by, "board meets" in words) == (ann, True)
    ((_, words),) = press(reverse("admin:rooms_room_pin", args=[room.pk]), unpin="1", **{"unpin-reason": "over"})
    assert "over" in words
    assert press(reverse("admin:rooms_room_archive", args=[room.pk])) == [(room, "Archived")]
    assert press(reverse("admin:rooms_room_archive", args=[room.pk])) == [(room, "Taken out of the archive")]


def test_the_kill_switch(press, ann):
    for to in ("close", "open"):
        address = reverse("admin:rooms_platformswitch_switch", args=["daily"])
        ((used, words),) = press(address, to=to, **{"daily-reason": f"to {to}"})
        assert (used.actor, used.reason) == (ann, f"to {to}")
        assert used.reason in words
    assert PlatformSwitch.objects.count() == 2


def test_waivers(press, ann):
    ReadinessResult.objects.create(
        platform="daily", key="clock", title="Clock", status="failed", is_blocking=True, words="it is off"
    )
    ((given, words),) = press(reverse("platform-waive", args=["daily", "clock"]), reason="known", days="3")
    assert (given.actor, words) == (ann, "Clock: known")
    assert press(reverse("admin:rooms_waiver_withdraw", args=[given.pk])) == [(given, "Withdrawn")]
    assert Waiver.objects.get().withdrawn_at


def test_a_wave_its_commands_and_what_it_does_by_itself(press, rooms, ann):
    wave = Wave.objects.create(
        name="First",
        platform="daily",
        reason="pilot",
        steps=STEPS,
        selection={"rooms": [room.pk for room in rooms]},
        salt="0" * 32,  # rooms and salt are fixed, and so is which rooms a step moves
    )
    in_the_first_step = [room for room in rooms if bucket_of(wave.salt, room.uuid) < 2_500]
    assert in_the_first_step

    def command(name, query=""):
        address = reverse("admin:rooms_wave_command", args=[wave.pk, name]) + query
        known = set(wave.entries.values_list("pk", flat=True))
        ((logged, words),) = press(address, reason=f"because of {name}")
        (entry,) = wave.entries.exclude(pk__in=known).filter(actor=ann)
        assert (logged, words) == (wave, entry.words)
        assert f"because of {name}" in words

    for name in ("start", "pause", "resume", "next"):
        command(name)
    tick(timezone.now())
    command("shrink", "?percent=10")
    tick(timezone.now())
    command("rollback")
    tick(timezone.now())
    assert Move.objects.filter(source="wave").exists()
    assert Move.objects.filter(source="rollback").exists()
    assert {move.wave for move in Move.objects.all()} == {wave}
    assert all("wave “First”" in move.by_whom for move in Move.objects.all())
    assert {move.room.platform for move in Move.objects.all()} == {"whereby"}
    assert WaveEntry.objects.filter(actor=None).exists(), "what it did by itself is in its log"


def test_an_experiment_and_its_commands(press, rooms, ann):
    experiment = Experiment.objects.create(
        name="A/A", reason="the instrument", platform_a="whereby", platform_b="whereby", watched=["joined"]
    )
    experiment.rooms.set(rooms)
    for name in ("start", "hold", "resume", "end"):
        address = reverse("admin:rooms_experiment_command", args=[experiment.pk, name])
        ((logged, words),) = press(address, reason=f"because of {name}")
        entry = ExperimentEntry.objects.first()
        assert (logged, words, entry.actor) == (experiment, entry.words, ann)
        assert f"because of {name}" in words
