"""A large installation's rows, made by the database itself: PostgreSQL only, into an empty database.

    DATABASE_URL=postgres://… python tests/bench/fleet.py [--rooms 20000 --meetings 200000 --stays 2000000]

Every row is plausible and every relation holds: meetings spread over 180 days, five people a meeting, each coming
twice, the newest meetings live, six outcomes a meeting, a webhook event for every second meeting. In one room of a
hundred an experiment draws.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

LIVE = 50
PLATFORM = "CASE WHEN ({n}) % 3 = 0 THEN 'daily' ELSE 'whereby' END"


def fill(model: Any, count: int, **values: str) -> None:
    """``count`` rows, numbered ``n`` from 1. ``values``: column → SQL expression; the rest get their defaults."""
    from django.db import connection, models

    columns, expressions, parameters = [], [], []
    for field in model._meta.local_concrete_fields:
        given = values.pop(field.attname, None)
        if given is None and isinstance(field, models.AutoField):
            given = "n"
        columns.append(connection.ops.quote_name(field.column))
        if given is None:
            parameters.append(field.get_db_prep_save(field.get_default(), connection))
        expressions.append(given if given is not None else f"%s::{field.db_type(connection)}")
    if values:
        raise ValueError(f"{model.__name__} has no {', '.join(values)}")
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        escaped = [one if one.startswith("%s::") else one.replace("%", "%%") for one in expressions]
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(escaped)} "
            f"FROM generate_series(1, {count}) AS n",
            parameters,
        )


def fill_everything(*, rooms: int, meetings: int, stays: int) -> None:
    from meetings.models import Meeting, Participant, ParticipantSession
    from platforms.models import WebhookEvent
    from recordings.models import Recording, Transcript
    from rooms.models import Move, Outcome, Room

    people = max(1, stays // 2)
    per_meeting = max(1, people // meetings)
    room = f"((n - 1) % {rooms} + 1)"
    platform = PLATFORM.format(n=room)

    def began(n: str) -> str:
        return f"now() - ({meetings} - ({n})) * interval '180 days' / {meetings} - interval '2 hours'"

    uuid_of = "md5('{kind}' || ({n}))::uuid"
    is_live = f"n > {meetings - min(LIVE, rooms, meetings)}"
    meeting_of_person = f"((n - 1) / {per_meeting} + 1)"
    fill(
        Room,
        rooms,
        uuid=uuid_of.format(kind="room", n="n"),
        name="'Room ' || n",
        slug="'room-' || n",
        platform=PLATFORM.format(n="n"),
    )
    fill(
        Move,
        rooms // 3,
        room_id="n * 3",
        from_platform="'whereby'",
        to_platform="'daily'",
        reason="'pilot'",
        source="'command'",
        moved_at="now() - interval '181 days'",
        batch=uuid_of.format(kind="move", n="n"),
    )
    fill(
        Meeting,
        meetings,
        id=uuid_of.format(kind="meeting", n="n"),
        room_id=room,
        platform=platform,
        status=f"CASE WHEN {is_live} THEN 'open' ELSE 'ended' END",
        end_reason=f"CASE WHEN {is_live} THEN '' ELSE 'empty' END",
        created_at=began("n"),
        opened_at=began("n"),
        outcomes_expected_at=began("n"),
        ended_at=f"CASE WHEN {is_live} THEN NULL ELSE {began('n')} + interval '40 minutes' END",
        key="md5('key' || n)",
        provider_room_name="'provider-room-' || n",
        provider_room_id="'id-' || n",
    )
    fill(
        Participant,
        people,
        id=uuid_of.format(kind="person", n="n"),
        meeting_id=uuid_of.format(kind="meeting", n=meeting_of_person),
        platform=PLATFORM.format(n=f"(({meeting_of_person} - 1) % {rooms} + 1)"),
        name="'Person ' || n % 5000",
        provider_user_id="md5('person' || n)",
        receipt_token="md5('receipt' || n)",
        came_by_page="true",
    )
    person_of_stay = f"((n - 1) % {people} + 1)"
    meeting_of_stay = f"(({person_of_stay} - 1) / {per_meeting} + 1)"
    joined = f"{began(meeting_of_stay)} + (n % 7) * interval '1 minute'"
    over = f"{meeting_of_stay} <= {meetings - min(LIVE, rooms, meetings)}"
    fill(
        ParticipantSession,
        stays,
        meeting_id=uuid_of.format(kind="meeting", n=meeting_of_stay),
        participant_id=uuid_of.format(kind="person", n=person_of_stay),
        session_id="'session-' || n",
        joined_at=joined,
        last_joined_at=joined,
        left_at=f"CASE WHEN {over} THEN {joined} + interval '20 minutes' END",
    )
    kinds = Outcome.Kind.values
    numbered = f"((n - 1) / {len(kinds)} + 1)"
    fill(
        Outcome,
        meetings * len(kinds),
        meeting_id=uuid_of.format(kind="meeting", n=numbered),
        room_id=f"(({numbered} - 1) % {rooms} + 1)",
        platform=PLATFORM.format(n=f"(({numbered} - 1) % {rooms} + 1)"),
        kind="(ARRAY[" + ", ".join(f"'{kind}'" for kind in kinds) + f"])[(n - 1) % {len(kinds)} + 1]",
        status="CASE WHEN n % 50 = 0 THEN 'failure' WHEN n % 11 = 0 THEN 'excluded' ELSE 'success' END",
        met_at=began(numbered),
        mature_at=began(numbered),
        decided_at=began(numbered),
        value="(n % 60)::float",
        words="CASE WHEN n % 50 <> 0 AND n % 11 = 0 THEN 'reason ' || n % 9 ELSE '' END",
    )
    halves = f"(n * 2) <= {meetings}"
    fill(
        WebhookEvent,
        meetings // 2,
        platform=PLATFORM.format(n=f"((n * 2 - 1) % {rooms} + 1)"),
        body="convert_to('{}', 'utf8')",
        body_sha256="md5('a' || n) || md5('b' || n)",
        event_id="'event-' || n",
        event_type="'meeting.ended'",
        signed_at=began("n * 2"),
        occurred_at=began("n * 2"),
        received_at=began("n * 2"),
        status=f"CASE WHEN {halves} THEN 'done' ELSE 'pending' END",
    )
    fill(
        Recording,
        meetings // 2,
        id=uuid_of.format(kind="recording", n="n"),
        platform=PLATFORM.format(n=f"((n * 2 - 1) % {rooms} + 1)"),
        provider_recording_id="'recording-' || n",
        meeting_id=uuid_of.format(kind="meeting", n="(n * 2)"),
        found_by="'webhook'",
        found_at=began("n * 2"),
        status="'done'",
    )
    fill(
        Transcript,
        meetings // 2,
        id=uuid_of.format(kind="transcript", n="n"),
        recording_id=uuid_of.format(kind="recording", n="n"),
        status="'done'",
    )


def draw_in_some_rooms(*, rooms: int) -> None:
    """An experiment that has gone on in these rooms for as long as they have met."""
    from django.utils import timezone

    from meetings.models import Meeting
    from rooms.experiments.drawing import arm_of
    from rooms.models import Assignment, Experiment, Room

    arms = {"A": "whereby", "B": "daily"}
    experiment = Experiment.objects.create(
        name="Sound",
        reason="pilot",
        platform_a=arms["A"],
        platform_b=arms["B"],
        status="running",
        started_at=timezone.now(),
    )
    uuids = dict(Room.objects.order_by("pk").values_list("pk", "uuid")[:rooms])
    experiment.rooms.set(uuids)
    numbers = dict.fromkeys(uuids, -1)
    draws = []
    met = Meeting.objects.filter(room__in=uuids).order_by("created_at")
    for meeting_id, room_id, at in met.values_list("pk", "room_id", "created_at"):
        numbers[room_id] += 1
        arm = arm_of(experiment, uuids[room_id], numbers[room_id])
        draws.append(
            Assignment(
                experiment=experiment,
                room_id=room_id,
                meeting_id=meeting_id,
                number=numbers[room_id],
                arm=arm,
                platform=arms[arm],
                assigned_at=at,
            )
        )
    Assignment.objects.bulk_create(draws, batch_size=1000)


def settle() -> None:
    """Sequences after what was written by number; then what autovacuum does to a table that has been there for a while:
    statistics for the planner, and which pages an index need not look up."""
    from io import StringIO

    from django.apps import apps
    from django.core.management import call_command
    from django.db import connection

    sql = StringIO()
    for app in apps.get_app_configs():
        call_command("sqlsequencereset", app.label, stdout=sql, stderr=StringIO(), no_color=True)
    with connection.cursor() as cursor:
        cursor.execute(sql.getvalue())
        cursor.execute("VACUUM ANALYZE")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rooms", type=int, default=20_000)
    arguments.add_argument("--meetings", type=int, default=200_000)
    arguments.add_argument("--stays", type=int, default=2_000_000)
    sizes = vars(arguments.parse_args())

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reflector_project.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection, transaction

    from rooms.models import Room

    if connection.vendor != "postgresql":
        sys.exit("The fleet is made on PostgreSQL only. Set DATABASE_URL=postgres://… of an empty database.")
    call_command("migrate", verbosity=0)
    if Room.objects.exists():
        sys.exit("This database has rooms already; give an empty one.")
    start = time.monotonic()
    with transaction.atomic():
        fill_everything(**sizes)
        draw_in_some_rooms(rooms=sizes["rooms"] // 100)
    settle()
    words = ", ".join(f"{count:,} {name}" for name, count in sizes.items())
    sys.stdout.write(f"{words} in {time.monotonic() - start:.0f} s\n")


if __name__ == "__main__":
    main()
