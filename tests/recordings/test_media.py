"""Probing, decoding and cutting, on files that are really written and really broken."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from recordings.demo_media import PHRASES, RATE, Clip, reading_path, speech, write_mp4
from recordings.media import SAMPLE_RATE, MediaUnreadable, Piece, decode, probe, speech_pieces


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds: silence, and from the second second on six seconds of speech."""
    path = tmp_path_factory.mktemp("media") / "recording.mp4"
    write_mp4(path, [Clip(2.0, speech(PHRASES[:2]))], duration_s=10)
    return path


def write_webm(path: Path, samples: np.ndarray, *, live: bool, start_s: float = 0.0) -> None:
    options = {"live": "1"} if live else {}
    with path.open("wb") as file, av.open(file, mode="w", format="webm", options=options) as out:
        stream = out.add_stream("libopus", rate=RATE, layout="mono")
        for offset in range(0, len(samples), 960):
            part = samples[offset : offset + 960]
            frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, offset + int(start_s * RATE), Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def test_probe_tells_what_a_recording_holds(mp4: Path) -> None:
    found = probe(mp4)

    assert (found.audio_codec, found.video_codec, found.width, found.height) == ("aac", "h264", 320, 180)
    assert found.has_audio
    assert found.complete
    assert found.bytes == mp4.stat().st_size
    assert found.duration_ms == pytest.approx(10_000, abs=200)
    assert found.declared_ms == pytest.approx(10_000, abs=200)


@pytest.mark.parametrize(
    "name", ["recording", "-i http:x.mp4", "concat:a|b", "%d", "name\nwith\nlines", "\u202e4pm.exe"]
)
def test_names_of_files_do_not_matter(mp4: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(mp4.read_bytes())

    assert probe(path) == probe(mp4)
    assert len(list(speech_pieces(path))) == 1


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_off_mp4_decodes_short_and_is_incomplete(tmp_path: Path, share: float) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    write_mp4(whole, [Clip(0, speech(PHRASES[:5]))])
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])

    found = probe(cut)

    assert not found.complete
    assert found.declared_ms == probe(whole).declared_ms
    assert found.duration_ms < probe(whole).duration_ms
    assert list(speech_pieces(cut))  # what is there can still be heard


def test_a_cut_off_webm_is_incomplete(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    write_webm(whole, speech(PHRASES[:5]), live=False)
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) // 2])

    assert probe(whole).complete
    assert not probe(cut).complete
    assert probe(cut).duration_ms == pytest.approx(probe(whole).duration_ms / 2, rel=0.2)


def test_a_live_written_webm_has_no_declared_length(tmp_path: Path) -> None:
    path = tmp_path / "live"
    write_webm(path, speech(PHRASES[:2]), live=True)

    found = probe(path)

    assert found.declared_ms is None
    assert found.complete
    assert found.duration_ms == pytest.approx(5710, abs=100)
    assert (found.audio_codec, found.video_codec) == ("opus", "")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not media at all",
        b"\x00" * 50_000,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{reading_path()}'\n".encode(),
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n".encode(),  # noqa: F541
    ],
    ids=["empty", "text", "zeros", "playlist", "concat", "sdp"],
)
def test_what_is_not_media_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.mp4"
    path.write_bytes(content)

    with pytest.raises(MediaUnreadable):
        probe(path)
    with pytest.raises(MediaUnreadable):
        list(speech_pieces(path))


def test_a_list_of_files_is_never_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library itself would open the file that this one names, were the format not shut out."""
    (tmp_path / "inner.wav").write_bytes(reading_path().read_bytes())
    path = tmp_path / "outer"
    path.write_text("ffconcat version 1.0\nfile 'inner.wav'\n")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(MediaUnreadable):
        probe(path)


@pytest.mark.parametrize("position", [0.3, 0.5, 0.8])
def test_damage_in_the_middle_loses_only_the_middle(tmp_path: Path, position: float) -> None:
    path = tmp_path / "file"
    write_mp4(path, [Clip(0, speech(PHRASES[:5]))])
    content = bytearray(path.read_bytes())
    at = int(len(content) * position)
    content[at : at + 2000] = bytes(np.random.default_rng(1).integers(0, 256, 2000, np.uint8))
    path.write_bytes(content)

    assert sum(len(p.samples) for p in speech_pieces(path)) > 8 * SAMPLE_RATE


def test_pictures_without_sound_are_media_without_speech(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file, av.open(file, mode="w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))

    found = probe(path)

    assert not found.has_audio
    assert found.complete
    assert found.duration_ms == pytest.approx(5000, abs=200)
    assert list(speech_pieces(path)) == []


def test_decode_gives_mono_16_khz_on_the_clock_of_the_file(mp4: Path) -> None:
    windows = list(decode(mp4))

    for before, after in zip(windows, windows[1:], strict=False):
        assert after.start_ms == pytest.approx(before.end_ms, abs=2)
    assert windows[0].start_ms == 0
    assert windows[-1].end_ms == pytest.approx(10_000, abs=100)
    assert max(len(w.samples) for w in windows) < 2 * SAMPLE_RATE
    assert {w.samples.dtype for w in windows} == {np.dtype(np.int16)}


def test_speech_is_found_where_it_is(mp4: Path) -> None:
    (piece,) = speech_pieces(mp4)

    assert piece.start_ms == pytest.approx(2000, abs=500)
    assert piece.end_ms == pytest.approx(2000 + 5710, abs=700)


def test_silence_has_no_pieces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_mp4(path, [], duration_s=5)

    assert list(speech_pieces(path)) == []


def test_speech_without_a_pause_is_cut_before_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_mp4(path, [Clip(0, speech(PHRASES))])

    for limit in (5_000, 12_000, 30_000):
        pieces = list(speech_pieces(path, max_ms=limit))
        assert max(len(p.samples) * 1000 // SAMPLE_RATE for p in pieces) <= limit
        assert sum(len(p.samples) for p in pieces) / SAMPLE_RATE > 38  # of 41.5 s
        assert all(a.end_ms <= b.start_ms + 1 for a, b in zip(pieces, pieces[1:], strict=False))


def test_a_gap_in_the_stream_keeps_the_clock(tmp_path: Path) -> None:
    """Somebody switched the microphone off for a minute: the file has no packets for it."""
    path = tmp_path / "file"
    sound = speech(PHRASES[:1])
    with path.open("wb") as file, av.open(file, mode="w", format="webm") as out:
        stream = out.add_stream("libopus", rate=RATE, layout="mono")
        for start_s in (0, 60):
            for offset in range(0, len(sound) // 960 * 960, 960):
                frame = av.AudioFrame.from_ndarray(
                    sound[offset : offset + 960].reshape(1, -1), format="s16", layout="mono"
                )
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                frame.pts = start_s * RATE + offset
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))

    first, second = speech_pieces(path)

    assert second.start_ms - first.start_ms == pytest.approx(60_000, abs=150)


def test_sound_that_begins_later_than_the_pictures_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "file"
    sound = speech(PHRASES[:1])
    with path.open("wb") as file, av.open(file, mode="w", format="matroska") as out:
        video = out.add_stream("libx264", rate=5)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = out.add_stream("libopus", rate=RATE, layout="mono")
        for number in range(60):
            image = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            image.pts, image.time_base = number, Fraction(1, 5)
            out.mux(video.encode(image))
        for offset in range(0, len(sound) // 960 * 960, 960):
            part = av.AudioFrame.from_ndarray(sound[offset : offset + 960].reshape(1, -1), format="s16", layout="mono")
            part.sample_rate, part.pts, part.time_base = RATE, 5 * RATE + offset, Fraction(1, RATE)
            out.mux(audio.encode(part))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))

    (piece,) = speech_pieces(path)

    assert piece.start_ms == pytest.approx(5_200, abs=400)


def test_stereo_at_another_rate_is_mixed_down(tmp_path: Path) -> None:
    path = tmp_path / "file"
    sound = speech(PHRASES[:2])[::3][:, None].repeat(2, axis=1)
    sound[:, 0] = 0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(sound.tobytes())

    (piece,) = speech_pieces(path)

    assert isinstance(piece, Piece)
    assert np.abs(piece.samples).max() > 1000
