"""kill -9 of the worker at each point of reading a delivery, and a wiped broker: done once, within 60 s."""

import json

import pytest

from tests.platforms.test_door import JOINED

WITHIN_S = 60
#: from the message in the worker's hand to the commit, and after it
POINTS = [
    "before:platforms.tasks.work_on",
    "after:platforms.work.claim",
    "before:platforms.daily.adapter.DailyAdapter.interpret",
    "after:platforms.inbox._send",
    "after:platforms.models.WebhookEvent.save",
    "after:platforms.inbox.interpret",
]
pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]


def joined(room):
    body = json.loads(JOINED["daily"])
    body["payload"]["room"] = room
    return json.dumps(body).encode()


def effects(installation):
    """Room → how often its event had its effect."""
    rows = installation.rows("SELECT name, state FROM platforms_heartbeat WHERE name LIKE 'effect:%'")
    return {name.partition(":")[2]: _count(state) for name, state in rows}


def _count(state):
    return (json.loads(state) if isinstance(state, str) else state)["count"]


def all_done(installation, number, within_s=WITHIN_S):
    # without what the readiness checks send themselves
    told = "FROM platforms_webhookevent WHERE event_type <> 'doctor.round-trip'"
    return installation.wait_for(
        f"SELECT status, COUNT(*) {told} GROUP BY status", [("done", number)], within_s=within_s
    )


def test_killed_at_each_point_it_is_done_once(installation):
    installation.start_web()
    for number, point in enumerate(POINTS):
        worker = installation.start_worker(crash_at=point)
        assert installation.deliver("daily", joined(f"room-{number}")) == 200
        worker.wait_until_stopped()
        if point == POINTS[-1]:  # somebody else is there when the last one dies
            installation.start_sweeper()
            installation.start_worker(threads=2)
        worker.kill()
    all_done(installation, len(POINTS))
    assert effects(installation) == {f"room-{number}": 1 for number in range(len(POINTS))}


def test_a_wiped_broker_loses_nothing(installation):
    installation.start_web()
    installation.start_sweeper()
    rooms = [f"room-{number}" for number in range(20)]
    for room in rooms:
        assert installation.deliver("daily", joined(room)) == 200
    installation.wipe_broker()
    installation.start_worker(threads=2)
    installation.wipe_broker()
    all_done(installation, len(rooms))
    assert effects(installation) == dict.fromkeys(rooms, 1)


def test_the_web_server_killed_after_its_answer_has_lost_nothing(installation):
    web = installation.start_web()
    rooms = [f"room-{number}" for number in range(10)]
    for room in rooms:
        assert installation.deliver("daily", joined(room)) == 200
    web.kill()
    installation.start_sweeper()
    installation.start_worker(threads=2)
    all_done(installation, len(rooms))
    assert effects(installation) == dict.fromkeys(rooms, 1)
