"""Provider events, turned into rows of meetings. Idempotent and blind to order; no network."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db import models
from django.dispatch import receiver

from meetings import capture, presence, sessions
from meetings.models import Capture, Meeting, latest
from platforms.events import (
    Event,
    ParticipantJoined,
    ParticipantLeft,
    RecordingFailed,
    RecordingReady,
    RecordingStarted,
    SessionEnded,
    SessionStarted,
    WaitingEnded,
    WaitingStarted,
)
from platforms.signals import platform_event
from rooms.models import Room

Touched = list[tuple[str, str]]


@receiver(platform_event, dispatch_uid="meetings.receivers.take_in")
def take_in(sender: object, *, event: Event, **_: Any) -> Touched:
    match event:
        case RecordingStarted() | RecordingReady() | RecordingFailed():
            return _take_in_recording(event)
    meeting = _meeting_of(event)
    if meeting is None:
        return []
    match event:
        case ParticipantJoined():
            people = presence.note_joined(meeting, event)
        case ParticipantLeft():
            people = presence.note_left(meeting, event)
            _ask_for_a_look(meeting, event)
        case WaitingStarted() | WaitingEnded():
            presence.note_waiting(meeting, event)
            capture.reconcile(meeting)
            return _rows(meeting)
        case SessionStarted() | SessionEnded():
            _ask_for_a_look(meeting, event)
            return _rows(meeting)
        case _:
            return _rows(meeting)
    sessions.settle(meeting)
    capture.reconcile(meeting)
    return _rows(meeting, *people)


def _take_in_recording(event: RecordingStarted | RecordingReady | RecordingFailed) -> Touched:
    meeting = _meeting_of(event)
    ordered = None
    if isinstance(event, RecordingStarted | RecordingFailed):
        ordered = capture.by_instance(event.platform, event.instance_id)
    if ordered is None and _is_local(event, meeting):
        return _rows(meeting) if meeting is not None else []  # on a host's computer: nothing to stop, nothing to fetch
    row = ordered
    match event:
        case RecordingStarted():
            if row is None and meeting is not None:
                row = _of_the_provider(meeting, event.recording_id)
            if row is not None:
                row = capture.of_meeting_locked(row)
                capture.note_started(row, recording_id=event.recording_id, at=event.occurred_at)
        case RecordingReady():
            ended_at = event.occurred_at
            if event.started_at is not None and event.duration_s is not None:
                ended_at = event.started_at + timedelta(seconds=event.duration_s)
            row = capture.note_ready(
                meeting,
                event.platform,
                recording_id=event.recording_id,
                started_at=event.started_at,
                ended_at=ended_at,
            )
        case RecordingFailed():
            if row is None and meeting is not None:
                name = event.recording_id or event.instance_id or event.occurred_at.isoformat()
                row = _of_the_provider(meeting, name)
            if row is not None:
                row = capture.of_meeting_locked(row)
                capture.note_failed(row, message=event.message, at=event.occurred_at)
    if row is None:
        return _rows(meeting) if meeting is not None else []
    capture.reconcile(row.meeting)
    return _rows(row.meeting, row)


def _is_local(event: RecordingStarted | RecordingReady | RecordingFailed, meeting: Meeting | None) -> bool:
    """Whether it is about a recording on a host's computer. A failure does not say of what: where the room records
    nothing else, of that."""
    if isinstance(event, RecordingFailed):
        return meeting is not None and meeting.recording_type == Room.RecordingType.LOCAL
    return event.kind == "local"


def _meeting_of(event: Event) -> Meeting | None:
    """The meeting of a provider's room, locked: what decides about one meeting runs in order."""
    if not event.room_name:
        return None
    return (
        Meeting.objects.select_for_update(no_key=True)
        .filter(platform=event.platform, provider_room_name=event.room_name)
        .order_by("-created_at")
        .first()
    )


def _of_the_provider(meeting: Meeting, name: str) -> Capture:
    """The row of a recording that nobody here ordered; ``name`` keeps it one row."""
    key = uuid.uuid5(meeting.pk, name)
    known = Capture.objects.filter(pk=key).first() or meeting.captures.filter(provider_recording_id=name).first()
    if known is not None:
        return known
    row = Capture(pk=key, meeting=meeting, reason="started by the provider", status=Capture.Status.DONE)
    row.state = Capture.State.OFF
    row.save()
    return row


def _ask_for_a_look(meeting: Meeting, event: Event) -> None:
    """Both providers tell of an end with somebody still inside: it is a reason to look and nothing more."""
    seen = meeting.presence_checked_at is not None and meeting.presence_checked_at >= event.occurred_at
    if meeting.status == Meeting.Status.OPEN and not seen:
        meeting.check_requested_at = latest(meeting.check_requested_at, event.occurred_at)
        meeting.save(update_fields=["check_requested_at"])


def _rows(*rows: models.Model) -> Touched:
    """The rows, and beside a meeting its room: staff look for a room's events, and for an event's room."""
    touched = [(row._meta.label, str(row.pk)) for row in rows]
    rooms = {row.room_id for row in rows if isinstance(row, Meeting)}
    return touched + [("rooms.Room", str(pk)) for pk in sorted(rooms)]
