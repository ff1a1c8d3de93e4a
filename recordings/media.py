"""What is inside a media file: probing, decoding, and cutting speech out of it.

Works on local files only and hands PyAV an open file object, never a name: a name could be read as an address or as
one of the decoder library's protocols. Nothing here holds more than one piece (30 s, under 1 MB) of sound in memory,
however long the file. Measured by ``tests/bench/media_memory.py``, peak of the whole process for one hour of MP4: 68 MB
to probe, 70 MB to cut, 290 MB to transcribe with the embedded model (10 minutes: 59, 64, 286).
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.error import FFmpegError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container import InputContainer
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]

SAMPLE_RATE = 16_000  #: what speech recognisers and the voice detector want
FRAME_MS = 30  #: the voice detector's longest frame
FRAME = SAMPLE_RATE * FRAME_MS // 1000
MAX_PIECE_MS = 30_000
PAUSE_MS = 900  #: a pause this long ends a piece
PAD_MS = 300  #: kept before and after speech, so that no first or last sound is clipped
JUMP_MS = 100  #: time stamps may jitter by this much before the gap counts as one
LONGEST_JUMP_MS = 24 * 3600 * 1000  #: a longer gap is a broken time stamp, not a pause
#: playlists and the like are text files that make the library open other files and addresses: never let it try
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,wav,flac,mp3,aac"
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
BAD_PACKETS = 1000  #: give up on a file after this many undecodable packets in a row


class MediaUnreadable(Exception):
    """The file is not media, or its sound cannot be decoded. Trying again is pointless; fetching again may help."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a media file holds. Times in milliseconds.

    ``duration_ms`` is how far the sound really decodes (or the pictures reach, whichever is later);
    ``declared_ms`` is what the file's header promises, None for files written live. A truncated file decodes
    short without any error, so ``complete`` compares the two, stream by stream.
    """

    container: str
    duration_ms: int
    declared_ms: int | None
    complete: bool
    audio_codec: str
    video_codec: str
    width: int
    height: int
    has_audio: bool
    bytes: int


@dataclass(frozen=True)
class Piece:
    """Mono 16 kHz sound starting ``start_ms`` after the file's start."""

    start_ms: int
    samples: Samples

    @property
    def end_ms(self) -> int:
        return self.start_ms + len(self.samples) * 1000 // SAMPLE_RATE


def probe(path: str | PathLike[str]) -> Probe:
    """Read the whole file once: sound is decoded, pictures are only counted (decoding them costs minutes).

    Raises ``MediaUnreadable``.
    """
    size = Path(path).stat().st_size
    with _opened(path) as container:
        audio, video = container.streams.best("audio"), container.streams.best("video")
        if audio is None and video is None:
            raise MediaUnreadable("the file holds neither sound nor pictures")
        chosen = [stream for stream in (audio, video) if stream is not None]
        reached = _reached(container, chosen)
        start = min((_ms(s.start_time, s.time_base) for s in chosen if s.start_time is not None), default=0)
        promised = {s.index: _ms(s.duration, s.time_base) for s in chosen if s.duration and s.duration > 0}
        declared = _ms(container.duration, 1 / av.time_base) if (container.duration or 0) > 0 else None
        duration = max(reached.values(), default=start) - start
        if promised:
            complete = all(
                reached.get(index, start) - _start_ms(container, index) >= _nearly(length)
                for index, length in promised.items()
            )
        else:
            complete = declared is None or duration >= _nearly(declared)
        if audio is not None and audio.index not in reached and (declared or 0) > 0:
            complete = False
        if not reached:
            raise MediaUnreadable("nothing in the file could be decoded")
        return Probe(
            container=container.format.name,
            duration_ms=max(duration, 0),
            declared_ms=declared,
            complete=complete,
            audio_codec=audio.codec_context.name if audio is not None else "",
            video_codec=video.codec_context.name if video is not None else "",
            width=getattr(video, "width", 0) if video is not None else 0,
            height=getattr(video, "height", 0) if video is not None else 0,
            has_audio=audio is not None,
            bytes=size,
        )


def decode(path: str | PathLike[str]) -> Iterator[Piece]:
    """The file's best sound stream as mono 16 kHz pieces of about a second, in order, on the file's own clock.

    A gap in the stream is a gap between pieces, never filled. No sound stream: nothing. Raises ``MediaUnreadable``.
    """
    with _opened(path) as container:
        stream = container.streams.best("audio")
        if stream is None:
            return
        starts = [_ms(s.start_time, s.time_base) for s in container.streams if s.start_time is not None]
        zero = min(starts, default=0)
        yield from _resampled(_frames(container, [stream]), zero)


def speech_pieces(path: str | PathLike[str], *, max_ms: int = MAX_PIECE_MS) -> Iterator[Piece]:
    """The parts of the file in which somebody seems to speak, cut at pauses, none longer than ``max_ms``.

    Silence gives nothing. Raises ``MediaUnreadable``.
    """
    return _speech(decode(path), max_ms=max_ms)


# -- cutting -------------------------------------------------------------------------------------------------------


def _speech(windows: Iterable[Piece], *, max_ms: int) -> Iterator[Piece]:
    import webrtcvad  # native code, so only where it is used

    detector = webrtcvad.Vad(2)
    cutter = _Cutter(max_ms)
    for start_ms, frame in _vad_frames(windows):
        yield from cutter.feed(start_ms, frame, detector.is_speech(frame.tobytes(), SAMPLE_RATE))
    yield from cutter.finish()


def _vad_frames(windows: Iterable[Piece]) -> Iterator[tuple[int, Samples]]:
    """30 ms frames; the odd end before a gap is padded with silence."""
    rest: Samples = np.zeros(0, np.int16)
    rest_start = 0
    for window in windows:
        contiguous = len(rest) and abs(rest_start + len(rest) * 1000 // SAMPLE_RATE - window.start_ms) <= FRAME_MS
        if len(rest) and not contiguous:
            yield rest_start, np.pad(rest, (0, FRAME - len(rest)))
            rest = rest[:0]
        samples, start = (
            (np.concatenate([rest, window.samples]), rest_start)
            if len(rest)
            else (
                window.samples,
                window.start_ms,
            )
        )
        whole = len(samples) // FRAME * FRAME
        for offset in range(0, whole, FRAME):
            yield start + offset * 1000 // SAMPLE_RATE, samples[offset : offset + FRAME]
        rest, rest_start = samples[whole:], start + whole * 1000 // SAMPLE_RATE
    if len(rest):
        yield rest_start, np.pad(rest, (0, FRAME - len(rest)))


class _Cutter:
    """Collects frames into pieces. Three voiced frames among the last six begin one, ``PAUSE_MS`` without ends it."""

    def __init__(self, max_ms: int) -> None:
        self.max_frames = max(max_ms // FRAME_MS, 2)
        self.before: deque[tuple[int, Samples, bool]] = deque(maxlen=PAD_MS // FRAME_MS)
        self.frames: list[tuple[int, Samples, bool]] = []
        self.quiet = 0
        self.next_ms = 0

    def feed(self, start_ms: int, samples: Samples, voiced: bool) -> Iterator[Piece]:
        if abs(start_ms - self.next_ms) > FRAME_MS:  # a gap in the stream
            yield from self.finish()
        self.next_ms = start_ms + FRAME_MS
        entry = (start_ms, samples, voiced)
        if not self.frames:
            self.before.append(entry)
            if sum(v for _, _, v in list(self.before)[-6:]) >= 3:
                self.frames, self.quiet = list(self.before), 0
                self.before.clear()
            return
        self.frames.append(entry)
        self.quiet = 0 if voiced else self.quiet + 1
        if self.quiet * FRAME_MS >= PAUSE_MS:
            yield from self.finish()
        elif len(self.frames) >= self.max_frames:
            cut = self._best_cut()
            yield self._piece(self.frames[:cut])
            self.frames = self.frames[cut:]

    def finish(self) -> Iterator[Piece]:
        if self.frames:
            surplus = max(self.quiet - PAD_MS // FRAME_MS, 0)
            yield self._piece(self.frames[: len(self.frames) - surplus])
        self.frames, self.quiet = [], 0
        self.before.clear()

    def _best_cut(self) -> int:
        """The middle of the longest pause in the second half; without one, the quietest frame there."""
        half = len(self.frames) // 2
        best_length, best_end, run = 0, 0, 0
        for index in range(half, len(self.frames)):
            run = 0 if self.frames[index][2] else run + 1
            if run > best_length:
                best_length, best_end = run, index + 1
        if best_length:
            return best_end - best_length // 2
        loudness = [float(np.abs(s.astype(np.int32)).mean()) for _, s, _ in self.frames[half:]]
        return half + int(np.argmin(loudness)) + 1

    @staticmethod
    def _piece(frames: list[tuple[int, Samples, bool]]) -> Piece:
        return Piece(frames[0][0], np.concatenate([samples for _, samples, _ in frames]))


# -- decoding ------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: str | PathLike[str]) -> Iterator[InputContainer]:
    """Open a local file. Everything that the decoder library throws on the way becomes ``MediaUnreadable``."""
    with Path(path).open("rb") as file:
        try:
            with av.open(file, mode="r", metadata_errors="replace", options=OPTIONS) as container:
                yield container
        except (FFmpegError, ValueError, MemoryError) as error:
            raise MediaUnreadable(f"not readable as media ({type(error).__name__})") from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # the disk's fault
                raise
            raise MediaUnreadable("not readable as media (it points outside of itself)") from error


def _frames(container: InputContainer, streams: list[Any]) -> Iterator[AudioFrame]:
    """Decoded sound; damaged packets are left out, and a file that breaks off simply ends."""
    bad = 0
    for packet in _packets(container, streams):
        try:
            frames = packet.decode()
        except FFmpegError as error:
            bad += 1
            if bad >= BAD_PACKETS:
                raise MediaUnreadable("too many damaged packets in a row") from error
            continue
        bad = 0
        yield from frames


def _packets(container: InputContainer, streams: list[Any]) -> Iterator[Any]:
    try:
        yield from container.demux(streams)
    except FFmpegError:  # cut off in the middle of a packet: what came before it counts
        return


def _reached(container: InputContainer, streams: list[Any]) -> dict[int, int]:
    """Stream index -> time in ms at which its last decoded sound, or last picture's packet, ends."""
    reached: dict[int, int] = {}
    bad = 0
    for packet in _packets(container, streams):
        index = packet.stream.index
        ends: list[int] = []
        if packet.stream.type == "audio":
            try:
                frames = packet.decode()
            except FFmpegError as error:
                bad += 1
                if bad >= BAD_PACKETS:
                    raise MediaUnreadable("too many damaged packets in a row") from error
                continue
            bad = 0
            ends = [_frame_end(frame, reached.get(index, 0)) for frame in frames]
        elif packet.pts is not None and packet.size and not packet.is_corrupt:
            ends = [_ms(packet.pts + (packet.duration or 0), packet.time_base)]
        for end in ends:
            reached[index] = max(end, reached.get(index, end))
    return reached


def _frame_end(frame: AudioFrame, previous_end: int) -> int:
    length = frame.samples * 1000 // frame.sample_rate
    return (_ms(frame.pts, frame.time_base) if frame.pts is not None else previous_end) + length


def _resampled(frames: Iterable[AudioFrame], zero_ms: int) -> Iterator[Piece]:
    """Mono 16 kHz windows. Rate or layout changing in mid-stream, and gaps, start a new window on the right time."""
    window = _Window()
    for frame in frames:
        if not frame.samples:
            continue
        at = _ms(frame.pts, frame.time_base) - zero_ms if frame.pts is not None else window.clock_ms
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        gap = at - window.clock_ms
        if shape != window.shape or JUMP_MS < gap < LONGEST_JUMP_MS:
            yield from window.flush()
            window.begin(max(at, window.clock_ms) if gap < LONGEST_JUMP_MS else window.clock_ms, shape)
        yield from window.add(frame)
    yield from window.flush()


class _Window:
    """One second of resampled sound on its way out."""

    def __init__(self) -> None:
        self.shape: tuple[str, str, int] | None = None
        self.resampler: av.AudioResampler | None = None
        self.start_ms = 0
        self.sent = 0  #: samples already given out since ``start_ms``
        self.taken = 0  #: input samples since ``start_ms``
        self.held: list[Samples] = []

    @property
    def clock_ms(self) -> int:
        return self.start_ms + (self.taken * 1000 // self.shape[2] if self.shape else 0)

    def begin(self, start_ms: int, shape: tuple[str, str, int]) -> None:
        self.start_ms, self.sent, self.taken, self.held = start_ms, 0, 0, []
        self.shape = shape
        self.resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)

    def add(self, frame: AudioFrame) -> Iterator[Piece]:
        self.taken += frame.samples
        frame.pts = None  # the clock is ours
        self._hold(frame)
        if sum(map(len, self.held)) >= SAMPLE_RATE:
            yield self._give()

    def flush(self) -> Iterator[Piece]:
        if self.resampler is not None:
            self._hold(None)
            self.resampler = None
            if self.held:
                yield self._give()

    def _hold(self, frame: AudioFrame | None) -> None:
        assert self.resampler is not None  # noqa: S101 - begin() came first
        self.held.extend(part.to_ndarray().reshape(-1).astype(np.int16) for part in self.resampler.resample(frame))

    def _give(self) -> Piece:
        samples = np.concatenate(self.held)
        piece = Piece(self.start_ms + self.sent * 1000 // SAMPLE_RATE, samples)
        self.sent += len(samples)
        self.held = []
        return piece


def _start_ms(container: InputContainer, index: int) -> int:
    stream = container.streams[index]
    return _ms(stream.start_time, stream.time_base) if stream.start_time is not None else 0


def _ms(value: int | None, time_base: Any) -> int:
    return int(value * time_base * 1000) if value and time_base else 0


def _nearly(length_ms: int) -> int:
    """Shortest length that passes for ``length_ms``: codecs round at the ends, and a picture may last a second."""
    return length_ms - min(1000, 100 + length_ms // 10)
