"""Speech to text. Which engine does it is a setting: ``TRANSCRIBER`` is a name below or a dotted path to a class."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string

from platforms.base import Problem
from recordings.transcribers.base import (
    LanguageNotSupported,
    Segment,
    Transcriber,
    TranscriberError,
    TranscriberRefused,
    TranscriberUnavailable,
)

__all__ = [
    "LanguageNotSupported",
    "Segment",
    "Transcriber",
    "TranscriberError",
    "TranscriberRefused",
    "TranscriberUnavailable",
    "problems",
    "transcriber",
]

ENGINES = {
    "moonshine": "recordings.transcribers.moonshine.MoonshineTranscriber",
    "openai": "recordings.transcribers.openai.OpenAITranscriber",
    "faster-whisper": "recordings.transcribers.faster_whisper.FasterWhisperTranscriber",
}


def transcriber() -> Transcriber:
    """The engine that the settings name. Raises ``TranscriberRefused`` when they name none that exists."""
    path = ENGINES.get(settings.TRANSCRIBER, settings.TRANSCRIBER)
    try:
        engine = import_string(path)
    except ImportError as error:
        known = ", ".join(ENGINES)
        raise TranscriberRefused(f"TRANSCRIBER is {path!r}: neither one of {known} nor a class to import") from error
    return engine(url=settings.TRANSCRIBER_URL, api_key=settings.TRANSCRIBER_API_KEY, model=settings.TRANSCRIBER_MODEL)


def problems() -> list[Problem]:
    """For the system checks: what is wrong with the settings, without loading a model or asking a server."""
    try:
        return transcriber().problems()
    except TranscriberRefused as error:
        return [Problem(variable="TRANSCRIBER", message=str(error), hint="The default is moonshine.")]
