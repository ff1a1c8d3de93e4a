"""Where files lie while they are on their way: below ``VAR_DIR``, cleared of what killed processes left there."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

#: longer than any work on a file may take (``recordings.tasks``)
LONGEST_USE_S = 6 * 3600


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """A new folder for as long as the context lasts. ``name`` (a file name) says whose files are in it."""
    parent = _parent()
    for left in parent.iterdir():
        if time.time() - _changed_at(left) > LONGEST_USE_S:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=parent, ignore_cleanup_errors=True) as made:
        yield Path(made)


def clear(name: str) -> None:
    """Delete what was left under this name. For whoever holds the lease: nobody else may be using it."""
    for left in _parent().glob(f"{name}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _parent() -> Path:
    parent = Path(settings.VAR_DIR) / "scratch"
    parent.mkdir(parents=True, exist_ok=True)
    return parent


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
