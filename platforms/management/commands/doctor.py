"""``manage.py doctor``: what is wrong, why it matters, what mends it. Exit code 1 when something is."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from platforms.doctor import examine


class Command(BaseCommand):
    help = "Says what is wrong with this installation, why it matters and which command mends it."
    #: wrong settings are what it is there to tell
    requires_system_checks: list[str] = []  # noqa: RUF012

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--offline", action="store_true", help="do not talk to providers, nor to our own address from outside"
        )

    def handle(self, *, offline: bool, verbosity: int, **options: Any) -> None:
        wrong = right = 0
        for finding in examine(timezone.now(), knock=not offline):
            if finding.ok:
                right += 1
                if verbosity > 0:
                    self.stdout.write(self.style.SUCCESS(f"ok     {finding.what}"))
                continue
            wrong += 1
            self.stdout.write(self.style.ERROR(f"WRONG  {finding.what}"))
            for label, words in (("why", finding.why), ("mend", finding.fix)):
                if words:
                    self.stdout.write(f"       {label}: {words}")
        self.stdout.write(f"{wrong} wrong, {right} right.")
        if wrong:
            raise SystemExit(1)
