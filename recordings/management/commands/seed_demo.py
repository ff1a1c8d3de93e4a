"""``manage.py seed_demo``: a demo to look at, in an empty database only."""

from __future__ import annotations

import os
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from platforms import registry
from recordings import demo
from recordings.demo import Clock, Person, Talk
from rooms.models import Move, Room
from rooms.services import move_room


class Command(BaseCommand):
    help = (
        "A staff user, a room per platform and some days of history, with recordings that play. "
        "Only under DEBUG, and only into an empty database; else it says so and does nothing."
    )

    def handle(self, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo is for development, under DEBUG=true; nothing was seeded.")
        users = get_user_model()._default_manager
        if users.exists() or Room.objects.exists():
            self.stdout.write("The database is not empty; nothing was seeded.")
            return
        password = os.environ.get("DEMO_PASSWORD") or secrets.token_urlsafe(9)
        # all or nothing: a demo that was interrupted leaves an empty database, and workers see only finished history
        with demo.talks() as talks, transaction.atomic():
            seed(password, talks, now=timezone.now())
        self.stdout.write(f"Sign in as staff with the password {password}")


def seed(password: str, talks: dict[str, Talk], *, now: datetime) -> None:
    users = get_user_model()._default_manager
    began = Clock(_morning(now, days_ago=5))
    staff = users.create_superuser("staff", "staff@localhost", password, first_name="Sam", last_name="Staff")
    with demo.living_in(began):
        rooms = [
            Room.objects.create(
                name=f"Demo on {adapter.label}",
                slug=f"demo-{adapter.slug}",
                platform=adapter.slug,
                owner=staff,
                is_shared=True,
                created_at=began.now(),
            )
            for adapter in registry.configured()
        ]
    host, ada, ben, cleo = Person("Sam Staff", staff), Person("Ada"), Person("Ben"), Person("Cleo")
    for number, room in enumerate(rooms):
        late = timedelta(minutes=37 * number)

        def morning(days_ago: int, late: timedelta = late) -> Clock:
            return Clock(_morning(now, days_ago=days_ago) + late)

        _play(morning(4), demo.recorded_talk, room, host, ada, talks["first"])
        _play(morning(3), demo.refused_talk, room, host, ben, cleo)
        if number == 0 and len(rooms) > 1:
            _try_the_other(morning(2), room, rooms[1].platform, staff, host, ben, talks["second"])
        _play(morning(2), demo.dictation, room, host, talks["alone"], later_h=3)
        _play(morning(1), demo.failed_recording, room, host, ada)
        _play(morning(1), demo.never_used, room, later_h=2)
        _play(morning(1), demo.recorded_talk, room, host, cleo, talks["second"], later_h=4)


def _play(clock: Clock, scene: Any, *cast: Any, later_h: float = 0) -> None:
    clock.forward(later_h * 3600)
    with demo.living_in(clock):
        scene(clock, *cast)
    demo.judged(clock.now())


def _try_the_other(
    clock: Clock, room: Room, platform: str, staff: Any, host: Person, guest: Person, talk: Talk
) -> None:
    """The room goes to the other platform for one meeting, and back."""
    home = room.platform
    for target, reason, source in (
        (platform, "trying the other video service for a morning", Move.Source.ADMIN),
        (home, "the trial is over", Move.Source.ADMIN),
    ):
        move_room(room_id=room.pk, platform=target, reason=reason, source=source, actor=staff, now=clock.now())
        clock.forward(60)
        room.refresh_from_db()
        if target == platform:
            _play(clock, demo.recorded_talk, room, host, guest, talk)
            clock.forward(600)


def _morning(now: datetime, *, days_ago: int) -> datetime:
    """Nine o'clock, UTC."""
    return (now - timedelta(days=days_ago)).replace(hour=9, minute=0, second=0, microsecond=0)
