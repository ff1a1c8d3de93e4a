"""What ``serve`` tells waitress, tried on waitress itself."""

import socket
import threading
from collections.abc import Iterator

import pytest
from waitress.server import create_server

from platforms.management.commands.serve import MAX_BODY, server_options


def count_bytes(environ, start_response):
    """A WSGI application that answers how much of the body it was given."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{len(body)} from {environ['REMOTE_ADDR']} by {environ['wsgi.url_scheme']}".encode()]


@pytest.fixture
def port() -> Iterator[int]:
    server = create_server(count_bytes, host="127.0.0.1", port=0, **server_options(threads=2))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield int(server.effective_port)
    server.close()
    server.task_dispatcher.shutdown()


def ask(port: int, head: str, body: bytes = b"") -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n\r\n".encode() + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer.decode()


def test_exactly_the_largest_body_is_read(port):
    answer = ask(port, f"Content-Length: {MAX_BODY}", b"x" * MAX_BODY)
    assert answer.startswith("HTTP/1.1 200")
    assert f"{MAX_BODY} from" in answer


def test_a_larger_one_is_refused_before_it_is_sent(port):
    assert ask(port, f"Content-Length: {MAX_BODY + 1}").startswith("HTTP/1.1 413")


def test_a_chunked_body_arrives_whole(port):
    answer = ask(port, "Transfer-Encoding: chunked", b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
    assert "11 from" in answer


def test_a_chunked_body_without_end_is_refused(port):
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert ask(port, "Transfer-Encoding: chunked", piece * 16).startswith("HTTP/1.1 413")


def test_forwarded_addresses_are_not_believed_by_default(port):
    head = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nContent-Length: 0"
    assert "0 from 127.0.0.1 by http" in ask(port, head)


def test_behind_a_proxy_they_are(settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    server = create_server(count_bytes, host="127.0.0.1", port=0, **server_options(threads=2))
    threading.Thread(target=server.run, daemon=True).start()
    head = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nContent-Length: 0"
    answer = ask(int(server.effective_port), head)
    server.close()
    server.task_dispatcher.shutdown()
    assert "0 from 192.0.2.7 by https" in answer
