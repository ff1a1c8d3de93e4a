"""Asking whether the broker is there, without waiting for one that is not."""

from __future__ import annotations

import socket
from typing import Any

import redis
from dramatiq import Broker
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry

from platforms.base import Finding

PATIENCE_S = 1.0
AMQP_HELLO = b"AMQP\x00\x00\x09\x01"
WHY = "Wake-up calls wait: deliveries and recordings are stored but not worked on until it is back."


def reachable(broker: Broker) -> Finding:
    """Whether the broker's server answers within a second."""
    try:
        if isinstance(broker, RedisBroker):
            _ping_redis(broker)
        elif isinstance(broker, RabbitmqBroker):
            _greet_rabbitmq(broker.parameters)
        else:
            return Finding(ok=True, what="the broker is inside this process")
    except (OSError, redis.RedisError) as error:
        return Finding(
            ok=False,
            what=f"the broker does not answer: {type(error).__name__}",
            why=WHY,
            fix="start it (manage.py runall starts the embedded one), or correct BROKER_URL",
        )
    return Finding(ok=True, what="the broker answers")


def _ping_redis(broker: RedisBroker) -> None:
    ours = broker.client.connection_pool.connection_kwargs
    wanted = {name: ours[name] for name in ("host", "port", "db", "path", "username", "password") if ours.get(name)}
    secure: dict[str, Any] = {"ssl": True} if "SSL" in broker.client.connection_pool.connection_class.__name__ else {}
    if path := wanted.pop("path", None):
        wanted["unix_socket_path"] = path
    client = redis.Redis(
        **wanted,
        **secure,
        socket_connect_timeout=PATIENCE_S,
        socket_timeout=PATIENCE_S,
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        client.ping()


def _greet_rabbitmq(parameters: Any) -> None:
    first = parameters[0] if isinstance(parameters, list) else parameters
    with socket.create_connection((first.host, first.port), timeout=PATIENCE_S) as connection:
        if first.ssl_options is None:  # its first word is enough; behind TLS, that somebody listens
            connection.sendall(AMQP_HELLO)
            if not connection.recv(1):
                raise ConnectionResetError("closed without a word")
