"""Any server that speaks ``POST /audio/transcriptions`` as OpenAI documents it.

https://platform.openai.com/docs/api-reference/audio/createTranscription (``verbose_json``, segment times; files of at
most 25 MB). Written on ``requests``. Speech is sent as 16 kHz WAV files of at most five minutes, cut at pauses, and
long silence is not sent at all: Whisper makes words up for it.
"""

from __future__ import annotations

import io
import json
import math
import re
import wave
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import requests

from platforms.base import Problem
from recordings.media import SAMPLE_RATE, Piece
from recordings.transcribers.base import Segment, Transcriber, TranscriberRefused, TranscriberUnavailable
from recordings.transcribers.languages import knows, whisper_code

OPENAI = "https://api.openai.com/v1"
MAX_FILE_MS = 300_000
MAX_FILE_BYTES = 24 * 1024 * 1024
MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_SILENCE_MS = 5_000  #: a longer pause ends the file
TIMEOUT_S = (5, 300)  #: connect, and longest wait for the next byte: five minutes of speech on a slow server
CODE = re.compile(r"[a-z][a-z0-9_]{0,59}")
TRY_LATER = {408, 409, 423, 425, 429}


class OpenAITranscriber(Transcriber):
    name = "openai"

    def __init__(self, *, url: str = "", api_key: str = "", model: str = "") -> None:
        super().__init__(url=(url or OPENAI).rstrip("/"), api_key=api_key, model=model or "whisper-1")
        self.session = requests.Session()

    def supports(self, language: str) -> bool:
        return knows(self.model, language)

    def limits(self) -> str:
        return f"the model {self.model} does not know this language"

    def segments(self, pieces: Iterator[Piece], language: str) -> Iterator[Segment]:
        for piece in _files(pieces):
            yield from _read_answer(self._ask(piece, language), piece)

    def problems(self) -> list[Problem]:
        found = []
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query
        except ValueError:
            good = False
        if not good:
            found.append(
                Problem(
                    variable="TRANSCRIBER_URL",
                    message="not an http(s) address",
                    hint=f"For example {OPENAI}, or your own server's address up to /v1.",
                )
            )
        if self.url == OPENAI and not self.api_key:
            found.append(
                Problem(variable="TRANSCRIBER_API_KEY", message="api.openai.com needs a key", hint="Set the key.")
            )
        return found

    @property
    def _address(self) -> str:
        path = "/audio/transcriptions"
        return self.url if self.url.endswith(path) else self.url + path

    def _ask(self, piece: Piece, language: str) -> dict[str, Any]:
        fields = {"model": self.model, "response_format": "verbose_json", "timestamp_granularities[]": "segment"}
        if language:
            fields["language"] = whisper_code(language)
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        try:
            with self.session.post(
                self._address,
                data=fields,
                files={"file": ("speech.wav", _wav(piece), "audio/wav")},
                headers=headers,
                timeout=TIMEOUT_S,
                allow_redirects=False,  # the key goes nowhere else
                stream=True,
            ) as response:
                return _checked(response, _body(response))
        except requests.Timeout as error:
            raise TranscriberUnavailable("the transcription server did not answer in time") from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise TranscriberUnavailable("the transcription server cannot be reached or broke off") from error
        except (requests.RequestException, ValueError) as error:
            raise TranscriberRefused(f"the request could not be made ({type(error).__name__})") from error


def _body(response: requests.Response) -> bytes:
    """The answer, or one byte more than is allowed."""
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
    return bytes(body[: MAX_ANSWER_BYTES + 1])


def _checked(response: requests.Response, body: bytes) -> dict[str, Any]:
    status = response.status_code
    answer = _json(body) if len(body) <= MAX_ANSWER_BYTES else None
    if status == 200:
        if answer is None:
            raise TranscriberUnavailable("the transcription server answered something that is not a transcript")
        return answer
    said = f"the transcription server answered {status}{_code(answer)}"
    if status in TRY_LATER or status >= 500:
        raise TranscriberUnavailable(said, retry_after_s=_retry_after(response.headers.get("Retry-After", "")))
    raise TranscriberRefused(said)


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _code(answer: dict[str, Any] | None) -> str:
    """The server's stable error word. Never its message: that may repeat a key or what was said."""
    error = (answer or {}).get("error")
    for key in ("code", "type"):
        word = error.get(key) if isinstance(error, dict) else None
        if isinstance(word, str) and CODE.fullmatch(word):
            return f" ({word})"
    return ""


def _retry_after(value: str) -> float | None:
    return float(min(int(value), 3600)) if value.isascii() and value.isdigit() else None


def _read_answer(answer: dict[str, Any], piece: Piece) -> Iterator[Segment]:
    rows = answer.get("segments")
    if not isinstance(rows, list):  # servers that give no times: the whole file is one segment
        text = answer.get("text")
        if isinstance(text, str) and text.strip():
            yield Segment(piece.start_ms, piece.end_ms, " ".join(text.split()))
        return
    for row in rows:
        if not isinstance(row, dict) or _made_up(row):
            continue
        text, start, end = row.get("text"), _number(row.get("start")), _number(row.get("end"))
        if isinstance(text, str) and text.strip() and start is not None:
            begin = min(piece.start_ms + max(round(start * 1000), 0), piece.end_ms)
            finish = piece.start_ms + round((start if end is None else end) * 1000)
            yield Segment(begin, min(max(finish, begin), piece.end_ms), " ".join(text.split()), _confidence(row))


def _made_up(row: dict[str, Any]) -> bool:
    """Whisper's own rule for words invented over silence."""
    silent, likely = _number(row.get("no_speech_prob")), _number(row.get("avg_logprob"))
    return silent is not None and silent > 0.6 and likely is not None and likely < -1.0


def _confidence(row: dict[str, Any]) -> float | None:
    likely = _number(row.get("avg_logprob"))
    return None if likely is None else round(math.exp(min(likely, 0.0)), 3)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e9 else None  # also False for NaN


def _files(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Join pieces, with their pauses as silence, into files of at most ``MAX_FILE_MS``."""
    held: list[Piece] = []
    for piece in pieces:
        if held and (
            piece.start_ms - held[-1].end_ms > MAX_SILENCE_MS or piece.end_ms - held[0].start_ms > MAX_FILE_MS
        ):
            yield _joined(held)
            held = []
        held.append(piece)
    if held:
        yield _joined(held)


def _joined(pieces: list[Piece]) -> Piece:
    parts: list[Any] = []
    clock = pieces[0].start_ms
    for piece in pieces:
        parts += [np.zeros(max(piece.start_ms - clock, 0) * SAMPLE_RATE // 1000, np.int16), piece.samples]
        clock = max(piece.end_ms, clock)
    samples = np.concatenate(parts)
    return Piece(pieces[0].start_ms, samples[: MAX_FILE_BYTES // 2])


def _wav(piece: Piece) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(piece.samples.astype("<i2").tobytes())
    return out.getvalue()
