"""``manage.py wave <name> [command] --reason …``: what the wave's page in the admin does, without a browser."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from rooms.models import Wave
from rooms.waves.commands import Command as Do
from rooms.waves.commands import WaveRefused, carry_out, preview
from rooms.waves.timeline import next_step


class Command(BaseCommand):
    help = (
        "Start, pause, resume, shrink or roll back a wave, or take its next step now. Without a command, or with "
        "--dry-run, it says where the wave is or what the command would do. "
        "Exit code 0 when done, 1 and one sentence when refused, 2 for wrong usage."
    )

    #: a refusal is one sentence, not one among warnings about the settings
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", help="the wave's name or number")
        parser.add_argument("do", nargs="?", choices=Do.values, metavar="command", help=", ".join(Do.values))
        parser.add_argument("--reason", default="", help="why, for the wave's log")
        parser.add_argument("--percent", type=float, help="how far to shrink: 0 to 100")
        parser.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")

    def handle(
        self, *args: Any, name: str, do: str | None, reason: str, percent: float | None, dry_run: bool, **options: Any
    ) -> None:
        wave = _find(name)
        now = timezone.now()
        try:
            if do is None:
                self.stdout.write(next_step(wave, now).words)
            elif dry_run:
                self.stdout.write("\n".join(preview(wave, Do(do), percent=percent, now=now).words))
            else:
                entry = carry_out(wave_id=wave.pk, command=Do(do), reason=reason, percent=percent, now=now)
                self.stdout.write(entry.words)
        except WaveRefused as refusal:
            raise CommandError(str(refusal)) from refusal


def _find(name: str) -> Wave:
    wave = Wave.objects.filter(name=name).first()
    if wave is None and name.isdecimal() and len(name) < 18:
        wave = Wave.objects.filter(pk=name).first()
    if wave is None:
        raise CommandError(f"No wave is called “{name}”.")
    return wave
