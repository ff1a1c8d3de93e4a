"""What people tell an experiment to do: shown first, then done exactly as shown, or not at all.

The admin's pages and ``manage.py experiment`` both end in ``carry_out``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import F
from django.utils import timezone

from platforms import registry
from platforms.alerts import settle as settle_alert
from rooms import switching
from rooms.experiments.counting import Result, result, watched_of
from rooms.experiments.ratio import sample_ratio
from rooms.guard.eprocess import threshold
from rooms.models import Experiment, ExperimentEntry, Outcome, Room
from rooms.readiness import blockers
from rooms.words import count_of, given, label_of

Status = Experiment.Status
#: an A/A run that proves the instrument has so many answered meetings
AA_MEETINGS = 100
NAMED = 5


class Command(models.TextChoices):
    START = "start", "Start"
    HOLD = "hold", "Hold"
    RESUME = "resume", "Resume"
    END = "end", "End"


#: in which states a command makes sense, and what it leads to
ALLOWED: dict[Command, tuple[Status, ...]] = {
    Command.START: (Status.DRAFT,),
    Command.HOLD: (Status.RUNNING,),
    Command.RESUME: (Status.HELD,),
    Command.END: (Status.RUNNING, Status.HELD),
}
LEADS_TO = {
    Command.START: Status.RUNNING,
    Command.HOLD: Status.HELD,
    Command.RESUME: Status.RUNNING,
    Command.END: Status.ENDED,
}
DONE = {Command.START: "Started", Command.HOLD: "Held", Command.RESUME: "Resumed", Command.END: "Ended"}


class ExperimentRefused(Exception):
    """A command that cannot be carried out now. The text is for staff."""


class ExperimentChanged(ExperimentRefused):
    """What was shown is not what would happen any more; nothing was done."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a command would do: sentences for whoever decides, and plain values that the decision is about."""

    command: Command
    words: list[str]
    facts: list[Any]
    needs_waiver: bool = False  #: a first comparison without an A/A run before it

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps([self.command.value, self.facts]).encode()).hexdigest()


def alert_key(experiment: Experiment) -> str:
    return f"experiment:{experiment.pk}"


def possible(experiment: Experiment) -> list[Command]:
    return [command for command, states in ALLOWED.items() if experiment.status in states]


def preview(experiment: Experiment, command: Command, *, now: datetime | None = None) -> Plan:
    """What the command would do now. Changes nothing. Raises ``ExperimentRefused``."""
    now = now or timezone.now()
    if experiment.status not in ALLOWED[command]:
        raise ExperimentRefused(
            f"“{experiment}” is {experiment.get_status_display()}; that cannot be done with it now."
        )
    if command == Command.START:
        return _start(experiment, now)
    if command == Command.RESUME:
        _refuse_unfit(experiment, now)
    words = {
        Command.HOLD: ["No meeting is drawn any more: each opens where its room is set. What runs goes on."],
        Command.RESUME: [
            "Meetings are drawn again, each room from where its draws stopped.",
            "If the guard had stopped it, the guard counts blocks that begin from now on.",
        ],
        Command.END: [
            "No meeting is drawn any more, for good: each opens where its room is set. What runs goes on.",
            "The counts stay, and meetings that were drawn are still counted when their answers come.",
        ],
    }[command]
    return Plan(command=command, words=words, facts=[experiment.status])


def carry_out(
    *,
    experiment_id: int,
    command: Command,
    reason: str,
    aa_waiver: str = "",
    seen_hash: str | None = None,
    actor: Any = None,
    now: datetime | None = None,
) -> ExperimentEntry:
    """Do it. ``seen_hash`` is ``Plan.hash`` of what was shown, None when nothing was.

    Raises ``ExperimentRefused`` (``ExperimentChanged``: the plan is another one by now); then nothing has changed.
    """
    now = now or timezone.now()
    reason, aa_waiver = (given(text) for text in (reason, aa_waiver))
    if not reason:
        raise ExperimentRefused("Say why: the reason is kept in the experiment’s log.")
    with transaction.atomic():
        experiment = locked(experiment_id)
        if experiment is None:
            raise ExperimentRefused("This experiment does not exist any more.")
        if command in (Command.START, Command.RESUME):
            # two experiments that start together must see each other's rooms
            list(Room.objects.select_for_update().filter(experiments=experiment).order_by("pk").values_list("pk"))
        plan = preview(experiment, command, now=now)
        if seen_hash is not None and plan.hash != seen_hash:
            raise ExperimentChanged("Something changed since you looked, so nothing was done.")
        if plan.needs_waiver and not aa_waiver:
            raise ExperimentRefused(
                f"This is the first comparison, and no A/A run with {AA_MEETINGS} answered meetings has ended well. "
                "Run the same platform against itself first, or say why this one may start without."
            )
        _do(experiment, command, reason, aa_waiver if plan.needs_waiver else "", now)
        words = f"{DONE[command]}: {reason}"
        if plan.needs_waiver:
            words += f" (without an A/A run: {aa_waiver})"
        settle_alert(alert_key(experiment), words=words, now=now)
        return note(experiment, command.value, words, actor=actor, now=now)


def locked(experiment_id: int) -> Experiment | None:
    return Experiment.objects.select_for_update().filter(pk=experiment_id).first()


def note(
    experiment: Experiment,
    what: str,
    words: str,
    *,
    now: datetime,
    actor: Any = None,
    numbers: dict[str, Any] | None = None,
) -> ExperimentEntry:
    return ExperimentEntry.objects.create(
        experiment=experiment, what=what, words=words, numbers=numbers or {}, actor=actor, at=now
    )


def _do(experiment: Experiment, command: Command, reason: str, aa_waiver: str, now: datetime) -> None:
    experiment.status = LEADS_TO[command]
    if command == Command.START:
        experiment.started_at = now
        experiment.watched = [kind.value for kind in watched_of(experiment)]
        experiment.aa_waived = aa_waiver
    elif command == Command.HOLD:
        experiment.held_at, experiment.held_reason = now, reason
    elif command == Command.RESUME:
        experiment.held_at, experiment.held_reason = None, ""
        stop = experiment.entries.filter(what__in=["guard", Command.HOLD.value]).first()
        if stop is not None and stop.what == "guard":
            experiment.guarded_from = now
    else:
        experiment.ended_at = now
    experiment.save()


def _start(experiment: Experiment, now: datetime) -> Plan:
    rooms = _refuse_unfit(experiment, now)
    arms = {experiment.platform_a, experiment.platform_b}
    elsewhere = [room.pk for room in rooms if room.platform not in arms]
    pinned = [room.pk for room in rooms if room.is_pinned(now)]
    watched = watched_of(experiment)
    words = [_what_is_drawn(experiment, len(rooms) - len({*elsewhere, *pinned}))]
    if elsewhere:
        words.append(f"{count_of(len(elsewhere), 'room')} on neither of the two: nothing is drawn there.")
    if pinned:
        words.append(f"{count_of(len(pinned), 'room')} pinned: nothing is drawn there while the pin lasts.")
    kinds = ", ".join(f"“{kind.label}”" for kind in watched)
    does = "ends" if experiment.on_harm == Experiment.OnHarm.ROLL_BACK and not experiment.is_aa else "holds"
    words.append(
        f"The guard watches {kinds}, and {does} the experiment when the evidence against B reaches "
        f"E = {threshold(len(watched)):.0f}."
    )
    needs_waiver = not experiment.is_aa and not _instrument_is_proven()
    if needs_waiver:
        words.append(
            f"Run an A/A first: no run of a platform against itself has ended well with {AA_MEETINGS} answered "
            "meetings, as many on each arm and drawn as the lot gives, so nothing shows yet that this instrument finds "
            "no difference where there is none."
        )
    facts = [[room.pk for room in rooms], elsewhere, pinned, [kind.value for kind in watched], needs_waiver]
    return Plan(command=Command.START, words=words, facts=facts, needs_waiver=needs_waiver)


def _what_is_drawn(experiment: Experiment, rooms: int) -> str:
    a, b = label_of(experiment.platform_a), label_of(experiment.platform_b)
    if not rooms:
        return "Nothing is drawn for now: in none of its rooms can it be."
    in_rooms = f"From now on each new meeting in {count_of(rooms, 'room')}"
    if experiment.is_aa:
        return f"{in_rooms} is drawn for one of two arms, both on {a}: nobody will notice anything."
    return f"{in_rooms} opens by lot on {a} (A) or {b} (B), in blocks of {experiment.block_size} per room."


def _refuse_unfit(experiment: Experiment, now: datetime) -> list[Room]:
    """The experiment's rooms in use, or the first reason why it cannot run."""
    rooms = list(experiment.rooms.filter(archived_at__isnull=True).order_by("pk"))
    if not rooms:
        raise ExperimentRefused("No room that is in use takes part. Choose some first.")
    busy = Experiment.objects.filter(status=Status.RUNNING, rooms__in=rooms).exclude(pk=experiment.pk)
    if other := busy.order_by("pk").first():
        taken = other.rooms.filter(pk__in=[room.pk for room in rooms])
        named = ", ".join(f"“{room}”" for room in taken[:NAMED])
        raise ExperimentRefused(f"“{other}” draws for rooms of this one already: {named}. A room is in one at a time.")
    ready = {adapter.slug for adapter in registry.configured()}
    closed = switching.closed()
    for platform in dict.fromkeys([experiment.platform_a, experiment.platform_b]):
        if platform not in ready:
            raise ExperimentRefused(f"{label_of(platform)} is not configured.")
        if platform in closed:
            raise ExperimentRefused(f"{label_of(platform)} is {switching.in_words(closed[platform])}.")
        if found := blockers(platform, now=now):
            raise ExperimentRefused(f"{label_of(platform)} is not ready. {found[0].words}")
    return rooms


def _instrument_is_proven() -> bool:
    """Whether a comparison has been started before, or an A/A run has ended well with enough answered ones."""
    comparisons = Experiment.objects.exclude(platform_a=F("platform_b")).filter(started_at__isnull=False)
    if comparisons.exists():
        return True
    runs = Experiment.objects.filter(platform_a=F("platform_b"), status=Status.ENDED).exclude(entries__what="guard")
    return any(_proves(result(run)) for run in runs)


def _proves(run: Result) -> bool:
    """Whether an A/A run was drawn as the lot gives, answered on both arms alike, and found no difference."""
    on_a, on_b = run.answered["A"], run.answered["B"]
    is_uneven = run.ratio.is_off or sample_ratio(on_a, on_b).is_off
    return on_a + on_b >= AA_MEETINGS and not is_uneven and not run.wrong_draws and not run.harm


def kinds_to_watch() -> list[tuple[str, str]]:
    return [(kind.value, kind.label) for kind in Outcome.Kind]
