"""Stops a process at a given point, once, and counts what receivers did.

``CRASH_AT`` is ``before:dotted.path`` or ``after:dotted.path`` of a function, spelt as its caller finds it. The first
time that a process gets there it writes the file ``CRASH_FLAG`` and stays, until somebody kills it. Who comes later,
in any process, passes. Several points, with commas between them, stop one thread each (the second one writes
``CRASH_FLAG`` with ``.1`` behind it): so one kill hits several rows, each in the middle of another step.

``COUNT`` holds dotted paths of functions, with commas: each call adds a line to the file ``COUNT_FILE``. ``DIE_AT`` is
the dotted path of a function whose first argument is a file: when that begins with ``POISON``, the process dies of it.
"""

import functools
import os
import signal
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import AppConfig

POISON = b"poison"


class CrashingConfig(AppConfig):
    name = "tests.crashing"
    label = "crashing"

    def ready(self) -> None:
        from platforms.signals import platform_event

        platform_event.connect(count_effect, dispatch_uid="tests.crashing")
        for number, at in enumerate(_listed("CRASH_AT")):
            when, _, path = at.partition(":")
            stop_at(when, path, Path(os.environ["CRASH_FLAG"] + (f".{number}" if number else "")))
        for path in _listed("COUNT"):
            count_calls(path)
        for path in _listed("DIE_AT"):
            die_at(path)


def _listed(variable: str) -> list[str]:
    return [word for word in os.environ.get(variable, "").split(",") if word]


def count_effect(sender: object, *, event: Any, **_: Any) -> list[tuple[str, str]]:
    """One more effect of this room's event, in a row that is written in the receiver's transaction."""
    from platforms.models import Heartbeat

    row, _created = Heartbeat.objects.get_or_create(name=f"effect:{event.room_name}"[:64])
    row.state = {"count": row.state.get("count", 0) + 1}
    row.save()
    return [("platforms.Heartbeat", row.pk)]


def stop_at(when: str, path: str, flag: Path) -> None:
    owner, name = _owner(path)
    function = getattr(owner, name)

    @functools.wraps(function)
    def stopping(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            stay_if_first(flag)
        answer = function(*args, **kwargs)
        if when == "after":
            stay_if_first(flag)
        return answer

    setattr(owner, name, stopping)


def count_calls(path: str) -> None:
    owner, name = _owner(path)
    function = getattr(owner, name)

    @functools.wraps(function)
    def counting(*args: Any, **kwargs: Any) -> Any:
        with Path(os.environ["COUNT_FILE"]).open("a") as file:
            file.write(f"{path}\n")
        return function(*args, **kwargs)

    setattr(owner, name, counting)


def die_at(path: str) -> None:
    owner, name = _owner(path)
    function = getattr(owner, name)

    @functools.wraps(function)
    def dying(file: Any, *args: Any, **kwargs: Any) -> Any:
        if Path(file).read_bytes().startswith(POISON):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(file, *args, **kwargs)

    setattr(owner, name, dying)


def stay_if_first(flag: Path) -> None:
    try:
        flag.open("x").close()
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
