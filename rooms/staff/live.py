"""What is going on in rooms right now. By reverse relation names: this app knows no meeting."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from rooms.models import Room
from rooms.staff.display import platform_badge

#: the states of a meeting that people land in
LIVE = ("opening", "open")
SOMEBODY_INSIDE = Q(
    meetings__sessions__joined_at__isnull=False,
    meetings__sessions__left_at__isnull=True,
    meetings__sessions__participant__is_person=True,
)


@dataclass(frozen=True)
class LiveMeeting:
    id: uuid.UUID
    platform: str
    status: str
    created_at: datetime
    people: int

    @property
    def badge(self) -> str:
        return platform_badge(self.platform)

    @property
    def people_in_words(self) -> str:
        return "1 person" if self.people == 1 else f"{self.people or 'no'} people"


def live_meetings(room_ids: Iterable[int]) -> dict[int, LiveMeeting]:
    """Room pk → its live meeting, for those that have one. One query, however many rooms."""
    return {row["pk"]: _meeting(row) for row in _rows(Room.objects.filter(pk__in=list(room_ids)).order_by())}


def live_now(most: int) -> list[tuple[int, str, LiveMeeting]]:
    """Room pk, its name and its live meeting, by name, at most so many. One query."""
    rows = _rows(Room.objects.order_by("name", "pk"), "name")[:most]
    return [(row["pk"], row["name"], _meeting(row)) for row in rows]


def _rows(rooms: QuerySet[Room], *columns: str) -> QuerySet[Room, dict[str, Any]]:
    return (
        rooms.filter(meetings__status__in=LIVE)
        .values(
            "pk",
            *columns,
            meeting=F("meetings__pk"),
            on=F("meetings__platform"),
            state=F("meetings__status"),
            since=F("meetings__created_at"),
        )
        .annotate(people=Count("meetings__sessions__participant", filter=SOMEBODY_INSIDE, distinct=True))
    )


def _meeting(row: dict[str, Any]) -> LiveMeeting:
    return LiveMeeting(row["meeting"], row["on"], row["state"], row["since"], row["people"])
