import re
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from platforms.models import ReadinessResult
from rooms.models import Outcome, Room, Wave
from rooms.waves.commands import Command, carry_out
from rooms.waves.tick import tick

WAVES = "/admin/rooms/wave/"
START = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)  # a Tuesday
STEPS = [
    {"percent": 10, "dwell_minutes": 60, "min_meetings": 0},
    {"percent": 50, "dwell_minutes": 60, "min_meetings": 0},
    {"percent": 100, "dwell_minutes": 60, "min_meetings": 0},
]


@pytest.fixture
def rooms(db):
    return Room.objects.bulk_create(
        Room(name=f"Room {number}", slug=f"room-{number}", platform="whereby", uuid=uuid.UUID(int=number))
        for number in range(40)
    )


def make_wave(**fields):
    return Wave.objects.create(
        **{
            "name": "To the new one",
            "platform": "daily",
            "reason": "pilot",
            "steps": STEPS,
            "salt": "0" * 32,
            "selection": {"filter": {"platform": "whereby"}},
            **fields,
        }
    )


class Told:
    """A wave in the hands of a test: commands and ticks at a clock of its own."""

    def __init__(self, wave, actor=None):
        self.pk, self.actor, self.now = wave.pk, actor, START

    @property
    def wave(self):
        return Wave.objects.get(pk=self.pk)

    def do(self, command, reason="because", **more):
        return carry_out(
            wave_id=self.pk, command=Command(command), reason=reason, actor=self.actor, now=self.now, **more
        )

    def tick(self, **later):
        self.now += timedelta(**later)
        tick(self.now)
        return self

    @property
    def states(self):
        return dict(Counter(self.wave.rooms.values_list("state", flat=True)))

    @property
    def log(self):
        return list(self.wave.entries.order_by("pk").values_list("what", flat=True))

    @property
    def within(self):
        """Rooms that should be on the target now, by bucket."""
        return set(self.wave.rooms.filter(bucket__lt=self.wave.reached).values_list("room_id", flat=True))


@pytest.fixture
def told(rooms, ann):
    """A wave that was started a moment ago, and has not ticked yet."""
    told = Told(make_wave(), ann)
    told.do("start")
    return told


@pytest.fixture
def running(rooms, ann):
    """Started now, by the real clock, which pages look at; its first step is applied."""
    told = Told(make_wave(), ann)
    told.now = timezone.now()
    told.do("start")
    return told.tick()


def on(platform):
    return set(Room.objects.filter(platform=platform).values_list("pk", flat=True))


def outcome(room, status="success", *, at, kind="joined", **fields):
    """One answered question about one meeting."""
    return Outcome.objects.create(
        **{
            "meeting_id": uuid.uuid4(),
            "room_id": getattr(room, "pk", room),
            "platform": "daily",
            "kind": kind,
            "status": status,
            "met_at": at,
            "mature_at": at,
            "decided_at": None if status == "pending" else at,
            "updated_at": timezone.now(),
            **fields,
        }
    )


def checked(key, status, **fields):
    return ReadinessResult.objects.create(
        **{"platform": "daily", "key": key, "title": key, "status": status, "words": "w", "checked_at": START, **fields}
    )


def seen(page):
    return re.search(r'name="seen_hash" value="(\w+)"', page.content.decode())[1]


def said(response):
    return [str(message) for message in response.context["messages"]]


def looked(page):
    return {"looked_at": page.context["looked_at"], "seen_hash": page.context["plan"].hash}
