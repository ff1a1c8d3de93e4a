"""Where a room's next meeting opens, and why."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.text import Truncator

from platforms import registry
from rooms import switching
from rooms.experiments.drawing import draw
from rooms.models import Assignment, PlatformSwitch, Room
from rooms.words import day_of, label_of

#: length of ``Meeting.platform_reason``
LONGEST_WHY = 200


class NoPlatform(Exception):
    """No meeting can open in this room now. The text is for staff, ``for_visitors`` one sentence for who wants in."""

    def __init__(self, sentence: str, *, for_visitors: str) -> None:
        super().__init__(sentence)
        self.for_visitors = for_visitors


@dataclass(frozen=True, kw_only=True)
class Choice:
    platform: str
    why: str  #: rule, actor and time in words, at most ``LONGEST_WHY`` characters


def choose_platform(
    room: Room, *, meeting_id: uuid.UUID, now: datetime, failed: frozenset[str] = frozenset()
) -> Choice:
    """Where the meeting ``meeting_id`` opens. Called with the room locked, when no meeting is live in it.

    A running experiment of the room draws; else it is where the room is set to meet. ``failed`` are platforms that have
    just failed to open the meeting that this one replaces. Raises ``NoPlatform``.
    """
    room = Room.objects.get(pk=room.pk)  # not the one in hand, which may have been read before a move
    closed = switching.closed()
    drawn = draw(room, meeting_id=meeting_id, now=now, failed=failed, closed=closed)
    wanted, rule = (drawn.platform, _draw(drawn, now)) if drawn else (room.platform, _setting(room, now))
    trouble = _trouble(wanted, failed, closed)
    if trouble is None and not failed:
        return Choice(platform=wanted, why=_short(rule))
    trouble = trouble or f"{_named(failed)} could not open the meeting"
    if not falls_back(room):
        raise NoPlatform(f"{trouble}, and the room does not fall back.", for_visitors=_for_visitors(wanted, closed))
    for slug in [wanted, *(adapter.slug for adapter in registry.configured())]:
        if _trouble(slug, failed, closed) is None:
            why = f"{label_of(slug)} because {trouble}; {rule}"
            return Choice(platform=slug, why=_short(why))
    raise NoPlatform(f"{trouble}, and no other platform is left.", for_visitors=_for_visitors(wanted, closed))


def falls_back(room: Room) -> bool:
    """Whether another platform may take a meeting that cannot open where the room is set to meet."""
    if room.on_failure == Room.OnFailure.DEFAULT:
        return bool(settings.PLATFORM_FAILURE_POLICY == Room.OnFailure.FALL_BACK)
    return room.on_failure == Room.OnFailure.FALL_BACK


def _setting(room: Room, now: datetime) -> str:
    """E.g. "room is set to <label> by Ann on 3 March: pilot"."""
    label = label_of(room.platform)
    move = room.moves.select_related("actor", "wave", "order").first()
    if move is None or move.to_platform != room.platform:
        return f"room is set to {label} since it was made"
    return f"room is set to {label} {move.by_whom} on {day_of(move.moved_at, now=now)}: {move.reason}"


def _draw(drawn: Assignment, now: datetime) -> str:
    """E.g. "experiment “Sound” drew arm B for this meeting, running since 3 March: pilot"."""
    experiment = drawn.experiment
    since = f", running since {day_of(experiment.started_at, now=now)}" if experiment.started_at else ""
    return f"experiment “{experiment.name}” drew arm {drawn.arm} for this meeting{since}: {experiment.reason}"


def _named(platforms: frozenset[str]) -> str:
    return " and ".join(sorted(label_of(platform) for platform in platforms))


def _trouble(platform: str, failed: frozenset[str], closed: dict[str, PlatformSwitch]) -> str | None:
    """Why no meeting can open there, as a clause; None when one can."""
    label = label_of(platform)
    if platform in failed:
        return f"{label} could not open the meeting"
    if platform in closed:
        return f"{label} is {switching.in_words(closed[platform])}"
    if platform not in {adapter.slug for adapter in registry.configured()}:
        return f"{label} is not configured"
    return None


def _for_visitors(platform: str, closed: dict[str, PlatformSwitch]) -> str:
    if platform in closed:
        return "No new meetings can be started in this room right now."
    return "The video service of this room is not set up."


def _short(why: str) -> str:
    return Truncator(why).chars(LONGEST_WHY)
