"""What each platform can do, asked of its adapter: options, recording kinds and formats, abilities and events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from platforms import events, registry
from platforms.base import Adapter, RecordingFormat
from platforms.events import Event
from rooms.models import Room
from rooms.options import FIELDS


@dataclass(frozen=True)
class Feature:
    group: str
    name: str
    has: tuple[bool, ...]  #: one per platform, in the order of the registry


ABILITIES = {
    "presence": "says who is in a room when asked",
    "server_recording": "recording started and stopped by the server",
    "admits_by_token": "a token per person",
    "logo": "the room’s logo",
    "webhook_api": "webhook managed by interface",
}
Fields = dict[str, Any]
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
_PERSON: Fields = {"session_id": "session", "user_id": "person", "name": "Ann"}
TOLD: dict[str, tuple[type[Event], Fields]] = {
    "somebody joined": (events.ParticipantJoined, _PERSON),
    "somebody left": (events.ParticipantLeft, _PERSON | {"joined_at": AT}),
    "somebody knocks": (events.WaitingStarted, _PERSON),
    "somebody stopped knocking": (events.WaitingEnded, _PERSON),
    "call session started": (events.SessionStarted, {"provider_session_id": "call"}),
    "call session ended": (events.SessionEnded, {"provider_session_id": "call"}),
    "recording started": (events.RecordingStarted, {"recording_id": "recording", "instance_id": "instance"}),
    "recording ready": (events.RecordingReady, {"recording_id": "recording", "key": "room/recording.mp4"}),
    "recording failed": (events.RecordingFailed, {"instance_id": "instance", "message": "failed"}),
}


def features() -> list[Feature]:
    adapters = list(registry.adapters().values())
    made = [
        Feature("Room options", words, tuple(option in adapter.capabilities.options for adapter in adapters))
        for option, words in option_words().items()
    ]
    for kind in Room.RecordingType:
        has = tuple(kind.value in adapter.capabilities.recording_types for adapter in adapters)
        made.append(Feature("Recording", str(kind.label), has))
    for form in RecordingFormat:
        has = tuple(form in adapter.capabilities.recording_formats for adapter in adapters)
        made.append(Feature("Recording format", form.value, has))
    for name, words in ABILITIES.items():
        made.append(Feature("Abilities", words, tuple(bool(getattr(one.capabilities, name)) for one in adapters)))
    for words in TOLD:
        made.append(Feature("Events", words, tuple(tells(adapter, words) for adapter in adapters)))
    return made


def option_words() -> dict[str, str]:
    """Option of a provider's room → our words for it."""
    words = {option: str(getattr(Room._meta.get_field(name), "verbose_name", name)) for option, name in FIELDS.items()}
    return words | {"recording_trigger": "starts recording by itself"}


def tells(adapter: Adapter, words: str) -> bool:
    """Whether the platform has such an event: its adapter writes one as the provider would, and reads it back as the
    same kind of fact."""
    kind, fields = TOLD[words]
    event = kind(platform=adapter.slug, occurred_at=AT, room_name="room", **fields)
    body = adapter.compose(event)
    return body is not None and any(isinstance(read, kind) for read in adapter.interpret(body))
