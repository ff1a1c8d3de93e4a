"""Moving a wave's rooms, forth and back, in chunks that are each one transaction.

What is left to do is read from the rows each time, with the wave locked: whoever is killed in between has done whole
chunks, and whoever comes next goes on. All moves go through ``move_rooms``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery

from rooms.models import Move, Wave, WaveEntry, WaveRoom
from rooms.planning import latest_moves
from rooms.services import move_rooms
from rooms.waves.reading import astray, kept_among, locked, to_move, to_return, was_touched
from rooms.words import label_of, minute_of

#: rooms in one transaction, which takes the same few statements however many: more would keep visitors of these rooms
#: waiting for longer
CHUNK = 500
#: rooms that one tick moves forth; the rest follows in the next one
MOST_FORTH = 5_000
#: refusals that end by themselves or when somebody ends them: the room follows then
PASSING = {"pinned": "It follows when the pin ends.", "archived": "It follows when it is taken out of the archive."}
#: refusals of the room itself; any other is the platform's and holds up all rooms alike
OF_THE_ROOM = frozenset({"pinned", "archived", "stale", "already_there"})


def decision_behind(wave: Wave) -> WaveEntry | None:
    """The entry of the wave's log that its moves carry out."""
    return wave.entries.filter(what__in=("step", "shrunk", "rolled_back")).order_by("-pk").first()


def move_forth(wave_id: int, *, now: datetime, most: int = MOST_FORTH) -> int:
    """Move rooms within the wave's reach to its target, while it runs. How many were moved."""

    def rooms_of(wave: Wave) -> QuerySet[WaveRoom] | None:
        return to_move(wave, now) if wave.status == Wave.Status.RUNNING else None

    def move(wave: Wave, rooms: list[WaveRoom]) -> tuple[int, bool]:
        return _move(wave, rooms, platform=wave.platform, state=WaveRoom.State.MOVED, now=now)

    return _in_chunks(wave_id, rooms_of, move, most, now)


def move_back(wave_id: int, *, now: datetime, most: int | None = None) -> int:
    """Move rooms beyond the wave's reach back to where they came from, whatever its status. How many were moved.

    Those that came from where no room can go now are left for later, and hold up no others.
    """

    def rooms_of(wave: Wave) -> QuerySet[WaveRoom]:
        rooms = to_return(wave)
        return rooms.exclude(from_platform__in=[kept.platform for kept in kept_among(rooms, now)])

    def move(wave: Wave, rooms: list[WaveRoom]) -> tuple[int, bool]:
        moved, go_on = 0, True
        for platform, group in groupby(sorted(rooms, key=_came_from), key=_came_from):
            done, fine = _move(wave, list(group), platform=platform, state=WaveRoom.State.RETURNED, now=now)
            moved, go_on = moved + done, go_on and fine
        return moved, go_on

    return _in_chunks(wave_id, rooms_of, move, most, now)


def leave_alone_what_was_moved_away(wave_id: int, *, now: datetime) -> None:
    """Rooms that somebody took off the target stay where they were put."""
    with transaction.atomic():
        wave = locked(wave_id, unless_taken=True)
        if wave is not None:
            _sort_out_touched(list(astray(wave).select_related("room").annotate(touched=was_touched())[:CHUNK]), now)


def _came_from(room: WaveRoom) -> str:
    return room.from_platform


def _in_chunks(
    wave_id: int,
    rooms_of: Callable[[Wave], QuerySet[WaveRoom] | None],
    move: Callable[[Wave, list[WaveRoom]], tuple[int, bool]],
    most: int | None,
    now: datetime,
) -> int:
    """Each room is looked at once: one that cannot be moved now is left for the next tick."""
    moved, after = 0, (-1, 0)
    while most is None or moved < most:
        with transaction.atomic():
            wave = locked(wave_id)
            rooms = rooms_of(wave) if wave is not None else None
            if wave is None or rooms is None:
                break
            bucket, pk = after
            further = rooms.filter(Q(bucket__gt=bucket) | Q(bucket=bucket, pk__gt=pk))
            size = CHUNK if most is None else min(CHUNK, most - moved)
            chunk = list(further.select_related("room").annotate(touched=was_touched())[:size])
            if not chunk:
                break
            after = (chunk[-1].bucket, chunk[-1].pk)
            done, go_on = move(wave, _sort_out_touched(chunk, now))
            moved += done
        if not go_on or len(chunk) < size:
            break
    return moved


def _sort_out_touched(rooms: list[Any], now: datetime) -> list[WaveRoom]:
    """The rooms that nobody else ``touched`` since the wave last saw them; the others are left alone, with who did."""
    others = [row for row in rooms if row.touched]
    if others:
        moves = latest_moves([row.room for row in others])
        for row in others:
            row.state = WaveRoom.State.LEFT
            row.words = _what_happened(row, moves[row.room_id], now)
        WaveRoom.objects.bulk_update(others, ["state", "words"])
    return [row for row in rooms if not row.touched]


def _what_happened(row: WaveRoom, move: Move, now: datetime) -> str:
    """E.g. "Moved back to A by Ann on 3 March at 14:03 UTC: trouble with sound. The wave leaves it there."""
    back = "back " if move.to_platform == row.from_platform else ""
    return (
        f"Moved {back}to {label_of(move.to_platform)} {move.by_whom} on {minute_of(move.moved_at, now=now)}: "
        f"{move.reason.rstrip('.')}. The wave leaves it there."
    )


def _move(wave: Wave, rooms: list[WaveRoom], *, platform: str, state: str, now: datetime) -> tuple[int, bool]:
    """How many were moved, and whether it makes sense to go on: False when the platform takes no room at all."""
    if not rooms:
        return 0, True
    decision = decision_behind(wave)
    moved = move_rooms(
        rooms=[(row.room_id, row.room.platform) for row in rooms],
        platform=platform,
        now=now,
        wave=wave,
        **_why(wave, decision, back=state == WaveRoom.State.RETURNED),
    )
    by_room = {row.room_id: row for row in rooms}
    # the rooms are locked: the newest move of each is the one just written
    newest = Move.objects.filter(room=OuterRef("room_id")).order_by("-pk").values("pk")[:1]
    gone = [by_room[move.room_id].pk for move in moved.moves]
    WaveRoom.objects.filter(pk__in=gone).update(state=state, words="", move_id=Subquery(newest))
    left, go_on = [], True
    for room_id, words in moved.refused:
        code = moved.codes[room_id]
        if code in OF_THE_ROOM:
            row = by_room[room_id]
            row.state = WaveRoom.State.LEFT
            row.words = _left_words(words, code, back=state == WaveRoom.State.RETURNED)
            left.append(row)
        elif code != "gone":
            go_on = False
    WaveRoom.objects.bulk_update(left, ["state", "words"])
    return len(moved.moves), go_on


def _left_words(words: str, code: str, *, back: bool) -> str:
    words = words.removesuffix(" Look again before you move it.")
    more = "" if back else PASSING.get(code, "The wave leaves it there.")
    return f"{words} {more}".strip()


def _why(wave: Wave, decision: WaveEntry | None, *, back: bool) -> dict[str, Any]:
    """Source, reason, actor and batch of the moves that carry out a decision; chunks of one decision share a batch."""
    by_guard = decision is not None and decision.numbers.get("by") == "guard"
    source = Move.Source.WAVE
    if back:
        source = Move.Source.GUARD if by_guard else Move.Source.ROLLBACK
    return {
        "source": source,
        "reason": decision.words if back and decision is not None else wave.reason,
        "actor": decision.actor if decision is not None else None,
        "batch": uuid.uuid5(uuid.UUID(hex=wave.salt), str(decision.pk if decision is not None else 0)),
    }
