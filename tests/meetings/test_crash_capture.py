"""kill -9 of the worker around an order to the provider, and a wiped broker: recorded once, stopped once, closed."""

from __future__ import annotations

import time

import pytest

from tests.crash import KINDS, installed, until
from tests.platforms.sandbox.process import Process
from tests.recorded import come_in, open_meetings

WITHIN_S = 60
POINTS = [
    "before:platforms.daily.client.DailyClient.start_recording",  # written down, not given
    "after:platforms.daily.client.DailyClient.start_recording",  # the provider took it, the row does not say so
    "before:platforms.daily.client.DailyClient.stop_recording",
    "after:platforms.daily.client.DailyClient.stop_recording",  # it stopped, the row does not say so
]
CLOSING = [
    "before:platforms.daily.adapter.DailyAdapter.end_room",  # taken, and everybody is still inside
    "after:platforms.daily.adapter.DailyAdapter.end_room",  # the room is gone, the row does not say so
]
END = """
import json
from meetings.lifecycle import end_meeting
from meetings.models import Meeting
from platforms.work import waker
for meeting in Meeting.objects.filter(pk__in={ids!r}):
    end_meeting(meeting=meeting, reason="host")
assert waker.flush(10)
print(json.dumps(len({ids!r})))
"""
WISH = """
import json
from django.utils import timezone
from meetings import capture, presence
from meetings.models import Capture, Meeting
from platforms.work import waker
presence.reconcile(Meeting.objects.filter(pk__in={all!r}), timezone.now())
for meeting in Meeting.objects.filter(pk__in={stop!r}):
    capture.wish_stop(meeting=meeting, reason="a host stopped it")
for meeting in Meeting.objects.filter(pk__in={start!r}):
    capture.wish_start(meeting=meeting, by=None)
assert waker.flush(10)
made = Capture.objects.filter(meeting__in={all!r})
print(json.dumps([[str(row.meeting_id), str(row.pk)] for row in made]))
"""
pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    process = Process.start(tmp_path_factory.mktemp("sandbox"))
    try:
        yield process.ready(120)
    finally:
        process.stop()


@pytest.fixture(params=KINDS)
def product(request, tmp_path, sandbox):
    with installed(request.param, tmp_path, request, sandbox.variables()) as made:
        yield made


def wish(product, *, start=(), stop=()):
    """Meeting's id → its capture's, after a host wished for this."""
    return dict(product.run(WISH.format(start=[*start], stop=[*stop], all=[*start, *stop])))


def wait_for(product, state, captures, within_s=WITHIN_S):
    def states():
        rows = product.rows("SELECT id, state, status FROM meetings_capture")
        return {str(name).replace("-", ""): (now, status) for name, now, status in rows}

    wanted = [name.replace("-", "") for name in captures]
    until(
        lambda: all(states()[name] == (state, "done") for name in wanted),
        f"not all are {state}",
        within_s,
        lambda: str(states()),
    )


def at_provider(sandbox, room):
    """(instance id, running) of each recording that was ever made in this room."""
    return [
        (each["instance_id"], each["state"] == "in-progress")
        for each in sandbox.control("GET", "recordings")
        if each["room_name"] == room
    ]


def test_killed_around_an_order_it_is_carried_out_once(product, sandbox):
    meetings = open_meetings(product, 6)
    rooms = dict(meetings)
    for room in rooms.values():
        come_in(sandbox, room)
    ids = list(rooms)
    to_stop, to_start = ids[:3], ids[3:]
    running = wish(product, start=to_stop)
    sweeper = product.start_sweeper()
    worker = product.start_worker(threads=2)
    wait_for(product, "on", running.values())
    worker.stop()
    sweeper.stop()

    worker = product.start_worker(crash_at=",".join(POINTS), threads=len(POINTS))
    ordered = wish(product, start=to_start[:2], stop=to_stop[:2])
    worker.wait_until_stopped()
    # these two are told to a broker that forgets
    ordered |= wish(product, start=to_start[2:], stop=to_stop[2:])
    product.wipe_broker()
    product.start_sweeper()
    product.start_worker(threads=2)
    worker.kill()
    began = time.monotonic()
    wait_for(product, "on", [ordered[name] for name in to_start])
    wait_for(product, "off", [ordered[name] for name in to_stop], WITHIN_S - (time.monotonic() - began))

    for name in to_start:
        assert at_provider(sandbox, rooms[name]) == [(ordered[name], True)], "one recording, and it runs"
    for name in to_stop:
        assert at_provider(sandbox, rooms[name]) == [(running[name], False)], "the same recording, and it is over"
    assert product.rows("SELECT COUNT(*) FROM meetings_capture") == [(len(rooms),)]


def inside(sandbox, rooms):
    """How many are in these rooms, and which of the rooms are open at the provider."""
    people = [each for each in sandbox.control("GET", "people") if each["state"] == "in"]
    opened = {each["name"].lstrip("/") for each in sandbox.control("GET", "rooms") if each["state"] == "open"}
    return sum(each["room"].partition(":")[2].lstrip("/") in rooms for each in people), opened & {*rooms}


def test_killed_around_the_closing_of_a_room_it_is_closed(product, sandbox):
    meetings = open_meetings(product, 3)
    ids, rooms = [name for name, _ in meetings], [room for _, room in meetings]
    for room in rooms:
        come_in(sandbox, room)
    assert inside(sandbox, rooms) == (3, {*rooms})

    worker = product.start_worker(crash_at=",".join(CLOSING), threads=len(CLOSING))
    product.run(END.format(ids=ids[:2]))
    worker.wait_until_stopped()
    people, opened = inside(sandbox, rooms)
    assert (people, len(opened)) == (2, 2), "one of the two closed, the other one not yet"
    # this one is told to a broker that forgets
    product.run(END.format(ids=ids[2:]))
    product.wipe_broker()
    product.start_sweeper()
    product.start_worker(threads=2)
    worker.kill()

    def still_open():
        return product.rows("SELECT id FROM meetings_meeting WHERE closed_at_provider_at IS NULL")

    until(lambda: not still_open(), "not all were closed", WITHIN_S, lambda: str(still_open()))
    assert inside(sandbox, rooms) == (0, set())
    tries = product.rows("SELECT close_attempts FROM meetings_meeting ORDER BY close_attempts")
    assert tries == [(1,), (2,), (2,)]
