"""``manage.py platform_switch <platform> close|open --reason …``: the kill switch of a platform."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rooms import switching


class Command(BaseCommand):
    help = (
        "Close a platform for new meetings, or open it again. Meetings that are live go on. Effective at once in every "
        "process. Exit code 0 when done, 1 and one sentence when refused, 2 for wrong usage."
    )

    #: must work when everything else is in trouble
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("platform", help="the platform's short name")
        parser.add_argument("to", choices=["close", "open"])
        parser.add_argument("--reason", required=True, help="why, for the record")

    def handle(self, *args: Any, platform: str, to: str, reason: str, **options: Any) -> None:
        switch = switching.close if to == "close" else switching.open
        try:
            used = switch(platform=platform, reason=reason)
        except switching.SwitchRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        state = "closed for new meetings; live ones go on" if used.is_closed else "open for new meetings again"
        self.stdout.write(f"{used.get_platform_display()} is {state}.")
