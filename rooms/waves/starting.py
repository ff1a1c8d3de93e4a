"""Starting a wave: its rooms are chosen, each gets its bucket, and both are fixed for good."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max

from rooms.models import Move, Room, Wave, WaveEntry, WaveRoom
from rooms.waves.blackouts import end_of_blackout
from rooms.waves.changes import note, percent
from rooms.waves.choosing import chosen
from rooms.waves.engine import bucket_of
from rooms.waves.reading import blackouts_of, blockers_of, held_by_others, reach_of
from rooms.words import count_of, label_of, minute_of

NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Chosen:
    pk: int
    uuid: uuid.UUID
    name: str
    platform: str
    is_pinned: bool
    is_archived: bool


@dataclass(frozen=True, kw_only=True)
class Start:
    """The rooms that the wave would take now."""

    target: str
    terms: list[Any]  #: what else the draft says: how it goes on from step to step, and what the guard does
    first_reach: int
    steps: int
    salt: str
    rooms: list[Chosen]
    elsewhere: list[tuple[int, str, str]]  #: rooms that another wave holds: (pk, name, that wave's name)
    blockers: list[str]
    begins: str  #: when the first step can be taken, in words that follow the rooms which it moves

    @property
    def waiting(self) -> list[Chosen]:
        return [room for room in self.rooms if room.platform != self.target]

    @property
    def in_first_step(self) -> list[Chosen]:
        return [room for room in self.waiting if bucket_of(self.salt, room.uuid) < self.first_reach]

    @property
    def facts(self) -> list[Any]:
        """What is agreed on: what the draft says, the rooms, where each is, and the rooms that are left out."""
        rooms = sorted((room.pk, room.platform) for room in self.rooms)
        return [self.target, self.terms, rooms, sorted(pk for pk, _, _ in self.elsewhere)]

    @property
    def nothing_to_move(self) -> str:
        if self.elsewhere:
            return "another wave holds the rooms that you chose."
        if self.rooms:
            return f"the rooms that you chose are all on {label_of(self.target)}."
        return "no room is like that."

    @property
    def words(self) -> list[str]:
        label = label_of(self.target)
        there = len(self.rooms) - len(self.waiting)
        pinned = sum(room.is_pinned for room in self.waiting)
        archived = sum(room.is_archived for room in self.waiting)
        words = [
            f"{count_of(len(self.waiting), 'room')} will move to {label} in {count_of(self.steps, 'step')}. "
            "These rooms are fixed from now on; rooms that are made later are not part of the wave."
        ]
        sources = Counter(room.platform for room in self.waiting)
        if len(sources) > 1:
            from_where = ", ".join(f"{count:,} from {label_of(slug)}" for slug, count in sources.most_common())
            words.append(f"They come from: {from_where}.")
        first = f"{percent(self.first_reach)}, moves {count_of(len(self.in_first_step), 'room')}"
        words.append(f"The first step, {first} {self.begins}.")
        if there:
            stay = "stays as it is" if there == 1 else "stay as they are"
            words.append(f"{count_of(there, 'room is', 'rooms are')} on {label} already and {stay}.")
        if pinned:
            follow = "follows when the pin ends" if pinned == 1 else "follow when the pins end"
            words.append(f"{count_of(pinned, 'room is', 'rooms are')} pinned and left alone; {follow}.")
        if archived:
            words.append(f"{count_of(archived, 'room is', 'rooms are')} archived and left alone.")
        if self.elsewhere:
            named = "; ".join(f"“{room}” in “{wave}”" for _, room, wave in self.elsewhere[:NAMED])
            more = f"; and {len(self.elsewhere) - NAMED:,} more" if len(self.elsewhere) > NAMED else ""
            words.append(
                f"{count_of(len(self.elsewhere), 'room is', 'rooms are')} left out because another wave that is not "
                f"over holds {'it' if len(self.elsewhere) == 1 else 'them'}: {named}{more}."
            )
        if self.blockers:
            words.append(f"It will not move anything before this is mended: {' '.join(self.blockers)}")
        return words


def hold_still(wave: Wave, now: datetime) -> None:
    """Until the end of the transaction nobody moves a room that the wave takes, and no other wave takes it."""
    rooms = chosen(wave.selection, now=now)
    if wave.status != Wave.Status.DRAFT:
        rooms = Room.objects.filter(pk__in=wave.rooms.values("room"))
    list(rooms.order_by("pk").select_for_update(no_key=True, of=("self",)).values_list("pk"))


def prepare(wave: Wave, now: datetime) -> Start:
    """What starting would take now. Four queries or so, however many rooms."""
    rooms = chosen(wave.selection, now=now).order_by("pk")
    taken = {row.room_id: row.wave.name for row in held_by_others(rooms.order_by().values("pk"), but=wave)}
    found = [
        Chosen(
            pk=room.pk,
            uuid=room.uuid,
            name=room.name,
            platform=room.platform,
            is_pinned=room.is_pinned(now),
            is_archived=room.archived_at is not None,
        )
        for room in rooms.only("uuid", "name", "platform", "pinned_at", "pin_until", "archived_at")
    ]
    return Start(
        target=wave.platform,
        terms=[wave.reason, wave.steps, wave.blackouts, wave.required_checks, wave.trip_after, wave.on_trip],
        first_reach=reach_of(wave.steps[0]),
        steps=len(wave.steps),
        salt=wave.salt,
        rooms=[room for room in found if room.pk not in taken],
        elsewhere=[(room.pk, room.name, taken[room.pk]) for room in found if room.pk in taken],
        blockers=blockers_of(wave, now),
        begins=_begins(wave, now),
    )


def _begins(wave: Wave, now: datetime) -> str:
    free = end_of_blackout(blackouts_of(wave), now)
    if free is None:
        return "never: every hour is blacked out"
    return "within a minute" if free == now else f"after its blackout hours, on {minute_of(free, now=now)}"


def start(wave: Wave, what: Start, reason: str, *, actor: Any, now: datetime) -> WaveEntry:
    """Fix the rooms and run; they were made to hold still. The first tick takes the first step."""
    rooms = chosen(wave.selection, now=now).order_by().values("pk")
    moves = Move.objects.filter(room__in=rooms).order_by().values_list("room").annotate(latest=Max("pk"))
    latest = dict(moves.values_list("room", "latest"))
    WaveRoom.objects.bulk_create(
        (
            WaveRoom(
                wave=wave,
                room_id=room.pk,
                bucket=bucket_of(wave.salt, room.uuid),
                from_platform=room.platform,
                state=WaveRoom.State.THERE if room.platform == wave.platform else WaveRoom.State.WAITING,
                move_id=latest.get(room.pk),
            )
            for room in what.rooms
        ),
        batch_size=2_000,
    )
    wave.status = Wave.Status.RUNNING
    wave.started_at = now
    wave.save(update_fields=["status", "started_at"])
    numbers = {
        "rooms": len(what.rooms),
        "to_move": len(what.waiting),
        "there_already": len(what.rooms) - len(what.waiting),
        "in_other_waves": len(what.elsewhere),
    }
    words = f"Started with {count_of(len(what.rooms), 'room')}, {len(what.waiting):,} of them to move: {reason}"
    return note(wave, "started", words, now=now, actor=actor, numbers=numbers)
