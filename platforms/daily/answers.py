"""What Daily's API answers about people and recordings, in our words."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from platforms.base import PresentPerson, ProviderRecording, ProviderTrack, RoomPresence
from platforms.daily import events
from platforms.text import mapping, moment, seconds, sequence, text, whole

logger = logging.getLogger(__name__)


def room_presence(name: str, people: Any, now: datetime) -> RoomPresence:
    if not isinstance(people, list):
        return RoomPresence(room_name=name, people=None, observed_at=now)
    present = tuple(
        PresentPerson(
            session_id=session_id,
            user_id=text(person.get("userId")),
            name=text(person.get("userName")),
            joined_at=moment(person.get("joinTime")),
        )
        for person in map(mapping, people)
        if (session_id := text(person.get("id")))
    )
    return RoomPresence(room_name=name, people=present, session_open=bool(present), observed_at=now)


def recordings(rows: Iterable[Any]) -> Iterator[ProviderRecording]:
    """The rows that can be read."""
    for row in rows:
        found = recording(mapping(row))
        if found is not None:
            yield found


def recording(fields: Mapping[str, Any]) -> ProviderRecording | None:
    """https://docs.daily.co/reference/rest-api/recordings: ``s3key`` here, ``s3Key`` in tracks; ``type`` is rare."""
    recording_id, state = text(fields.get("id")), text(fields.get("status")) or "finished"
    if not recording_id or state not in ("finished", "in-progress", "canceled"):
        logger.warning("daily listed a recording that cannot be read, id %r", recording_id)
        return None
    tracks = tuple(
        ProviderTrack(kind=text(track.get("type")), key=text(track.get("s3Key"), 1024), size=whole(track.get("size")))
        for track in map(mapping, sequence(fields.get("tracks")))
        if track.get("s3Key")
    )
    return ProviderRecording(
        recording_id=recording_id,
        room_name=text(fields.get("room_name")),
        kind=events.kind_of(fields.get("type"), has_tracks=bool(sequence(fields.get("tracks")))),
        state=state,
        started_at=moment(fields.get("start_ts")),
        duration_s=seconds(fields.get("duration")),
        key=text(fields.get("s3key"), 1024),
        provider_session_id=text(fields.get("mtgSessionId")),
        tracks=tracks,
    )
