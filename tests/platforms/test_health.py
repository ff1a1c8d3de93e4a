"""Alive, ready, and the registry of readiness checks."""

import socket
import threading
import time
from contextlib import closing
from datetime import timedelta

import dramatiq
import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

from platforms import broker, health
from platforms.base import Finding
from platforms.health import Check
from platforms.models import Heartbeat
from tests.services import free_port


@pytest.fixture
def beating(db, settings, tmp_path):
    settings.MEDIA_STORAGE = f"file://{tmp_path}/media"
    Heartbeat.objects.create(name="sweeper", beat_at=timezone.now())


def ready(client):
    answer = client.get("/readyz")
    return answer.status_code, answer.json()


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_alive_asks_nobody(client, path):
    answer = client.get(path)  # without a database: this test has none
    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.parametrize("path", ["/readyz", "/readyz/"])
def test_ready(client, beating, path):
    answer = client.get(path)
    assert answer.status_code == 200
    found = answer.json()
    assert found["ready"]
    assert found["reasons"] == []
    assert {name: check["ok"] for name, check in found["checks"].items()} == {
        "database": True,
        "sweeper": True,
        "broker": True,
        "storage": True,
    }
    assert "no-cache" in answer["Cache-Control"]


@pytest.mark.parametrize("age", [timedelta(seconds=61), None])
def test_without_a_sweeper_it_is_not_ready(client, beating, age):
    if age is None:
        Heartbeat.objects.all().delete()
    else:
        Heartbeat.objects.update(beat_at=timezone.now() - age)
    status, found = ready(client)
    assert status == 503
    assert "sweeper" in found["reasons"][0]


def test_without_storage_it_is_not_ready(client, beating, settings):
    settings.MEDIA_STORAGE = "file:///dev/null/media"
    status, found = ready(client)
    assert status == 503
    assert "storage" in found["reasons"][0]


def test_without_a_database_it_is_not_ready_and_says_so(client, beating):
    def away(execute, sql, params, many, context):
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(away):
        status, found = ready(client)
    assert status == 503
    assert found["reasons"] == ["the database does not answer: OperationalError"]


def test_a_broker_that_is_down_is_told_and_is_no_503(client, beating):
    ours = dramatiq.get_broker()
    dramatiq.set_broker(RedisBroker(url=f"redis://127.0.0.1:{free_port()}/0", middleware=[]))
    try:
        status, found = ready(client)
    finally:
        dramatiq.set_broker(ours)
    assert status == 200
    assert found["checks"]["broker"] == {"ok": False, "what": "the broker does not answer: ConnectionError"}


def test_refused_deliveries_are_told_and_are_no_503(client, beating, settings):
    from platforms import refusals

    refusals._written.clear()
    client.post("/v1/webhooks/daily", data=b"{}", content_type="application/json")
    status, found = ready(client)
    assert (status, found["refused_webhooks"]) == (200, {"daily": 1})


def test_a_check_that_hangs_is_told_and_asked_once():
    asked, release = [], threading.Event()

    def hangs():
        asked.append(1)
        release.wait(20)
        return Finding(ok=True, what="at last")

    check = Check("slow", hangs)
    began = time.monotonic()
    assert check.answer(patience_s=0.1) == Finding(ok=False, what="slow: no answer within 0.1 s")
    assert check.answer(patience_s=0.1) == Finding(ok=False, what="slow: still no answer")
    assert time.monotonic() - began < 2
    assert len(asked) == 1
    release.set()
    deadline = time.monotonic() + 5
    while not check.answer(patience_s=5).ok:
        assert time.monotonic() < deadline


def test_a_check_that_falls_over_is_a_finding():
    assert Check("odd", lambda: 1 / 0).answer() == Finding(ok=False, what="odd: ZeroDivisionError")


# brokers


@pytest.fixture
def black_hole():
    """A port that takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=50)) as server:
        yield server.getsockname()[1]


def kinds_of_broker(port):
    return [
        RedisBroker(url=f"redis://127.0.0.1:{port}/0", middleware=[]),
        RabbitmqBroker(url=f"amqp://guest:guest@127.0.0.1:{port}/", middleware=[]),
    ]


def test_a_frozen_broker_is_found_out_within_two_seconds(black_hole):
    for one in kinds_of_broker(black_hole):
        began = time.monotonic()
        assert not broker.reachable(one).ok
        assert time.monotonic() - began < 2


def test_no_broker_is_found_out():
    for one in kinds_of_broker(free_port()):
        assert not broker.reachable(one).ok


@pytest.mark.redis
def test_redis_is_reachable(redis_url):
    assert broker.reachable(RedisBroker(url=redis_url, middleware=[])).ok


@pytest.mark.rabbitmq
def test_rabbitmq_is_reachable(rabbitmq_url):
    assert broker.reachable(RabbitmqBroker(url=rabbitmq_url, middleware=[])).ok


def test_recordings_and_broker_have_registered():
    assert {"broker", "storage", "transcriber"} <= {check.name for check in health.checks()}
