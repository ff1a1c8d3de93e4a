"""Where a wave is, what comes next, when, and what it waits for: in words, by the code that decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rooms.models import Wave
from rooms.planning import Standing
from rooms.waves.blackouts import end_of_blackout
from rooms.waves.changes import percent
from rooms.waves.engine import Decision, State, Wait, earliest, look
from rooms.waves.reading import Reading, blackouts_of, reach_of, read, read_all_with_something_to_do
from rooms.words import count_of, label_of, minute_of


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """``at`` is None when the clock alone does not decide; it is in the past or now when the step is due."""

    where: str  #: e.g. "Step 2 of 4: up to 25 % of 400 rooms"
    next: str  #: e.g. "Step 3 of 4: up to 50 %"; empty when nothing comes
    at: datetime | None
    at_words: str = ""
    waits: tuple[str, ...]  #: what it waits for, a phrase each
    needs_somebody: bool  #: nothing goes on by itself

    @property
    def words(self) -> str:
        """All of it in one paragraph."""
        parts = [f"{self.where}."]
        if self.next:
            when = f", not before {self.at_words}" if self.at_words else ""
            parts.append(f"Next: {self.next}{when}.")
        if self.waits:
            parts.append(f"Waits for {'; and for '.join(self.waits)}.")
        return " ".join(parts)


def next_step(wave: Wave, now: datetime, reading: Reading | None = None) -> NextStep:
    """About nine queries, or none when the wave was read already."""
    if wave.status == Wave.Status.DRAFT:
        return NextStep(
            where="A draft: nothing has moved",
            next=_step_words(wave, 0),
            at=None,
            waits=("somebody to start it",),
            needs_somebody=True,
        )
    if wave.status == Wave.Status.COMPLETED:
        where = f"Completed on {minute_of(wave.finished_at or now, now=now)}"
        return NextStep(where=where, next="", at=None, waits=(), needs_somebody=False)
    reading = reading or read(wave, now)
    state, seen = reading.state, look(reading.state, now)
    if wave.status == Wave.Status.ROLLED_BACK:
        back = f"; {count_of(reading.numbers.to_return, 'room')} still to be moved back" if state.to_return else ""
        where = f"Rolled back on {minute_of(wave.finished_at or now, now=now)}{back}"
        waits = _kept_in_words(reading) or ("somebody to resume it",)
        return NextStep(where=where, next=_step_words(wave, 0), at=None, waits=waits, needs_somebody=True)
    at = earliest(state, now) if state.running else None
    return NextStep(
        where=_where(wave, reading, now),
        next=_next(wave, state),
        at=at,
        at_words=minute_of(at, now=now) if at is not None else "",
        waits=(*(wait_in_words(wave, state, wait, now) for wait in seen.waits), *_kept_in_words(reading)),
        needs_somebody=_needs_somebody(state, seen),
    )


def _kept_in_words(reading: Reading) -> tuple[str, ...]:
    return tuple(kept.waits for kept in reading.kept)


def _needs_somebody(state: State, seen: Decision) -> bool:
    return Wait.PERSON in seen.waits or Wait.BLOCKERS in seen.waits


def _step_words(wave: Wave, step: int) -> str:
    return f"step {step + 1} of {len(wave.steps)}, up to {percent(reach_of(wave.steps[step]))}"


def _where(wave: Wave, reading: Reading, now: datetime) -> str:
    held = f"Held since {minute_of(wave.held_at, now=now)}. " if wave.held_at else ""
    rooms = count_of(reading.numbers.total, "room")
    if wave.step < 0:
        reached = f", up to {percent(wave.reached)}" if wave.reached else ""
        return f"{held}Before the first step{reached}: {rooms}"
    return f"{held}Step {wave.step + 1} of {len(wave.steps)}: up to {percent(wave.reached)} of {rooms}"


def _next(wave: Wave, state: State) -> str:
    if state.is_applying and state.to_move:
        return f"the rest of step {wave.step + 1}"
    if state.following is None:
        return "the end of the wave"
    return _step_words(wave, wave.step + 1)


def wait_in_words(wave: Wave, state: State, wait: Wait, now: datetime) -> str:
    """What follows "waits for"."""
    match wait:
        case Wait.PERSON:
            what = f" ({wave.held_reason.rstrip('.')})" if wave.held_reason else ""
            return f"somebody to resume it or roll it back{what}"
        case Wait.BLOCKERS:
            return f"{label_of(wave.platform)} to be ready: {' '.join(state.blockers).rstrip('.')}"
        case Wait.CATCHING_UP:
            return "; and for ".join(state.catching_up)
        case Wait.BLACKOUT:
            end = end_of_blackout(blackouts_of(wave), now)
            return (
                "an hour that is not blacked out: there is none"
                if end is None
                else (f"the end of its blackout hours, {minute_of(end, now=now)}")
            )
        case Wait.ROOMS:
            return f"{count_of(state.to_move, 'room')} of this step to be moved"
        case Wait.DWELL:
            assert state.dwells_until is not None  # noqa: S101 - tells the type
            return f"the time of this step to pass, until {minute_of(state.dwells_until, now=now)}"
        case Wait.MEETINGS:
            needed = state.current.min_meetings if state.current else 0
            return f"meetings in rooms that it moved: {state.meetings} of {needed} judged since this step"


def running(now: datetime, standing: Standing | None = None) -> list[tuple[Wave, NextStep]]:
    """Waves that are running or held, or were rolled back and have rooms that are not back yet, and where each is.

    Four queries, however many.
    """
    return [(wave, next_step(wave, now, reading)) for wave, reading in read_all_with_something_to_do(now, standing)]


def planned(wave: Wave, state: State, now: datetime) -> list[tuple[datetime, int]]:
    """When each step to come can be taken at the earliest, and what it reaches; the last pair is the end of the wave.

    Empty unless the wave is a draft (as if it were started now) or runs.
    """
    if wave.status not in (Wave.Status.DRAFT, Wave.Status.RUNNING):
        return []
    if state.is_applying and state.current is not None:
        at: datetime | None = now + state.current.dwell
    else:
        at = max(now, state.dwells_until or now)
    to_come: list[tuple[datetime, int]] = []
    for step in state.steps[state.step + 1 :]:
        at = end_of_blackout(state.blackouts, at) if at is not None else None
        if at is None:
            return to_come
        to_come.append((at, max(step.reach, state.reached)))
        at += step.dwell
    return [*to_come, (at, to_come[-1][1] if to_come else state.reached)] if at is not None else to_come
