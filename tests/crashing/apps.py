"""Stops a process at a given point, once, and counts what receivers did.

``CRASH_AT`` is ``before:dotted.path`` or ``after:dotted.path`` of a function, spelt as its caller finds it. The first
time that a process gets there it writes the file ``CRASH_FLAG`` and stays, until somebody kills it. Who comes later,
in any process, passes.
"""

import functools
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import AppConfig


class CrashingConfig(AppConfig):
    name = "tests.crashing"
    label = "crashing"

    def ready(self) -> None:
        from platforms.signals import platform_event

        platform_event.connect(count_effect, dispatch_uid="tests.crashing")
        if at := os.environ.get("CRASH_AT"):
            when, _, path = at.partition(":")
            stop_at(when, path)


def count_effect(sender: object, *, event: Any, **_: Any) -> list[tuple[str, str]]:
    """One more effect of this room's event, in a row that is written in the receiver's transaction."""
    from platforms.models import Heartbeat

    row, _created = Heartbeat.objects.get_or_create(name=f"effect:{event.room_name}"[:64])
    row.state = {"count": row.state.get("count", 0) + 1}
    row.save()
    return [("platforms.Heartbeat", row.pk)]


def stop_at(when: str, path: str) -> None:
    owner, name = _owner(path)
    function = getattr(owner, name)

    @functools.wraps(function)
    def stopping(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            stay_if_first()
        answer = function(*args, **kwargs)
        if when == "after":
            stay_if_first()
        return answer

    setattr(owner, name, stopping)


def stay_if_first() -> None:
    try:
        Path(os.environ["CRASH_FLAG"]).open("x").close()
    except FileExistsError:
        return
    time.sleep(600)


def _owner(path: str) -> tuple[Any, str]:
    """The module or class that holds the last name of ``path``."""
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            owner: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:-1]:
            owner = getattr(owner, part)
        return owner, parts[-1]
    raise LookupError(path)
