"""All rooms as one bar, a part for each platform and one for the archive. Numbers for an SVG template."""

from __future__ import annotations

from dataclasses import dataclass

from platforms import registry
from rooms.staff.display import PLATFORM_SHAPES, STATUS_SHAPES
from rooms.staff.fleet import Tally
from rooms.words import count_of

WIDTH = 600
#: the narrowest part that is still seen, and the narrowest that has room for its number
NARROWEST, HAS_ROOM = 4, 70


@dataclass(frozen=True, kw_only=True)
class Part:
    name: str  #: its class
    x: float
    width: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    parts: list[Part]
    width: float
    words: str  #: the same in words


def bar(counts: Tally) -> Bar:
    rows: list[tuple[str, str, str, int]] = [
        (f"platform-{number}", shape, f"on {label}", counts.get(("rooms", slug), 0))
        for number, ((slug, label), shape) in enumerate(zip(registry.platform_choices(), PLATFORM_SHAPES, strict=False))
    ]
    rows.append(("archived", STATUS_SHAPES["off"], "archived", counts.get(("archived", ""), 0)))
    total = sum(count for *_, count in rows)
    parts: list[Part] = []
    x = 0.0
    for name, shape, _, count in rows:
        if count:
            width = round(max(NARROWEST, WIDTH * count / total), 1)
            text = f"{shape} {count:,}" if width >= HAS_ROOM else ""
            parts.append(Part(name=name, x=round(x, 1), width=width, text=text))
            x += width
    words = ", ".join(f"{count_of(count, 'room')} {where}" for *_, where, count in rows)
    return Bar(parts=parts, width=max(round(x, 1), WIDTH), words=f"{words}.")
