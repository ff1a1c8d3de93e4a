"""What people tell a wave to do: shown first, then done exactly as shown, or not at all.

``preview`` computes what a command would do; ``carry_out`` computes it again with the wave locked, compares, and does
it. The admin's pages and ``manage.py wave`` both end here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import QuerySet
from django.utils import timezone

from platforms.alerts import settle
from rooms.models import Wave, WaveEntry, WaveRoom
from rooms.staff.live import live_meetings
from rooms.waves import changes, starting
from rooms.waves.carrying import MOST_FORTH, move_back, move_forth
from rooms.waves.engine import BEFORE_THE_FIRST, BUCKETS, State, Wait, look
from rooms.waves.reading import (
    Reading,
    but_for,
    held_by_others,
    kept_among,
    locked,
    read,
    to_move,
    to_return,
    unhindered,
)
from rooms.waves.since import changes_since
from rooms.waves.tick import alert_key
from rooms.waves.timeline import wait_in_words
from rooms.words import count_of, given, label_of

Status = Wave.Status
#: rooms that are named in one query: databases bound the number of parameters
AT_ONCE = 10_000
#: whose command an entry of the log writes down, as its ``numbers["by"]``; an actor's account may go one day
COMMAND_LINE, SOMEBODY = "command line", "somebody"


class Command(models.TextChoices):
    START = "start", "Start"
    PAUSE = "pause", "Pause"
    RESUME = "resume", "Resume"
    NEXT = "next", "Next step now"
    SHRINK = "shrink", "Shrink"
    ROLL_BACK = "rollback", "Roll back"
    CLOSE = "close", "Close"


#: in which states of a wave a command makes sense
ALLOWED: dict[Command, tuple[Status, ...]] = {
    Command.START: (Status.DRAFT,),
    Command.PAUSE: (Status.RUNNING,),
    Command.RESUME: (Status.HELD, Status.ROLLED_BACK),
    Command.NEXT: (Status.RUNNING,),
    Command.SHRINK: (Status.RUNNING, Status.HELD),
    Command.ROLL_BACK: (Status.RUNNING, Status.HELD, Status.COMPLETED),
    Command.CLOSE: (Status.ROLLED_BACK,),
}


class WaveRefused(Exception):
    """A command that cannot be carried out now. The text is for staff."""


class WaveChanged(WaveRefused):
    """What was shown is not what would happen any more; nothing was done. ``changes`` has a sentence each."""

    def __init__(self, changes: list[str]) -> None:
        super().__init__("Something changed since you looked, so nothing was done.")
        self.changes = changes


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a command would do. ``facts`` are what it is agreed on by: plain values that JSON can hold."""

    command: Command
    words: list[str]  #: sentences for whoever decides
    facts: list[Any]
    moving: int = 0  #: rooms that this very command moves, as far as nothing stands in their way
    start: starting.Start | None = None
    numbers: dict[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps([self.command.value, self.facts]).encode()).hexdigest()


def possible(wave: Wave) -> list[Command]:
    """Commands that make sense in the wave's state."""
    return [command for command, states in ALLOWED.items() if wave.status in states and not _is_idle(command, wave)]


def _is_idle(command: Command, wave: Wave) -> bool:
    """The state allows it, but there is nothing to do: no further step, or nothing to roll back."""
    if command == Command.NEXT:
        return wave.step + 1 >= len(wave.steps)
    return command == Command.ROLL_BACK and wave.status == Status.COMPLETED and not wave.reached


def preview(wave: Wave, command: Command, *, percent: float | None = None, now: datetime | None = None) -> Plan:
    """What the command would do now. Changes nothing. Raises ``WaveRefused``."""
    now = now or timezone.now()
    if wave.status not in ALLOWED[command]:
        raise WaveRefused(f"“{wave}” is {wave.get_status_display()}; that cannot be done with it now.")
    if command == Command.SHRINK:
        return _shrink(wave, percent, now)
    return _plans[command](wave, now)


def carry_out(
    *,
    wave_id: int,
    command: Command,
    reason: str,
    percent: float | None = None,
    seen_hash: str | None = None,
    looked_at: datetime | None = None,
    actor: Any = None,
    now: datetime | None = None,
) -> WaveEntry:
    """Do it. ``seen_hash`` is ``Plan.hash`` of what was shown at ``looked_at``, None when nothing was.

    Rooms that the command moves are moved before this returns, as many as one tick moves; ticks move the rest.
    Raises ``WaveRefused`` (``WaveChanged`` when the plan is another one by now); then nothing has changed.
    """
    now = now or timezone.now()
    reason = given(reason)
    if not reason:
        raise WaveRefused("Say why: the reason is kept in the wave’s log.")
    with transaction.atomic():
        wave = locked(wave_id)
        if wave is None:
            raise WaveRefused("This wave does not exist any more.")
        if command in (Command.START, Command.RESUME):
            starting.hold_still(wave, now)
        plan = preview(wave, command, percent=percent, now=now)
        if seen_hash is not None and plan.hash != seen_hash:
            raise WaveChanged(changes_since(wave, looked_at, now) if looked_at is not None else [])
        entry = _do(wave, plan, reason, percent=percent, actor=actor, now=now)
        # ticks write entries without an actor, too
        entry.numbers["by"] = COMMAND_LINE if actor is None else SOMEBODY
        entry.save(update_fields=["numbers"])
    if command in (Command.SHRINK, Command.ROLL_BACK):
        move_back(wave_id, now=now, most=MOST_FORTH)
    elif command == Command.NEXT:
        move_forth(wave_id, now=now)
    return entry


def _do(wave: Wave, plan: Plan, reason: str, *, percent: float | None, actor: Any, now: datetime) -> WaveEntry:
    match plan.command:
        case Command.START:
            assert plan.start is not None  # noqa: S101 - tells the type
            return starting.start(wave, plan.start, reason, actor=actor, now=now)
        case Command.PAUSE:
            return changes.hold(wave, f"Paused: {reason}", now=now, actor=actor)
        case Command.NEXT:
            return changes.take_step(wave, now=now, actor=actor, reason=reason)
        case Command.SHRINK:
            reached = _reached(percent)
            words = f"Shrunk to {changes.percent(reached)}: {reason}"
            return changes.shrink(wave, reached, words, now=now, actor=actor)
        case Command.RESUME:
            settle(alert_key(wave), words=f"Resumed: {reason}", now=now)
            return changes.resume(wave, f"Resumed: {reason}", now=now, actor=actor)
        case Command.ROLL_BACK:
            settle(alert_key(wave), words=f"Rolled back: {reason}", now=now)
            return changes.roll_back(wave, f"Rolled back: {reason}", now=now, actor=actor)
        case Command.CLOSE:
            settle(alert_key(wave), words=f"Closed: {reason}", now=now)
            return changes.complete(wave, f"Closed after it was rolled back: {reason}", now=now, actor=actor)


# -- plans ----------------------------------------------------------------------------------------------


def _start(wave: Wave, now: datetime) -> Plan:
    if not given(wave.reason):
        raise WaveRefused("This wave says no reason that can be seen, and no room moves without one. Change the draft.")
    start = starting.prepare(wave, now)
    if not start.waiting:
        raise WaveRefused(f"There is no room to move: {start.nothing_to_move}")
    live = _live([room.pk for room in start.in_first_step], "in the rooms of the first step")
    return Plan(command=Command.START, words=[*start.words, *live], facts=start.facts, start=start)


def _pause(wave: Wave, now: datetime) -> Plan:
    words = [
        "No further room moves until somebody resumes the wave.",
        "Rooms that it moved stay where they are. The guard does not watch a wave that is held.",
    ]
    return Plan(command=Command.PAUSE, words=words, facts=[wave.pk, wave.status])


def _resume(wave: Wave, now: datetime) -> Plan:
    others = held_by_others(wave.rooms.values("room"), but=wave)
    if wave.status == Status.ROLLED_BACK and (count := others.count()):
        first = others[0].wave
        raise WaveRefused(
            f"{count_of(count, 'room')} of “{wave}” are in another wave now (“{first}”): "
            "wait until that one is completed, or roll it back."
        )
    words = ["Failures so far do not count for the guard any more: it begins anew."]
    if wave.status == Status.ROLLED_BACK:
        words.insert(0, "The wave begins again with its first step, with the same rooms in the same order.")
        words.append("Rooms that somebody moved by hand since are left alone.")
    elif wave.step == BEFORE_THE_FIRST:
        words.insert(0, "The wave goes on with its first step.")
    else:
        words.insert(0, f"The wave goes on from step {wave.step + 1}; the time of this step begins again.")
    # who or what stopped it, and since when: another stop may have another cause
    stopped = [str(wave.held_at), str(wave.finished_at), wave.held_reason]
    facts = [wave.pk, wave.status, wave.step, wave.reached, stopped]
    return Plan(command=Command.RESUME, words=words, facts=facts)


def _next(wave: Wave, now: datetime) -> Plan:
    reading = read(wave, now)
    state = reading.state
    if state.following is None:
        raise WaveRefused(f"“{wave}” has no further step.")
    if refusal := _no_step_now(wave, reading, now):
        raise WaveRefused(refusal)
    reached = max(wave.reached, state.following.reach)
    ids, alone = _split(to_move(wave, now, reached=reached), now)
    words = [
        *_moving_on(wave, len(ids), state.to_follow, reached),
        *_not_waited_for(wave, state, now),
        *_live(ids),
        *alone,
    ]
    return Plan(
        command=Command.NEXT, words=words, moving=len(ids), facts=[wave.pk, wave.status, wave.step, wave.reached, ids]
    )


def _no_step_now(wave: Wave, reading: Reading, now: datetime) -> str:
    """Why taking the next step makes no sense at this moment, in one or more sentences; empty when it does."""
    state = reading.state
    if reading.trip is not None:
        then = "roll this wave back" if wave.on_trip == Wave.OnTrip.ROLL_BACK else "hold this wave"
        return f"The guard is about to {then}: {reading.trip.words}"
    # Wait → what to say of it; blockers and blackout hours have sentences of their own
    waits = {wait: wait_in_words(wave, state, wait, now) for wait in look(state, now).waits}
    if state.is_applying:
        going = f"Step {wave.step + 1} is still being carried out: "
        if not state.to_move:
            return f"{going}its last rooms were just moved. Try again in a minute."
        standing = [words for wait, words in waits.items() if wait != Wait.ROOMS]
        why = f" It waits for {'; and for '.join(standing)}." if standing else " Try again in a minute."
        return f"{going}{count_of(state.to_move, 'room')} to go.{why}"
    if state.blockers:
        return " ".join(state.blockers)
    if state.in_blackout(now):
        return f"Nothing is moved in the blackout hours of this wave. It waits for {waits[Wait.BLACKOUT]}."
    if state.catching_up:
        return (
            "The guard has not seen yet what happened on the target, so nothing more is moved there. The wave waits "
            f"for {waits[Wait.CATCHING_UP]}. The sweeper sees to that within minutes; try again then."
        )
    return ""


def _moving_on(wave: Wave, moving: int, following: int, reached: int) -> list[str]:
    """Which rooms move, and when. ``following``: those of earlier steps that nothing keeps any more."""
    step = f"step {wave.step + 2} of {len(wave.steps)}, up to {changes.percent(reached)}"
    if not moving:
        return [f"No room moves: the wave has none to move in {step}. The time of that step begins at once."]
    words = [f"{count_of(moving, 'room moves', 'rooms move')} to {label_of(wave.platform)} now: {step}."]
    if following:
        were = "was left alone before and follows" if following == 1 else "were left alone before and follow"
        words.append(f"{following:,} of them {were} now: what kept {'it' if following == 1 else 'them'} has ended.")
    if moving > MOST_FORTH:
        words.append(f"The first {MOST_FORTH:,} move at once, the others within the next minutes.")
    return words


def _not_waited_for(wave: Wave, state: State, now: datetime) -> list[str]:
    """What the present step has not shown yet, as the wave itself would wait for it."""
    waits = [wait for wait in look(state, now).waits if wait in (Wait.DWELL, Wait.MEETINGS)]
    if not waits:
        return ["The wave would take this step by itself within a minute: there is nothing left that it waits for."]
    phrases = "; and for ".join(wait_in_words(wave, state, wait, now) for wait in waits)
    return [f"The wave would wait for {phrases}. That is not waited for."]


def _reached(percent: float | None) -> int:
    """Raises ``WaveRefused`` for what is no share."""
    if percent is None or not 0 <= percent <= 100:
        raise WaveRefused("Say to how many percent: a number from 0 to 100.")
    return round(percent * BUCKETS / 100)


def _split(rooms: QuerySet[WaveRoom], now: datetime) -> tuple[list[int], list[str]]:
    """The rooms among these that can be moved, and a sentence about those that are left alone, if there are any."""
    going = list(rooms.filter(unhindered(now)).values_list("room_id", flat=True))
    alone = rooms.count() - len(going)
    if not alone:
        return going, []
    are = "room is" if alone == 1 else "rooms are"
    return going, [f"{alone:,} {are} left alone: pinned, archived, or moved by hand since."]


def _going_back(wave: Wave, reached: int, now: datetime) -> tuple[list[int], list[str], list[list[str]]]:
    """The rooms that go back at once when the wave reaches so far, sentences on them and on those that do not, and what
    keeps the latter, as facts to agree on."""
    rooms = to_return(wave, reached=reached)
    kept = kept_among(rooms, now)
    ids, alone = _split(but_for(kept, rooms, now), now)
    going = count_of(len(ids), "room that this wave moved goes", "rooms that this wave moved go")
    words = f"{going} back to where they came from, at once for new meetings."
    if kept and not ids:
        words = "No room goes back at once."
    words_of_kept = [one.words for one in kept]
    facts = [[one.platform, one.code] for one in kept]
    return ids, [words, *words_of_kept, *_in_another(wave, rooms.filter(unhindered(now))), *_live(ids), *alone], facts


def _in_another(wave: Wave, rooms: QuerySet[WaveRoom]) -> list[str]:
    """A sentence about rooms that have come into another wave since this one was over, if there are any."""
    others = held_by_others(rooms.order_by().values("room"), but=wave)
    if not (count := others.count()):
        return []
    them = "it" if count == 1 else "them"
    are = count_of(count, "of these rooms is", "of these rooms are")
    return [f"{are} in another wave now (“{others[0].wave}”), which leaves {them} alone from then on."]


def _live(room_ids: list[int], where: str = "in them") -> list[str]:
    """A sentence about people who are meeting in these rooms now, if there are any."""
    live = [
        meeting
        for first in range(0, len(room_ids), AT_ONCE)
        for meeting in live_meetings(room_ids[first : first + AT_ONCE]).values()
    ]
    if not live:
        return []
    people = sum(meeting.people for meeting in live)
    meet = f"{count_of(len(live), 'meeting is', 'meetings are')} live {where}, with"
    inside = f"{count_of(people, 'person', 'people')} inside"
    return [f"{meet} {inside}: they stay where they are until they end."]


def _shrink(wave: Wave, percent: float | None, now: datetime) -> Plan:
    reached = _reached(percent)
    if reached >= wave.reached:
        raise WaveRefused(
            f"“{wave}” reaches {changes.percent(wave.reached)} now; shrinking to {changes.percent(reached)} is no less."
        )
    ids, back, kept = _going_back(wave, reached, now)
    words = [*back, "The wave is held then, and grows again only when somebody resumes it."]
    facts = [wave.pk, wave.status, wave.step, wave.reached, reached, ids, kept]
    return Plan(command=Command.SHRINK, words=words, moving=len(ids), facts=facts)


def _roll_back(wave: Wave, now: datetime) -> Plan:
    ids, back, kept = _going_back(wave, 0, now)
    words = [
        *back,
        "Recordings and transcripts of meetings that took place still arrive.",
        "The wave can be resumed later; it begins with its first step then.",
    ]
    facts = [wave.pk, wave.status, wave.step, wave.reached, ids, kept]
    return Plan(command=Command.ROLL_BACK, words=words, moving=len(ids), facts=facts)


def _close(wave: Wave, now: datetime) -> Plan:
    if left := to_return(wave).count():
        if kept := kept_among(to_return(wave), now):
            raise WaveRefused(" ".join(one.words for one in kept))
        raise WaveRefused(f"{count_of(left, 'room is', 'rooms are')} still to be moved back. Try again in a minute.")
    words = ["The wave is over for good: it cannot be resumed any more.", "No room moves."]
    return Plan(command=Command.CLOSE, words=words, facts=[wave.pk, wave.status])


_plans: dict[Command, Callable[[Wave, datetime], Plan]] = {
    Command.START: _start,
    Command.PAUSE: _pause,
    Command.RESUME: _resume,
    Command.NEXT: _next,
    Command.ROLL_BACK: _roll_back,
    Command.CLOSE: _close,
}
