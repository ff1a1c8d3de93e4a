"""Plots as SVG, made on the server. Lines differ by dash and mark, never by colour alone; a table says the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from rooms.parity.figures import Week
from rooms.parity.intervals import percent, wilson

WIDTH, HEIGHT = 360, 150
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 10, 24
#: the axis starts here, or lower where a share is lower
FLOOR = 0.8
#: between the intervals of two sides in one week
BESIDE = 3


def trend(title: str, sides: Sequence[tuple[str, Sequence[Week]]]) -> SafeString:
    """Share of successes per week, a line per side, with each week's interval as a bar. Empty without two weeks."""
    moments = sorted({week.begins for _, weeks in sides for week in weeks})
    if len(moments) < 2:
        return SafeString("")
    floor = min([FLOOR, *(week.count.share for _, weeks in sides for week in weeks)])
    floor = int(floor * 10) / 10

    def x(at: datetime) -> float:
        span = (moments[-1] - moments[0]).total_seconds()
        return LEFT + (at - moments[0]).total_seconds() / span * (WIDTH - LEFT - RIGHT)

    def y(share: float) -> float:
        return TOP + (1 - max(share, floor)) / (1 - floor) * (HEIGHT - TOP - BOTTOM)

    lines = format_html_join(
        "", "{}", ((_side(number, weeks, x, y),) for number, (_, weeks) in enumerate(sides) if weeks)
    )
    grid = format_html_join(
        "",
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}">{}</text>',
        (
            (LEFT, WIDTH - RIGHT, _px(y(share)), _px(y(share)), 2, _px(y(share) + 4), percent(share))
            for share in (1, (1 + floor) / 2, floor)
        ),
    )
    names = " and ".join(label for label, _ in sides)
    return format_html(
        '<figure class="trend"><svg viewBox="0 0 {} {}" role="img" '
        'aria-label="{} by week, {}; the table has the numbers">'
        '{}{}<text x="{}" y="{}">{}</text><text x="{}" y="{}" text-anchor="end">{}</text></svg>'
        "<figcaption>{}</figcaption></figure>",
        WIDTH,
        HEIGHT,
        title,
        names,
        grid,
        lines,
        LEFT,
        HEIGHT - 6,
        _day(moments[0]),
        WIDTH - RIGHT,
        HEIGHT - 6,
        _day(moments[-1]),
        title,
    )


def _side(
    number: int, weeks: Sequence[Week], x: Callable[[datetime], float], y: Callable[[float], float]
) -> SafeString:
    points = " ".join(f"{x(week.begins):.1f},{y(week.count.share):.1f}" for week in weeks)
    marks = []
    for week in weeks:
        low, high = wilson(week.count)
        at, share = x(week.begins), y(week.count.share)
        beside = _px(at + BESIDE * (number - 0.5))  # so that the sides' intervals are told apart
        shape = (
            format_html('<circle cx="{}" cy="{}" r="3.2"/>', _px(at), _px(share))
            if number % 2 == 0
            else format_html('<rect x="{}" y="{}" width="6" height="6"/>', _px(at - 3), _px(share - 3))
        )
        marks.append(
            format_html(
                '<line class="interval" x1="{}" x2="{}" y1="{}" y2="{}"/>{}',
                beside,
                beside,
                _px(y(low)),
                _px(y(high)),
                shape,
            )
        )
    drawn = format_html_join("", "{}", ((mark,) for mark in marks))
    return format_html('<g class="side-{}"><polyline points="{}"/>{}</g>', number % 4, points, drawn)


def _px(length: float) -> str:
    """``format_html`` makes text of numbers before it formats them."""
    return f"{length:.1f}"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b}"
