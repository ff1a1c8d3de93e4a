"""Whisper on this machine, by the optional package ``faster-whisper`` (``requirements-whisper.txt``).

``TRANSCRIBER_MODEL`` is a size ("small", the default; "large-v3") or a folder with a CTranslate2 model. A size is
downloaded on first use. Its voice filter is always on: without it Whisper says "You" to pure silence.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from platforms.base import Problem
from recordings.media import Piece
from recordings.transcribers.base import Segment, Transcriber, TranscriberRefused, TranscriberUnavailable
from recordings.transcribers.languages import knows, whisper_code

INSTALL = "pip install -r requirements-whisper.txt"

_lock = threading.Lock()
_loaded: dict[tuple[int, str], Any] = {}  #: (process id, model): a model loaded before a fork hangs in the child


class FasterWhisperTranscriber(Transcriber):
    name = "faster-whisper"

    def __init__(self, *, url: str = "", api_key: str = "", model: str = "") -> None:
        super().__init__(url=url, api_key=api_key, model=model or "small")

    def supports(self, language: str) -> bool:
        return knows(self.model, language)

    def limits(self) -> str:
        return f"the model {self.model} does not know this language"

    def segments(self, pieces: Iterator[Piece], language: str) -> Iterator[Segment]:
        for piece in pieces:
            with _lock:  # the engine's answer is lazy: it computes while it is read
                found = list(_found(_model(self.model), piece, language))
            yield from found

    def problems(self) -> list[Problem]:
        if find_spec("faster_whisper") is None:
            return [Problem(variable="TRANSCRIBER", message="faster-whisper is not installed", hint=INSTALL)]
        return []


def _found(model: Any, piece: Piece, language: str) -> Iterator[Segment]:
    sound = piece.samples.astype("float32") / 32768.0
    try:
        rows, _info = model.transcribe(sound, language=whisper_code(language) or None, vad_filter=True)
        for row in rows:
            text = " ".join(row.text.split())
            if text:
                start, end = piece.start_ms + round(row.start * 1000), piece.start_ms + round(row.end * 1000)
                confidence = round(math.exp(min(row.avg_logprob, 0.0)), 3)
                yield Segment(start, max(min(end, piece.end_ms), start), text, confidence)
    except RuntimeError as error:
        raise TranscriberUnavailable("faster-whisper failed on a piece of speech") from error


def _model(name: str) -> Any:
    """The model, loaded on first use in this process. Call with the lock held."""
    key = (os.getpid(), name)
    if key in _loaded:
        return _loaded[key]
    try:
        # by name, because type checkers do not find what is not installed
        engine = import_module("faster_whisper").WhisperModel
    except ImportError as error:
        raise TranscriberRefused(f"faster-whisper is not installed: {INSTALL}") from error
    try:
        model = engine(name, device="auto", compute_type="int8")
    except ValueError as error:
        raise TranscriberRefused(f"faster-whisper has no model {name!r}") from error
    except (OSError, RuntimeError) as error:
        raise TranscriberUnavailable(
            f"faster-whisper could not load or download its model {name!r} ({type(error).__name__})"
        ) from error
    _loaded.clear()
    _loaded[key] = model
    return model
