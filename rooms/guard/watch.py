"""The guard of experiments: looks at every running one as often as it likes, and acts on evidence alone."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.urls import reverse

from platforms.alerts import alert
from platforms.alerts import settle as settle_alert
from rooms.experiments import commands
from rooms.experiments.counting import Result, result, settle
from rooms.models import Experiment, ExperimentEntry
from rooms.words import label_of

logger = logging.getLogger(__name__)

#: meetings that were drawn before the end of an experiment open, or fail to, long before
STILL_ANSWERED = timedelta(days=2)


def watch(now: datetime) -> list[ExperimentEntry]:
    """Settle what was served where, and hold or end what does harm. Idempotent; returns what it did."""
    recent = Q(status__in=[Experiment.Status.RUNNING, Experiment.Status.HELD]) | Q(ended_at__gte=now - STILL_ANSWERED)
    for experiment in Experiment.objects.filter(recent):
        settle(experiment, now=now)
    acts = [_look(experiment, now) for experiment in Experiment.objects.filter(status=Experiment.Status.RUNNING)]
    return [act for act in acts if act is not None]


def _look(experiment: Experiment, now: datetime) -> ExperimentEntry | None:
    found = result(experiment)
    if not found.harm:
        _warn_of_ratio(experiment, found, now)
        return None
    with transaction.atomic():
        current = commands.locked(experiment.pk)
        if current is None or current.status != Experiment.Status.RUNNING:
            return None
        words = _act(current, found, now)
        numbers: dict[str, Any] = {
            "outcomes": [kind.numbers for kind in found.harm],
            "drawn": found.drawn,
            "counted": found.counted,
            "ratio_chance": found.ratio.chance,
        }
        alert(
            commands.alert_key(current),
            title=f"The guard stopped the experiment “{current}”",
            words=words,
            evidence=numbers,
            inverse=_inverse(current),
            inverse_url=reverse("admin:rooms_experiment_change", args=[current.pk]),
            severity="warning",
            now=now,
        )
        logger.warning("experiment %s: the guard acted", current.pk)
        return commands.note(current, "guard", words, now=now, numbers=numbers)


def _act(experiment: Experiment, found: Result, now: datetime) -> str:
    """Hold or end it; what happened and which numbers made it, in words. An A/A run is always held: where there can be
    no difference, finding one means that the instrument is broken."""
    numbers = "; ".join(kind.words for kind in found.harm)
    ends = experiment.on_harm == Experiment.OnHarm.ROLL_BACK and not experiment.is_aa
    if ends:
        experiment.status, experiment.ended_at = Experiment.Status.ENDED, now
        done = "Ended by the guard"
    else:
        experiment.status, experiment.held_at = Experiment.Status.HELD, now
        done = "Held by the guard"
    if experiment.is_aa:
        words = f"{done}: both arms are {label_of(experiment.platform_a)}, and yet they differ. {numbers}."
    else:
        words = f"{done}: {label_of(experiment.platform_b)} (B) does harm. {numbers}."
    stay = experiment.rooms.filter(platform=experiment.platform_b).count()
    if stay and not experiment.is_aa:
        words += f" {stay} of its rooms are set to {label_of(experiment.platform_b)} and go on meeting there."
    experiment.held_reason = "" if ends else words
    experiment.save(update_fields=["status", "held_at", "held_reason", "ended_at"])
    return words


def _inverse(experiment: Experiment) -> str:
    if experiment.status == Experiment.Status.HELD:
        return "Look at the failures, then resume the experiment or end it on its page."
    return "Look at the failures. To compare again, make a new experiment."


def _warn_of_ratio(experiment: Experiment, found: Result, now: datetime) -> None:
    key = f"{commands.alert_key(experiment)}:ratio"
    if not found.ratio.is_off and not found.wrong_draws:
        settle_alert(key, words="As many meetings count on one arm as on the other again.", now=now)
        return
    words = found.ratio.words
    if found.wrong_draws:
        words += f" {found.wrong_draws} draws are not what the lot gives: somebody changed them, or the salt."
    alert(
        key,
        title=f"The counts of the experiment “{experiment}” cannot be trusted",
        words=words,
        evidence={"counted": found.counted, "drawn": found.drawn, "chance": found.ratio.chance},
        inverse="Hold the experiment until the reason is known.",
        inverse_url=reverse("admin:rooms_experiment_command", args=[experiment.pk, "hold"]),
        now=now,
    )
