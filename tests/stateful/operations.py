"""What people, staff, providers and time do to an installation. Each runs in a process of its own (``processes``).

Arguments are plain values; numbers that choose a row are taken modulo what there is. Each answer is plain values too,
or ``Refused`` in words where the product says no.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from meetings import lifecycle, presence
from meetings.entering import MeetingOver, MustWait, enter, entry_for
from meetings.models import Meeting, Participant
from meetings.opening import OpeningFailed, RoomArchived, open_meeting
from platforms import inbox, registry
from platforms.base import DeliveryRejected, PlatformError
from platforms.events import Event, ParticipantJoined, ParticipantLeft, SessionEnded
from platforms.models import WebhookEvent
from platforms.work import Work, work_on
from rooms import switching
from rooms.experiments import commands as experimenting
from rooms.guard.watch import watch
from rooms.models import Experiment, Move, MoveOrder, Outcome, Room, Wave
from rooms.ordering import carry_out, schedule_move
from rooms.planning import MoveRefused, preview_move
from rooms.services import move_as_planned, move_room
from rooms.switching import SwitchRefused
from rooms.undoing import undo_move
from rooms.waves import commands
from rooms.waves.tick import tick

PLATFORMS = ("whereby", "daily")
REFUSALS = (
    OpeningFailed,
    RoomArchived,
    MeetingOver,
    MustWait,
    MoveRefused,
    SwitchRefused,
    PlatformError,
    DeliveryRejected,
    commands.WaveRefused,
    experimenting.ExperimentRefused,
)
STEPS = [{"percent": percent, "dwell_minutes": 10, "min_meetings": 0} for percent in (25, 50, 100)]


def _one(rows: QuerySet[Any], number: int) -> Any:
    """One of the rows, None of none. Asked once: others change them meanwhile."""
    found = list(rows)
    return found[number % len(found)] if found else None


def make_rooms(now: datetime, number: int) -> None:
    for index in range(number):
        Room.objects.create(name=f"Room {index}", slug=f"room-{index}", platform=PLATFORMS[index % 2], is_shared=True)


# -- people


def join(now: datetime, room: int, name: int) -> dict[str, str] | None:
    """Press *Join*; the answer is where the page sent them."""
    chosen = _one(Room.objects.order_by("pk"), room)
    meeting = open_meeting(room=chosen, now=now)
    person = enter(meeting=meeting, user=None, name=f"Person {name}", answer="yes", now=now)
    return _sent(person, now)


def rejoin(now: datetime, participant: int) -> dict[str, str] | None:
    """The page is loaded again: the cookie names the person, the room's live meeting is the one to enter."""
    known = _one(Participant.objects.order_by("created_at", "pk"), participant)
    if known is None:
        return None
    meeting = open_meeting(room=known.meeting.room, now=now)
    person = enter(meeting=meeting, user=None, name=known.name, answer="yes", participant_id=known.pk, now=now)
    return _sent(person, now)


def _sent(person: Participant, now: datetime) -> dict[str, str]:
    entry = entry_for(participant=person, now=now)
    return {"meeting": str(person.meeting_id), "address": entry.frame_url}


def arrive(now: datetime, participant: int, session: int) -> None:
    """The provider tells that somebody came."""
    _told(now, participant, lambda row, common: ParticipantJoined(session_id=f"s{session}-{row.pk}", **common))


def leave(now: datetime, participant: int, session: int) -> None:
    _told(now, participant, lambda row, common: ParticipantLeft(session_id=f"s{session}-{row.pk}", **common))


def _told(now: datetime, participant: int, event: Callable[[Participant, dict[str, Any]], Event]) -> None:
    row = _one(Participant.objects.exclude(meeting__provider_room_name="").order_by("created_at", "pk"), participant)
    if row is not None:
        common = {"user_id": row.provider_user_id, "name": row.name}
        _deliver(row.meeting, event(row, common | _about(row.meeting, now)), now)


def _about(meeting: Meeting, now: datetime) -> dict[str, Any]:
    return {"platform": meeting.platform, "occurred_at": now, "room_name": meeting.provider_room_name}


def session_ends(now: datetime, meeting: int) -> None:
    row = _one(Meeting.objects.exclude(provider_room_name="").order_by("created_at", "pk"), meeting)
    if row is not None:
        _deliver(row, SessionEnded(provider_session_id="call", **_about(row, now)), now)


def _deliver(meeting: Meeting, event: Event, now: datetime) -> None:
    """Signed, through the inbox, and read at once by this process."""
    adapter = registry.get(meeting.platform)
    body = adapter.compose(event)
    assert body is not None
    headers = adapter.sign(body)
    assert headers is not None
    inbox.store(adapter, headers=headers, body=body, signed=adapter.verify(headers, body), now=now)
    read_inbox(now)


def read_inbox(now: datetime) -> None:
    for pk in WebhookEvent.objects.filter(status=Work.Status.PENDING).values_list("pk", flat=True):
        work_on(WebhookEvent, pk, inbox.interpret)


def host_ends(now: datetime, meeting: int) -> None:
    row = _one(Meeting.objects.filter(status=Meeting.Status.OPEN).order_by("created_at", "pk"), meeting)
    if row is not None:
        lifecycle.end_meeting(meeting=row, reason=Meeting.EndReason.HOST, now=now)


# -- staff


def move(now: datetime, room: int, platform: int) -> None:
    chosen = _one(Room.objects.order_by("pk"), room)
    move_room(room_id=chosen.pk, platform=PLATFORMS[platform % 2], reason="by hand", source="command", now=now)


def bulk_move(now: datetime, platform: int) -> None:
    """All rooms at once, as the preview showed it."""
    to = PLATFORMS[platform % 2]
    plan = preview_move(room_ids=Room.objects.values_list("pk", flat=True), platform=to, now=now)
    move_as_planned(platform=to, seen=plan.facts, seen_hash=plan.hash, reason="all", actor=None, now=now)


def schedule(now: datetime, room: int, platform: int, minutes: int) -> None:
    chosen = _one(Room.objects.order_by("pk"), room)
    at = now + timedelta(minutes=minutes + 1)
    schedule_move(room_id=chosen.pk, platform=PLATFORMS[platform % 2], reason="later", at=at, now=now)


def undo(now: datetime, number: int) -> None:
    row = _one(Move.objects.filter(order=None, wave=None).exclude(source=Move.Source.UNDO).order_by("-pk"), number)
    if row is not None:
        undo_move(move=row, actor=None, now=now)


def switch(now: datetime, platform: int, close: bool) -> None:
    (switching.close if close else switching.open)(platform=PLATFORMS[platform % 2], reason="drill", now=now)


def wave_begins(now: datetime, platform: int) -> None:
    wave = Wave.objects.create(
        name=uuid.uuid4().hex, platform=PLATFORMS[platform % 2], reason="wave", steps=STEPS, selection={"filter": {}}
    )
    commands.carry_out(wave_id=wave.pk, command=commands.Command.START, reason="go", now=now)


def wave_is_told(now: datetime, wave: int, command: int, percent: int) -> None:
    row = _one(Wave.objects.order_by("pk"), wave)
    if row is not None:
        chosen = list(commands.Command)[command % len(commands.Command)]
        commands.carry_out(wave_id=row.pk, command=chosen, reason="so", percent=percent, now=now)


def experiment_begins(now: datetime, platform: int) -> None:
    """All rooms opt in: from now on each new meeting is drawn for one platform or the other."""
    arms = {"platform_a": PLATFORMS[platform % 2], "platform_b": PLATFORMS[(platform + 1) % 2]}
    experiment = Experiment.objects.create(name=uuid.uuid4().hex, reason="which is better", **arms)
    experiment.rooms.set(Room.objects.all())
    experimenting.carry_out(
        experiment_id=experiment.pk, command=experimenting.Command.START, reason="go", aa_waiver="a drill", now=now
    )


# -- time


def fails(now: datetime, room: int) -> None:
    """A meeting's outcome is bad: the guard may act on it."""
    _failed(_one(Room.objects.order_by("pk"), room), now).save()


def everything_fails(now: datetime) -> None:
    """Three meetings in each room, one after the other: more than the guard of any wave puts up with."""
    Outcome.objects.bulk_create(_failed(room, now) for room in Room.objects.order_by("pk") for _ in range(3))


def _failed(room: Room, now: datetime) -> Outcome:
    return Outcome(
        meeting_id=uuid.uuid4(),
        room=room,
        platform=room.platform,
        kind=Outcome.Kind.JOINED,
        status=Outcome.Status.FAILURE,
        met_at=now,
        mature_at=now,
        decided_at=now,
    )


def sweep(now: datetime) -> None:
    """What comes round."""
    presence.look(now)
    lifecycle.end_what_is_over(now)
    tick(now)
    watch(now)
    read_inbox(now)
    for pk in MoveOrder.objects.filter(status=Work.Status.PENDING, due_at__lte=now).values_list("pk", flat=True):
        work_on(MoveOrder, pk, carry_out)


OPERATIONS: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (
        *(join, rejoin, arrive, leave, session_ends, host_ends),
        *(move, bulk_move, schedule, undo, switch, wave_begins, wave_is_told, experiment_begins),
        *(fails, everything_fails, sweep, make_rooms),
    )
}
