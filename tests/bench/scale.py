"""``make bench``: staff's pages, a bulk move and a wave in a large installation, on PostgreSQL.

    python tests/bench/scale.py [--rooms 20000 --meetings 200000 --stays 2000000] [--rounds 20] [--only TEXT]

Makes the fleet (``tests/bench/fleet.py``) in a database of its own and prints, for each page, its queries and how
long it takes: median, 95th percentile, and the median's ratio to /healthz in the same run. ``DATABASE_URL`` of a
database that holds a fleet already is used as it is: its rooms are moved. ``--only`` measures the pages whose address
has that text, and moves nothing. A page that takes more queries than it may makes the run fail; times are only told.
Times are of this process alone, one request at a time; on a busy machine look at the ratios.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

AIM_MS, MOST_QUERIES, BULK = 400, 12, 5000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rooms", type=int, default=20_000)
    arguments.add_argument("--meetings", type=int, default=200_000)
    arguments.add_argument("--stays", type=int, default=2_000_000)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--only", default="", help="only pages whose address has this text; moves nothing")
    given = arguments.parse_args()

    from tests import services
    from tests.accounts_for_platforms import BOTH
    from tests.environment import for_tests

    database = os.environ.get("DATABASE_URL", "")
    os.environ.update(for_tests(os.environ) | BOTH | {"DJANGO_SETTINGS_MODULE": "reflector_project.settings"})
    if database:
        run(database, given.rounds, given.only)
        return
    with services.postgres() as address:
        sizes = [f"--{name}={getattr(given, name)}" for name in ("rooms", "meetings", "stays")]
        fleet = [sys.executable, str(ROOT / "tests/bench/fleet.py"), *sizes]
        subprocess.run(fleet, env=os.environ | {"DATABASE_URL": address}, check=True)
        run(address, given.rounds, given.only)


def run(database: str, rounds: int, only: str) -> None:
    os.environ["DATABASE_URL"] = database
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    too_many = pages(rounds, only)
    if not only:
        bulk_move()
        wave()
    if too_many:
        raise SystemExit(f"More than {MOST_QUERIES} queries: {', '.join(too_many)}")


def say(*cells: object) -> None:
    first, *rest = cells
    sys.stdout.write(f"{first!s:46}" + "".join(f"{cell!s:>12}" for cell in rest) + "\n")
    sys.stdout.flush()


# -- pages


def pages(rounds: int, only: str) -> list[str]:
    """Those that take more queries than they may."""
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    staff, _ = User.objects.get_or_create(username="bench", defaults={"is_staff": True, "is_superuser": True})
    client = Client(raise_request_exception=True)
    client.force_login(staff)

    def took(path: str) -> float:
        began = time.perf_counter()
        response = client.get(path, follow=True)
        assert response.status_code == 200, (path, response.status_code)
        return (time.perf_counter() - began) * 1000

    too_many = []
    took("/admin/")  # templates are compiled once
    reference = median(took("/healthz") for _ in range(rounds))
    say("page", "queries", "median ms", "p95 ms", "× /healthz", "")
    for path in addresses():
        if only not in path:
            continue
        took(path)
        with CaptureQueriesContext(connection) as queries:
            took(path)
            number = len(connection.queries_log) - queries.initial_queries  # the next request empties the log
        if number > MOST_QUERIES:
            too_many.append(path)
        times = [took(path) for _ in range(rounds)]
        p95 = quantiles(times, n=20)[-1]
        over = " ".join([*(["slow"] if p95 > AIM_MS else []), *(["queries"] if number > MOST_QUERIES else [])])
        shown = path.split("?")[0][-30:] + ("?" + path.split("?")[1][:14] if "?" in path else "")
        say(shown, number, f"{median(times):.0f}", f"{p95:.0f}", f"{median(times) / reference:.0f}", over)
    return too_many


def addresses() -> list[str]:
    """The front page, every list (plain, searched, second page), a page of each kind, and the pages of our own."""
    from django.contrib import admin
    from django.urls import reverse

    from rooms.models import Experiment, Room

    found = ["/admin/"]
    for model in admin.site._registry:
        if model._meta.app_label not in ("platforms", "rooms", "meetings", "recordings"):
            continue
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"{name}_changelist"))
        row = model._base_manager.order_by("pk").last()
        if row is not None:
            found.append(reverse(f"{name}_change", args=[row.pk]))
    rooms, meetings, people = (reverse(f"admin:{name}_changelist") for name in ROWS)
    found += [f"{rooms}?p=2", f"{rooms}?q=room-777", f"{rooms}?platform__exact=daily"]
    found += [f"{rooms}?q=session-77777", f"{rooms}find/?q=session-77777"]
    found += [f"{meetings}?q=room-777", f"{meetings}?room__id__exact=777", f"{people}?q=Person+77"]
    found += [f"{reverse('admin:rooms_parity')}?days={days}" for days in (30, 365)]
    found += [f"{reverse('admin:rooms_parity')}?days=365&experiment={one.pk}" for one in Experiment.objects.all()[:1]]
    found += [reverse("room-options", args=[Room.objects.earliest("pk").pk])]
    for slug in ("whereby", "daily"):
        found += [reverse(f"platform-{page}", args=[slug]) for page in ("readiness", "health")]
    return found


ROWS = ("rooms_room", "meetings_meeting", "meetings_participant")


# -- many rooms at once


def bulk_move() -> None:
    """5,000 rooms in the background: ordering them as staff do, and a worker's part."""
    from platforms.work import work_on
    from rooms.models import MoveOrder, Room
    from rooms.ordering import carry_out, order_as_planned, progress
    from rooms.planning import preview_move

    say("")
    rooms = list(Room.objects.filter(platform="whereby").order_by("pk").values_list("pk", flat=True)[:BULK])
    plan = told("bulk move: preview", lambda: preview_move(room_ids=rooms, platform="daily"))
    order = told(
        "bulk move: order",
        lambda: order_as_planned(
            platform="daily", room_ids=rooms, seen_hash=plan.hash, reason="bench", actor=None, looked_at=None
        ),
    )
    told("bulk move: carried out by a worker", lambda: work_on(MoveOrder, order.pk, carry_out))
    say(f"    {progress(order).words}")


def wave() -> None:
    """A wave over every room: start, its page, and ticks with nothing and with everything to do."""
    from django.contrib.auth.models import User
    from django.test import Client
    from django.urls import reverse
    from django.utils import timezone

    from rooms.models import Room, Wave
    from rooms.waves import commands
    from rooms.waves.tick import tick

    say("")
    steps = [{"percent": percent, "dwell_minutes": 60, "min_meetings": 0} for percent in (5, 100)]
    row = Wave.objects.create(
        name=f"bench {time.time()}", platform="daily", reason="bench", steps=steps, selection={"filter": {}}
    )
    now = timezone.now()
    start = commands.Command.START
    told(
        f"wave: start with {Room.objects.count():,} rooms",
        lambda: commands.carry_out(wave_id=row.pk, command=start, reason="bench", now=now),
    )
    client = Client()
    client.force_login(User.objects.get(username="bench"))
    address = reverse("admin:rooms_wave_change", args=[row.pk])
    told("wave: its page", lambda: client.get(address).status_code)
    told("wave: tick with nothing to do", lambda: tick(now + timedelta(minutes=1)))
    told("wave: tick that begins the last step", lambda: tick(now + timedelta(hours=2)))
    for minute in range(3, 60):
        row.refresh_from_db()
        if row.status != Wave.Status.RUNNING:
            break
        told(f"wave: tick {minute}", lambda minute=minute: tick(now + timedelta(hours=2, minutes=minute)))
    there = row.rooms.filter(state__in=["moved", "there"]).count()
    say(f"    {row.get_status_display()}; on the target: {there:,} rooms")


def told(name: str, do: Callable[[], Any]) -> Any:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    began = time.perf_counter()
    with CaptureQueriesContext(connection) as queries:
        answer = do()
    say(name, len(queries), f"{(time.perf_counter() - began) * 1000:.0f}")
    return answer


if __name__ == "__main__":
    main()
