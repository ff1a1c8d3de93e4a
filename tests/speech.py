"""Speech for tests: who says what, files for a browser's fake microphone, and how wrong a transcript is."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from os import PathLike

import numpy as np

from recordings.demo_media import PHRASES, RATE, Phrase, silence, speech, text_of
from recordings.measuring import word_error_rate

__all__ = ["ANN", "BEN", "PHRASES", "fake_microphone", "text_of", "word_error_rate"]

ANN = PHRASES[:7]  #: 16 s
BEN = PHRASES[7:]  #: 25 s; no phrase in common with Ann


def fake_microphone(
    path: str | PathLike[str],
    phrases: Iterable[Phrase],
    *,
    lead_s: float = 20.0,
    tail_s: float = 0.0,
    pause_s: float = 0.4,
) -> float:
    """Write the WAV for Chromium's ``--use-file-for-fake-audio-capture=<path>%noloop``; returns its length in seconds.

    ``lead_s`` of silence first: the file starts to run when the microphone opens, before the call is joined.
    No phrases: silence only.
    """
    samples = np.concatenate([silence(lead_s), speech(phrases, pause_s=pause_s), silence(tail_s)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return len(samples) / RATE
