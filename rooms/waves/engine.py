"""What a wave does next: a pure function of its state and the clock. No database, no settings, no side effects.

A wave is a list of steps (percentages that grow). Each room has a bucket from 0 to 9999 that never changes, and the
wave has ``reached``, the number of buckets that may be on the target. So growing never takes a room away, and the same
room always falls the same way. A step is *taken* (``reached`` grows), then *applied* (its rooms are moved, in as many
goes as it takes); its dwell counts from the moment it was applied. At most one step is taken at a time, however late
the clock is: a scheduler that was down for a week goes on with one step, which dwells in full, and not before what
happened in that week was looked at (``catching_up``).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from rooms.waves.blackouts import Blackout, end_of_blackout

#: buckets are hundredths of a percent
BUCKETS = 10_000
#: the index of a wave's step before the first one is taken
BEFORE_THE_FIRST = -1


def bucket_of(salt: str, room: uuid.UUID) -> int:
    """0 … 9999, fixed for ever: SHA-256 of ``<salt>:<uuid as 36 characters>`` as a big-endian number, modulo 10,000."""
    digest = hashlib.sha256(f"{salt}:{room}".encode("ascii")).digest()
    return int.from_bytes(digest, "big") % BUCKETS


@dataclass(frozen=True, kw_only=True)
class Step:
    reach: int  #: buckets, in hundredths of a percent
    dwell: timedelta
    min_meetings: int


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything that a decision depends on, besides the clock."""

    running: bool
    steps: Sequence[Step]
    step: int  #: index of the step that was taken last, or ``BEFORE_THE_FIRST``
    applied_at: datetime | None  #: when the last of its rooms was moved; None while it is being applied
    reached: int
    to_move: int = 0  #: rooms within ``reached`` that are to be looked at: moved, or left alone with a reason
    to_follow: int = 0  #: rooms within ``reached`` that were left alone and could be moved now (a pin that ended)
    to_return: int = 0  #: rooms beyond ``reached`` that the wave moved
    meetings: int = 0  #: that matured on the target since ``applied_at``
    has_moved: bool = True  #: the wave has moved a room, ever; before that no meeting can be waited for
    tripped: bool = False
    catching_up: Sequence[str] = ()  #: phrases: what of the time that passed has not been looked at yet
    blockers: Sequence[str] = ()  #: sentences: why nothing can be moved to the target now
    blackouts: Sequence[Blackout] = ()

    @property
    def current(self) -> Step | None:
        return self.steps[self.step] if self.step > BEFORE_THE_FIRST else None

    @property
    def following(self) -> Step | None:
        return self.steps[self.step + 1] if self.step + 1 < len(self.steps) else None

    @property
    def dwells_until(self) -> datetime | None:
        """None before the first step, and while a step is being applied: its dwell has not begun."""
        if self.current is None or self.applied_at is None:
            return None
        return self.applied_at + self.current.dwell

    def in_blackout(self, now: datetime) -> bool:
        return end_of_blackout(self.blackouts, now) != now

    @property
    def is_applying(self) -> bool:
        return self.current is not None and self.applied_at is None


class Action(Enum):
    MOVE_BACK = auto()  #: rooms beyond ``reached`` go back; in every status
    TRIP = auto()  #: the guard holds the wave or rolls it back
    MOVE_ON = auto()  #: rooms within ``reached`` go to the target
    APPLIED = auto()  #: the step has all its rooms: its dwell begins
    TAKE_STEP = auto()  #: the next step, one
    COMPLETE = auto()


class Wait(Enum):
    """What the wave waits for. Only ``PERSON`` never ends by itself."""

    PERSON = auto()
    BLOCKERS = auto()
    CATCHING_UP = auto()
    BLACKOUT = auto()
    ROOMS = auto()
    DWELL = auto()
    MEETINGS = auto()


@dataclass(frozen=True)
class Decision:
    actions: tuple[Action, ...]
    waits: tuple[Wait, ...]


def decide(state: State, now: datetime) -> list[Action]:
    """What to do now, in this order. Empty: wait; ``look`` says for what."""
    return list(look(state, now).actions)


def look(state: State, now: datetime) -> Decision:
    """The actions that are due, and what stands in the way of the next ones."""
    actions: list[Action] = []
    if state.to_return:
        actions.append(Action.MOVE_BACK)
    if not state.running:
        return Decision(tuple(actions), (Wait.PERSON,))
    if state.tripped:
        return Decision((*actions, Action.TRIP), (Wait.PERSON,))

    standing = _standing_in_the_way(state, now)
    if (state.to_move or state.to_follow) and not standing:
        actions.append(Action.MOVE_ON)
    if state.is_applying:
        if state.to_move:
            return Decision(tuple(actions), (*standing, Wait.ROOMS))
        return Decision((*actions, Action.APPLIED), standing)

    holding = _holding(state, now)
    if state.following is None:
        # nothing more to move: neither blackout hours nor checks keep a wave from being over
        holding = (*_unseen(state), *holding)
        if not holding:
            actions.append(Action.COMPLETE)
        return Decision(tuple(actions), holding)
    waits = (*standing, *holding)
    if not waits:
        actions.append(Action.TAKE_STEP)
    return Decision(tuple(actions), waits)


def _standing_in_the_way(state: State, now: datetime) -> tuple[Wait, ...]:
    """Why nothing can be moved to the target at this moment."""
    waits = []
    if state.blockers:
        waits.append(Wait.BLOCKERS)
    if state.in_blackout(now):
        waits.append(Wait.BLACKOUT)
    return (*waits, *_unseen(state))


def _unseen(state: State) -> tuple[Wait, ...]:
    """The guard could not act yet on what went wrong meanwhile: until it can, the wave goes no further."""
    return (Wait.CATCHING_UP,) if state.catching_up else ()


def _holding(state: State, now: datetime) -> tuple[Wait, ...]:
    """What the step that was applied still has to show."""
    waits = []
    if state.dwells_until is not None and now < state.dwells_until:
        waits.append(Wait.DWELL)
    if state.current is not None and state.has_moved and state.meetings < state.current.min_meetings:
        waits.append(Wait.MEETINGS)
    return tuple(waits)


def earliest(state: State, now: datetime) -> datetime | None:
    """When the next step can be taken at the earliest, as far as the clock decides it.

    None: the clock alone does not (a step is being applied, nothing follows, or every hour is blacked out).
    """
    if state.following is None or state.is_applying:
        return None
    return end_of_blackout(state.blackouts, max(now, state.dwells_until or now))


def step_reached(steps: Sequence[Step], reached: int) -> int:
    """The last step that lies within ``reached``: where a wave stands after it was shrunk."""
    within = [number for number, step in enumerate(steps) if step.reach <= reached]
    return within[-1] if within else BEFORE_THE_FIRST
