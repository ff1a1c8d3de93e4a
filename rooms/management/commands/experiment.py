"""``manage.py experiment <name> [command] --reason …``: what the experiment's page in the admin does."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from rooms.experiments.commands import Command as Do
from rooms.experiments.commands import ExperimentRefused, carry_out, preview
from rooms.experiments.counting import result, size_in_words
from rooms.models import Experiment


class Command(BaseCommand):
    help = (
        "Start, hold, resume or end an experiment. Without a command it says what the experiment has shown so far; "
        "with --dry-run, what the command would do. "
        "Exit code 0 when done, 1 and one sentence when refused, 2 for wrong usage."
    )

    #: a refusal is one sentence, not one among warnings about the settings
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", help="the experiment's name or number")
        parser.add_argument("do", nargs="?", choices=Do.values, metavar="command", help=", ".join(Do.values))
        parser.add_argument("--reason", default="", help="why, for the experiment's log")
        parser.add_argument("--without-aa", default="", metavar="WHY", help="why a first comparison needs no A/A run")
        parser.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")

    def handle(
        self, *args: Any, name: str, do: str | None, reason: str, without_aa: str, dry_run: bool, **options: Any
    ) -> None:
        experiment = _find(name)
        now = timezone.now()
        try:
            if do is None:
                found = result(experiment)
                lines = [experiment.get_status_display(), size_in_words(found), found.ratio.words]
                self.stdout.write("\n".join([*lines, *(kind.words for kind in found.kinds)]))
            elif dry_run:
                self.stdout.write("\n".join(preview(experiment, Do(do), now=now).words))
            else:
                entry = carry_out(
                    experiment_id=experiment.pk, command=Do(do), reason=reason, aa_waiver=without_aa, now=now
                )
                self.stdout.write(entry.words)
        except ExperimentRefused as refusal:
            raise CommandError(str(refusal)) from refusal


def _find(name: str) -> Experiment:
    experiment = Experiment.objects.filter(name=name).first()
    if experiment is None and name.isdecimal() and len(name) < 18:
        experiment = Experiment.objects.filter(pk=name).first()
    if experiment is None:
        raise CommandError(f"No experiment is called “{name}”.")
    return experiment
