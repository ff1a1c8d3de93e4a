"""How long a wave over a large fleet takes to start, to decide, to move its rooms and to move them back.

    DATABASE_URL=postgres://… python tests/bench/wave_tick.py [--rooms 20000]

Into an empty database, which is filled first. Prints queries and seconds; judges nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))


def measured(what: str, do: Callable[[], Any]) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        began = time.perf_counter()
        done = do()
        took = time.perf_counter() - began
    slowest = max((float(query["time"]) for query in captured), default=0)
    sys.stdout.write(f"{what:<46} {took:7.2f} s  {len(captured):5} queries, slowest {slowest:.2f} s  {done}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", type=int, default=20_000)
    rooms = parser.parse_args().rooms
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    os.environ.setdefault("TEST_DATABASE_URL", os.environ.get("DATABASE_URL", ""))

    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.utils import timezone

    from rooms.models import Room, Wave
    from rooms.waves.carrying import move_back
    from rooms.waves.commands import Command, carry_out, preview
    from rooms.waves.tick import tick
    from tests.accounts_for_platforms import BOTH
    from tests.bench import fleet

    settings.PLATFORM_ENVIRON = BOTH
    call_command("migrate", verbosity=0)
    if not Room.objects.exists():
        measured("filling", lambda: fleet.fill_everything(rooms=rooms, meetings=rooms * 10, stays=rooms * 20))
        fleet.settle()
    Wave.objects.filter(moves__isnull=True).delete()
    now = timezone.now()
    wave = Wave.objects.create(
        name=f"bench {now}",
        platform="daily",
        reason="bench",
        steps=[
            {"percent": 5, "dwell_minutes": 60, "min_meetings": 20},
            {"percent": 100, "dwell_minutes": 60, "min_meetings": 20},
        ],
    )
    measured("preview of the start", lambda: preview(wave, Command.START, now=now).words[0])
    measured("start", lambda: carry_out(wave_id=wave.pk, command=Command.START, reason="r", now=now).words)
    measured("tick that takes the first step", lambda: tick(now))
    measured("tick that decides to wait", lambda: tick(now + timedelta(minutes=1)))
    wave.refresh_from_db()
    measured(
        "next step now, its first rooms",
        lambda: carry_out(wave_id=wave.pk, command=Command.NEXT, reason="r", now=now + timedelta(minutes=2)).words,
    )
    for number in range(3):
        measured("tick that moves up to 5,000 rooms", lambda at=number: tick(now + timedelta(minutes=3 + at)))
    measured("tick that decides to wait, all rooms moved", lambda: tick(now + timedelta(minutes=10)))
    wave.refresh_from_db()
    measured("preview of the roll-back", lambda: preview(wave, Command.ROLL_BACK, now=now).words[0])
    measured(
        "roll back, its first rooms",
        lambda: carry_out(wave_id=wave.pk, command=Command.ROLL_BACK, reason="r", now=now).words,
    )
    measured("rolling back the rest", lambda: move_back(wave.pk, now=now))


if __name__ == "__main__":
    main()
