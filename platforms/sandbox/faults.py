"""What goes wrong on purpose. Set through the control API, kept across restarts, per platform."""

from __future__ import annotations

import copy
from typing import Any

from platforms.sandbox.store import Doc, Store

#: name -> value when nothing is wrong. Counts go down as they are used.
DEFAULTS: dict[str, Any] = {
    "down": False,  # every request, call pages included, answers 503
    "requests": [],  # [{operation, status?, times, hang_s, retry_after_s?, after}] for the next calls
    "rate_limits": False,  # the provider's documented limits
    "delay_s": 0.0,  # webhooks are sent this much later
    "duplicates": 0,  # extra copies of every webhook
    "duplicate_ids": "same",  # "same" | "new" event id in the copies
    "reorder": 0,  # webhooks are collected in groups of this size and sent backwards
    "reorder_wait_s": 5.0,  # an incomplete group is sent after this
    "drop": 0,  # the next N webhooks are never sent
    "drop_types": [],  # nor are webhooks of these types
    "not_hosting": 0,  # the next N recording starts answer 404
    "recording_errors": 0,  # the next N recordings fail on the provider's side
    "recording_delay_s": 0.0,  # a finished recording takes this much longer
    "presence_lag_s": 0.0,  # presence tells the past
    "meeting_ended_delay_s": 20.0,  # facts B1: about 20 s late
    "session_ended_delay_s": 20.0,  # fewer than two people "for some time"
    "retry_base_s": 2.0,  # first wait of the exponential retries
}


class Faults:
    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, platform: str) -> Doc:
        saved = self._store.get("faults", platform) or {}
        return {**copy.deepcopy(DEFAULTS), **saved, "id": platform}

    def set(self, platform: str, changes: Doc) -> Doc:
        """Raises ValueError for a name that does not exist or a value of another type."""
        with self._store.lock:
            faults = self.of(platform)
            for name, value in changes.items():
                if name not in DEFAULTS:
                    raise ValueError(f"unknown fault: {name}")
                default = DEFAULTS[name]
                number = isinstance(default, int | float) and not isinstance(default, bool)
                fits = isinstance(value, int | float) if number else isinstance(value, type(default))
                if not fits or (number and isinstance(value, bool)):
                    raise ValueError(f"{name} takes a {type(default).__name__}")
                faults[name] = value
            return self._store.put("faults", faults)

    def take(self, platform: str, name: str) -> bool:
        """Use up one of a count. True when there was one."""
        with self._store.lock:
            faults = self.of(platform)
            if faults[name] <= 0:
                return False
            faults[name] -= 1
            self._store.put("faults", faults)
            return True

    def take_request(self, platform: str, operation: str) -> Doc | None:
        """The fault for this call, if one is set for its operation or for ``*``."""
        with self._store.lock:
            faults = self.of(platform)
            for fault in faults["requests"]:
                if fault.get("operation", "*") in ("*", operation) and fault.get("times", 1) > 0:
                    fault["times"] = fault.get("times", 1) - 1
                    faults["requests"] = [each for each in faults["requests"] if each.get("times", 1) > 0]
                    self._store.put("faults", faults)
                    return dict(fault)
        return None

    def reset(self, platform: str) -> None:
        self._store.delete("faults", platform)
