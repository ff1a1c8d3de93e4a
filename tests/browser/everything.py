"""Rows of every kind, in every state that has a page: some days of the demo's history, and what staff did with it.

The past is told by the services that write it, at times of their own; only what a provider or a machine would have
measured (checks, counts, validations) is put there as it would be read.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from rest_framework.authtoken.models import Token

from meetings import outcomes as meeting_outcomes
from meetings.models import Capture, Meeting, Waiting
from platforms.alerts import alert, settle
from platforms.models import ApiCallBucket, Heartbeat, ReadinessResult, WebhookEvent, WebhookGap
from platforms.work import Work, work_on
from recordings import demo
from recordings import outcomes as recording_outcomes
from recordings.management.commands.seed_demo import seed
from recordings.models import Recording, Transcript
from rooms.models import (
    Assignment,
    Experiment,
    ExperimentEntry,
    MoveOrder,
    Outcome,
    Room,
    Validation,
    Wave,
)
from rooms.ordering import cancel_order, carry_out, schedule_move
from rooms.pinning import pin_room
from rooms.readiness import waive, withdraw
from rooms.rights import VIEWERS, grant
from rooms.switching import close
from rooms.switching import open as open_again
from rooms.waves.commands import Command
from rooms.waves.commands import carry_out as tell_wave
from rooms.waves.tick import tick_wave
from tests.factories import make_meeting, make_participant, make_room, make_stay, make_user

LONG = "Board of the very long-winded Donaudampfschifffahrtsgesellschaftskapitänsverein"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def fill(now: datetime) -> User:
    """Everything; returns the superuser."""
    grant(apps)
    with demo.talks() as talks:
        seed("a password for the pictures", talks, now=now)
    staff = User.objects.get(username="staff")
    make_user("vera", is_staff=True).groups.add(Group.objects.get(name=VIEWERS))
    Token.objects.create(user=staff)
    machines(now)
    people_inside(now)
    rooms_and_orders(staff, now)
    waves(staff, now)
    experiments(staff, now)
    judged(now)
    switches(staff, now)
    alerts(now)
    room = Room.objects.order_by("pk")[0]
    LogEntry.objects.create(
        user=staff,
        content_type=ContentType.objects.get_for_model(Room),
        object_id=str(room.pk),
        object_repr=str(room),
        action_flag=CHANGE,
        change_message="Changed name.",
    )
    return staff


def machines(now: datetime) -> None:
    """What was measured: checks, calls, gaps, jobs; and work that is stuck."""
    checks = [
        ("credentials", "Credentials valid", "ok", "the account answers", {"rooms": 12}),
        ("bucket", "Bucket readable and versioned", "failed", "the bucket has no versions", {"bucket": "recordings"}),
        ("newest", "Newest object written by the provider", "unproven", "no recording has come yet", {}),
        ("presence", "Presence answers", "not_applicable", "this platform has none", {}),
    ]
    for platform in ("daily", "whereby"):
        for position, (key, title, status, words, evidence) in enumerate(checks):
            ReadinessResult.objects.create(
                platform=platform,
                key=key,
                title=title,
                status="ok" if platform == "daily" and status == "failed" else status,
                words=words,
                why="A recording that is overwritten is lost.",
                fix="turn on versioning of the bucket",
                evidence=evidence,
                position=position,
                checked_at=now - timedelta(minutes=7),
                since=now - DAY,
            )
        for minute in range(0, 120, 4):
            ApiCallBucket.objects.create(
                platform=platform,
                operation=("create_room", "presence", "list_recordings")[minute % 3],
                minute=(now - timedelta(minutes=minute)).replace(second=0, microsecond=0),
                calls=40,
                failed=minute % 5,
                total_ms=9000,
                slowest_ms=900,
                ms_100=20,
                ms_300=15,
                ms_1000=5,
                tokens=40,
                last_error="503 Service Unavailable" if minute % 5 else "",
            )
    WebhookGap.objects.create(
        platform="daily",
        began_at=now - 5 * HOUR,
        noticed_at=now - 4 * HOUR,
        cause="FAILED after 3 failures in a row",
        mended_at=now - 4 * HOUR,
        filled_at=now - 3 * HOUR,
    )
    Heartbeat.objects.create(name="sweeper", holder="host:1", held_until=now + HOUR, beat_at=now)
    Heartbeat.objects.create(
        name="job:meetings.periodic.end_meetings", beat_at=now, succeeded_at=now - HOUR, last_error="OSError: no route"
    )
    WebhookEvent.objects.create(
        platform="whereby",
        body=b'{"type": "room.client.joined", "data": {"displayName": "' + b"long " * 60 + b'"}}',
        body_sha256="a" * 64,
        event_type="room.client.joined",
        signed_at=now,
        status=Work.Status.QUARANTINED,
        attempts=10,
        last_error="KeyError: 'roomName'",
    )
    meeting = Meeting.objects.filter(platform="daily").latest("created_at")
    Capture.objects.create(meeting=meeting, state="failed", status="quarantined", error="no bucket")
    stuck = Recording.objects.create(
        platform="daily",
        provider_recording_id=str(uuid.uuid4()),
        meeting=meeting,
        found_by="webhook",
        status="quarantined",
        last_error="PlatformUnavailable: 503",
    )
    Transcript.objects.create(recording=stuck, status="quarantined", last_error="TranscriptionFailed: no model")


def people_inside(now: datetime) -> None:
    board = make_room(
        slug="board", name=LONG, is_shared=True, is_locked=True, owner=User.objects.get(username="staff"), language="de"
    )
    live = make_meeting(board, opened_at=now - 2 * HOUR, platform_reason="its room is set to it")
    for name in ("Cleo de la Cruz", "Dan"):
        make_stay(make_participant(live, name), joined_at=now - HOUR)
    Waiting.objects.create(meeting=live, session_id="waits", name="Somebody", started_at=now)
    make_meeting(
        make_room(slug="opening", name="Opening"), status=Meeting.Status.OPENING, opened_at=now, provider_room_name=""
    )
    failed = make_room(slug="failed", name="Failed")
    make_meeting(
        failed, status=Meeting.Status.FAILED, opened_at=now - HOUR, ended_at=now - HOUR, failure="503 from the provider"
    )


def rooms_and_orders(staff: Any, now: datetime) -> None:
    for number in range(1, 49):
        make_room(slug=f"pool-{number}", name=f"Pool {number}", platform="whereby", created_at=now - 30 * DAY)
    make_room(slug="old", name="Old", archived_at=now - DAY)
    pinned = Room.objects.in_bulk(["pool-1", "pool-2"], field_name="slug")
    pin_room(room_id=pinned["pool-1"].pk, reason="board elections", actor=staff, now=now - 40 * DAY)
    pin_room(room_id=pinned["pool-2"].pk, reason="a customer asks for it", until=now + 9 * DAY, actor=staff, now=now)
    told = Room.objects.in_bulk(["pool-3", "pool-4", "pool-5"], field_name="slug")
    how: dict[str, Any] = {"platform": "daily", "actor": staff}
    schedule_move(room_id=told["pool-3"].pk, reason="after the holidays", at=now + 3 * DAY, now=now, **how)
    stopped = schedule_move(room_id=told["pool-4"].pk, reason="too early", at=now + DAY, now=now, **how)
    cancel_order(order_id=stopped.pk, actor=staff, now=now)
    done = schedule_move(room_id=told["pool-5"].pk, reason="pilot", at=now - DAY, now=now - 2 * DAY, **how)
    work_on(MoveOrder, done.pk, carry_out)


def waves(staff: Any, now: datetime) -> None:
    steps = [
        {"percent": 25, "dwell_minutes": 1440, "min_meetings": 5},
        {"percent": 50, "dwell_minutes": 1440, "min_meetings": 20},
        {"percent": 100, "dwell_minutes": 0, "min_meetings": 0},
    ]
    blackouts = [{"days": [5, 6], "from": "22:00", "to": "06:00"}]
    once = [{"percent": 100, "dwell_minutes": 0, "min_meetings": 0}]
    for number, (name, ramp) in enumerate(
        [("Draft", steps), ("Running", steps), ("Held", steps), ("Rolled back", steps), ("Completed", once)]
    ):
        slugs = [f"pool-{room}" for room in range(6 + number * 6, 12 + number * 6)]
        wave = Wave.objects.create(
            name=name,
            platform="daily",
            reason="one provider for everything",
            selection={"rooms": list(Room.objects.filter(slug__in=slugs).values_list("pk", flat=True))},
            steps=ramp,
            blackouts=[] if name != "Draft" else blackouts,
            salt=f"{number}" * 32,
            created_by=staff,
        )
        if name != "Draft":
            began = now - 2 * DAY
            tell_wave(wave_id=wave.pk, command=Command.START, reason="agreed", actor=staff, now=began)
            tick_wave(wave.pk, began)
        if name == "Held":
            tell_wave(wave_id=wave.pk, command=Command.PAUSE, reason="trade fair", actor=staff, now=now - DAY)
        if name == "Rolled back":
            tell_wave(wave_id=wave.pk, command=Command.ROLL_BACK, reason="no sound", actor=staff, now=now - DAY)
        if name == "Completed":
            tick_wave(wave.pk, began + HOUR)


def experiments(staff: Any, now: datetime) -> None:
    for position, status in enumerate(Experiment.Status):
        rooms = [f"pool-{number}" for number in range(38 + 2 * position, 40 + 2 * position)]
        began = None if status == Experiment.Status.DRAFT else now - 3 * DAY
        # of one platform only, where it can be started: the other one is closed
        is_aa = status in (Experiment.Status.DRAFT, Experiment.Status.HELD)
        experiment = Experiment.objects.create(
            name=f"Comparison {status.label}",
            reason="is it as good?",
            platform_a="daily" if is_aa else "whereby",
            platform_b="daily",
            status=status,
            watched=[Outcome.Kind.JOINED, Outcome.Kind.RECORDING],
            started_at=began,
            held_at=now - DAY if status == Experiment.Status.HELD else None,
            held_reason="Held: joining fails on Daily." if status == Experiment.Status.HELD else "",
            ended_at=now - DAY if status == Experiment.Status.ENDED else None,
            aa_waived="the instrument was proven in spring",
            created_by=staff,
        )
        experiment.rooms.set(Room.objects.filter(slug__in=rooms))
        if began is None:
            continue
        ExperimentEntry.objects.create(experiment=experiment, at=began, what="started", words="Started.", actor=staff)
        room = Room.objects.get(slug=rooms[0])
        for number in range(8):
            arm = "AB"[number % 2]
            Assignment.objects.create(
                experiment=experiment,
                room=room,
                meeting_id=uuid.uuid4(),
                number=number,
                arm=arm,
                platform=experiment.platform_a if arm == "A" else experiment.platform_b,
                assigned_at=began + number * HOUR,
                served_platform=experiment.platform_a,
                quarantined="" if arm == "A" or is_aa else "served on Whereby after Daily failed",
            )


def judged(now: datetime) -> None:
    """Outcomes of all these meetings, by those who judge them, and more of a quieter past for the plots."""
    for _ in range(2):
        meeting_outcomes.judge(now)
        recording_outcomes.judge(now)
    room = Room.objects.get(slug="pool-40")
    Outcome.objects.bulk_create(
        Outcome(
            meeting_id=uuid.uuid4(),
            room=room,
            platform=platform,
            kind=kind,
            status="failure" if number % (23 if platform == "whereby" else 9) == 7 else "success",
            value=4.0 + number % 7,
            words="measured",
            met_at=now - number * 6 * HOUR,
            mature_at=now - number * 6 * HOUR,
            decided_at=now - number * 6 * HOUR,
            look_at=None,
        )
        for platform in ("daily", "whereby")
        for kind in Outcome.Kind
        for number in range(90)
    )
    for point in Validation.Point:
        Validation.objects.create(
            platform="daily", point=point, ok=point != Validation.Point.SPEECH, evidence={"word_error_rate": 0.31}
        )


def switches(staff: Any, now: datetime) -> None:
    withdraw(waive(platform="whereby", key="bucket", reason="for an hour", until=now + DAY, actor=staff, now=now))
    close(platform="whereby", reason="a drill", actor=staff, now=now - DAY)
    open_again(platform="whereby", reason="the drill is over", actor=staff, now=now - DAY + HOUR)
    close(platform="whereby", reason="no meeting opens since 9:00", actor=staff, now=now - HOUR)


def alerts(now: datetime) -> None:
    alert(
        "pictures 1",
        title="The guard held wave “Autumn”",
        words="3 failures in a row of “recording delivered” on Daily: “Board”: the recording failed.",
        evidence={"kind": "recording", "failures": 3, "rooms": [1, 2, 3]},
        inverse="Resume the wave, or roll it back.",
        inverse_url="/admin/rooms/wave/",
        severity="critical",
        now=now - HOUR,
    )
    alert(
        "pictures 2",
        title="Whereby: “Bucket readable and versioned” fails",
        words="The bucket has no versions.",
        evidence={"bucket": "recordings"},
        inverse="turn on versioning of the bucket",
        now=now - 2 * HOUR,
    )
    settle("pictures 2", words="it has versions again", now=now - HOUR)
