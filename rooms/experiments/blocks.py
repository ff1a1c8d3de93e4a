"""Which blocks are evidence by now, and in which order.

Blocks have their turn by when their last meeting was drawn, which the lot does not change. When a block's answers come
may hang on the arms: a meeting that cannot be opened fails at once, silence is a failure hours later. Whoever took
blocks as they finish would take those first in which the quick failures are, and call that harm. So each block waits
until all before it are answered. Nothing waits for ever: a drawn meeting is answered by its deadline, or does not count
an hour after a draw that none came of; and blocks that are not fully drawn have no turn yet.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import takewhile

from rooms.experiments.drawing import Arm
from rooms.guard.eprocess import Block
from rooms.models import Assignment, Outcome

Status = Outcome.Status


def answered_in_turn(
    draws: Iterable[Assignment], answers: Mapping[uuid.UUID, str], *, size: int, since: datetime | None = None
) -> Iterator[Block]:
    """The blocks that are evidence on one outcome. ``draws``: each room's in the order of their numbers; ``answers``:
    meeting → status; ``since``: blocks that began earlier have no turn."""
    turns = in_turn(draws, size=size, since=since)
    return (_block(drawn, answers) for drawn in takewhile(lambda drawn: _is_answered(drawn, answers), turns))


def in_turn(draws: Iterable[Assignment], *, size: int, since: datetime | None) -> list[list[Assignment]]:
    """Fully drawn blocks, by when their last meeting was drawn."""
    blocks: dict[tuple[int, int], list[Assignment]] = {}
    for one in draws:
        blocks.setdefault((one.room_id, one.number // size), []).append(one)
    full = [drawn for drawn in blocks.values() if len(drawn) == size]
    guarded = [drawn for drawn in full if since is None or drawn[0].assigned_at >= since]
    return sorted(guarded, key=lambda drawn: (drawn[-1].assigned_at, drawn[-1].pk))


def _is_answered(drawn: Iterable[Assignment], answers: Mapping[uuid.UUID, str]) -> bool:
    """Each of its meetings was answered or does not count."""
    return all(one.quarantined or answers.get(one.meeting_id, Status.PENDING) != Status.PENDING for one in drawn)


def _block(drawn: Iterable[Assignment], answers: Mapping[uuid.UUID, str]) -> Block:
    tally = {(arm, status): 0 for arm in Arm.values for status in (Status.SUCCESS, Status.FAILURE)}
    for one in drawn:
        status = answers.get(one.meeting_id, "")
        if not one.quarantined and (one.arm, status) in tally:
            tally[one.arm, Status(status)] += 1
    failed_a, failed_b = tally[Arm.A, Status.FAILURE], tally[Arm.B, Status.FAILURE]
    return Block(
        on_a=tally[Arm.A, Status.SUCCESS] + failed_a,
        on_b=tally[Arm.B, Status.SUCCESS] + failed_b,
        failed_a=failed_a,
        failed_b=failed_b,
    )
