"""Choosing an engine, and the embedded one for real: it listens to speech that went through AAC in an MP4."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pytest_django import Settings

from recordings.demo_media import Clip, speech, write_mp4
from recordings.media import SAMPLE_RATE, MediaUnreadable, Piece, speech_pieces
from recordings.transcribers import (
    LanguageNotSupported,
    Segment,
    Transcriber,
    TranscriberRefused,
    problems,
    transcriber,
)
from recordings.transcribers.faster_whisper import FasterWhisperTranscriber
from recordings.transcribers.moonshine import MoonshineTranscriber
from recordings.transcribers.openai import OpenAITranscriber
from tests.speech import ANN, BEN, PHRASES, fake_microphone, text_of, word_error_rate


def heard(segments: list[Segment]) -> str:
    return " ".join(segment.text for segment in segments)


# -- moonshine, for real -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Segment]]:
    """Two people's speech in one recording, and what moonshine hears in it."""
    path = tmp_path_factory.mktemp("meeting") / "recording"
    write_mp4(path, [Clip(3.0, speech(ANN)), Clip(22.0, speech(BEN))], duration_s=50)
    return path, list(MoonshineTranscriber().transcribe(path, language="en"))


def test_moonshine_understands_a_recording(meeting: tuple[Path, list[Segment]]) -> None:
    assert word_error_rate(text_of(PHRASES), heard(meeting[1])) <= 0.10


def test_segments_are_in_order_and_apart_and_inside(meeting: tuple[Path, list[Segment]]) -> None:
    segments = meeting[1]

    assert all(0 <= s.start_ms < s.end_ms <= 50_000 for s in segments)
    assert all(a.end_ms <= b.start_ms for a, b in zip(segments, segments[1:], strict=False))
    assert segments[0].start_ms == pytest.approx(3000, abs=500)
    spring = next(s for s in segments if "winter" in s.text)
    assert spring.start_ms == pytest.approx(22_300, abs=600)


@pytest.mark.parametrize("phrases", [ANN, BEN], ids=["ann", "ben"])
def test_each_microphone_can_be_told_from_the_other(tmp_path: Path, phrases: tuple) -> None:
    path = tmp_path / "microphone.wav"
    length = fake_microphone(path, phrases, lead_s=5, tail_s=2)

    words = heard(list(MoonshineTranscriber().transcribe(path, language="en-US")))

    assert length > 20
    assert word_error_rate(text_of(phrases), words) <= 0.15
    assert word_error_rate(text_of(BEN if phrases is ANN else ANN), words) > 0.5


@pytest.mark.parametrize("level", [0, 3, 300])
def test_silence_and_hiss_have_no_words(tmp_path: Path, level: int) -> None:
    path = tmp_path / "quiet"
    hiss = np.random.default_rng(1).normal(0, level, 15 * 48_000).astype(np.int16)
    write_mp4(path, [Clip(0, hiss)])

    assert list(MoonshineTranscriber().transcribe(path, language="en")) == []


def test_a_piece_of_silence_has_no_words() -> None:
    quiet = Piece(0, np.zeros(5 * SAMPLE_RATE, np.int16))

    assert list(MoonshineTranscriber().transcribe([quiet], language="en")) == []


def test_pieces_can_be_watched_on_their_way(meeting: tuple[Path, list[Segment]]) -> None:
    """How a caller shows progress: it hands in the pieces itself."""
    seen: list[int] = []

    def watched():  # noqa: ANN202
        for piece in speech_pieces(meeting[0]):
            seen.append(piece.end_ms)
            yield piece

    segments = list(MoonshineTranscriber().transcribe(watched(), language="en"))

    # what was heard before changes nothing but the engine's end times, by a few milliseconds
    assert [segment.text for segment in segments] == [segment.text for segment in meeting[1]]
    assert [segment.start_ms for segment in segments] == pytest.approx([s.start_ms for s in meeting[1]], abs=200)
    assert seen == sorted(seen)
    assert len(seen) >= 2


def test_a_file_that_is_no_media_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("x")

    with pytest.raises(MediaUnreadable):
        list(MoonshineTranscriber().transcribe(path, language="en"))


def test_the_model_is_loaded_on_first_use_only() -> None:
    """A model loaded before a fork hangs in the child; so importing and building must load nothing native."""
    code = (
        "import sys, recordings.transcribers.moonshine as m, recordings.media, recordings.demo_media as d\n"
        "m.MoonshineTranscriber().problems(); d.reading_path()\n"
        "assert 'moonshine_voice' not in sys.modules, 'loaded too early'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_process_forked_after_loading_says_so_and_does_not_hang() -> None:
    """Tried: there the library waits for ever for threads that stayed in the parent."""
    code = (
        "import os, numpy as np\n"
        "from recordings.media import Piece\n"
        "from recordings.transcribers.base import TranscriberUnavailable\n"
        "from recordings.transcribers.moonshine import MoonshineTranscriber\n"
        "piece = Piece(0, np.zeros(8000, np.int16))\n"
        "listen = lambda: list(MoonshineTranscriber().transcribe([piece], language='en'))\n"
        "listen()\n"
        "child = os.fork()\n"
        "if child: os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "try: listen()\n"
        "except TranscriberUnavailable: os._exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 7, done.stderr


# -- faster-whisper, where it is not installed ------------------------------------------------------------------------


def test_faster_whisper_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)  # Python's own way to say "not there"
    engine = FasterWhisperTranscriber()

    with pytest.raises(TranscriberRefused, match=r"pip install -r requirements-whisper\.txt"):
        list(engine.transcribe([Piece(0, np.zeros(16, np.int16))], language="de"))
    (problem,) = engine.problems()
    assert problem.hint == "pip install -r requirements-whisper.txt"


# -- languages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "language", "answer"),
    [
        (MoonshineTranscriber(), "en", True),
        (MoonshineTranscriber(), "en-GB", True),
        (MoonshineTranscriber(), "EN_us", True),
        (MoonshineTranscriber(), "de", False),
        (MoonshineTranscriber(), "", False),
        (OpenAITranscriber(), "de-AT", True),
        (OpenAITranscriber(), "nb", True),
        (OpenAITranscriber(), "tlh", False),
        (OpenAITranscriber(), "", True),
        (OpenAITranscriber(model="tiny.en"), "en", True),
        (OpenAITranscriber(model="tiny.en"), "de", False),
        (FasterWhisperTranscriber(), "pt-BR", True),
        (FasterWhisperTranscriber(model="small.en"), "pt", False),
    ],
)
def test_engines_know_what_they_can_do(engine: Transcriber, language: str, answer: bool) -> None:
    assert engine.supports(language) is answer


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("de", "moonshine cannot transcribe German (de): its small model knows English only"),
        ("tlh", "moonshine cannot transcribe the language 'tlh': its small model"),
        ("", "moonshine cannot transcribe speech whose language nobody has set: its small model"),
    ],
)
def test_a_language_that_an_engine_cannot_do_is_said_before_anything_is_read(language: str, sentence: str) -> None:
    with pytest.raises(LanguageNotSupported) as caught:
        MoonshineTranscriber().transcribe("/no/such/file", language=language)

    assert sentence in str(caught.value)
    assert isinstance(caught.value, TranscriberRefused)


# -- settings --------------------------------------------------------------------------------------------------------


class Parrot(Transcriber):
    """What somebody else's engine looks like."""

    name = "parrot"

    def supports(self, language: str) -> bool:
        return True

    def limits(self) -> str:
        return ""

    def segments(self, pieces, language):  # noqa: ANN001, ANN201
        for piece in pieces:
            yield Segment(piece.start_ms, piece.end_ms, self.model)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("moonshine", MoonshineTranscriber),
        ("openai", OpenAITranscriber),
        ("faster-whisper", FasterWhisperTranscriber),
        ("recordings.transcribers.openai.OpenAITranscriber", OpenAITranscriber),
    ],
)
def test_the_setting_chooses_the_engine(settings: Settings, name: str, kind: type[Transcriber]) -> None:
    settings.TRANSCRIBER = name

    assert type(transcriber()) is kind


def test_an_engine_of_somebody_else_is_a_dotted_path(settings: Settings) -> None:
    settings.TRANSCRIBER, settings.TRANSCRIBER_MODEL = f"{__name__}.Parrot", "polly"
    sys.modules.setdefault(__name__, sys.modules[Parrot.__module__])

    found = list(transcriber().transcribe([Piece(5, np.zeros(16, np.int16))], language="tlh"))

    assert found == [Segment(5, 6, "polly")]


def test_the_default_is_moonshine_and_has_no_problems(settings: Settings) -> None:
    assert settings.TRANSCRIBER == "moonshine"
    assert problems() == []


@pytest.mark.parametrize(
    ("values", "variable"),
    [
        ({"TRANSCRIBER": "no-such"}, "TRANSCRIBER"),
        ({"TRANSCRIBER": "json.NoSuch"}, "TRANSCRIBER"),
        ({"TRANSCRIBER_MODEL": "base-de"}, "TRANSCRIBER_MODEL"),
        ({"TRANSCRIBER": "openai"}, "TRANSCRIBER_API_KEY"),
        ({"TRANSCRIBER": "openai", "TRANSCRIBER_URL": "example.org/v1"}, "TRANSCRIBER_URL"),
        ({"TRANSCRIBER": "openai", "TRANSCRIBER_URL": "http://[x/v1"}, "TRANSCRIBER_URL"),
        ({"TRANSCRIBER": "openai", "TRANSCRIBER_URL": "ftp://example.org/v1"}, "TRANSCRIBER_URL"),
    ],
)
def test_a_mistake_in_the_settings_names_the_variable(
    settings: Settings, values: dict[str, str], variable: str
) -> None:
    for name, value in values.items():
        setattr(settings, name, value)

    (problem,) = problems()

    assert problem.variable == variable
    assert problem.fatal


def test_a_server_of_ones_own_needs_no_key(settings: Settings) -> None:
    settings.TRANSCRIBER, settings.TRANSCRIBER_URL = "openai", "http://127.0.0.1:9000/v1"

    assert problems() == []


# -- word error rate -----------------------------------------------


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"),
    [
        ("One, two: three four!", "one two three four", 0),
        ("one two three four", "one three four", 0.25),
        ("one two three four", "one two two three four", 0.25),
        ("one two three four", "one too three four", 0.25),
        ("one two three four", "", 1),
        ("it’s", "it's", 0),  # noqa: RUF001
    ],
)
def test_word_error_rate_counts_words(reference: str, hypothesis: str, rate: float) -> None:
    assert word_error_rate(reference, hypothesis) == rate
