"""Drawing the platform of one meeting: permuted blocks per room, so that both arms meet the same rooms and times.

A room's draws are numbered from 0; ``block_size`` draws in a row are a block, and half of each block goes to each arm.
Which half follows from the experiment's salt, the room's uuid and the block's number, and from nothing else: a draw can
be repeated by anybody who doubts it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection
from datetime import datetime
from functools import cache
from itertools import combinations

from django.db.models import Max

from platforms import registry
from rooms import switching
from rooms.models import Assignment, Experiment, Room

Arm = Assignment.Arm
BLOCK_SIZES = (2, 4, 6, 8)


def draw(
    room: Room,
    *,
    meeting_id: uuid.UUID,
    now: datetime,
    failed: frozenset[str] = frozenset(),
    closed: Collection[str] | None = None,
) -> Assignment | None:
    """The arm of the meeting ``meeting_id``, drawn once; None where the room's own platform decides.

    Call with the room locked: its draws are numbered without gaps. Nothing is drawn for a meeting that replaces one
    that could not be opened (``failed``), in a pinned room, or while one of the two platforms cannot take it. Whoever
    has read the kill switches gives what is ``closed``, so that a draw is not for a platform they do not use.
    """
    experiment = room.experiments.filter(status=Experiment.Status.RUNNING).order_by("started_at", "pk").first()
    if experiment is None or failed or room.is_pinned(now):
        return None
    drawn = Assignment.objects.filter(meeting_id=meeting_id).first()
    if drawn is not None:
        return drawn
    arms = {Arm.A: experiment.platform_a, Arm.B: experiment.platform_b}
    if room.platform not in arms.values() or not _can_take(set(arms.values()), closed):
        return None
    last = Assignment.objects.filter(experiment=experiment, room=room).aggregate(last=Max("number"))["last"]
    number = 0 if last is None else last + 1
    arm = arm_of(experiment, room.uuid, number)
    return Assignment.objects.create(
        experiment=experiment,
        room=room,
        meeting_id=meeting_id,
        number=number,
        arm=arm,
        platform=arms[arm],
        assigned_at=now,
    )


def arm_of(experiment: Experiment, room_uuid: uuid.UUID, number: int) -> Assignment.Arm:
    """The arm of a room's draw ``number``, counted from 0."""
    block, place = divmod(number, experiment.block_size)
    return order_of(experiment.salt, room_uuid, block, experiment.block_size)[place]


def order_of(salt: str, room_uuid: uuid.UUID, block: int, size: int) -> tuple[Assignment.Arm, ...]:
    """The arms of one block in order: one of all its arrangements, each equally likely."""
    digest = hashlib.sha256(f"{salt}:{room_uuid}:{block}".encode()).digest()
    arrangements = _arrangements(size)
    return arrangements[int.from_bytes(digest) % len(arrangements)]


@cache
def _arrangements(size: int) -> tuple[tuple[Assignment.Arm, ...], ...]:
    """Every order of a block, half A and half B."""
    if size not in BLOCK_SIZES:
        raise ValueError(f"a block has one of {BLOCK_SIZES} draws, not {size}")
    return tuple(
        tuple(Arm.B if place in chosen else Arm.A for place in range(size))
        for chosen in combinations(range(size), size // 2)
    )


def _can_take(platforms: set[str], closed: Collection[str] | None) -> bool:
    shut = set(switching.closed() if closed is None else closed)
    return platforms <= {adapter.slug for adapter in registry.configured()} and not platforms & shut
