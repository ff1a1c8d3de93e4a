"""``manage.py move_room <slug> <platform> --reason … [--at …]``: set where a room's next meeting opens."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from rooms.models import Move, Room
from rooms.ordering import schedule_move
from rooms.services import MoveRefused, move_room
from rooms.words import label_of, minute_of


class Command(BaseCommand):
    help = (
        "Move a room to another platform: its next meeting opens there, a live one stays where it is. "
        "Exit code 0 when moved or ordered, 1 and one sentence when refused, 2 for wrong usage."
    )

    #: a refusal is one sentence, not one among warnings about the settings
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("slug", help="the room's short name")
        parser.add_argument("platform", help="the platform's short name")
        parser.add_argument("--reason", default="", help="why, for the record")
        parser.add_argument("--at", type=_moment, help="when, such as 2026-03-03T22:00; local time unless it says so")

    def handle(self, *args: Any, slug: str, platform: str, reason: str, at: datetime | None, **options: Any) -> None:
        room = Room.objects.filter(slug=slug).first()
        if room is None:
            raise CommandError(f"No room has the short name “{slug}”.")
        try:
            if at is not None:
                schedule_move(room_id=room.pk, platform=platform, reason=reason, at=at)
                self.stdout.write(f"“{room}” will be moved to {label_of(platform)} on {minute_of(at)}.")
                return
            move = move_room(room_id=room.pk, platform=platform, reason=reason, source=Move.Source.COMMAND)
        except MoveRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(
            f"Moved “{move.room}” from {move.get_from_platform_display()} to {move.get_to_platform_display()}."
        )


def _moment(words: str) -> datetime:
    try:
        moment = parse_datetime(words)
    except ValueError:
        moment = None
    if moment is None:
        raise argparse.ArgumentTypeError(f"“{words}” is no time; it looks like 2026-03-03T22:00")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
