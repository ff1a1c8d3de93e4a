"""What both REST doors share: bad weather on purpose, and a JSON body that may be anything."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from platforms.sandbox.clock import Clock
from platforms.sandbox.faults import Faults

#: operations that the next-calls faults leave alone
_NEVER = frozenset({"static"})


def body() -> dict[str, Any]:
    """The request's JSON object; an empty one when there is none or it is something else."""
    found = request.get_json(silent=True)
    return found if isinstance(found, dict) else {}


class Limits:
    """Sliding windows: at most ``count`` calls in ``seconds`` per name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: dict[str, deque[float]] = {}

    def over(self, name: str, count: int, seconds: float) -> float:
        """0 when the call is within the limit (and counted), else the seconds until one is free."""
        now, calls = self._clock.now(), self._calls.setdefault(name, deque())
        while calls and calls[0] <= now - seconds:
            calls.popleft()
        if len(calls) >= count:
            return calls[0] + seconds - now
        calls.append(now)
        return 0.0


def install_faults(
    blueprint: Blueprint,
    platform: str,
    faults: Faults,
    answer: Callable[[int, float | None], Response],
) -> None:
    """``answer(status, retry_after_s)`` makes the provider's error shape.

    A fault with ``after`` lets the call happen and spoils only its answer: the way a create that timed out looks.
    """

    @blueprint.before_request
    def spoil() -> Response | None:
        operation = (request.endpoint or "").rsplit(".", 1)[-1]
        if operation in _NEVER:
            return None
        if faults.of(platform)["down"]:
            return answer(503, None)
        fault = faults.take_request(platform, operation)
        if fault is None:
            return None
        if fault.get("after"):
            g.spoil_after = fault
            return None
        time.sleep(float(fault.get("hang_s", 0)))
        return answer(int(fault["status"]), fault.get("retry_after_s")) if fault.get("status") else None

    @blueprint.after_request
    def spoil_answer(response: Response) -> Response:
        fault = g.pop("spoil_after", None)
        if fault is None:
            return response
        time.sleep(float(fault.get("hang_s", 0)))
        return answer(int(fault["status"]), fault.get("retry_after_s")) if fault.get("status") else response


def error(status: int, payload: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    response = jsonify(payload)
    response.status_code = status
    response.headers.update(headers or {})
    return response
