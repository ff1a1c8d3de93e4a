"""The sweeper as a process: it takes over, leaves quickly, and outlives its database and broker."""

import socket
import time
from contextlib import closing

import psycopg
import pytest

from tests.crash import Installation, until
from tests.platforms.test_crash_interpret import all_done, effects, joined

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]
HOLDER = "SELECT holder FROM platforms_heartbeat WHERE name = 'sweeper' AND held_until IS NOT NULL"


def holder(installation):
    return installation.rows(HOLDER)


def test_another_takes_over_when_one_dies_or_leaves(installation):
    first = installation.start_sweeper()
    until(lambda: holder(installation), "nobody sweeps", 30, first.said)
    held_by_first = holder(installation)
    second = installation.start_sweeper()
    time.sleep(3)
    assert holder(installation) == held_by_first, "one at a time"
    first.kill()
    until(lambda: holder(installation) not in ([], held_by_first), "nobody took over", 45, second.said)
    began = time.monotonic()
    assert second.stop() == 0
    assert time.monotonic() - began < 5
    assert holder(installation) == [], "the next one need not wait"


def test_work_goes_on_when_the_broker_comes_back(tmp_path, valkey_url):
    """The broker's port is taken by somebody who never answers; then it is the broker's again."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=50)) as silent:
        port = silent.getsockname()[1]
        with Installation(tmp_path, broker_url=f"redis://127.0.0.1:{port}/0") as product:
            product.start_web()
            sweeper = product.start_sweeper()
            took = []
            for number in range(5):
                began = time.monotonic()
                assert product.deliver("daily", joined(f"room-{number}")) == 200
                took.append(time.monotonic() - began)
            assert max(took) < 1, took
            until(lambda: "broker does not take" in sweeper.said(), "it did not try", 40, sweeper.said)
            beats = product.rows("SELECT beat_at FROM platforms_heartbeat WHERE name = 'sweeper'")
            until(
                lambda: product.rows("SELECT beat_at FROM platforms_heartbeat WHERE name = 'sweeper'") != beats,
                "a silent broker stopped the sweeper's heart",
                15,
            )
            assert product.get("/readyz") in (200, 503)
            assert sweeper.stop() == 0
            product.environ["BROKER_URL"] = valkey_url
            product.start_sweeper()
            product.start_worker()
            all_done(product, 5)
            assert effects(product) == {f"room-{number}": 1 for number in range(5)}


@pytest.mark.postgres
@pytest.mark.redis
def test_all_processes_outlive_a_restarted_database(postgres_and_redis):
    product = postgres_and_redis
    product.start_web()
    sweeper = product.start_sweeper()
    worker = product.start_worker(threads=2)
    assert product.deliver("daily", joined("before")) == 200
    all_done(product, 1)
    for _ in range(3):
        with psycopg.connect(product.database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        time.sleep(1)
    assert product.deliver("daily", joined("after")) == 200
    all_done(product, 2)
    assert effects(product) == {"before": 1, "after": 1}
    assert sweeper.process.poll() is None, sweeper.said()
    assert worker.process.poll() is None, worker.said()


@pytest.mark.postgres
@pytest.mark.redis
def test_a_locked_table_is_answered_503_after_two_seconds(postgres_and_redis):
    product = postgres_and_redis
    product.start_web()
    with psycopg.connect(product.database_url) as other:
        other.execute("LOCK TABLE platforms_webhookevent IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        assert product.deliver("daily", joined("locked")) == 503
        assert 1.5 < time.monotonic() - began < 4
        other.rollback()
    assert product.deliver("daily", joined("locked")) == 200
