"""The answer to a provider does not wait for the broker, whatever state that is in."""

import socket
import time
from contextlib import closing

import dramatiq
import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

from platforms.models import WebhookEvent
from platforms.tasks import interpret_webhook_event
from platforms.work import Waker, wake, waker
from reflector_project.broker import broker_and_options
from tests.services import free_port


def silent():
    """Takes connections and never says a word."""
    return socket.create_server(("127.0.0.1", 0), backlog=200)


@pytest.fixture(params=["redis refused", "redis silent", "amqp refused", "amqp silent"])
def dead_broker(request):
    scheme, how = request.param.split()
    with closing(silent()) as server:
        port = server.getsockname()[1] if how == "silent" else free_port()
        url = f"redis://127.0.0.1:{port}/0" if scheme == "redis" else f"amqp://guest:guest@127.0.0.1:{port}/"
        path, options = broker_and_options(url)
        broker = (RedisBroker if path.endswith("RedisBroker") else RabbitmqBroker)(middleware=[], **options)
        ours = dramatiq.get_broker()
        broker.declare_actor(ours.get_actor("interpret_webhook_event"))
        dramatiq.set_broker(broker)
        yield broker
        dramatiq.set_broker(ours)
        interpret_webhook_event.broker = ours


@pytest.mark.django_db(transaction=True)
def test_a_dead_broker_neither_slows_nor_fails_the_answer(dead_broker, post):
    interpret_webhook_event.broker = dead_broker
    slowest = 0.0
    for number in range(20):
        began = time.monotonic()
        assert post("daily", b'{"n": %d}' % number).status_code == 200
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 0.5
    assert WebhookEvent.objects.count() == 20


def test_a_burst_is_sent_whole_and_in_order(calls):
    for number in range(500):
        waker.put("interpret_webhook_event", number)
    assert calls() == [("interpret_webhook_event", str(number)) for number in range(500)]


def test_too_many_calls_are_dropped_not_kept():
    small = Waker(most=2)
    for number in range(10):
        small._calls.qsize() < 2 and small._calls.put_nowait(("interpret_webhook_event", number))
    began = time.monotonic()
    for number in range(1000):
        small.put("interpret_webhook_event", number)
    assert time.monotonic() - began < 1


def test_a_broker_that_refuses_is_told_apart_from_a_call_that_was_sent(calls):
    ours = dramatiq.get_broker()
    assert wake("interpret_webhook_event", 1)
    nobody = RedisBroker(url=f"redis://127.0.0.1:{free_port()}/0?socket_connect_timeout=1", middleware=[])
    nobody.declare_actor(ours.get_actor("interpret_webhook_event"))
    interpret_webhook_event.broker = nobody
    dramatiq.set_broker(nobody)
    try:
        assert not wake("interpret_webhook_event", 1)
    finally:
        dramatiq.set_broker(ours)
        interpret_webhook_event.broker = ours
