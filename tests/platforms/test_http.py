"""The HTTP layer against a real server on this machine."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from platforms.base import PlatformRefused, PlatformUnavailable
from platforms.http import Budgets, Http, OutcomeUnknown, Window, open_link

Answers = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Runs ``answer`` for each request; ``seen`` is a list of (method, path, headers)."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.answer: Answers = lambda handler: reply(handler, 200, b"{}")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.seen.append((self.command, self.path, dict(self.headers)))
                outer.answer(self)

            do_POST = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    if "Content_Length" not in headers:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


class Sleeper:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.naps: list[float] = []

    def sleep(self, duration_s: float) -> None:
        self.naps.append(duration_s)
        self.now += duration_s

    def clock(self) -> float:
        return self.now


def http_to(url: str, sleeper: Sleeper | None = None, budgets: Budgets | None = None, **how: Any) -> Http:
    sleeper = sleeper or Sleeper()
    return Http(
        label="Provider",
        base_url=url,
        token="the-key",
        budgets=budgets,
        sleep=sleeper.sleep,
        clock=sleeper.clock,
        **how,
    )


def test_answer_is_parsed_and_the_key_is_sent(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, '{"name": "Zoë"}'.encode())
    answer = http_to(server.url).request("GET", "/rooms", params={"limit": 1})
    assert (answer.status, answer.body) == (200, {"name": "Zoë"})
    method, path, headers = server.seen[0]
    assert (method, path, headers["Authorization"]) == ("GET", "/rooms?limit=1", "Bearer the-key")


def test_empty_answer_has_no_body(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 204)
    assert http_to(server.url).request("GET", "/").body is None


def test_connection_is_used_again(server: Server) -> None:
    ports: list[int] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        ports.append(handler.client_address[1])
        handler.close_connection = False
        reply(handler, 200, b"{}")

    server.http.RequestHandlerClass.protocol_version = "HTTP/1.1"  # type: ignore[attr-defined]
    server.answer = answer
    http = http_to(server.url)
    http.request("GET", "/1")
    http.request("GET", "/2")
    assert len(set(ports)) == 1


def test_slow_answer_leaves_the_outcome_unknown(server: Server) -> None:
    release = threading.Event()
    server.answer = lambda handler: release.wait(5) and None
    with pytest.raises(OutcomeUnknown):
        http_to(server.url, read_timeout_s=0.1).request("POST", "/rooms", json={})
    release.set()
    assert len(server.seen) == 1


def test_nobody_listening_means_that_nothing_was_done() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(PlatformUnavailable) as unavailable:
            http_to(f"http://127.0.0.1:{taken.getsockname()[1]}").request("POST", "/rooms", json={})
    assert not isinstance(unavailable.value, OutcomeUnknown)


def test_broken_connection_is_tried_again_for_reading_only(server: Server) -> None:
    server.answer = hang_up
    with pytest.raises(OutcomeUnknown):
        http_to(server.url).request("POST", "/rooms", json={})
    assert len(server.seen) == 1
    with pytest.raises(OutcomeUnknown):
        http_to(server.url).request("GET", "/rooms")
    assert [method for method, _, _ in server.seen] == ["POST", "GET", "GET"]


def test_redirects_are_not_followed(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 302, Location="https://elsewhere.example/")
    with pytest.raises(PlatformRefused) as refused:
        http_to(server.url).request("GET", "/rooms")
    assert refused.value.status == 302


@pytest.mark.parametrize("body", [b"<html>", b"[" * 20_000, b"{"])
def test_answer_that_is_not_json_leaves_the_outcome_unknown(server: Server, body: bytes) -> None:
    server.answer = lambda handler: reply(handler, 200, body)
    with pytest.raises(OutcomeUnknown):
        http_to(server.url).request("POST", "/rooms", json={})


def test_answer_that_breaks_off_leaves_the_outcome_unknown(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b'{"id":', Content_Length="100")
    with pytest.raises(OutcomeUnknown):
        http_to(server.url).request("POST", "/rooms", json={})


def test_refusal_carries_status_and_word_and_no_address(server: Server) -> None:
    body = b'{"error": "invalid-request-error", "info": "see https://provider.example/?t=token"}'
    server.answer = lambda handler: reply(handler, 400, body)
    with pytest.raises(PlatformRefused) as refused:
        http_to(server.url).request("POST", "/rooms", operation="create_room", json={})
    assert (refused.value.status, refused.value.code) == (400, "invalid-request-error")
    assert str(refused.value) == "Provider answered 400 invalid-request-error (create_room)"


@pytest.mark.parametrize(
    ("headers", "body", "wait_s"),
    [
        ({"Retry_After": "1.5"}, b"{}", 1.5),
        ({}, b'{"error": "Rate limit active", "data": {"msLeft": 1200}}', 1.2),
        ({"Retry_After": "Thu, 01 Jan 1970 00:00:00 GMT"}, b"", 0.0),
    ],
)
def test_short_wait_is_waited_once(server: Server, headers: dict[str, str], body: bytes, wait_s: float) -> None:
    sleeper = Sleeper()
    server.answer = lambda handler: reply(handler, 429, body, **headers)
    with pytest.raises(PlatformUnavailable):
        http_to(server.url, sleeper).request("GET", "/")
    assert sleeper.naps == [wait_s]
    assert len(server.seen) == 2


def test_long_or_unknown_wait_is_handed_on(server: Server) -> None:
    sleeper = Sleeper()
    for header, wait_s in (("90", 90.0), ("soon", None), ("inf", None)):
        server.answer = lambda handler, header=header: reply(handler, 429, b"", Retry_After=header)  # type: ignore[misc]
        with pytest.raises(PlatformUnavailable) as unavailable:
            http_to(server.url, sleeper).request("GET", "/")
        assert unavailable.value.retry_after_s == wait_s
    assert sleeper.naps == []


def test_budget_is_waited_for_and_then_given_up(server: Server) -> None:
    sleeper = Sleeper()
    http = http_to(server.url, sleeper, {"default": (100, 1), "start": (2, 2)})
    for _ in range(3):
        http.request("GET", "/", operation="start")
    assert sleeper.naps == [2.0]
    http_slow = http_to(server.url, sleeper, {"start": (1, 60)})
    http_slow.request("GET", "/", operation="start")
    with pytest.raises(PlatformUnavailable) as unavailable:
        http_slow.request("GET", "/", operation="start")
    assert unavailable.value.retry_after_s == pytest.approx(60)
    assert len(server.seen) == 4


def test_background_questions_leave_tokens_for_others(server: Server) -> None:
    sleeper = Sleeper()
    http = http_to(server.url, sleeper, {"default": (10, 60)})
    http.request("GET", "/", operation="sessions", cost=5, keep=4)
    with pytest.raises(PlatformUnavailable):
        http.request("GET", "/", operation="sessions", cost=5, keep=4)
    http.request("POST", "/", operation="create", cost=3, json={})
    assert sleeper.naps == []


def test_window_never_holds_more_than_its_size() -> None:
    sleeper = Sleeper()
    window = Window(10, 5, sleeper.clock)
    taken: list[float] = []
    while sleeper.now < 60:
        if wait_s := window.take():
            sleeper.sleep(wait_s)
        else:
            taken.append(sleeper.now)
            sleeper.sleep(0.1)
    assert max(sum(start <= at < start + 5 for at in taken) for start in taken) == 10
    assert len(taken) == 120  # and all of it is used


def test_window_says_when_there_is_room_for_all_that_is_asked() -> None:
    sleeper = Sleeper()
    window = Window(10, 60, sleeper.clock)
    assert window.take(4) == 0
    sleeper.now = 20
    assert window.take(5) == 0
    assert window.take(3) == pytest.approx(40)  # when the first four are free again
    assert window.take(3, keep=3) == pytest.approx(60)
    assert window.take(1) == 0


def test_window_is_exact_under_threads() -> None:
    window = Window(100, 1e9)
    taken: list[float] = []
    threads = [threading.Thread(target=lambda: taken.extend(window.take() for _ in range(25))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count(0.0) == 100


def test_repeating_after_a_429_counts_too(server: Server) -> None:
    sleeper = Sleeper()
    server.answer = lambda handler: reply(handler, 429, b"{}", Retry_After="1")
    with pytest.raises(PlatformUnavailable):
        http_to(server.url, sleeper, {"default": (1, 2)}).request("GET", "/")
    assert (len(server.seen), sleeper.naps) == (2, [1.0, 1.0])


def test_link_is_streamed_without_our_key(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b"x" * 600_000, Content_Type="video/mp4")
    with open_link("Provider", f"{server.url}/file", allow_http=True) as download:
        assert (download.size, download.content_type) == (600_000, "video/mp4")
        assert sum(map(len, download.chunks)) == 600_000
    assert "Authorization" not in server.seen[0][2]


def test_link_without_tls_is_refused(server: Server) -> None:
    with (
        pytest.raises(PlatformRefused, match="not https"),
        open_link("Provider", f"{server.url}/file", allow_http=False),
    ):
        pass
    assert server.seen == []


def test_link_follows_few_redirects(server: Server) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/first":
            reply(handler, 302, Location="/second")
        elif handler.path == "/second":
            reply(handler, 200, b"bytes")
        else:
            reply(handler, 302, Location="/loop")

    server.answer = answer
    with open_link("Provider", f"{server.url}/first", allow_http=True) as download:
        assert b"".join(download.chunks) == b"bytes"
    with pytest.raises(PlatformRefused, match="too often"), open_link("P", f"{server.url}/loop", allow_http=True):
        pass


def test_link_that_breaks_off_is_told(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b"x" * 10, Content_Length="1000")
    with (
        open_link("Provider", f"{server.url}/file", allow_http=True) as download,
        pytest.raises(PlatformUnavailable, match="broke off"),
    ):
        list(download.chunks)


@pytest.mark.parametrize(
    ("status", "error"), [(403, PlatformRefused), (404, PlatformRefused), (503, PlatformUnavailable)]
)
def test_link_errors_are_ours(server: Server, status: int, error: type[Exception]) -> None:
    server.answer = lambda handler: reply(handler, status)
    with pytest.raises(error), open_link("Provider", f"{server.url}/file?token=x", allow_http=True):
        pass


def test_answer_that_is_too_large_or_trickles_is_given_up(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b" " * (17 * 2**20))
    with pytest.raises(OutcomeUnknown, match="too large or too slow"):
        http_to(server.url).request("GET", "/")
    ticks = iter(range(0, 10_000, 100))
    server.answer = lambda handler: reply(handler, 200, b"{}")
    with pytest.raises(OutcomeUnknown, match="too large or too slow"):
        Http(label="Provider", base_url=server.url, token="k", clock=lambda: float(next(ticks))).request("GET", "/")
