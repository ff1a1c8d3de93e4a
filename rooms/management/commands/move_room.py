"""``manage.py move_room <slug> <platform> --reason …``: set where a room's next meeting opens."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rooms.models import Move, Room
from rooms.services import MoveRefused, move_room


class Command(BaseCommand):
    help = (
        "Move a room to another platform: its next meeting opens there, a live one stays where it is. "
        "Exit code 0 when moved, 1 and one sentence when refused, 2 for wrong usage."
    )

    #: a refusal is one sentence, not one among warnings about the settings
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("slug", help="the room's short name")
        parser.add_argument("platform", help="the platform's short name")
        parser.add_argument("--reason", required=True, help="why, for the record")

    def handle(self, *args: Any, slug: str, platform: str, reason: str, **options: Any) -> None:
        room_id = Room.objects.filter(slug=slug).values_list("pk", flat=True).first()
        if room_id is None:
            raise CommandError(f"No room has the short name “{slug}”.")
        try:
            move = move_room(room_id=room_id, platform=platform, reason=reason, source=Move.Source.COMMAND)
        except MoveRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(
            f"Moved “{move.room}” from {move.get_from_platform_display()} to {move.get_to_platform_display()}."
        )
