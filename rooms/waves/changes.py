"""Changes of a wave's own row, each with its line in the log. Call with the wave locked, inside a transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Value
from django.db.models.functions import Replace

from rooms.models import Wave, WaveEntry, WaveRoom
from rooms.waves.carrying import PASSING
from rooms.waves.engine import BEFORE_THE_FIRST, step_reached
from rooms.waves.reading import Numbers, kept_among, reach_of, steps_of, to_return
from rooms.waves.reasons import Because


def percent(reached: int) -> str:
    """Buckets as staff read them: "25 %", "0.5 %"."""
    return f"{reached / 100:g} %"


def note(
    wave: Wave, what: str, words: str, *, now: datetime, actor: Any = None, numbers: dict[str, Any] | None = None
) -> WaveEntry:
    return WaveEntry.objects.create(wave=wave, at=now, what=what, words=words, actor=actor, numbers=numbers or {})


def take_step(
    wave: Wave, *, now: datetime, actor: Any = None, reason: str = "", because: Because | None = None
) -> WaveEntry:
    """The next step, for somebody's ``reason`` or ``because`` its time has come.

    Reach only grows here: a wave that was shrunk below a step's percentage grows again.
    """
    wave.step += 1
    wave.reached = max(wave.reached, reach_of(wave.steps[wave.step]))
    wave.step_started_at = None
    wave.save(update_fields=["step", "reached", "step_started_at"])
    words = f"Step {wave.step + 1} of {len(wave.steps)}: up to {percent(wave.reached)} of the rooms."
    if reason:
        words = f"{words} Taken ahead of its time: {reason}"
    numbers = {"step": wave.step, "percent": wave.reached / 100}
    if because is not None:
        words, numbers = f"{words} {because.words}", numbers | because.numbers
    return note(wave, "step", words, now=now, actor=actor, numbers=numbers)


def mark_applied(wave: Wave, counted: Numbers, now: datetime) -> WaveEntry:
    """The step has all its rooms, which were ``counted``: its dwell counts from now."""
    wave.step_started_at = now
    wave.save(update_fields=["step_started_at"])
    numbers = {"rooms_within": counted.within, "moved": counted.moved, "left_alone": counted.left}
    words = (
        f"Step {wave.step + 1} has all its rooms: of {counted.within:,} within {percent(wave.reached)} none is left to "
        f"be moved. The wave has moved {counted.moved:,} and left {counted.left:,} alone; the step’s time counts from "
        "here."
    )
    return note(wave, "applied", words, now=now, numbers=numbers)


def complete(wave: Wave, words: str, *, now: datetime, actor: Any = None, because: Because | None = None) -> WaveEntry:
    wave.status = Wave.Status.COMPLETED
    wave.finished_at = now
    wave.save(update_fields=["status", "finished_at"])
    _nothing_follows_any_more(wave)
    if because is not None:
        words = f"{words} {because.words}"
    return note(wave, "completed", words, now=now, actor=actor, numbers=because.numbers if because else None)


def _nothing_follows_any_more(wave: Wave) -> None:
    left = wave.rooms.filter(state=WaveRoom.State.LEFT)
    for words in PASSING.values():
        left.filter(words__endswith=words).update(
            words=Replace("words", Value(words), Value("The wave is over: it does not follow."))
        )


def hold(
    wave: Wave,
    words: str,
    *,
    now: datetime,
    actor: Any = None,
    numbers: dict[str, Any] | None = None,
    what: str = "held",
) -> WaveEntry:
    wave.status = Wave.Status.HELD
    wave.held_at = now
    wave.held_reason = words
    wave.save(update_fields=["status", "held_at", "held_reason"])
    return note(wave, what, words, now=now, actor=actor, numbers=numbers)


def _tell_of_kept(wave: Wave, now: datetime) -> None:
    """Rooms that were promised to go back, and cannot yet, have a line of the log."""
    for kept in kept_among(to_return(wave), now):
        note(wave, "kept", kept.words, now=now, numbers={"rooms": kept.rooms})


def shrink(wave: Wave, reached: int, words: str, *, now: datetime, actor: Any = None) -> WaveEntry:
    """Reach less, and hold: a wave that went on would grow again at once."""
    wave.reached = reached
    wave.step = step_reached(steps_of(wave), reached)
    wave.step_started_at = None
    wave.save(update_fields=["reached", "step", "step_started_at"])
    entry = hold(wave, words, now=now, actor=actor, numbers={"percent": reached / 100}, what="shrunk")
    _tell_of_kept(wave, now)
    return entry


def roll_back(
    wave: Wave, words: str, *, now: datetime, actor: Any = None, numbers: dict[str, Any] | None = None
) -> WaveEntry:
    wave.status = Wave.Status.ROLLED_BACK
    wave.reached = 0
    wave.step = BEFORE_THE_FIRST
    wave.step_started_at = None
    wave.held_at, wave.held_reason = None, ""
    wave.finished_at = now
    wave.save(update_fields=["status", "reached", "step", "step_started_at", "held_at", "held_reason", "finished_at"])
    entry = note(wave, "rolled_back", words, now=now, actor=actor, numbers=numbers)
    _tell_of_kept(wave, now)
    return entry


def resume(wave: Wave, words: str, *, now: datetime, actor: Any = None) -> WaveEntry:
    """Run on. The step that was applied dwells again in full, and the guard counts from now."""
    wave.status = Wave.Status.RUNNING
    wave.held_at, wave.held_reason, wave.finished_at = None, "", None
    wave.guarded_from = now
    if wave.step_started_at is not None:
        wave.step_started_at = now
    wave.save(update_fields=["status", "held_at", "held_reason", "finished_at", "guarded_from", "step_started_at"])
    return note(wave, "resumed", words, now=now, actor=actor)
