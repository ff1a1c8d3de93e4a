"""The web server as it is shipped, and senders that are slow, chunked or too long."""

import socket
import sqlite3
import threading
import time
from contextlib import ExitStack, closing

import pytest

from platforms.views import MOST_BYTES
from tests.crash import Installation
from tests.platforms.test_door import JOINED
from tests.services import free_port
from tests.signing import signed

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """Only the web server; nobody answers at the broker's address."""
    broker_url = f"redis://127.0.0.1:{free_port()}/0"
    with Installation(tmp_path_factory.mktemp("web"), broker_url=broker_url) as installation:
        installation.start_web()
        yield installation


def connect(product, stack):
    connection = stack.enter_context(closing(socket.create_connection(("127.0.0.1", product.port), timeout=20)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def head(body, *lines, length=True, **how):
    headers = [f"{name}: {value}" for name, value in signed("daily", body, **how).items()]
    if length:
        headers.append(f"Content-Length: {len(body)}")
    lines = ["POST /v1/webhooks/daily HTTP/1.1", "Host: 127.0.0.1", *headers, *lines, "", ""]
    return "\r\n".join(lines).encode()


def status(connection):
    """Of the answer that comes next."""
    with connection.makefile("rb") as answer:
        return int(answer.readline().split()[1])


def kept(product):
    return [bytes(body) for (body,) in product.rows("SELECT body FROM platforms_webhookevent ORDER BY id")]


@pytest.mark.parametrize("slow_with", ["headers", "bodies"])
def test_forty_senders_of_a_byte_a_second_hold_up_nobody(product, slow_with):
    body = b'{"slow": true}'
    stop = threading.Event()
    with ExitStack() as stack:
        slow = [connect(product, stack) for _ in range(40)]
        drip = head(body) if slow_with == "headers" else body
        if slow_with == "bodies":
            for connection in slow:
                connection.sendall(head(body))

        def dripping():
            for position in range(len(drip) - 1):  # the last byte never comes
                for connection in slow:
                    connection.sendall(drip[position : position + 1])
                if stop.wait(1):
                    return

        sender = threading.Thread(target=dripping)
        sender.start()
        try:
            time.sleep(2)
            took = []
            for number in range(5):
                began = time.monotonic()
                assert product.deliver("daily", b'{"%s": %d}' % (slow_with.encode(), number)) == 200
                took.append(time.monotonic() - began)
                time.sleep(0.5)
        finally:
            stop.set()
            sender.join()
    assert max(took) < 1, took
    assert body not in kept(product)


def test_more_connections_than_threads_are_all_answered(product):
    with ExitStack() as stack:
        for _ in range(300):
            connect(product, stack).sendall(b"POST /v1/webhooks/daily HTTP/1.1\r\n")
        began = time.monotonic()
        assert product.deliver("daily", b'{"after": 300}') == 200
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("sizes", [[1], [7, 1000], [65536]], ids=str)
def test_a_chunked_body_arrives_whole(product, sizes):
    body = b'{"chunks": "%s", "filler": "%s"}' % (str(sizes).encode(), b"x" * 3000)
    with ExitStack() as stack:
        connection = connect(product, stack)
        connection.sendall(head(body, "Transfer-Encoding: chunked", length=False))
        position = turn = 0
        while position < len(body):
            part = body[position : position + sizes[turn % len(sizes)]]
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            position, turn = position + len(part), turn + 1
        connection.sendall(b"0\r\n\r\n")
        assert status(connection) == 200
    assert kept(product)[-1] == body


def test_a_long_body_is_answered_413_before_it_is_sent(product):
    with ExitStack() as stack:
        connection = connect(product, stack)
        began = time.monotonic()
        connection.sendall(head(b"", f"Content-Length: {MOST_BYTES + 1}", length=False))
        assert status(connection) == 413
        assert time.monotonic() - began < 2


def test_a_long_chunked_body_is_cut_off_at_the_limit(product):
    with ExitStack() as stack:
        connection = connect(product, stack)
        connection.sendall(head(b"", "Transfer-Encoding: chunked", length=False))
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        sent = 0
        try:
            while sent < 8 * MOST_BYTES:
                connection.sendall(chunk)
                sent += 65536
        except OSError:
            pass  # it has hung up, which is right
        else:
            pytest.fail("eight times the limit was taken")
    assert product.get("/healthz") == 200


def test_exactly_the_limit_is_taken(product):
    body = b'"' + b"x" * (MOST_BYTES - 2) + b'"'
    assert product.deliver("daily", body) == 200
    assert kept(product)[-1] == body


def test_a_locked_database_is_answered_503_after_two_seconds_and_then_it_goes_on(product):
    path = product.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ExitStack() as stack:
            connection = connect(product, stack)
            began = time.monotonic()
            connection.sendall(head(JOINED["daily"]) + JOINED["daily"])
            answer = connection.recv(4096)
            took = time.monotonic() - began
        assert answer.split()[1] == b"503"
        assert b"retry-after: 10" in answer.lower()
        assert 1.5 < took < 4
        assert product.get("/healthz") == 200
        other.execute("ROLLBACK")
    assert product.deliver("daily", JOINED["daily"]) == 200
    assert kept(product)[-1] == JOINED["daily"]
