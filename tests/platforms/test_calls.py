"""Calls of the providers' APIs: counted in memory, written by a thread, added up for staff."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import requests
import responses
from django.db import connection, connections
from django.utils import timezone

from platforms import calls
from platforms.base import PlatformRefused, PlatformUnavailable
from platforms.http import Http
from platforms.metrics import Meter, meter
from platforms.models import ApiCallBucket

API = "https://api.example"


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    meter.take()


def http(**more: Any) -> Http:
    return Http(label="Example", platform="daily", base_url=API, token="t", **{"sleep": lambda _: None, **more})


def counted(operation: str = "op") -> Any:
    tallies = [tally for (platform, name, _), tally in meter.take().items() if (platform, name) == ("daily", operation)]
    assert len(tallies) <= 1, "the minute changed in the middle of a test"
    return tallies[0] if tallies else None


@responses.activate
def test_answers_are_counted_by_what_they_are():
    for status in (200, 404, 500, 429):
        responses.get(f"{API}/{status}", status=status, json={})
    client = http()
    client.request("GET", "/200", operation="op")
    with pytest.raises(PlatformRefused):
        client.request("GET", "/404", operation="op")
    client.request("GET", "/404", operation="op", accept=(404,))
    for status in (500, 429):
        with pytest.raises(PlatformUnavailable):
            client.request("GET", f"/{status}", operation="op")
    tally = counted()
    assert (tally.calls, tally.refused, tally.failed, tally.throttled) == (5, 1, 1, 1)
    assert "slow down" not in tally.last_error
    assert "429" in tally.last_error
    assert sum(tally.classes) == 5


@responses.activate
def test_no_answer_is_a_failure_and_its_time_is_counted():
    responses.get(f"{API}/x", body=requests.ReadTimeout())
    ticks = iter([0.0, 4.0])
    with pytest.raises(PlatformUnavailable):
        http(clock=lambda: next(ticks)).request("GET", "/x", operation="op")
    tally = counted()
    assert (tally.calls, tally.failed, tally.slowest_ms) == (1, 1, 4000)
    assert tally.classes == [0, 0, 0, 0, 1, 0]


@responses.activate
def test_what_calls_cost_and_calls_held_back_are_counted():
    responses.get(f"{API}/x", json={})
    client = http(budgets={"default": (7, 60)}, max_wait_s=0)
    for _ in range(2):
        client.request("GET", "/x", operation="op", cost=3)
    with pytest.raises(PlatformUnavailable, match="budget"):
        client.request("GET", "/x", operation="op", cost=3)
    tally = counted()
    assert (tally.calls, tally.tokens, tally.throttled) == (2, 6, 1)


@pytest.mark.django_db
def test_budgets_are_used_by_all_processes_together():
    limits = {"default": (20, 1), "start_recording": (1, 1)}
    for _ in range(30):
        meter.note("daily", "token", "ok")
        meter.note("daily", "presence", "ok", cost=2)
        meter.note("daily", "start_recording", "ok")
    meter.note("daily", "start_recording", "held")
    calls.write()
    default, start = calls.budgets("daily", limits, since=timezone.now() - timedelta(minutes=2))
    assert (default.name, default.allowed, default.busiest, default.percent, default.held) == (
        "default",
        1200,
        90,
        8,
        0,
    )
    assert (start.allowed, start.busiest, start.percent, start.held) == (60, 30, 50, 1)
    unused = calls.budgets("daily", limits, since=timezone.now() + timedelta(minutes=2))[0]
    assert (unused.busiest, unused.percent, unused.at) == (0, 0, None)


@responses.activate
def test_clock_of_the_provider_is_read_from_its_answers():
    responses.get(f"{API}/x", json={}, headers={"Date": "Sun, 22 Nov 2020 20:00:00 GMT"})
    client = http()
    assert client.clock_ahead_s is None
    client.request("GET", "/x")
    assert client.clock_ahead_s is not None
    assert client.clock_ahead_s > 86_400


@pytest.mark.django_db
def test_processes_add_up_in_one_row_per_minute():
    for seconds in (0.05, 0.05, 2.0):
        meter.note("daily", "op", "ok", seconds=seconds)
    assert calls.write()
    meter.note("daily", "op", "failed", seconds=20.0, error="no connection")
    assert calls.write()
    row = ApiCallBucket.objects.get()
    assert (row.calls, row.failed, row.slowest_ms, row.tokens) == (4, 1, 20_000, 4)
    assert (row.ms_100, row.ms_3000, row.ms_more) == (2, 1, 1)
    assert row.last_error == "no connection"


@pytest.mark.django_db
def test_nothing_counted_asks_the_database_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert calls.write()


@pytest.mark.django_db
def test_what_cannot_be_written_is_kept(django_db_blocker):
    meter.note("daily", "op", "ok", seconds=0.05)
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE platforms_apicallbucket RENAME TO gone")
    assert calls.write() is False
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE gone RENAME TO platforms_apicallbucket")
    assert calls.write()
    assert ApiCallBucket.objects.get().calls == 1


@pytest.mark.django_db
def test_operations_are_summed_with_their_percentiles(django_assert_num_queries):
    now = timezone.now()
    for _ in range(19):
        meter.note("daily", "token", "ok", seconds=0.05)
    meter.note("daily", "token", "ok", seconds=5.0)
    meter.note("daily", "presence", "failed", seconds=0.2, error="Daily answered 500 (presence)")
    meter.note("whereby", "list_meetings", "ok", seconds=0.2)
    calls.write()
    with django_assert_num_queries(1):
        presence, token = calls.operations("daily", since=now - timedelta(minutes=2))
    assert (presence.name, presence.failed, presence.last_error) == ("presence", 1, "Daily answered 500 (presence)")
    assert (token.calls, token.within(0.5), token.within(0.95), token.within(0.99)) == (
        20,
        "≤ 100 ms",
        "≤ 100 ms",
        "≤ 10 s",
    )
    assert calls.operations("daily", since=now + timedelta(minutes=2)) == []


@pytest.mark.django_db
def test_operations_and_budgets_are_read_in_one_query_and_are_the_same(django_assert_num_queries):
    limits = {"default": (20, 1), "start_recording": (1, 1)}
    since = timezone.now() - timedelta(minutes=2)
    assert calls.usage("daily", limits, since=since) == ([], calls.budgets("daily", limits, since=since))
    for minute in range(3):
        at = timezone.now() - timedelta(minutes=minute)
        for number, name in enumerate(("token", "presence", "start_recording")):
            counts = {"calls": 10 * number + minute, "tokens": 7 * minute + number, "throttled": minute, "ms_300": 3}
            error = {"last_error": f"no {minute}"} if number else {}
            ApiCallBucket.objects.create(platform="daily", operation=name, minute=at, **counts, **error)
    since -= timedelta(minutes=2)
    with django_assert_num_queries(1):
        operations, budgets = calls.usage("daily", limits, since=since)
    assert operations == calls.operations("daily", since=since)
    assert budgets == calls.budgets("daily", limits, since=since)
    assert [(one.name, one.calls, one.last_error) for one in operations] == [
        ("start_recording", 63, "no 2"),
        ("presence", 33, "no 2"),
        ("token", 3, ""),
    ]
    assert [(one.name, one.busiest, one.at, one.held) for one in budgets] == [
        ("default", 29, at, 6),
        ("start_recording", 16, at, 3),
    ]


@pytest.mark.django_db
def test_old_counts_are_forgotten():
    meter.note("daily", "op", "ok")
    calls.write()
    assert calls.forget_old(timezone.now()) == 0
    assert calls.forget_old(timezone.now() + timedelta(days=31)) == 1


def test_counts_that_nobody_writes_do_not_grow_for_ever():
    own = Meter()
    for number in range(6000):
        own.note("daily", f"op{number}", "ok")
    assert len(own.take()) == 5000


def test_threads_lose_no_count():
    own = Meter()

    def count() -> None:
        for _ in range(500):
            own.note("daily", "op", "ok")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(tally.calls for tally in own.take().values()) == 4000


@pytest.mark.django_db(transaction=True)
def test_writer_writes_what_is_left_when_it_is_stopped(monkeypatch):
    if connection.vendor == "sqlite":
        connections["default"].inc_thread_sharing()
    monkeypatch.setattr(calls, "WRITE_EVERY_S", 60)
    own = calls.Writer()
    own.start()
    meter.note("daily", "op", "ok")
    own.stop()
    assert ApiCallBucket.objects.filter(calls=1).exists()
