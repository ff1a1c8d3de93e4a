"""Why a wave goes on by itself, in words and numbers for its log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rooms.models import Wave
from rooms.waves.engine import State
from rooms.words import label_of, minute_of


@dataclass(frozen=True, kw_only=True)
class Because:
    words: str  #: one or more sentences
    numbers: dict[str, Any]


def why_next(wave: Wave, state: State, now: datetime) -> Because:
    """What the engine saw when it decided that the next step is due."""
    shown = _shown(state, now)
    free = f"Neither a check of {label_of(wave.platform)} nor blackout hours stood in the way."
    return Because(words=f"{shown.words} {free}", numbers=shown.numbers)


def why_over(state: State, now: datetime) -> Because:
    """What the engine saw when it decided that the last step has dwelt."""
    return _shown(state, now)


def _shown(state: State, now: datetime) -> Because:
    """What the step that was applied had to show, and did."""
    step, since = state.current, state.applied_at
    if step is None or since is None:
        return Because(words="It is the first step, which waits for no time and no meetings.", numbers={})
    dwelt, needed = (int(length.total_seconds() // 60) for length in (now - since, step.dwell))
    met = f"and its meetings ({state.meetings:,} judged, {step.min_meetings:,} were needed)"
    if not state.has_moved:
        met = "and the wave has moved no room yet in which people could have met"
    words = (
        f"Step {state.step + 1} had its time ({dwelt:,} min since {minute_of(since, now=now)}, {needed:,} were needed) "
        f"{met}."
    )
    numbers = {
        "minutes": dwelt,
        "minutes_needed": needed,
        "meetings_judged": state.meetings,
        "meetings_needed": step.min_meetings,
    }
    return Because(words=words, numbers=numbers)
