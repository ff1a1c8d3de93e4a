"""The OpenAI-compatible engine against a real HTTP server, and the failures at the edge."""

from __future__ import annotations

import io
import json
import math
import threading
import wave
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import responses

from recordings.demo_media import Clip, speech, write_mp4
from recordings.media import SAMPLE_RATE, Piece
from recordings.transcribers import Segment, TranscriberRefused, TranscriberUnavailable
from recordings.transcribers.moonshine import MoonshineTranscriber
from recordings.transcribers.openai import MAX_FILE_MS, OpenAITranscriber
from tests.speech import PHRASES, text_of, word_error_rate

KEY = "sk-very-secret"
ADDRESS = "https://speech.example/v1/audio/transcriptions"


class Server(ThreadingHTTPServer):
    """Listens with the embedded engine and answers as OpenAI does."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.listen = True
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = _multipart(self.headers["Content-Type"], body)
        with wave.open(io.BytesIO(parts["file"])) as sound:
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (SAMPLE_RATE, 1, 2)
        fields = {name: value.decode() for name, value in parts.items() if name != "file"}
        self.server.asked.append(
            {"path": self.path, "key": self.headers["Authorization"], "samples": len(samples), "bytes": len(body)}
            | fields
        )
        rows = []
        if self.server.listen:
            rows = [
                {"start": s.start_ms / 1000, "end": s.end_ms / 1000, "text": " " + s.text, "avg_logprob": -0.1}
                for s in MoonshineTranscriber().transcribe([Piece(0, samples)], language="en")
            ]
        answer = json.dumps({"text": " ".join(r["text"] for r in rows), "segments": rows}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        pass


def _multipart(content_type: str, body: bytes) -> dict[str, bytes]:
    message = BytesParser(_class=EmailMessage).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)  # type: ignore[misc]
        for part in message.iter_parts()
    }


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def engine(server: Server) -> Iterator[OpenAITranscriber]:
    engine = OpenAITranscriber(url=f"http://127.0.0.1:{server.server_port}/v1/", api_key=KEY)
    yield engine
    engine.session.close()


def noise(start_ms: int, seconds: float) -> Piece:
    return Piece(start_ms, np.ones(int(seconds * SAMPLE_RATE), np.int16))


def test_a_recording_goes_to_the_server_and_comes_back_as_words(
    tmp_path: Path, server: Server, engine: OpenAITranscriber
) -> None:
    path = tmp_path / "recording"
    write_mp4(path, [Clip(10.0, speech(PHRASES))], duration_s=60)

    segments = list(engine.transcribe(path, language="en-GB"))

    assert word_error_rate(text_of(PHRASES), " ".join(s.text for s in segments)) <= 0.12
    assert segments[0].start_ms == pytest.approx(10_300, abs=600)
    assert segments[0].confidence == round(math.exp(-0.1), 3)
    (asked,) = server.asked
    assert asked["path"] == "/v1/audio/transcriptions"
    assert asked["key"] == f"Bearer {KEY}"
    assert (asked["model"], asked["language"]) == ("whisper-1", "en")
    assert (asked["response_format"], asked["timestamp_granularities[]"]) == ("verbose_json", "segment")


def test_long_speech_goes_in_files_below_the_limit(server: Server, engine: OpenAITranscriber) -> None:
    server.listen = False
    pieces = (noise(n * 30_000, 29.5) for n in range(40))  # twenty minutes

    assert list(engine.transcribe(pieces, language="en")) == []

    assert len(server.asked) == 4
    assert max(asked["samples"] for asked in server.asked) <= MAX_FILE_MS * 16
    assert max(asked["bytes"] for asked in server.asked) < 25_000_000


def test_long_silence_is_not_sent_and_short_pauses_are(server: Server, engine: OpenAITranscriber) -> None:
    server.listen = False

    list(engine.transcribe([noise(0, 1), noise(3000, 1), noise(600_000, 1)], language="en"))

    assert [asked["samples"] for asked in server.asked] == [4 * SAMPLE_RATE, SAMPLE_RATE]


def test_nothing_said_asks_nothing(server: Server, engine: OpenAITranscriber) -> None:
    assert list(engine.transcribe([], language="en")) == []
    assert server.asked == []


def test_an_unset_language_is_left_to_the_server(server: Server, engine: OpenAITranscriber) -> None:
    server.listen = False
    list(engine.transcribe([noise(0, 1)], language=""))

    assert "language" not in server.asked[0]


# -- answers ---------------------------------------------------------------------------------------------------------


def ask(**answer: Any) -> list[Segment]:
    with responses.RequestsMock() as mock:
        mock.post(ADDRESS, **answer)
        engine = OpenAITranscriber(url="https://speech.example/v1", api_key=KEY, model="m")
        return list(engine.transcribe([noise(60_000, 2)], language="de"))


@pytest.mark.parametrize(
    ("answer", "segments"),
    [
        ({"text": " Hallo  Welt \n"}, [Segment(60_000, 62_000, "Hallo Welt")]),
        ({"text": "x", "segments": []}, []),
        ({"text": ""}, []),
        ({}, []),
        ({"segments": [{"start": 0.5, "end": 1, "text": "da"}]}, [Segment(60_500, 61_000, "da")]),
        ({"segments": [{"start": -1, "end": 99, "text": "da"}]}, [Segment(60_000, 62_000, "da")]),
        ({"segments": [{"start": 1.5, "end": 1, "text": "da"}]}, [Segment(61_500, 61_500, "da")]),
        ({"segments": [{"start": 1e300, "text": "x"}, {"start": "0", "text": "x"}, None, 7, {"text": "x"}]}, []),
        ({"segments": [{"start": 0, "end": 1, "text": "You", "no_speech_prob": 0.9, "avg_logprob": -1.4}]}, []),
        ({"segments": [{"start": 0, "end": 1, "text": "  "}]}, []),
    ],
)
def test_answers_are_read_with_care(answer: dict[str, Any], segments: list[Segment]) -> None:
    assert ask(json=answer) == segments


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_server_in_trouble_is_asked_again_later(status: int) -> None:
    with pytest.raises(TranscriberUnavailable, match=str(status)) as caught:
        ask(status=status, headers={"Retry-After": "7"})

    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 413, 415, 422])
def test_a_server_that_refuses_is_not_asked_again(status: int) -> None:
    with pytest.raises(TranscriberRefused, match=str(status)):
        ask(status=status, headers={"Location": "https://elsewhere.example/"})


def test_the_servers_word_for_it_is_shown_but_not_its_sentence() -> None:
    said = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}

    with pytest.raises(TranscriberRefused) as caught:
        ask(status=401, json=said)

    assert str(caught.value) == "the transcription server answered 401 (invalid_api_key)"


@pytest.mark.parametrize("code", [KEY, {"a": 1}, "x" * 61, None])
def test_a_word_that_is_not_one_is_not_shown(code: object) -> None:
    with pytest.raises(TranscriberRefused) as caught:
        ask(status=400, json={"error": {"code": code}})

    assert str(caught.value) == "the transcription server answered 400"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b"[" * 100_000, b'"text"', b"x" * (16 * 1024 * 1024 + 1)])
def test_an_answer_that_is_no_transcript_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(TranscriberUnavailable):
        ask(body=body)


@pytest.mark.parametrize(
    "failure",
    [
        requests.ConnectTimeout(f"with {KEY}"),
        requests.ReadTimeout(f"with {KEY}"),
        requests.ConnectionError(f"with {KEY}"),
        requests.exceptions.ChunkedEncodingError(f"with {KEY}"),
        requests.exceptions.SSLError(f"with {KEY}"),
    ],
)
def test_a_connection_that_fails_is_tried_later_and_tells_no_secret(failure: Exception) -> None:
    with pytest.raises(TranscriberUnavailable) as caught:
        ask(body=failure)

    assert KEY not in str(caught.value)
    assert "speech.example" not in str(caught.value)


def test_a_whole_address_is_taken_as_it_is() -> None:
    with responses.RequestsMock() as mock:
        mock.post(ADDRESS, json={"text": "x"})
        engine = OpenAITranscriber(url=ADDRESS)
        assert list(engine.transcribe([noise(0, 1)], language="en")) == [Segment(0, 1000, "x")]
        assert "Authorization" not in mock.calls[0].request.headers
