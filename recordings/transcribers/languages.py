"""Languages of the Whisper family: the codes of its tokenizer (github.com/openai/whisper, whisper/tokenizer.py)."""

from __future__ import annotations

from recordings.transcribers.base import primary

CODES = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id "
    "is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd "
    "si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh"
)
WHISPER = frozenset(CODES.split())
ALIASES = {"nb": "no", "iw": "he", "in": "id", "jv": "jw", "fil": "tl", "cmn": "zh"}


def whisper_code(language: str) -> str:
    """The code that Whisper uses for a BCP 47 tag; may be one that it does not know."""
    code = primary(language)
    return ALIASES.get(code, code)


def knows(model: str, language: str) -> bool:
    """Whether a Whisper model does ``language``; the ``….en`` models do English only. Empty: it listens and decides."""
    code = whisper_code(language)
    if model.endswith(".en"):
        return code == "en"
    return not code or code in WHISPER
