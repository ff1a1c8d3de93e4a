"""Pieces of sound at their own times, in real WebM and MP4 files."""

import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from platforms.sandbox.mixing import RATE, Piece, windows, write_mp4, write_webm


def tone(path: Path, seconds: float, hertz: float, *, start_s: float = 0.0, gap: tuple[float, float] = (0, 0)) -> Path:
    """WebM/Opus as MediaRecorder writes it; nothing at all is written for ``gap``."""
    step = RATE // 50
    with av.open(str(path), "w", format="webm") as out:
        stream = out.add_stream("libopus", rate=RATE, layout="mono")
        for position in range(0, round(seconds * RATE), step):
            if gap[0] <= position / RATE < gap[1]:
                continue
            times = np.arange(position, position + step) / RATE
            sound = (np.sin(2 * np.pi * hertz * times) * 16000).astype(np.int16)
            frame = AudioFrame.from_ndarray(sound[np.newaxis, :], format="s16", layout="mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = position + round(start_s * RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def loudness(sound: np.ndarray, start_s: float, end_s: float) -> float:
    part = sound[round(start_s * RATE) : round(end_s * RATE)]
    return float(np.sqrt(np.mean(part**2)))


def strength(sound: np.ndarray, start_s: float, end_s: float, hertz: float) -> float:
    part = sound[round(start_s * RATE) : round(end_s * RATE)]
    spectrum = np.abs(np.fft.rfft(part)) / len(part)
    return float(spectrum[round(hertz * len(part) / RATE)])


def mixed(pieces: list[Piece], length_s: float) -> np.ndarray:
    return np.concatenate(list(windows(pieces, length_s)))


def test_each_piece_sounds_at_its_own_time(tmp_path: Path) -> None:
    ann, ben = tone(tmp_path / "a.webm", 2, 440), tone(tmp_path / "b.webm", 2, 1000)
    sound = mixed([Piece(path=ann, offset_s=1), Piece(path=ben, offset_s=2.5)], 6)
    assert len(sound) == 6 * RATE
    assert loudness(sound, 0, 0.95) < 0.001
    assert strength(sound, 1.2, 2.2, 440) > 0.1 > 0.001 > strength(sound, 1.2, 2.2, 1000)
    assert strength(sound, 2.6, 2.9, 440) > 0.1
    assert strength(sound, 2.6, 2.9, 1000) > 0.1
    assert strength(sound, 3.2, 4.2, 1000) > 0.1 > 0.001 > strength(sound, 3.2, 4.2, 440)
    assert loudness(sound, 4.6, 6) < 0.001


def test_sound_before_the_start_and_after_the_end_is_cut(tmp_path: Path) -> None:
    path = tone(tmp_path / "a.webm", 4, 440)
    sound = mixed([Piece(path=path, offset_s=-1, length_s=2.5)], 3)
    assert loudness(sound, 0, 1.4) > 0.2
    assert loudness(sound, 1.6, 3) < 0.001


def test_gap_in_a_file_stays_a_gap(tmp_path: Path) -> None:
    path = tone(tmp_path / "a.webm", 4, 440, gap=(1, 3))
    sound = mixed([Piece(path=path, offset_s=0)], 4)
    assert loudness(sound, 0.1, 0.9) > 0.2
    assert loudness(sound, 1.2, 2.8) < 0.01
    assert loudness(sound, 3.1, 3.9) > 0.2


def test_file_that_was_cut_off_sounds_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = tone(tmp_path / "a.webm", 4, 440).read_bytes()
    cut, nothing = tmp_path / "cut.webm", tmp_path / "nothing.webm"
    cut.write_bytes(whole[: len(whole) // 2])
    nothing.write_bytes(b"")
    sound = mixed([Piece(path=cut, offset_s=0), Piece(path=nothing, offset_s=0)], 4)
    assert loudness(sound, 0.1, 1.5) > 0.2
    assert loudness(sound, 3, 4) < 0.001


def test_mp4_has_picture_and_sound_of_the_whole_length(tmp_path: Path) -> None:
    path = tmp_path / "mix.mp4"
    write_mp4(path, [Piece(path=tone(tmp_path / "a.webm", 2, 440), offset_s=1)], 4.5)
    with av.open(str(path)) as file:
        audio, video = file.streams.audio[0], file.streams.video[0]
        assert (audio.codec_context.name, audio.rate) == ("aac", RATE)
        assert (video.codec_context.name, video.width, video.height) == ("h264", 640, 360)
        assert float(video.duration * video.time_base) == pytest.approx(4.5, abs=0.6)
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio)])
    assert len(sound) / RATE == pytest.approx(4.5, abs=0.1)
    assert loudness(sound, 0, 0.9) < 0.01
    assert loudness(sound, 1.2, 2.8) > 0.2


def test_raw_track_keeps_its_times(tmp_path: Path) -> None:
    source = tone(tmp_path / "a.webm", 3, 440)
    write_webm(tmp_path / "track.webm", Piece(path=source, offset_s=-1), 2)
    sound = mixed([Piece(path=tmp_path / "track.webm", offset_s=0)], 3)
    assert loudness(sound, 0.1, 1.9) > 0.2
    assert loudness(sound, 2.1, 3) < 0.001


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    def peak(seconds: int) -> int:
        path = tone(tmp_path / f"{seconds}.webm", seconds, 440)
        tracemalloc.start()
        for _ in windows([Piece(path=path, offset_s=0), Piece(path=path, offset_s=0.3)], seconds):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(40) < 2 * peak(8)
