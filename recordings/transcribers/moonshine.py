"""The embedded default: Moonshine's small English model, which comes inside the ``moonshine-voice`` wheel (MIT).

Version 0.1.0 is pinned: later wheels download their weights. About 6 % word errors on read English and 0.04-0.09 of
the speech's own time on two cores. The library's memory grows with what it is given at once, hence pieces of 30 s.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from platforms.base import Problem
from recordings.media import SAMPLE_RATE, Piece
from recordings.transcribers.base import (
    Segment,
    Transcriber,
    TranscriberRefused,
    TranscriberUnavailable,
    primary,
)

#: silence before each piece: the library's voice detector remembers the piece before, and a piece without silence ahead
#: of it would be heard differently depending on that (measured: 7.6 % wrong words the first time, 11.8 % afterwards)
LEAD_MS = 1000
SHORTEST_S = 0.2  #: it hears words in shorter noises

_lock = threading.Lock()  # one model per process, one piece at a time: the machine's cores are its own limit
_loaded: tuple[int, Any] | None = None  #: (process id, model)


class MoonshineTranscriber(Transcriber):
    name = "moonshine"

    def __init__(self, *, url: str = "", api_key: str = "", model: str = "") -> None:
        super().__init__(url=url, api_key=api_key, model=model or "tiny-en")

    def supports(self, language: str) -> bool:
        return primary(language) == "en"

    def limits(self) -> str:
        return "its small model knows English only (set TRANSCRIBER to openai or faster-whisper for other languages)"

    def segments(self, pieces: Iterator[Piece], language: str) -> Iterator[Segment]:
        for piece in pieces:
            lines = [line for line in _lines(piece) if line.text.strip() and line.duration >= SHORTEST_S]
            zero = piece.start_ms - LEAD_MS
            starts = [max(zero + round(line.start_time * 1000), piece.start_ms) for line in lines]
            # its lines overlap by a tenth of a second or so: each ends where the next begins
            limits = [*starts[1:], piece.end_ms][: len(lines)]
            for line, start, limit in zip(lines, starts, limits, strict=True):
                end = min(zero + round((line.start_time + line.duration) * 1000), limit)
                yield Segment(start, max(end, start), " ".join(line.text.split()))

    def problems(self) -> list[Problem]:
        found = []
        if find_spec("moonshine_voice") is None:
            found.append(
                Problem(
                    variable="TRANSCRIBER",
                    message="moonshine-voice is not installed",
                    hint="pip install -r requirements.txt",
                )
            )
        if self.model != "tiny-en":
            found.append(
                Problem(
                    variable="TRANSCRIBER_MODEL",
                    message=f"moonshine has no model {self.model!r} in its package, only tiny-en",
                    hint="Leave TRANSCRIBER_MODEL empty.",
                )
            )
        return found


def _lines(piece: Piece) -> list[Any]:
    from moonshine_voice.errors import MoonshineError

    sound = [0.0] * (LEAD_MS * SAMPLE_RATE // 1000) + (piece.samples.astype("float32") / 32768.0).tolist()
    with _lock:
        try:
            return list(_model().transcribe_without_streaming(sound, SAMPLE_RATE).lines)
        except MoonshineError as error:
            raise TranscriberUnavailable(f"moonshine failed on a piece of speech ({error})") from error


def _model() -> Any:
    """The model, loaded on first use in this process (0.6 s). Call with the lock held."""
    global _loaded
    if _loaded is not None:
        if _loaded[0] != os.getpid():
            # its threads stayed in the parent: here the library would wait for them for ever, loading anew included
            raise TranscriberUnavailable("moonshine was loaded before this process was forked; restart the worker")
        return _loaded[1]
    try:
        from moonshine_voice.moonshine_api import ModelArch
        from moonshine_voice.transcriber import Transcriber as Engine
        from moonshine_voice.utils import get_model_path

        # without this option it copies all sound back, number by number
        model = Engine(get_model_path("tiny-en"), ModelArch.TINY, options={"return_audio_data": "false"})
    except (ImportError, OSError, RuntimeError) as error:
        raise TranscriberRefused(f"moonshine could not load its model ({type(error).__name__})") from error
    _loaded = (os.getpid(), model)
    return model
