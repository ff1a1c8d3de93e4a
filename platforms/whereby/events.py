"""Whereby's webhook bodies as our events. https://docs.whereby.com/monitoring-usage/webhooks

Envelope: ``{id, apiVersion, createdAt, type, data}``, times in ISO 8601. ``data.roomName`` starts with a slash, which
we drop. There is no event for a recording that starts or fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from platforms.base import Envelope
from platforms.events import (
    Event,
    Noted,
    ParticipantJoined,
    ParticipantLeft,
    RecordingFailed,
    RecordingReady,
    SessionEnded,
    SessionStarted,
    Unrecognised,
    WaitingEnded,
    WaitingStarted,
)
from platforms.text import Unreadable, mapping, moment, read_json, text

SLUG = "whereby"
HOST_ROLES = frozenset({"owner", "host"})
#: roles that count as clients and are no people
MACHINE_ROLES = frozenset({"recorder", "streamer", "captioner", "assistant"})
NOTED_PREFIXES = ("transcription.", "assistant.")
#: ``<room name>-<start ISO>.mp4``
FILENAME = re.compile(
    r"(?:.*/)?(?P<room>[^/]+)-(?P<start>\d{4}-\d\d-\d\dT\d\d[:.]\d\d[:.]\d\d(?:\.\d+)?Z)\.(?:mp4|mkv)"
)


class Misses(Exception):
    """The event lacks what its kind cannot do without."""


@dataclass(frozen=True)
class Delivery:
    type: str
    data: Mapping[str, Any]
    created_at: datetime | None

    @property
    def room(self) -> str:
        return room_name(self.data.get("roomName"))

    def word(self, name: str) -> str:
        return text(self.data.get(name))

    @property
    def at(self) -> datetime:
        if self.created_at is None:
            raise Misses("a time")
        return self.created_at

    def need(self, name: str) -> str:
        value = self.word(name)
        if not value:
            raise Misses(name)
        return value

    def need_room(self) -> str:
        if not self.room:
            raise Misses("a room")
        return self.room

    @property
    def session_id(self) -> str:
        """One connection. Older deliveries lack ``participantId``: the person's own id stands in."""
        value = self.word("participantId") or self.word("externalId")
        if not value:
            raise Misses("participantId")
        return value

    @property
    def role(self) -> str:
        return self.word("roleName").lower()


def _joined(d: Delivery) -> Event:
    return ParticipantJoined(
        platform=SLUG,
        occurred_at=d.at,
        room_name=d.need_room(),
        session_id=d.session_id,
        user_id=d.word("externalId"),
        name=d.word("displayName"),
        is_host=d.role in HOST_ROLES,
        is_person=d.role not in MACHINE_ROLES,
    )


def _left(d: Delivery) -> Event:
    return ParticipantLeft(
        platform=SLUG,
        occurred_at=d.at,
        room_name=d.need_room(),
        session_id=d.session_id,
        user_id=d.word("externalId"),
        name=d.word("displayName"),
        is_host=d.role in HOST_ROLES,
        is_person=d.role not in MACHINE_ROLES,
    )


def _knocked(d: Delivery) -> Event:
    return WaitingStarted(
        platform=SLUG,
        occurred_at=d.at,
        room_name=d.need_room(),
        session_id=d.session_id,
        user_id=d.word("externalId"),
        name=d.word("displayName"),
    )


def _knock_cancelled(d: Delivery) -> Event:
    return WaitingEnded(
        platform=SLUG,
        occurred_at=d.at,
        room_name=d.need_room(),
        session_id=d.session_id,
        user_id=d.word("externalId"),
        name=d.word("displayName"),
    )


def _session_started(d: Delivery) -> Event:
    """``roomSessionId`` may be null: the room alone says enough."""
    return SessionStarted(
        platform=SLUG, occurred_at=d.at, room_name=d.need_room(), provider_session_id=d.word("roomSessionId")
    )


def _session_ended(d: Delivery) -> Event:
    return SessionEnded(
        platform=SLUG, occurred_at=d.at, room_name=d.need_room(), provider_session_id=d.word("roomSessionId")
    )


def _recording_finished(d: Delivery) -> Event:
    """Names no meeting, and in older deliveries no room: the file name does. ``key`` is relative to our bucket."""
    filename = text(d.data.get("filename"), 1024)
    named_room, started_at = parse_filename(filename)
    room, recording_id, status = d.room or named_room, d.need("recordingId"), d.word("status").lower()
    if status in ("failed", "error"):
        return RecordingFailed(
            platform=SLUG, occurred_at=d.at, room_name=room, recording_id=recording_id, message=f"Whereby says {status}"
        )
    return RecordingReady(
        platform=SLUG,
        occurred_at=d.at,
        room_name=room,
        recording_id=recording_id,
        key=filename,
        started_at=started_at,
        filename=filename[:500],
    )


TRANSLATIONS: Mapping[str, Callable[[Delivery], Event]] = {
    "room.client.joined": _joined,
    "room.client.left": _left,
    "room.client.knocked": _knocked,
    "room.client.knockCancelled": _knock_cancelled,
    "room.session.started": _session_started,
    "room.session.ended": _session_ended,
    "recording.finished": _recording_finished,
}


def room_name(value: Any) -> str:
    return text(value).removeprefix("/")


def parse_filename(filename: str) -> tuple[str, datetime | None]:
    """(room name, start) of ``<room name>-<start ISO>.mp4``; empty and None where it is not like that."""
    match = FILENAME.fullmatch(filename)
    if match is None:
        return "", None
    start = re.sub(r"T(\d\d)[.:](\d\d)[.:](\d\d)", r"T\1:\2:\3", match["start"])
    return room_name(match["room"]), moment(start)


def describe(body: bytes) -> Envelope:
    try:
        fields = mapping(read_json(body))
    except Unreadable:
        return Envelope()
    return Envelope(
        event_id=text(fields.get("id"), 200),
        event_type=text(fields.get("type"), 100),
        occurred_at=moment(fields.get("createdAt")),
    )


def interpret(body: bytes, now: datetime) -> tuple[Event, ...]:
    """Never raises. ``now`` dates only what has no time of its own."""
    try:
        fields = mapping(read_json(body))
    except Unreadable as unreadable:
        return (Unrecognised(platform=SLUG, occurred_at=now, reason=str(unreadable)),)
    delivery = Delivery(text(fields.get("type"), 100), mapping(fields.get("data")), moment(fields.get("createdAt")))
    occurred_at = delivery.created_at or now
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
