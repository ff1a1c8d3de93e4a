"""The servers that tests stand on are real, ours alone, and gone afterwards."""

import psycopg
import pytest
import redis

from tests import services


@pytest.mark.postgres
def test_postgres_is_a_database_of_our_own(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    assert name.startswith("reflector_")


@pytest.mark.redis
def test_redis_is_empty_and_may_be_flushed(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


@pytest.mark.redis
def test_valkey_of_a_test_ends_with_it() -> None:
    with services.own_valkey() as address, redis.Redis.from_url(address) as client:
        port = client.connection_pool.connection_kwargs["port"]
        assert client.ping()
    assert not services.listens(port)


@pytest.mark.rabbitmq
def test_rabbitmq_takes_a_message(rabbitmq_url: str) -> None:
    import pika

    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url))
    channel = connection.channel()
    channel.queue_declare("probe", exclusive=True)
    channel.basic_publish("", "probe", b"1")
    assert channel.basic_get("probe", auto_ack=True)[2] == b"1"
    connection.close()


def test_outside_cannot_be_reached() -> None:
    import socket

    with pytest.raises(AssertionError, match=r"192\.0\.2\.1"), socket.socket() as outside:
        outside.connect(("192.0.2.1", 80))
