"""A third platform, all in one folder: its "provider" is this process's memory.

It is what the tests of meetings run on, and the proof that a platform is one folder and one entry in
``settings.PLATFORMS``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from platforms.base import (
    Adapter,
    Capabilities,
    DeliveryRejected,
    Download,
    Entry,
    Envelope,
    Finding,
    Origins,
    Person,
    PlatformRefused,
    Problem,
    ProviderRecording,
    ProviderRoom,
    RecordingFormat,
    RecordingPage,
    RoomOptions,
    RoomPresence,
    Sdk,
    Signed,
)
from platforms.events import Event, ParticipantJoined, Unrecognised

OPTIONS = frozenset({"locked", "chat", "language", "recording_type", "recording_trigger"})


@dataclass
class Provider:
    """What the other side remembers. Tests read it, and make it fail by ``errors``."""

    rooms: dict[str, RoomOptions] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    entered: list[tuple[ProviderRoom, Person]] = field(default_factory=list)
    logos: dict[str, bytes] = field(default_factory=dict)
    present: dict[str, RoomPresence] = field(default_factory=dict)
    past: list[Event] = field(default_factory=list)  #: what ``past_stays`` answers, of any room
    recording: dict[str, str] = field(default_factory=dict)  #: room name -> instance id
    last_max_duration_s: int = 0
    errors: dict[str, list[Exception]] = field(default_factory=dict)  #: operation -> what it raises next
    after: dict[str, Callable[[], None]] = field(default_factory=dict)  #: operation -> runs after its effect
    delay_s: float = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def called(self, operation: str) -> None:
        with self.lock:
            self.calls.append(operation)
            error = self.errors.get(operation, []).pop(0) if self.errors.get(operation) else None
        if error is not None:
            raise error


class FakeAdapter(Adapter):
    slug = "fake"
    label = "Fake"
    capabilities = Capabilities(
        presence=True,
        server_recording=True,
        admits_by_token=True,
        logo=True,
        recording_types=frozenset({"none", "cloud"}),
        recording_formats=frozenset({RecordingFormat.MP4}),
        options=OPTIONS,
    )
    required = ("FAKE_KEY",)
    page_script = "fake/call.js"
    sdk = Sdk(static_path="fake/sdk.js", cdn_url="https://cdn.example/fake@1.0.0/sdk.js", integrity="sha384-none")

    def __init__(self, key: str) -> None:
        self.key = key
        self.provider = Provider()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], now: Callable[[], datetime]) -> FakeAdapter:
        return cls(environ.get("FAKE_KEY", ""))

    @property
    def configured(self) -> bool:
        return bool(self.key)

    def problems(self) -> list[Problem]:
        return []

    def diagnose(self, *, webhook_url: str) -> Iterable[Finding]:
        return []

    def origins(self, room_url: str = "") -> Origins:
        return Origins(frame=("https://fake.example",), permissions=("https://fake.example",))

    # door

    def verify(self, headers: Mapping[str, str], body: bytes) -> Signed:
        if headers.get("X-Fake-Key") != self.key:
            raise DeliveryRejected("wrong key")
        return Signed(at=datetime.fromisoformat(headers["X-Fake-Time"]), stale=False)

    def describe(self, body: bytes) -> Envelope:
        return Envelope()

    def interpret(self, body: bytes) -> tuple[Event, ...]:
        try:
            told = json.loads(body)
            at = datetime.fromisoformat(told["at"])
            return (
                ParticipantJoined(
                    platform=self.slug,
                    occurred_at=at,
                    room_name=told["room"],
                    session_id=told["session"],
                    user_id=told["user"],
                ),
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            return (Unrecognised(platform=self.slug, occurred_at=datetime.now().astimezone(), reason="not ours"),)

    # rooms

    def create_room(self, options: RoomOptions) -> ProviderRoom:
        name = self._name(options)
        self.provider.called("create_room")
        time.sleep(self.provider.delay_s)
        self.provider.rooms[name] = options
        if (then := self.provider.after.get("create_room")) is not None:
            then()
        return self._room(name)

    def find_room(self, options: RoomOptions) -> ProviderRoom | None:
        self.provider.called("find_room")
        name = self._name(options)
        return self._room(name) if name in self.provider.rooms else None

    def end_room(self, room: ProviderRoom) -> None:
        self.provider.called("end_room")
        self.provider.closed.append(room.name)
        self.provider.rooms.pop(room.name, None)
        self.provider.recording.pop(room.name, None)

    def entry(self, room: ProviderRoom, person: Person) -> Entry:
        self.provider.called("entry")
        self.provider.entered.append((room, person))
        return Entry(frame_url=f"{room.url}?t={person.participant_id}", page={"url": room.url}, allow="camera")

    def set_logo(self, room: ProviderRoom, png: bytes) -> None:
        self.provider.called("set_logo")
        self.provider.logos[room.name] = png

    def presence(self, room_names: Iterable[str]) -> dict[str, RoomPresence]:
        self.provider.called("presence")
        return {name: self.provider.present.get(name, RoomPresence(room_name=name, people=())) for name in room_names}

    def past_stays(self, room: ProviderRoom) -> Iterable[Event]:
        if errors := self.provider.errors.get("past_stays"):
            raise errors.pop(0)
        return [event for event in self.provider.past if event.room_name == room.name]

    @staticmethod
    def _name(options: RoomOptions) -> str:
        return f"{options.name_prefix}-{options.key}"

    def _room(self, name: str) -> ProviderRoom:
        options = self.provider.rooms[name]
        return ProviderRoom(
            name=name,
            provider_id=f"id-{options.key}",
            url=f"https://fake.example/{name}",
            host_url=f"https://fake.example/{name}?role=host",
            expires_at=options.expires_at,
        )

    # recordings

    def start_recording(self, room: ProviderRoom, *, instance_id: str, max_duration_s: int) -> None:
        self.provider.called("start_recording")
        self.provider.recording[room.name] = instance_id
        self.provider.last_max_duration_s = max_duration_s

    def stop_recording(self, room: ProviderRoom, *, instance_id: str) -> None:
        self.provider.called("stop_recording")
        self.provider.recording.pop(room.name, None)

    def recording_running(self, room: ProviderRoom) -> bool | None:
        self.provider.called("recording_running")
        return room.name in self.provider.recording

    def list_recordings(self, *, page: str | None = None, room_name: str = "") -> RecordingPage:
        return RecordingPage(items=())

    def get_recording(self, recording_id: str) -> ProviderRecording | None:
        return None

    def download(self, recording: ProviderRecording) -> AbstractContextManager[Download]:
        raise PlatformRefused("nothing is recorded here", status=404)

    def delete_recording(self, recording: ProviderRecording) -> None:
        return None


ADAPTER = FakeAdapter
