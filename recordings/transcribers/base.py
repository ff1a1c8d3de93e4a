"""The contract between recordings and whatever turns speech into words.

A transcriber is ORM-free and is given a file (or pieces of speech) and a language. Two errors cross this border:
:class:`TranscriberUnavailable` (try later) and :class:`TranscriberRefused` (do not). Silence is not an error: it
gives no segments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import ClassVar

from platforms.base import Problem
from recordings.media import Piece, speech_pieces


class TranscriberError(Exception):
    """An engine did not transcribe. The text is for staff: no secret, nothing that was said."""


class TranscriberUnavailable(TranscriberError):
    """Try again later: time-out, 429, 5xx, the engine is being restarted."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TranscriberRefused(TranscriberError):
    """Do not try again unchanged: wrong key, unknown model, an engine that is not installed."""


class LanguageNotSupported(TranscriberRefused):
    """The engine cannot do this language, and does not guess."""


@dataclass(frozen=True)
class Segment:
    """Words spoken from ``start_ms`` to ``end_ms`` after the file's start; ``confidence`` 0-1, None if not told."""

    start_ms: int
    end_ms: int
    text: str
    confidence: float | None = None


class Transcriber(ABC):
    """Cheap to build; models load on first use, inside the worker process."""

    name: ClassVar[str]
    model: str  #: shown beside the transcript

    def __init__(self, *, url: str = "", api_key: str = "", model: str = "") -> None:
        self.url, self.api_key, self.model = url, api_key, model

    @abstractmethod
    def supports(self, language: str) -> bool:
        """``language`` as in BCP 47 ("en", "pt-BR"); empty means nobody has said which."""

    @abstractmethod
    def limits(self) -> str:
        """Why a language is not supported, as the end of a sentence: "the small English model …"."""

    @abstractmethod
    def segments(self, pieces: Iterator[Piece], language: str) -> Iterator[Segment]:
        """Segments in order for pieces in order. ``language`` is supported and is the primary subtag, or empty."""

    def transcribe(self, source: str | PathLike[str] | Iterable[Piece], *, language: str) -> Iterator[Segment]:
        """Segments in order, yielded as they are ready, for a local file or for pieces of speech.

        Memory does not grow with the file. Raises ``LanguageNotSupported`` at once; while iterating
        ``TranscriberUnavailable``, ``TranscriberRefused`` and, for a file, ``MediaUnreadable``.
        """
        if not self.supports(language):
            wanted = describe_language(language)
            raise LanguageNotSupported(f"{self.name} cannot transcribe {wanted}: {self.limits()}")
        pieces = speech_pieces(source) if isinstance(source, str | PathLike) else source
        return self.segments(iter(pieces), primary(language))

    def problems(self) -> list[Problem]:
        """Mistakes in the settings, found without loading a model or asking a server."""
        return []


def primary(language: str) -> str:
    """ "pt-BR" -> "pt"."""
    return language.strip().lower().replace("_", "-").split("-")[0]


def describe_language(language: str) -> str:
    """A language in words where Django knows it: "de" -> "German (de)"."""
    from django.utils.translation import get_language_info

    if not primary(language):
        return "speech whose language nobody has set"
    try:
        return f"{get_language_info(primary(language))['name']} ({language})"
    except KeyError:
        return f"the language {language!r}"
