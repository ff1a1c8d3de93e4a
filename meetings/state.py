"""A room's state for its page and for dashboards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists
from django.utils import timezone

from meetings.capture import situation
from meetings.models import Capture, Meeting, Participant
from rooms.models import Room

#: a failed opening is news for this long
FAILED_FOR = timedelta(minutes=2)

PHASES = {Meeting.Status.OPENING: "opening", Meeting.Status.OPEN: "open"}


def room_state(*, room: Room, with_names: bool, now: datetime | None = None) -> dict[str, Any]:
    """``{"platform", "phase", "meeting", "people", "recording", "waiting"}``, and ``"names"`` for members.

    ``platform`` is the live meeting's, else where the next one opens.
    """
    meeting = Meeting.objects.live().filter(room=room).first()
    inside = _inside(meeting)
    state: dict[str, Any] = {
        "platform": meeting.platform if meeting else room.platform,
        "phase": PHASES[Meeting.Status(meeting.status)] if meeting else _phase_without(room, now or timezone.now()),
        "meeting": str(meeting.pk) if meeting else None,
        "people": len(inside),
        "recording": bool(meeting and is_recorded(meeting)),
        "waiting": meeting.waiting.open().count() if meeting else 0,
    }
    if with_names:
        state["names"] = sorted((str(person) for person in inside), key=str.casefold)
    return state


RECORDING = [Capture.State.ON, Capture.State.STOPPING]


def is_recorded(meeting: Meeting) -> bool:
    """Whether something records right now: an order of ours, or a recorder that the provider sent in by itself."""
    ordered = meeting.captures.filter(state__in=RECORDING)
    recorders = meeting.sessions.open().filter(participant__is_person=False)
    return Meeting.objects.filter(Exists(ordered) | Exists(recorders), pk=meeting.pk).exists()


def meeting_state(*, meeting: Meeting, for_host: bool, now: datetime | None = None) -> dict[str, Any]:
    """What the page of somebody inside shows besides: ``{"ends_at": ISO time or None}`` once the end is near; for
    hosts also ``{"capture_problem": str, "prompt": bool, "can_start": bool, "can_stop": bool}``."""
    state: dict[str, Any] = {
        "ends_at": meeting.expires_at.isoformat() if meeting.warned_at and meeting.expires_at else None
    }
    if for_host:
        told = situation(meeting, now=now)
        state |= {
            "capture_problem": told.problem,
            "prompt": told.prompt,
            "can_start": told.can_start,
            "can_stop": told.can_stop,
        }
    return state


def _inside(meeting: Meeting | None) -> list[Participant]:
    if meeting is None:
        return []
    return list(Participant.objects.filter(pk__in=meeting.people_inside().values("participant")))


def _phase_without(room: Room, now: datetime) -> str:
    last = room.meetings.order_by("-created_at").values("status", "ended_at").first()
    if last and last["status"] == Meeting.Status.FAILED and last["ended_at"] and now - last["ended_at"] < FAILED_FOR:
        return "failed"
    return "idle"
