"""Speech and recordings for the demo and for tests, made from a reading that comes inside a package of ours.

The reading is the opening paragraph of "A Tale of Two Cities" (Dickens, 1859), one voice, 44 s, public domain, in the
``moonshine-voice`` wheel. ``PHRASES`` is what is really said there, cut in the middle of its pauses.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]

RATE = 48_000  #: mono, 16 bit
FPS = 5
AAC_FRAME = 1024


@dataclass(frozen=True)
class Phrase:
    """Words and where they are in the reading, in seconds."""

    start_s: float
    end_s: float
    text: str


PHRASES = (
    Phrase(0.75, 4.80, "It was the best of times, it was the worst of times,"),
    Phrase(4.80, 6.46, "it was the age of wisdom,"),
    Phrase(6.46, 8.53, "it was the age of foolishness,"),
    Phrase(8.53, 10.56, "it was the epoch of belief,"),
    Phrase(10.56, 13.15, "it was the epoch of incredulity,"),
    Phrase(13.15, 14.98, "it was the season of light,"),
    Phrase(14.98, 17.16, "it was the season of darkness,"),
    Phrase(17.16, 20.90, "it was the spring of hope, it was the winter of despair,"),
    Phrase(20.90, 24.34, "we had everything before us, we had nothing before us,"),
    Phrase(24.34, 26.38, "we were all going direct to heaven,"),
    Phrase(26.38, 28.74, "we were all going direct the other way."),
    Phrase(28.74, 32.55, "In short, the period was so far like the present period"),
    Phrase(
        32.55,
        42.30,
        "that some of its noisiest authorities insisted on its being received, for good or for evil, "
        "in the superlative degree of comparison only.",
    ),
)


@dataclass(frozen=True)
class Clip:
    """Mono 48 kHz sound that begins ``start_s`` into a recording."""

    start_s: float
    samples: Samples


def reading_path() -> Path:
    """The WAV file. Looks for the package without importing it (that would load its native library)."""
    found = find_spec("moonshine_voice")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("moonshine-voice is not installed: pip install -r requirements.txt")
    return Path(found.submodule_search_locations[0]) / "assets" / "two_cities.wav"


def speech(phrases: Iterable[Phrase], *, pause_s: float = 0.0) -> Samples:
    """The phrases one after the other, as they are spoken, with ``pause_s`` of silence between them."""
    with wave.open(str(reading_path())) as file:
        whole = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    parts: list[Samples] = []
    for phrase in phrases:
        if parts and pause_s:
            parts.append(silence(pause_s))
        parts.append(whole[int(phrase.start_s * RATE) : int(phrase.end_s * RATE)])
    return np.concatenate(parts) if parts else silence(0)


def text_of(phrases: Iterable[Phrase]) -> str:
    return " ".join(phrase.text for phrase in phrases)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE), np.int16)


def write_mp4(
    path: str | PathLike[str],
    clips: Iterable[Clip],
    *,
    duration_s: float | None = None,
    width: int = 320,
    height: int = 180,
    colour: tuple[int, int, int] = (38, 70, 83),
) -> float:
    """Write a recording as providers make them: H.264 pictures (a plain colour) and AAC sound, ready to be streamed.

    Clips are mixed. Returns the length in seconds: ``duration_s``, or as long as the last clip. ``width`` and
    ``height`` are even. Holds one second at a time besides the clips.
    """
    clips = list(clips)
    length = duration_s if duration_s is not None else max((_end_s(clip) for clip in clips), default=1.0)
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = colour
    with (
        Path(path).open("wb") as file,
        av.open(file, mode="w", format="mp4", options={"movflags": "+faststart"}) as out,
    ):
        video = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "35"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        audio.bit_rate = 64_000
        shown = sounded = 0
        total = int(length * RATE)
        while sounded < total:
            size = min(AAC_FRAME, total - sounded)
            sound = av.AudioFrame.from_ndarray(_mixed(clips, sounded, size).reshape(1, -1), format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = RATE, sounded, Fraction(1, RATE)
            out.mux(audio.encode(sound))
            sounded += size
            while shown * RATE < sounded * FPS:
                image = av.VideoFrame.from_ndarray(picture, format="rgb24")
                image.pts, image.time_base = shown, Fraction(1, FPS)
                out.mux(video.encode(image))
                shown += 1
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return length


def _end_s(clip: Clip) -> float:
    return clip.start_s + len(clip.samples) / RATE


def _mixed(clips: list[Clip], offset: int, size: int) -> Samples:
    mix = np.zeros(size, np.int32)
    for clip in clips:
        begin = int(clip.start_s * RATE)
        first, last = max(begin, offset), min(begin + len(clip.samples), offset + size)
        if first < last:
            mix[first - offset : last - offset] += clip.samples[first - begin : last - begin]
    return np.clip(mix, -32768, 32767).astype(np.int16)
