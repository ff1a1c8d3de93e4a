"""Which blocks are evidence by now, and in which order.

Blocks have their turn by when their last meeting was drawn, which the lot does not change. When a block's answers come
may hang on the arms: a meeting that cannot be opened fails at once, silence is a failure hours later. Whoever took
blocks as they finish would take those first in which the quick failures are, and call that harm. So each block waits
until all before it are answered. Nothing waits for ever: a drawn meeting is answered by its deadline, or does not count
an hour after a draw that none came of; and blocks that are not fully drawn have no turn yet.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

from rooms.experiments.drawing import Arm
from rooms.guard.eprocess import Block
from rooms.models import Outcome

#: plain strings: an experiment has thousands of draws, and members of an enumeration are slow to compare
A, B = Arm.A.value, Arm.B.value
SUCCESS, FAILURE, PENDING = (Outcome.Status[name].value for name in ("SUCCESS", "FAILURE", "PENDING"))


class Draw(NamedTuple):
    """What counts of an assignment."""

    pk: int
    room_id: int
    room_uuid: uuid.UUID
    meeting_id: uuid.UUID
    number: int
    arm: str
    assigned_at: datetime
    quarantined: str


def answered(turns: Iterable[Sequence[Draw]], answers: Mapping[uuid.UUID, str]) -> Iterator[Block]:
    """The blocks that are evidence on one outcome. ``turns``: as from ``in_turn``; ``answers``: meeting → status."""
    return (_block(drawn, answers) for drawn in takewhile(lambda drawn: _is_answered(drawn, answers), turns))


def in_turn(draws: Iterable[Draw], *, size: int, since: datetime | None = None) -> list[list[Draw]]:
    """Fully drawn blocks, by when their last meeting was drawn. ``draws``: each room's in the order of their numbers;
    ``since``: blocks that began earlier have no turn."""
    blocks: dict[tuple[int, int], list[Draw]] = {}
    for one in draws:
        blocks.setdefault((one.room_id, one.number // size), []).append(one)
    full = [drawn for drawn in blocks.values() if len(drawn) == size]
    guarded = [drawn for drawn in full if since is None or drawn[0].assigned_at >= since]
    return sorted(guarded, key=lambda drawn: (drawn[-1].assigned_at, drawn[-1].pk))


def _is_answered(drawn: Iterable[Draw], answers: Mapping[uuid.UUID, str]) -> bool:
    """Each of its meetings was answered or does not count."""
    return all(one.quarantined or answers.get(one.meeting_id, PENDING) != PENDING for one in drawn)


def _block(drawn: Iterable[Draw], answers: Mapping[uuid.UUID, str]) -> Block:
    tally = Counter((one.arm, answers.get(one.meeting_id, "")) for one in drawn if not one.quarantined)
    failed_a, failed_b = tally[A, FAILURE], tally[B, FAILURE]
    return Block(
        on_a=tally[A, SUCCESS] + failed_a,
        on_b=tally[B, SUCCESS] + failed_b,
        failed_a=failed_a,
        failed_b=failed_b,
    )
