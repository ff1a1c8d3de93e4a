"""kill -9 of the worker at each point of reading a delivery, and a wiped broker: done once, within 60 s."""

import json
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tests.crash import Installation
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


@pytest.fixture
def sqlite_and_valkey(tmp_path, valkey_url):
    """As on a laptop."""
    with Installation(tmp_path, broker_url=valkey_url) as product:
        product.wipe = lambda: wipe(valkey_url)
        yield product


@contextmanager
def database_of_its_own(server_url):
    parts = urlsplit(server_url)
    name = f"crash_{time.monotonic_ns()}"
    admin = server_url.replace("postgres://", "postgresql://")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield parts._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def postgres_and_redis(tmp_path, postgres_url, redis_url):
    """As in production."""
    wipe(redis_url)
    with (
        database_of_its_own(postgres_url) as database_url,
        Installation(tmp_path, database_url=database_url, broker_url=redis_url) as product,
    ):
        product.wipe = lambda: wipe(redis_url)
        yield product
    wipe(redis_url)


def wipe(url):
    with redis.Redis.from_url(url) as client:
        client.flushdb()


@pytest.fixture(
    params=[
        "sqlite_and_valkey",
        pytest.param("postgres_and_redis", marks=[pytest.mark.postgres, pytest.mark.redis]),
    ]
)
def product(request):
    return request.getfixturevalue(request.param)


def effects(product):
    """Room → how often its event had its effect."""
    rows = product.rows("SELECT name, state FROM platforms_heartbeat WHERE name LIKE 'effect:%'")
    return {name.partition(":")[2]: _count(state) for name, state in rows}


def _count(state):
    return (json.loads(state) if isinstance(state, str) else state)["count"]


def all_done(product, number, within_s=WITHIN_S):
    return product.wait_for(
        "SELECT status, COUNT(*) FROM platforms_webhookevent GROUP BY status", [("done", number)], within_s=within_s
    )


def test_killed_at_each_point_it_is_done_once(product):
    product.start_web()
    for number, point in enumerate(POINTS):
        worker = product.start_worker(crash_at=point)
        assert product.deliver("daily", joined(f"room-{number}")) == 200
        worker.wait_until_stopped()
        if point == POINTS[-1]:  # somebody else is there when the last one dies
            product.start_sweeper()
            product.start_worker(threads=2)
        worker.kill()
    all_done(product, len(POINTS))
    assert effects(product) == {f"room-{number}": 1 for number in range(len(POINTS))}


def test_a_wiped_broker_loses_nothing(product):
    product.start_web()
    product.start_sweeper()
    rooms = [f"room-{number}" for number in range(20)]
    for room in rooms:
        assert product.deliver("daily", joined(room)) == 200
    product.wipe()
    product.start_worker(threads=2)
    product.wipe()
    all_done(product, len(rooms))
    assert effects(product) == dict.fromkeys(rooms, 1)


def test_the_web_server_killed_after_its_answer_has_lost_nothing(product):
    web = product.start_web()
    rooms = [f"room-{number}" for number in range(10)]
    for room in rooms:
        assert product.deliver("daily", joined(room)) == 200
    web.kill()
    product.start_sweeper()
    product.start_worker(threads=2)
    all_done(product, len(rooms))
    assert effects(product) == dict.fromkeys(rooms, 1)
