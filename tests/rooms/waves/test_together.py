"""Several processes tick one wave while people use it, and one of them dies: on SQLite and on PostgreSQL.

Each test prepares a database, runs real processes on it, and counts the rows afterwards.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PREPARE = """
import django, json, signal, os, sys, threading, time, uuid
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.db import connection, OperationalError
from django.utils import timezone
from tests.accounts_for_platforms import BOTH
settings.PLATFORM_ENVIRON = BOTH
from rooms import services
from rooms.models import Move, Room, Wave, WaveRoom
from rooms.waves import carrying
from rooms.waves.commands import Command, WaveRefused, carry_out
from rooms.waves.tick import tick
carrying.CHUNK = 20
"""

START = """
call_command("migrate", verbosity=0)
Room.objects.bulk_create(
    Room(name=f"Room {n}", slug=f"room-{n}", platform="whereby", uuid=uuid.UUID(int=n)) for n in range(400)
)
wave = Wave.objects.create(
    name="all", platform="daily", reason="pilot", steps=[{"percent": 100, "dwell_minutes": 600, "min_meetings": 0}]
)
carry_out(wave_id=wave.pk, command=Command.START, reason="go")
"""

TELL = """
moves = Move.objects.order_by("pk")
doubled = [
    room.slug
    for room in Room.objects.prefetch_related("moves")
    if [move.from_platform for move in room.moves.order_by("pk")][1:]
    != [move.to_platform for move in room.moves.order_by("pk")][:-1]
]
print(json.dumps({
    "by": {source: moves.filter(source=source).count() for source in ("admin", "wave", "rollback")},
    "on": {slug: Room.objects.filter(platform=slug).count() for slug in ("daily", "whereby")},
    "states": {state: WaveRoom.objects.filter(state=state).count() for state in WaveRoom.State.values},
    "doubled": doubled,
    "most": max(Room.objects.get(pk=pk).moves.count() for pk in Room.objects.values_list("pk", flat=True)),
    "log": list(Wave.objects.get().entries.order_by("pk").values_list("what", flat=True)),
}))
"""

TICKERS = """
at_once = threading.Barrier(7)
trouble = []

def together(do):
    at_once.wait()
    try:
        do()
    except Exception as error:
        trouble.append(repr(error))
    finally:
        connection.close()

def tick_often():
    for _ in range(6):
        tick(timezone.now())

def meddle():
    for n in range(0, 40):
        room = Room.objects.get(slug=f"room-{n}")
        try:
            services.move_room(
                room_id=room.pk, platform="daily", reason="by hand", source="admin", expected_platform="whereby"
            )
        except services.MoveRefused:
            pass

threads = [threading.Thread(target=together, args=[do]) for do in [tick_often] * 6 + [meddle]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
tick(timezone.now())
assert not trouble, trouble
"""

#: dies inside the transaction of its fourth chunk, when its rooms are moved and nothing of it is committed
DIES = """
move, calls = carrying.move_rooms, []

def dying(**what):
    calls.append(1)
    done = move(**what)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

carrying.move_rooms = dying
"""


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'db.sqlite3'}"
    return request.getfixturevalue("postgres_url")


def run(database, *parts):
    environment = os.environ | {"DATABASE_URL": database, "TEST_DATABASE_URL": database}
    return subprocess.run(
        [sys.executable, "-c", "\n".join([PREPARE, *parts])],
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
    )


def told(database, *parts):
    done = run(database, *parts, TELL)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_six_tickers_and_somebody_by_hand_move_each_room_once(database):
    after = told(database, START, TICKERS)
    assert after["log"] == ["started", "step", "applied"]
    assert after["on"] == {"daily": 400, "whereby": 0}
    assert (after["by"]["wave"] + after["by"]["admin"], after["most"], after["doubled"]) == (400, 1, [])
    assert after["states"]["moved"] == after["by"]["wave"]
    assert after["states"]["left"] == after["by"]["admin"]
    assert after["states"]["waiting"] == 0


def test_a_ticker_that_is_killed_in_the_middle_is_carried_on_by_the_next(database):
    killed = run(database, START, DIES, "tick(timezone.now())")
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    between = told(database)
    assert between["on"] == {"daily": 60, "whereby": 340}
    assert (between["states"]["moved"], between["states"]["waiting"], between["log"]) == (60, 340, ["started", "step"])
    after = told(database, "tick(timezone.now())")
    assert after["log"] == ["started", "step", "applied"]
    assert (after["by"]["wave"], after["most"], after["on"]["daily"]) == (400, 1, 400)


def test_a_roll_back_that_is_killed_in_the_middle_is_carried_on_by_a_tick(database):
    told(database, START, "tick(timezone.now())")
    order = 'carry_out(wave_id=Wave.objects.get().pk, command=Command.ROLL_BACK, reason="sound")'
    killed = run(database, DIES, order)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    between = told(database)
    assert (between["states"]["returned"], between["states"]["moved"]) == (60, 340)
    after = told(database, "tick(timezone.now())")
    assert after["on"] == {"daily": 0, "whereby": 400}
    assert (after["by"]["rollback"], after["most"]) == (400, 2)
    assert after["log"][-1] == "rolled_back"


def test_two_waves_that_start_at_once_do_not_share_a_room(database):
    start = """
call_command("migrate", verbosity=0)
Room.objects.bulk_create(Room(name=f"Room {n}", slug=f"room-{n}", platform="whereby") for n in range(50))
at_once = threading.Barrier(4)
answers = []

def start(number):
    wave = Wave.objects.create(
        name=str(number), platform="daily", reason="r", steps=[{"percent": 100, "dwell_minutes": 0, "min_meetings": 0}]
    )
    at_once.wait()
    try:
        carry_out(wave_id=wave.pk, command=Command.START, reason="go")
        answers.append("started")
    except WaveRefused:
        answers.append("refused")
    finally:
        connection.close()

threads = [threading.Thread(target=start, args=[number]) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([sorted(answers), WaveRoom.objects.count()]))
"""
    done = run(database, start)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [["refused", "refused", "refused", "started"], 50]
