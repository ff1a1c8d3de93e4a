"""A wave's ramp as a drawing: what it reached when, and what comes at the earliest. Numbers for an SVG template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from rooms.waves.changes import percent
from rooms.waves.engine import BUCKETS

Point = tuple[datetime, int]  #: when, and how many buckets from then on

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 26, 46
#: a label on the time axis that is closer to an end than this would run over it
HALF_A_LABEL = 60


@dataclass(frozen=True, kw_only=True)
class Label:
    x: float
    y: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, kw_only=True)
class Ramp:
    past: str  #: paths
    future: str
    now_x: float
    grid: list[Label]
    steps: list[Label]
    times: list[Label]
    words: str  #: the same in words
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def ramp(past: Sequence[Point], future: Sequence[Point], now: datetime) -> Ramp:
    """``past`` begins with the start; the line goes on to ``now``. ``future`` ends with the end of the wave."""
    begins = past[0][0] if past else now
    ends = max([now, *(at for at, _ in future)])
    ends = max(ends, begins + timedelta(minutes=1))
    span = (ends - begins).total_seconds()

    def x(at: datetime) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (at - begins).total_seconds() / span, 1)

    def y(reached: int) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - reached / BUCKETS), 1)

    reached = past[-1][1] if past else 0
    labels: list[Label] = []
    for at, reach in [*past[1:], *future[:-1]]:
        label = Label(x=x(at) + 4, y=y(reach) - 5, text=percent(reach), anchor="start")
        if label.x > WIDTH - RIGHT - 40:
            label = Label(x=x(at) - 4, y=y(reach) - 5, text=percent(reach), anchor="end")
        if not any(abs(label.x - other.x) < 40 and abs(label.y - other.y) < 12 for other in labels):
            labels.append(label)
    return Ramp(
        past=_path([(x(at), y(reach)) for at, reach in past], x(now)) if past else "",
        future=_path([(x(now), y(reached)), *((x(at), y(reach)) for at, reach in future)], x(ends)) if future else "",
        now_x=x(now),
        grid=[Label(x=LEFT - 6, y=y(reach), text=percent(reach), anchor="end") for reach in range(0, 10_001, 2_500)],
        steps=labels,
        times=_times(begins, ends, now, x),
        words=_words(past, future),
    )


def _path(points: Sequence[tuple[float, float]], until: float) -> str:
    (first_x, first_y), *rest = points
    steps = "".join(f" H {x} V {y}" for x, y in rest)
    return f"M {first_x} {first_y}{steps} H {until}"


def _times(begins: datetime, ends: datetime, now: datetime, place: Callable[[datetime], float]) -> list[Label]:
    bottom = HEIGHT - BOTTOM + 18
    labels = []
    if begins < now:
        labels.append(Label(x=place(begins), y=bottom, text=_time(begins), anchor="start"))
    if ends > now:
        labels.append(Label(x=place(ends), y=bottom, text=_time(ends), anchor="end"))
    anchor = "middle"
    if place(now) - LEFT < HALF_A_LABEL:
        anchor = "start"
    elif WIDTH - RIGHT - place(now) < HALF_A_LABEL:
        anchor = "end"
    labels.append(Label(x=place(now), y=bottom + 18, text=f"now, {_time(now)}", anchor=anchor))
    return labels


def _time(at: datetime) -> str:
    local = timezone.localtime(at)
    return f"{local.day} {local:%b %H:%M}"


def _words(past: Sequence[Point], future: Sequence[Point]) -> str:
    """E.g. "So far: 5 % on 3 Mar 09:00. To come, at the earliest: 25 % on 4 Mar 09:00. Over on 5 Mar 09:00."."""
    parts = []
    if reached := [f"{percent(reach)} on {_time(at)}" for at, reach in past[1:]]:
        parts.append(f"So far: {', '.join(reached)}.")
    if to_come := [f"{percent(reach)} on {_time(at)}" for at, reach in future[:-1]]:
        parts.append(f"To come, at the earliest: {', '.join(to_come)}.")
    if future:
        parts.append(f"Over on {_time(future[-1][0])} at the earliest.")
    return " ".join(parts) or "Nothing has moved yet."
