"""What providers tell us, in our words.

An adapter turns a webhook body into these; receivers in ``meetings`` and ``recordings`` match on them. All times are
aware UTC. Strings are clean: no NUL, no lone surrogate, at most 500 characters. ``room_name`` is the provider's room
name as ``ProviderRoom.name`` spells it, or empty when the event does not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Event:
    platform: str
    occurred_at: datetime  #: the provider's own time of the fact; never the time of delivery
    room_name: str = ""


@dataclass(frozen=True, kw_only=True)
class ParticipantJoined(Event):
    session_id: str  #: one connection; changes on reconnect where the provider says so
    user_id: str  #: our Participant's uuid when our page let them in, else the provider's own or empty
    name: str = ""
    is_host: bool = False
    is_person: bool = True  #: False for recorders, streamers, captioners, assistants


@dataclass(frozen=True, kw_only=True)
class ParticipantLeft(Event):
    session_id: str
    user_id: str
    name: str = ""
    is_host: bool = False
    is_person: bool = True
    joined_at: datetime | None = None  #: where the provider repeats it


@dataclass(frozen=True, kw_only=True)
class WaitingStarted(Event):
    """Somebody knocks."""

    session_id: str
    user_id: str = ""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class WaitingEnded(Event):
    """Somebody stopped knocking: admitted, refused or gone; the provider does not say which."""

    session_id: str
    user_id: str = ""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class SessionStarted(Event):
    """The provider's own call session. One of our meetings may span several."""

    provider_session_id: str


@dataclass(frozen=True, kw_only=True)
class SessionEnded(Event):
    """Only a hint to look: both providers send it with somebody still inside."""

    provider_session_id: str


@dataclass(frozen=True, kw_only=True)
class RecordingStarted(Event):
    recording_id: str
    instance_id: str = ""  #: ours, when we started it
    kind: str = "cloud"


@dataclass(frozen=True, kw_only=True)
class RecordingReady(Event):
    recording_id: str
    kind: str = "cloud"
    key: str = ""  #: object key in our bucket; a hint, checked against the provider's API or our bucket
    started_at: datetime | None = None
    duration_s: float | None = None
    filename: str = ""  #: where the provider names the room only inside the file name


@dataclass(frozen=True, kw_only=True)
class RecordingFailed(Event):
    recording_id: str = ""
    instance_id: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Noted(Event):
    """Understood and of no consequence here (streaming, transcription by the provider, …)."""

    what: str


@dataclass(frozen=True, kw_only=True)
class Unrecognised(Event):
    """Signed by the provider, not understood. ``reason`` is for staff."""

    reason: str
