"""Orders and API requests on real databases, with processes that are killed and requests that come twice at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOMS = 600

PREPARE = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from rooms.models import Room
from rooms.ordering import order_as_planned
from rooms.planning import preview_move
Room.objects.bulk_create(Room(name=f"R {n}", slug=f"r-{n}", platform="fake") for n in range(%(rooms)s))
ids = list(Room.objects.values_list("pk", flat=True))
plan = preview_move(room_ids=ids, platform="fake-page")
order_as_planned(platform="fake-page", room_ids=ids, seen_hash=plan.hash, reason="cheaper", actor=None)
"""

WORK = """
import django
django.setup()
from rooms import ordering
from rooms.models import MoveOrder
from rooms.tasks import carry_out_move_order
ordering.MOST_AT_ONCE = 5
carry_out_move_order(str(MoveOrder.objects.get().pk))
"""

COUNT = """
import django
django.setup()
from rooms.models import Move, MoveOrder, Room
print(Room.objects.filter(platform="fake-page").count(), Move.objects.count(),
      Move.objects.values("room").distinct().count(), MoveOrder.objects.get().status)
"""

LET_THE_LEASE_RUN_OUT = """
import django
django.setup()
from django.utils import timezone
from rooms.models import MoveOrder
MoveOrder.objects.update(lease_until=timezone.now())
"""


def _environment(database_url):
    return os.environ | {
        "DATABASE_URL": database_url,
        "TEST_DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "tests.settings_with_fakes",
    }


def _run(code, environment):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _counts(environment):
    *numbers, status = _run(COUNT, environment).split()
    return (*map(int, numbers), status)


def _killed_in_the_middle(database_url):
    environment = _environment(database_url)
    _run(PREPARE % {"rooms": ROOMS}, environment)
    worker = subprocess.Popen([sys.executable, "-c", WORK], cwd=ROOT, env=environment)
    give_up_at = time.monotonic() + 60
    while not _some_moved(database_url):
        assert worker.poll() is None, "it was done before it could be killed"
        assert time.monotonic() < give_up_at
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    there, moves, moved_rooms, status = _counts(environment)
    assert 0 < there < ROOMS
    assert there == moves == moved_rooms
    assert there % 5 == 0  # whole chunks
    assert status == "running"
    _run(LET_THE_LEASE_RUN_OUT, environment)
    _run(WORK, environment)
    assert _counts(environment) == (ROOMS, ROOMS, ROOMS, "done")


def _some_moved(database_url):
    """A look from outside, without starting a process for it."""
    sql = "SELECT count(*) FROM rooms_move"
    if database_url.startswith("sqlite"):
        import sqlite3

        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            return connection.execute(sql).fetchone()[0] > 0
    import psycopg

    with psycopg.connect(database_url) as connection:
        return connection.execute(sql).fetchone()[0] > 0


def test_an_order_whose_worker_is_killed_is_finished_by_the_next_on_sqlite(tmp_path):
    _killed_in_the_middle(f"sqlite:///{tmp_path / 'db.sqlite3'}")


@pytest.mark.postgres
def test_an_order_whose_worker_is_killed_is_finished_by_the_next_on_postgresql(postgres_url):
    _killed_in_the_middle(postgres_url)


TWICE = """
import json, threading
import django
django.setup()
from django.core.management import call_command
from django.db import connection
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
from django.test import Client
from rooms.models import Move, Room

user = User.objects.create_superuser("ann")
Room.objects.create(name="Standup", slug="standup", platform="fake")
at_once, answers = threading.Barrier(8), []

def post():
    client = Client()
    client.force_login(user)
    at_once.wait()
    answer = client.post(
        "/v1/rooms/standup/move",
        {"platform": "fake-page", "reason": "pilot"},
        content_type="application/json",
        headers={"idempotency-key": "k1"},
    )
    answers.append([answer.status_code, answer.json()])
    connection.close()

threads = [threading.Thread(target=post) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert all(answer == answers[0] for answer in answers), answers
assert len(answers) == 8 and answers[0][0] == 200, answers
assert Move.objects.count() == 1
"""


def test_a_request_that_comes_eight_times_at_once_moves_once_on_sqlite(tmp_path):
    _run(TWICE, _environment(f"sqlite:///{tmp_path / 'db.sqlite3'}"))


@pytest.mark.postgres
def test_a_request_that_comes_eight_times_at_once_moves_once_on_postgresql(postgres_url):
    _run(TWICE, _environment(postgres_url))
