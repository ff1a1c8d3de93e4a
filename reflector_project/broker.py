"""Which broker carries wake-up calls, from one URL."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

REDIS_SCHEMES = ("redis", "rediss", "unix")
RABBITMQ_SCHEMES = ("amqp", "amqps")
#: messages stay in the process: unit tests, and a URL that cannot be used, which a system check then tells
IN_PROCESS: tuple[str, dict[str, object]] = ("dramatiq.brokers.stub.StubBroker", {})


def broker_and_options(url: str) -> tuple[str, dict[str, object]]:
    """Dotted path of the broker class, and its options."""
    if broker_problem(url) or url.startswith("stub:"):
        return IN_PROCESS
    # both libraries read time-outs from the URL only; seconds. What stands there already wins.
    if urlsplit(url).scheme in RABBITMQ_SCHEMES:
        url = _with(url, socket_timeout=3, stack_timeout=5, blocked_connection_timeout=10)
        return "dramatiq.brokers.rabbitmq.RabbitmqBroker", {"url": url, "confirm_delivery": True}
    url = _with(url, socket_connect_timeout=2, socket_timeout=5)
    # killed workers' messages are looked for on every tenth command, not on every thousandth
    options: dict[str, object] = {"url": url, "maintenance_chance": 100_000, "heartbeat_timeout": 15_000}
    return "dramatiq.brokers.redis.RedisBroker", options


def _with(url: str, **options: int) -> str:
    given = {name for name, _ in parse_qsl(urlsplit(url).query)}
    for name, value in options.items():
        if name not in given:
            url += f"{'&' if '?' in url else '?'}{name}={value}"
    return url


def broker_problem(url: str) -> str:
    """What is wrong with the URL, as the end of a sentence that begins with BROKER_URL; empty when nothing is."""
    try:
        parts = urlsplit(url)
        has_host, _ = bool(parts.hostname), parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme == "stub":
        return ""
    if parts.scheme not in (*REDIS_SCHEMES, *RABBITMQ_SCHEMES):
        return "is neither redis://… nor amqp://…"
    if parts.scheme == "unix":
        return "" if parts.path else "names no socket"
    if not has_host:
        return "names no host"
    if parts.scheme in ("redis", "rediss") and not parts.path.strip("/").isdigit() and parts.path.strip("/"):
        return "does not end in the number of a database, such as /0"
    return ""
