"""What comes round for waves: read, decide, do. Any number of processes may tick; a wave is worked on by one."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.urls import reverse

from platforms.alerts import alert
from rooms.guard.tripwire import Trip
from rooms.models import Wave, WaveEntry
from rooms.waves.carrying import MOST_FORTH, leave_alone_what_was_moved_away, move_back, move_forth
from rooms.waves.changes import complete, hold, mark_applied, roll_back, take_step
from rooms.waves.engine import Action, decide
from rooms.waves.reading import Kept, kept_among, locked, read, to_return, with_something_to_do
from rooms.waves.reasons import why_next, why_over
from rooms.words import count_of, label_of

logger = logging.getLogger(__name__)

#: a step is taken and its rooms are moved in one, and it is marked as applied in the next
PASSES = 2


def tick(now: datetime) -> None:
    """Take every wave as far as it may go now. One that fails does not stop the others; the last failure is raised."""
    failure: Exception | None = None
    for wave_id in list(with_something_to_do().order_by("pk").values_list("pk", flat=True)):
        try:
            tick_wave(wave_id, now)
        except Exception as error:  # noqa: BLE001  recorded by whoever runs the job
            logger.warning("wave %s: %s", wave_id, type(error).__name__, exc_info=True)
            failure = error
    if failure is not None:
        raise failure


def tick_wave(wave_id: int, now: datetime) -> list[Action]:
    """Everything that was done. Takes at most one step."""
    done: list[Action] = []
    for _ in range(PASSES):
        actions, is_full = _pass(wave_id, now, done)
        done += actions
        if not actions or is_full or Action.TRIP in actions:
            break
    return done


def _pass(wave_id: int, now: datetime, done: list[Action]) -> tuple[list[Action], bool]:
    """One decision, carried out, and whether it moved as many rooms as one tick may: the next tick goes on then.

    Rooms are moved after the decision is committed, in transactions of their own. ``done``: what this tick did before.
    """
    with transaction.atomic():
        wave = locked(wave_id, unless_taken=True)
        if wave is None:
            return [], False
        reading = read(wave, now)
        actions = decide(reading.state, now)
        if Action.TAKE_STEP in done:
            # a step without rooms and without dwell would be followed by the next one at once
            actions = [action for action in actions if action != Action.TAKE_STEP]
        for action in actions:
            match action:
                case Action.TRIP if reading.trip is not None:
                    trip(wave, reading.trip, now)
                case Action.TAKE_STEP:
                    take_step(wave, now=now, because=why_next(wave, reading.state, now))
                case Action.APPLIED:
                    mark_applied(wave, reading.numbers, now)
                case Action.COMPLETE:
                    words = f"Completed: the wave has moved its rooms to {label_of(wave.platform)}."
                    complete(wave, words, now=now, because=why_over(reading.state, now))
    if reading.numbers.astray:
        leave_alone_what_was_moved_away(wave_id, now=now)
    if Action.MOVE_BACK in actions or Action.TRIP in actions:
        move_back(wave_id, now=now)
    # what could stand in the way of a step's rooms was looked at when it was taken
    forth = {Action.TAKE_STEP, Action.MOVE_ON}
    is_full = bool(forth & {*actions} and not forth & {*done} and move_forth(wave_id, now=now) >= MOST_FORTH)
    return actions, is_full


def trip(wave: Wave, what: Trip, now: datetime) -> WaveEntry:
    """The guard acts: by the wave's policy it is held or rolled back, and people are told with the way out."""
    numbers = {**what.numbers, "by": "guard"}
    rolls_back = wave.on_trip == Wave.OnTrip.ROLL_BACK
    kept: list[Kept] = []
    if rolls_back:
        kept = kept_among(to_return(wave, reached=0), now)
        entry = roll_back(wave, f"Rolled back by the guard: {what.words}", now=now, numbers=numbers)
    else:
        entry = hold(wave, f"Held by the guard: {what.words}", now=now, numbers=numbers)
    alert(
        alert_key(wave),
        title=f"The guard {'rolled back' if rolls_back else 'held'} wave “{wave.name}”{_but(kept)}",
        words=" ".join([what.words, *(one.words for one in kept)]),
        evidence=what.numbers,
        inverse="Find out why, mend it, then resume the wave." if rolls_back else "Resume the wave, or roll it back.",
        inverse_url=reverse("admin:rooms_wave_command", args=[wave.pk, "resume"]),
        severity="critical",
        now=now,
    )
    return entry


def _but(kept: list[Kept]) -> str:
    """What the title of an alert says besides when rooms stay that were to go back."""
    return f", but {count_of(sum(one.rooms for one in kept), 'room')} cannot go back yet" if kept else ""


def alert_key(wave: Wave) -> str:
    return f"wave {wave.pk} guard"
