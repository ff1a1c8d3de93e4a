"""Transcripts as captions (WebVTT, https://www.w3.org/TR/webvtt1/)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from recordings.models import TranscriptSegment

WIDTH = 42
SHORTEST_MS = 500


def webvtt(segments: Iterable[TranscriptSegment]) -> str:
    """One cue per two lines of words; a long segment is cut in proportion to its letters."""
    blocks = ["WEBVTT\n"]
    for segment in segments:
        lines = textwrap.wrap(_plain(segment.text), WIDTH) or [""]
        pairs = [lines[at : at + 2] for at in range(0, len(lines), 2)]
        letters = sum(len(line) for line in lines) or 1
        length = max(segment.end_ms - segment.start_ms, SHORTEST_MS * len(pairs))
        begin = float(segment.start_ms)
        voice = f"<v {_plain(segment.participant.name)}>" if segment.participant and segment.participant.name else ""
        for pair in pairs:
            end = begin + length * sum(len(line) for line in pair) / letters
            blocks.append(f"{_stamp(begin)} --> {_stamp(max(end, begin + 1))}\n{voice}{chr(10).join(pair)}\n")
            begin = end
    return "\n".join(blocks)


def _plain(text: str) -> str:
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def _stamp(ms: float) -> str:
    whole, rest = divmod(int(ms), 1000)
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    return f"{hours:02}:{m:02}:{s:02}.{rest:03}"
