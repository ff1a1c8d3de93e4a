"""Rows for tests: each function makes one, with everything that a test does not care about filled in."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import User

from meetings.models import Meeting, Participant, ParticipantSession
from rooms.models import Room

_numbers = itertools.count(1)
NOW = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)


def make_user(name: str = "", **fields: Any) -> User:
    return User.objects.create_user(name or f"user{next(_numbers)}", **fields)


def make_room(**fields: Any) -> Room:
    slug = fields.pop("slug", f"room-{next(_numbers)}")
    return Room.objects.create(slug=slug, **{"name": slug.replace("-", " ").title(), **fields})


def make_meeting(room: Room | None = None, **fields: Any) -> Meeting:
    """An open meeting on its room's platform, with what the room says."""
    room = room or make_room()
    number = next(_numbers)
    opened_at = fields.pop("opened_at", NOW)
    return Meeting.objects.create(
        room=room,
        **{
            "platform": room.platform,
            "status": Meeting.Status.OPEN,
            "created_at": opened_at,
            "opened_at": opened_at,
            "provider_room_name": f"{room.slug}-{number}",
            "provider_room_id": f"id-{number}",
            "url": f"https://fake.example/{room.slug}-{number}",
            "recording_type": room.recording_type,
            "recording_trigger": room.recording_trigger,
            "consent_policy": room.consent_policy,
            **fields,
        },
    )


def make_participant(meeting: Meeting, name: str | None = None, **fields: Any) -> Participant:
    """Somebody who came by our page."""
    return Participant.objects.create(
        meeting=meeting,
        **{
            "name": f"Person {next(_numbers)}" if name is None else name,
            "came_by_page": True,
            "created_at": NOW,
            **fields,
        },
    )


def make_stay(participant: Participant, **fields: Any) -> ParticipantSession:
    """Somebody who is inside since ``NOW``, unless said otherwise."""
    joined_at = fields.pop("joined_at", NOW)
    return ParticipantSession.objects.create(
        meeting=participant.meeting,
        participant=participant,
        **{
            "session_id": f"session-{next(_numbers)}",
            "joined_at": joined_at,
            "last_joined_at": joined_at,
            **fields,
        },
    )
