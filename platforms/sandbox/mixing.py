"""Sound of several people, each piece at its own time, into one file. In windows: memory does not grow with length."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.video.frame import VideoFrame
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

RATE = 48_000
WINDOW = RATE  # one second
FRAMES_PER_S = 2
WIDTH, HEIGHT = 640, 360
#: a decoded frame that is off by less than this continues the one before it: WebM times are whole milliseconds
SLACK = RATE // 25

Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A sound file that begins ``offset_s`` after the start of the mix (may be negative), heard for ``length_s``."""

    path: Path
    offset_s: float
    length_s: float | None = None


def _decoded(path: Path) -> Iterator[tuple[int, Samples]]:
    """(position in samples, mono sound) of a file, in order. A broken or cut file ends early, without an error."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return
            stream = container.streams.audio[0]
            resampler = AudioResampler(format="fltp", layout="mono", rate=RATE)
            position: int | None = None
            for frame in container.decode(stream):
                begins = position or 0
                if frame.pts is not None and frame.time_base is not None:
                    begins = round(float(frame.pts * frame.time_base) * RATE)
                if position is None or abs(begins - position) > SLACK:
                    position = begins
                frame.pts = None
                for part in resampler.resample(frame):
                    sound = part.to_ndarray()[0].astype(np.float32)
                    yield position, sound
                    position += len(sound)
            for part in resampler.resample(None):
                sound = part.to_ndarray()[0].astype(np.float32)
                yield position or 0, sound
                position = (position or 0) + len(sound)
    except (av.error.FFmpegError, EOFError, StopIteration) as error:
        logger.warning("sound file ends early: %s", type(error).__name__)


class _Reader:
    """One piece, asked for window after window."""

    def __init__(self, piece: Piece) -> None:
        self._piece = piece
        self._frames = _decoded(piece.path)
        self._ahead: tuple[int, Samples] | None = None
        self._shift = round(piece.offset_s * RATE)
        self._end = None if piece.length_s is None else self._shift + round(piece.length_s * RATE)
        self.done = False

    @property
    def begins(self) -> int:
        return self._shift

    def add_to(self, window: Samples, start: int) -> None:
        """Add what sounds between ``start`` and the window's end; leave what comes later for the next call."""
        stop = start + len(window)
        while not self.done:
            if self._ahead is None:
                self._ahead = next(self._frames, None)
                if self._ahead is None:
                    self.done = True
                    return
            position, sound = self._ahead
            first = position + self._shift
            if self._end is not None and first + len(sound) > self._end:
                sound = sound[: max(0, self._end - first)]
            if first >= stop:
                return
            low, high = max(first, start), min(first + len(sound), stop)
            if high > low:
                window[low - start : high - start] += sound[low - first : high - first]
            if first + len(sound) > stop:
                return
            self._ahead = None


def windows(pieces: list[Piece], length_s: float) -> Iterator[Samples]:
    """The mix, a second at a time; the last one is shorter. Files are open only while they sound."""
    total = round(length_s * RATE)
    coming = sorted((_Reader(piece) for piece in pieces), key=lambda reader: reader.begins)
    sounding: list[_Reader] = []
    for start in range(0, total, WINDOW):
        window = np.zeros(min(WINDOW, total - start), dtype=np.float32)
        while coming and coming[0].begins < start + len(window):
            sounding.append(coming.pop(0))
        for reader in sounding:
            reader.add_to(window, start)
        sounding = [reader for reader in sounding if not reader.done]
        yield np.clip(window, -1.0, 1.0)


def _still() -> VideoFrame:
    picture = np.empty((HEIGHT, WIDTH, 3), dtype=np.uint8)
    picture[:] = (24, 27, 34)
    return VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")


def write_mp4(path: Path, pieces: list[Piece], length_s: float, *, picture: bool = True) -> None:
    """AAC 48 kHz mono, and a still dark H.264 picture so that players show something."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as out:
        video = None
        if picture:
            video = out.add_stream("libx264", rate=FRAMES_PER_S, options={"preset": "ultrafast", "tune": "stillimage"})
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        audio.bit_rate = 96_000
        still, shown, position = _still(), 0, 0
        for window in windows(pieces, length_s):
            frame = AudioFrame.from_ndarray(window[np.newaxis, :], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, position, Fraction(1, RATE)
            out.mux(audio.encode(frame))
            position += len(window)
            while video is not None and shown * RATE < position * FRAMES_PER_S:
                still.pts, still.time_base = shown, Fraction(1, FRAMES_PER_S)
                out.mux(video.encode(still))
                shown += 1
        if video is not None:
            out.mux(video.encode(None))
        out.mux(audio.encode(None))


def write_webm(path: Path, piece: Piece, length_s: float) -> None:
    """One person's sound as WebM/Opus, as a raw track is."""
    with av.open(str(path), "w", format="webm") as out:
        audio = out.add_stream("libopus", rate=RATE, layout="mono")
        audio.bit_rate = 32_000
        position = 0
        for window in windows([piece], length_s):
            sound = (window * 32767).astype(np.int16)
            frame = AudioFrame.from_ndarray(sound[np.newaxis, :], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, position, Fraction(1, RATE)
            out.mux(audio.encode(frame))
            position += len(window)
        out.mux(audio.encode(None))
