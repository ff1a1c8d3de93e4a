"""Daily's webhook bodies as our events. https://docs.daily.co/reference/rest-api/webhooks/events

Envelope: ``{version, type, id, payload, event_ts}``, times in Unix seconds (float). The room is ``payload.room`` in
events about meetings and people, ``payload.room_name`` in events about recordings, and absent from
``recording.started``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from platforms.base import Envelope
from platforms.events import (
    Event,
    Noted,
    ParticipantJoined,
    ParticipantLeft,
    RecordingFailed,
    RecordingReady,
    RecordingStarted,
    SessionEnded,
    SessionStarted,
    Unrecognised,
    WaitingEnded,
    WaitingStarted,
)
from platforms.text import Unreadable, mapping, moment, read_json, seconds, sequence, text, truth

SLUG = "daily"
KINDS = ("cloud", "cloud-audio-only", "raw-tracks", "local")
#: understood, and nothing follows from them here
NOTED_PREFIXES = ("streaming.", "transcript.", "batch-processor.", "dialout.", "dialin.", "calltransfer.")


@dataclass(frozen=True)
class Delivery:
    type: str
    payload: Mapping[str, Any]
    event_at: datetime | None

    @property
    def room(self) -> str:
        return text(self.payload.get("room")) or text(self.payload.get("room_name"))

    def word(self, name: str) -> str:
        return text(self.payload.get(name))

    def at(self, *names: str) -> datetime:
        """The first of these payload times that can be read, else the envelope's. Raises ``Misses``."""
        for name in names:
            if (at := moment(self.payload.get(name))) is not None:
                return at
        if self.event_at is None:
            raise Misses("a time")
        return self.event_at

    def need(self, name: str) -> str:
        value = self.word(name)
        if not value:
            raise Misses(name)
        return value

    def need_room(self) -> str:
        if not self.room:
            raise Misses("a room")
        return self.room


class Misses(Exception):
    """The event lacks what its kind cannot do without."""


def _joined(d: Delivery) -> Event:
    return ParticipantJoined(
        platform=SLUG,
        occurred_at=d.at("joined_at"),
        room_name=d.need_room(),
        session_id=d.need("session_id"),
        user_id=d.word("user_id"),
        name=d.word("user_name"),
        is_host=truth(d.payload.get("owner")),
    )


def _left(d: Delivery) -> Event:
    joined_at = moment(d.payload.get("joined_at"))
    duration_s = seconds(d.payload.get("duration"))
    if d.event_at is None and joined_at and duration_s is not None:
        left_at = joined_at + timedelta(seconds=duration_s)
    else:
        left_at = d.at()
    return ParticipantLeft(
        platform=SLUG,
        occurred_at=left_at,
        room_name=d.need_room(),
        session_id=d.need("session_id"),
        user_id=d.word("user_id"),
        name=d.word("user_name"),
        is_host=truth(d.payload.get("owner")),
        joined_at=joined_at,
    )


def _waiting_started(d: Delivery) -> Event:
    return WaitingStarted(
        platform=SLUG,
        occurred_at=d.at("joined_at"),
        room_name=d.need_room(),
        session_id=d.need("session_id"),
        user_id=d.word("user_id"),
        name=d.word("user_name"),
    )


def _waiting_ended(d: Delivery) -> Event:
    return WaitingEnded(
        platform=SLUG,
        occurred_at=d.at(),
        room_name=d.need_room(),
        session_id=d.need("session_id"),
        user_id=d.word("user_id"),
        name=d.word("user_name"),
    )


def _session_started(d: Delivery) -> Event:
    return SessionStarted(
        platform=SLUG,
        occurred_at=d.at("start_ts"),
        room_name=d.need_room(),
        provider_session_id=d.need("meeting_id"),
    )


def _session_ended(d: Delivery) -> Event:
    return SessionEnded(
        platform=SLUG,
        occurred_at=d.at("end_ts"),
        room_name=d.need_room(),
        provider_session_id=d.need("meeting_id"),
    )


def _recording_started(d: Delivery) -> Event:
    return RecordingStarted(
        platform=SLUG,
        occurred_at=d.at("start_ts"),
        room_name=d.room,
        recording_id=d.need("recording_id"),
        instance_id=d.word("instance_id"),
        kind=kind_of(d.payload.get("type"), has_tracks="raw" in d.word("action")),
    )


def _recording_ready(d: Delivery) -> Event:
    return RecordingReady(
        platform=SLUG,
        occurred_at=d.at(),
        room_name=d.room,
        recording_id=d.need("recording_id"),
        kind=kind_of(d.payload.get("type"), has_tracks=bool(sequence(d.payload.get("tracks")))),
        key=text(d.payload.get("s3_key"), 1024),
        started_at=moment(d.payload.get("start_ts")),
        duration_s=seconds(d.payload.get("duration")),
    )


def _recording_failed(d: Delivery) -> Event:
    return RecordingFailed(
        platform=SLUG,
        occurred_at=d.at("timestamp"),
        room_name=d.room,
        recording_id=d.word("recording_id"),
        instance_id=d.word("instance_id"),
        message=d.word("error_msg"),
    )


#: https://docs.daily.co/reference/rest-api/webhooks#event-types
TRANSLATIONS: Mapping[str, Callable[[Delivery], Event]] = {
    "participant.joined": _joined,
    "participant.left": _left,
    "waiting-participant.joined": _waiting_started,
    "waiting-participant.left": _waiting_ended,
    "meeting.started": _session_started,
    "meeting.ended": _session_ended,
    "recording.started": _recording_started,
    "recording.ready-to-download": _recording_ready,
    "recording.error": _recording_failed,
}


def kind_of(declared: Any, *, has_tracks: bool) -> str:
    """Daily leaves the type out more often than not: a recording with tracks is raw-tracks, any other cloud."""
    declared = text(declared)
    return declared if declared in KINDS else "raw-tracks" if has_tracks else "cloud"


def stay(room_name: str, person: Mapping[str, Any], *, is_over: bool) -> Iterator[Event]:
    """One of a session's ``participants``: ``{user_id, user_name, participant_id, join_time, duration}``.
    https://docs.daily.co/reference/rest-api/meetings
    """
    session_id, joined_at = text(person.get("participant_id")), moment(person.get("join_time"))
    if not session_id or joined_at is None:
        return
    who: dict[str, Any] = {
        "platform": SLUG,
        "room_name": room_name,
        "session_id": session_id,
        "user_id": text(person.get("user_id")),
        "name": text(person.get("user_name")),
    }
    yield ParticipantJoined(occurred_at=joined_at, **who)
    duration_s = seconds(person.get("duration"))
    if is_over and duration_s is not None:
        left_at = joined_at + timedelta(seconds=duration_s)
        yield ParticipantLeft(occurred_at=left_at, joined_at=joined_at, **who)


def describe(body: bytes) -> Envelope:
    try:
        fields = mapping(read_json(body))
    except Unreadable:
        return Envelope()
    return Envelope(
        event_id=text(fields.get("id"), 200),
        event_type=text(fields.get("type"), 100),
        occurred_at=moment(fields.get("event_ts")),
    )


def interpret(body: bytes, now: datetime) -> tuple[Event, ...]:
    """Never raises. ``now`` dates only what has no time of its own."""
    try:
        parsed = read_json(body)
    except Unreadable as unreadable:
        return (Unrecognised(platform=SLUG, occurred_at=now, reason=str(unreadable)),)
    fields = mapping(parsed)
    delivery = Delivery(text(fields.get("type"), 100), mapping(fields.get("payload")), moment(fields.get("event_ts")))
    occurred_at = delivery.event_at or now
    if parsed == {"test": "test"}:
        return (Noted(platform=SLUG, occurred_at=occurred_at, what="webhook verification"),)
    if delivery.type.startswith(NOTED_PREFIXES):
        return (Noted(platform=SLUG, occurred_at=occurred_at, room_name=delivery.room, what=delivery.type),)
    translate = TRANSLATIONS.get(delivery.type)
    if translate is None:
        reason = f"unknown type {delivery.type!r}" if delivery.type else "the event has no type"
        return (Unrecognised(platform=SLUG, occurred_at=occurred_at, room_name=delivery.room, reason=reason),)
    try:
        return (translate(delivery),)
    except Misses as misses:
        reason = f"{delivery.type} without {misses}"
        return (Unrecognised(platform=SLUG, occurred_at=occurred_at, room_name=delivery.room, reason=reason),)
