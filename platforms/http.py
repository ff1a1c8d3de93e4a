"""One way to speak HTTP to a provider: time-outs always, pooled connections, rate budgets, our two errors.

Error texts name the platform, the operation and the provider's own error word; never a URL, a header or a body.
"""

from __future__ import annotations

import email.utils
import http.cookiejar
import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from platforms.base import Download, PlatformRefused, PlatformUnavailable
from platforms.metrics import meter
from platforms.text import Unreadable, mapping, number, read_json, text

logger = logging.getLogger(__name__)

Budgets = Mapping[str, tuple[int, float]]  #: operation → (requests or points, per seconds)

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 15.0
#: how long one request may keep its caller waiting for a budget or a Retry-After before it gives up
MAX_WAIT_S = 2.0
MAX_ANSWER_BYTES = 16 * 2**20
CHUNK_BYTES = 256 * 1024
MAX_REDIRECTS = 3


class OutcomeUnknown(PlatformUnavailable):
    """The request was sent and may have been carried out: no answer, a broken one, or a 5xx."""


class SlowDown(PlatformUnavailable):
    """The provider answered 429."""


class Window:
    """At most ``size`` tokens in any ``per_s`` seconds, as providers count. Shared by the threads of one process."""

    def __init__(self, size: int, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = float(size)
        self._per_s = per_s
        self._clock = clock
        self._taken: deque[tuple[float, float]] = deque()  #: (when, how many), oldest first
        self._lock = threading.Lock()

    def take(self, cost: float = 1, *, keep: float = 0) -> float:
        """Take ``cost`` tokens if ``keep`` remain after it: 0.0, or the seconds until it would work (none taken)."""
        with self._lock:
            now = self._clock()
            while self._taken and self._taken[0][0] + self._per_s <= now:
                self._taken.popleft()
            missing = sum(tokens for _, tokens in self._taken) + min(cost + keep, self.size) - self.size
            if missing <= 0:
                self._taken.append((now, cost))
                return 0.0
            wait_s = 0.0
            for at, tokens in self._taken:
                missing -= tokens
                wait_s = at + self._per_s - now
                if missing <= 0:
                    break
            return wait_s


class Bearer(AuthBase):
    """Sets the header itself, so that a ``.netrc`` of the machine cannot replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any  #: parsed JSON; None when empty


class Http:
    """Requests to one provider's API. Safe to share between threads.

    ``budgets`` names operations; one that is not named uses ``default``. Status 429 is repeated once when the
    provider's ``Retry-After`` is short; GETs are repeated once when the connection broke; nothing else is repeated.
    Calls are counted under ``platform``, a slug; without one they are not.
    """

    def __init__(
        self,
        *,
        label: str,
        base_url: str,
        token: str,
        platform: str = "",
        budgets: Budgets | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        max_wait_s: float = MAX_WAIT_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.label = label
        self.platform = platform
        self.base_url = base_url.rstrip("/")
        #: seconds that our clock is ahead of the provider's, by its last answer
        self.clock_ahead_s: float | None = None
        self._timeout = (connect_timeout_s, read_timeout_s)
        self._max_wait_s = max_wait_s
        self._sleep = sleep
        self._clock = clock
        self._session = _session()
        self._session.auth = Bearer(token)
        self.set_budgets(budgets or {})

    def set_budgets(self, budgets: Budgets) -> None:
        self.budgets = dict(budgets)
        self._windows = {name: Window(size, per_s, self._clock) for name, (size, per_s) in budgets.items()}

    def request(
        self,
        method: str,
        path: str,
        *,
        operation: str = "default",
        cost: float = 1,
        keep: float = 0,
        accept: tuple[int, ...] = (),
        **options: Any,
    ) -> Answer:
        """One call; ``options`` are those of ``requests`` (``json``, ``params``, ``files``).

        2xx and the statuses in ``accept`` are answers. ``keep`` leaves that many tokens to more important callers: a
        call with ``keep`` never waits. Raises ``PlatformUnavailable`` (as ``OutcomeUnknown`` where the provider may
        have acted) or ``PlatformRefused``.
        """
        self._wait_for_budget(operation, cost, keep)
        try:
            return self._exchange(method, path, operation, cost, accept, options)
        except SlowDown as slow:
            wait_s = slow.retry_after_s
            if wait_s is None or wait_s > self._max_wait_s or keep:
                raise PlatformUnavailable(
                    f"{self.label} asks us to slow down ({operation})", retry_after_s=wait_s
                ) from None
        self._sleep(wait_s)
        self._wait_for_budget(operation, cost, keep)
        return self._exchange(method, path, operation, cost, accept, options)

    def _wait_for_budget(self, operation: str, cost: float, keep: float) -> None:
        window = self._windows.get(operation) or self._windows.get("default")
        waited = 0.0
        while window and (wait_s := window.take(cost, keep=keep)):
            if keep or waited + wait_s > self._max_wait_s:
                self._count(operation, "held", 0)
                raise PlatformUnavailable(
                    f"our own request budget for {self.label} is used up ({operation})", retry_after_s=wait_s
                )
            self._sleep(wait_s)
            waited += wait_s

    def _exchange(
        self,
        method: str,
        path: str,
        operation: str,
        cost: float,
        accept: tuple[int, ...],
        options: Mapping[str, Any],
    ) -> Answer:
        """One request and its answer, counted."""
        started = self._clock()
        outcome, said = "failed", ""
        try:
            status, headers, content = self._send(method, path, operation, options)
            answer = self._answer(status, headers, content, operation, accept)
            outcome = "ok"
            return answer
        except PlatformRefused as error:
            outcome, said = "refused", str(error)
            raise
        except SlowDown as error:
            outcome, said = "throttled", str(error)
            raise
        except PlatformUnavailable as error:
            said = str(error)
            raise
        finally:
            self._count(operation, outcome, cost, self._clock() - started, said)

    def _count(self, operation: str, outcome: str, cost: float, seconds: float = 0.0, said: str = "") -> None:
        if self.platform:
            meter.note(self.platform, operation, outcome, seconds=seconds, cost=cost, error=said)

    def _send(
        self, method: str, path: str, operation: str, options: Mapping[str, Any]
    ) -> tuple[int, Mapping[str, str], bytes]:
        tries = 2 if method == "GET" else 1
        while True:
            tries -= 1
            try:
                with self._session.request(
                    method, self.base_url + path, timeout=self._timeout, allow_redirects=False, stream=True, **options
                ) as response:
                    self._compare_clocks(response.headers)
                    return response.status_code, response.headers, self._read(response, operation)
            except requests.ConnectTimeout:
                raise PlatformUnavailable(f"{self.label} cannot be reached ({operation})") from None
            except requests.Timeout:
                raise OutcomeUnknown(f"{self.label} did not answer in time ({operation})") from None
            except requests.ConnectionError as error:
                if tries:
                    continue
                unsent = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
                kind = PlatformUnavailable if unsent else OutcomeUnknown
                raise kind(f"no connection to {self.label} ({operation})") from None
            except requests.RequestException as error:
                name = type(error).__name__
                raise OutcomeUnknown(f"the answer of {self.label} broke off ({operation}, {name})") from None

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        """``Date`` is cut to whole seconds, so half of one is added."""
        then = http_date(headers.get("Date", ""))
        if then is not None:
            self.clock_ahead_s = time.time() - (then + 0.5)

    def _read(self, response: requests.Response, operation: str) -> bytes:
        """The body, with a cap on its size and on the time it may trickle in."""
        content = bytearray()
        deadline = self._clock() + 2 * self._timeout[1]
        for chunk in response.iter_content(CHUNK_BYTES):
            content += chunk
            if len(content) > MAX_ANSWER_BYTES or self._clock() > deadline:
                raise OutcomeUnknown(f"the answer of {self.label} is too large or too slow ({operation})")
        return bytes(content)

    def _answer(
        self, status: int, headers: Mapping[str, str], content: bytes, operation: str, accept: tuple[int, ...]
    ) -> Answer:
        try:
            body = read_json(content) if content.strip() else None
        except Unreadable:
            if 200 <= status < 300:
                raise OutcomeUnknown(f"the answer of {self.label} is not JSON ({operation})") from None
            body = None
        if 200 <= status < 300 or status in accept:
            return Answer(status, body)
        code, said = _error_words(body)
        message = f"{self.label} answered {status}{f' {code}' if code else ''} ({operation})" + (
            f": {said}" if said else ""
        )
        if status == 429:
            raise SlowDown(message, retry_after_s=_retry_after(headers, content))
        if status in (408, 425) or status >= 500:
            raise OutcomeUnknown(message, retry_after_s=_retry_after(headers, content))
        raise PlatformRefused(message, status=status, code=code)


def _session() -> requests.Session:
    session = requests.Session()
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=32, max_retries=0))
    return session


def _error_words(body: Any) -> tuple[str, str]:
    """The provider's (stable error word, explanation). Explanations with an address in them are left out."""
    fields = mapping(body)
    code, said = text(fields.get("error"), 200), text(fields.get("info"), 200)
    if " " in code:  # a sentence, not a word
        code, said = "", said or code
    return code[:80], "" if "://" in said else said


def http_date(value: str) -> float | None:
    """A header's date as Unix seconds; None when it is none."""
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, TypeError, OverflowError):
        return None


def _retry_after(headers: Mapping[str, str], content: bytes) -> float | None:
    """Seconds, from ``Retry-After`` (number or HTTP date) or from a ``data.msLeft`` in the body."""
    value = headers.get("Retry-After", "").strip()
    wait_s = number(value) if value else None
    if wait_s is None and (then := http_date(value)) is not None:
        wait_s = then - time.time()
    if wait_s is None and content[:1] == b"{":
        try:
            left_ms = number(mapping(mapping(json.loads(content)).get("data")).get("msLeft"))
        except (ValueError, RecursionError):
            left_ms = None
        wait_s = None if left_ms is None else left_ms / 1000
    return None if wait_s is None or not math.isfinite(wait_s) else min(max(wait_s, 0.0), 86_400.0)


@contextmanager
def open_link(label: str, url: str, *, allow_http: bool, timeout_s: float = 30.0) -> Iterator[Download]:
    """Stream a file from an access link that the provider's API gave us; no credentials are sent.

    Redirects are followed only to https (http where the API itself is on http). Raises our two errors, also in the
    middle of the stream.
    """
    session = _session()
    session.trust_env = False
    try:
        response = _follow(session, label, url, allow_http, timeout_s)
        size = response.headers.get("Content-Length", "")
        yield Download(
            chunks=_chunks(label, response),
            size=int(size) if size.isdecimal() and len(size) < 20 else None,
            content_type=response.headers.get("Content-Type", ""),
        )
    finally:
        session.close()


def _follow(session: requests.Session, label: str, url: str, allow_http: bool, timeout_s: float) -> requests.Response:
    for _ in range(MAX_REDIRECTS + 1):
        scheme = urlsplit(url).scheme
        if scheme != "https" and not (allow_http and scheme == "http"):
            raise PlatformRefused(f"{label} gave a download link that is not https")
        try:
            response = session.get(
                url,
                timeout=(CONNECT_TIMEOUT_S, timeout_s),
                allow_redirects=False,
                stream=True,
                headers={"Accept-Encoding": "identity"},
            )
        except requests.RequestException as error:
            raise PlatformUnavailable(f"a download from {label} failed ({type(error).__name__})") from None
        if response.status_code == 200:
            return response
        response.close()
        if response.is_redirect:
            url = urljoin(url, response.headers["Location"])
            continue
        message = f"a download from {label} was answered {response.status_code}"
        if response.status_code == 429 or response.status_code >= 500:
            raise PlatformUnavailable(message)
        raise PlatformRefused(message, status=response.status_code)
    raise PlatformRefused(f"a download link of {label} is redirected too often")


def _chunks(label: str, response: requests.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_content(CHUNK_BYTES)
    except requests.RequestException as error:
        raise PlatformUnavailable(f"a download from {label} broke off ({type(error).__name__})") from None
