"""The contract between this product and a video platform.

Everything that differs between providers is behind :class:`Adapter`. An adapter is ORM-free, is given its
secrets and its clock, and speaks only in the values of this module and of ``platforms.events``. How to write one:
``docs/adding-a-platform.md``.

Three errors cross this border: :class:`PlatformUnavailable` (try later) and :class:`PlatformRefused` (do not) on the
way out, :class:`DeliveryRejected` on the way in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, TypedDict

from platforms.events import Event


class PlatformError(Exception):
    """A provider did not do what was asked. The text is for staff: no secret, no URL with a token."""


class PlatformUnavailable(PlatformError):
    """Try again later: time-out, connection failure, 429, 5xx, "not hosting a call yet".

    ``retry_after_s`` is what the provider asked for, if it did.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PlatformRefused(PlatformError):
    """Do not try again unchanged: 4xx, wrong credentials, an option the provider does not have.

    ``status`` is the HTTP status (0 when refused before sending), ``code`` the provider's stable error word.
    """

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class DeliveryRejected(Exception):
    """A webhook delivery is not the provider's: missing or wrong signature, or no secret is configured."""


# -- calls -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RoomOptions:
    """What one meeting asks of a provider's room, in our words."""

    key: str  #: 32 lower-case hex characters, random per meeting; part of the provider's room name
    name_prefix: str  #: the room's slug; shortened and cleaned by the adapter to the provider's rules
    expires_at: datetime  #: the provider's own expiry, one hour after we end the meeting ourselves
    locked: bool = False  #: nobody gets in without being on the list or admitted
    mode: str = "group"  #: "normal" (small, peer to peer where the provider has it) | "group"
    knocking: bool = True
    chat: bool = True
    screen_share: bool = True
    camera_on: bool = True
    microphone_on: bool = True
    language: str = "en"
    max_participants: int | None = None
    recording_type: str = "none"  #: "none" | "local" | "cloud"
    recording_trigger: str = "none"  #: what the *provider* may do by itself: "none" | "prompt" | "automatic" | …


@dataclass(frozen=True, kw_only=True)
class ProviderRoom:
    """A room as the provider made it. ``name`` is spelt exactly as events spell it after ``interpret``."""

    name: str
    provider_id: str
    url: str
    host_url: str = ""  #: a bearer secret where the provider has one (Whereby); only ever sent to hosts
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who is about to enter a call."""

    participant_id: str  #: our Participant's uuid, 36 characters; comes back in events as ``user_id``
    name: str
    is_host: bool = False
    records_locally: bool = False  #: may record on their own computer with the provider's button
    language: str = "en"
    camera_on: bool = True
    microphone_on: bool = True
    screen_share: bool = True
    admitted: bool = True  #: may go straight in; False = has to knock
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a room page needs to let one person in.

    ``page`` goes to the platform's page script as JSON; ``frame_url`` is the plain iframe's address, which works
    without any script. Both hold secrets of this one person: never logged, never shown to anybody else.
    """

    frame_url: str
    page: Mapping[str, Any]
    allow: str  #: the iframe's ``allow`` attribute


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Origins that a meeting's page must admit, for CSP and Permissions-Policy. CSP source expressions."""

    frame: tuple[str, ...] = ()
    script: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    style: tuple[str, ...] = ()  #: e.g. ``'sha256-…'`` of an inline style that the SDK adds
    permissions: tuple[str, ...] = ()  #: plain origins (no wildcard) that camera and microphone are delegated to


@dataclass(frozen=True, kw_only=True)
class Sdk:
    """A provider's browser SDK: vendored from npm into static files, or from a CDN with SRI."""

    static_path: str  #: e.g. "vendor/daily-js/daily.js", below a static folder
    cdn_url: str  #: contains the exact version
    integrity: str  #: "sha384-…" of the npm file


@dataclass(frozen=True, kw_only=True)
class PresentPerson:
    session_id: str
    user_id: str
    name: str
    joined_at: datetime | None
    is_person: bool = True  #: False for recorders, streamers, captioners


@dataclass(frozen=True, kw_only=True)
class RoomPresence:
    """What the provider says about a room right now; ``None`` where it cannot say.

    A room that the provider does not mention has ``people=()`` on providers with a presence API.
    """

    room_name: str
    people: tuple[PresentPerson, ...] | None
    session_open: bool | None = None
    observed_at: datetime | None = None


# -- recordings --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ProviderTrack:
    kind: str  #: "audio" | "video"
    key: str
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class ProviderRecording:
    """A recording as the provider's API lists it. Anything but ``recording_id`` may be missing."""

    recording_id: str
    room_name: str = ""
    kind: str = "cloud"  #: "cloud" | "cloud-audio-only" | "raw-tracks" | "local"
    state: str = "finished"  #: "finished" | "in-progress" | "canceled"
    started_at: datetime | None = None
    duration_s: float | None = None
    key: str = ""  #: object key in the bucket, where there is one
    provider_session_id: str = ""
    tracks: tuple[ProviderTrack, ...] = ()
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class RecordingPage:
    """One page, newest first; ``next_page`` is None on the last."""

    items: tuple[ProviderRecording, ...]
    next_page: str | None = None


@dataclass(frozen=True, kw_only=True)
class Download:
    """An open stream of a recording's bytes. ``size`` in bytes, None when the provider does not say."""

    chunks: Iterator[bytes]
    size: int | None
    content_type: str = ""


# -- webhooks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Signed:
    """Proof that a delivery is the provider's. ``stale`` when signed more than five minutes from ``now``."""

    at: datetime
    stale: bool


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """What the door can tell about a body without interpreting it; empty where it cannot. Never raises."""

    event_id: str = ""
    event_type: str = ""
    occurred_at: datetime | None = None


# -- configuration -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A mistake in the settings, for ``manage.py check`` and ``doctor``."""

    variable: str
    message: str
    hint: str = ""
    fatal: bool = True


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found in answer to one question: one line each for what, why it matters and what mends it.

    With a ``key`` it is also kept as a readiness check of the platform, under a ``title`` that reads like a heading.
    """

    ok: bool  #: nothing wrong was found
    what: str
    why: str = ""
    fix: str = ""
    key: str = ""  #: the question, the same every time: "webhook.active"
    title: str = ""
    proven: bool = True  #: False with ``ok``: nor could it be shown that all is right
    applies: bool = True  #: False with ``ok``: there is nothing to be right or wrong here
    blocks: bool = True  #: not ``ok``, it stops moves to the platform
    evidence: Mapping[str, Any] = field(default_factory=dict)  #: what was seen, plain values, no secrets


class Named(TypedDict):
    """What a finding is kept under."""

    key: str
    title: str


CREDENTIALS: Named = {"key": "credentials", "title": "Credentials accepted"}


@dataclass(frozen=True, kw_only=True)
class WebhookState:
    """Where the account's webhook points and whether it works, as the provider says."""

    points_at: str = ""  #: empty: there is none
    is_ours: bool = False  #: it points at an address of this installation
    is_active: bool = False
    state: str = ""  #: the provider's own word
    failed_count: int | None = None


class RecordingFormat(StrEnum):
    """What a finished cloud recording can be, in the words of the feature checklist, which tell what becomes of it."""

    MP4 = "MP4, everybody mixed"
    MKV = "MKV, everybody mixed (we ask for MP4)"
    SOUND = "sound only, everybody mixed (we ask for MP4)"
    TRACKS = "one WebM file per person and track (shown, not processed)"


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    presence: bool = False  #: the provider says who is in a room
    server_recording: bool = False  #: the server starts and stops recordings; else the host's page does
    admits_by_token: bool = False  #: per-person tokens exist
    logo: bool = False
    webhook_api: bool = False
    recording_types: frozenset[str] = frozenset({"none"})
    recording_formats: frozenset[RecordingFormat] = frozenset()  #: that the provider makes and the adapter reads
    options: frozenset[str] = field(default_factory=frozenset)  #: names of ``RoomOptions`` fields that take effect


class Adapter(ABC):
    """One provider account. Built by :meth:`from_environment`; cheap to build, no request until one is asked for.

    Every method that talks to the provider may raise ``PlatformUnavailable`` or ``PlatformRefused``.
    """

    slug: ClassVar[str]
    label: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    #: environment variables, required first; the first of them all empty = "not configured"
    required: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    #: addresses besides ``v1/webhooks/<slug>`` that dashboards hold (no slashes at the ends)
    webhook_paths: ClassVar[tuple[str, ...]] = ()
    #: ES module below static files, exporting ``startCall`` (see docs/adding-a-platform.md)
    page_script: ClassVar[str]
    sdk: ClassVar[Sdk]

    # settings
    @classmethod
    @abstractmethod
    def from_environment(cls, environ: Mapping[str, str], now: Callable[[], datetime]) -> Adapter:
        """Never raises: what is wrong is told by ``problems`` and ``configured``."""

    @property
    @abstractmethod
    def configured(self) -> bool:
        """True when rooms can be made: every required variable is there and well formed."""

    @abstractmethod
    def problems(self) -> list[Problem]:
        """Partly filled or malformed variables. Empty when all are fine or none is set."""

    @abstractmethod
    def diagnose(self, *, webhook_url: str) -> Iterable[Finding]:
        """Ask the provider: credentials, webhook, clock, bucket. Never raises; failures are findings.

        Every finding has a key (docs/adding-a-platform.md lists them). What could not be asked is left out.
        """

    def webhook_state(self, *, webhook_url: str) -> WebhookState:
        """Whether the provider sends its events to ``webhook_url``, or to an older address of the same installation."""
        raise PlatformRefused(f"{self.label} cannot be asked about webhooks")

    def keep_webhook(self, *, webhook_url: str) -> str:
        """Make our webhook active again, or anew where there is none; what was done, in one sentence. Idempotent.

        One that points elsewhere is left alone: raises ``PlatformRefused``.
        """
        raise PlatformRefused(f"{self.label} cannot be told about webhooks")

    def addresses(self, webhook_url: str) -> tuple[str, ...]:
        """``webhook_url`` and the other addresses of the same installation that the provider may hold."""
        base = webhook_url.rstrip("/").removesuffix(f"/v1/webhooks/{self.slug}")
        return (webhook_url, *(f"{base}/{path}" for path in self.webhook_paths))

    @abstractmethod
    def origins(self, room_url: str = "") -> Origins:
        """What a page must admit. With the ``url`` of a room: exactly that room's origin, where the account's alone
        does not tell it."""

    def speaks(self, language: str) -> bool:
        """Whether the words of the call itself, its menus and buttons, can be had in this language."""
        return True

    def set_rate_budgets(self, budgets: Mapping[str, tuple[int, float]]) -> None:  # noqa: B027 (an optional hook)
        """Replace the adapter's own request rates: operation → (requests or points, per seconds)."""

    def rate_budgets(self) -> Mapping[str, tuple[int, float]]:
        """The request rates that this adapter keeps to; "default" is for operations without one of their own."""
        return {}

    # door
    @abstractmethod
    def verify(self, headers: Mapping[str, str], body: bytes) -> Signed:
        """Check the signature on the raw bytes, in constant time, against each active secret.

        ``headers`` has case-insensitive look-up. Raises ``DeliveryRejected``.
        """

    def sign(self, body: bytes) -> Mapping[str, str] | None:
        """The headers that the provider would send with ``body`` now, signed with our newest secret; None without one.

        For ``doctor``, which knocks at our own door, and for the demo.
        """
        return None

    def compose(self, event: Event) -> bytes | None:
        """A body that ``interpret`` reads as this event, as the provider would write it; None where it tells no such
        thing. For the demo's history.
        """
        return None

    @abstractmethod
    def describe(self, body: bytes) -> Envelope: ...

    @abstractmethod
    def interpret(self, body: bytes) -> tuple[Event, ...]:
        """The body as normalised events, tolerant of anything: never raises, whatever the bytes are.

        What cannot be understood becomes one ``Unrecognised`` with the reason in words.
        """

    # rooms
    @abstractmethod
    def create_room(self, options: RoomOptions) -> ProviderRoom:
        """Make a room, or find the one that an earlier, timed-out call with the same ``options.key`` made.

        A time-out is followed by a look-up, never by a second create within this call.
        """

    @abstractmethod
    def find_room(self, options: RoomOptions) -> ProviderRoom | None: ...

    @abstractmethod
    def end_room(self, room: ProviderRoom) -> None:
        """Put everybody out and close the room. Done already (404) is success."""

    @abstractmethod
    def entry(self, room: ProviderRoom, person: Person) -> Entry: ...

    def set_logo(self, room: ProviderRoom, png: bytes) -> None:
        raise PlatformRefused(f"{self.label} has no room logo")

    @abstractmethod
    def presence(self, room_names: Iterable[str]) -> dict[str, RoomPresence]:
        """Who is in these rooms. One request for all of them where the provider can."""

    def past_stays(self, room: ProviderRoom) -> Iterable[Event]:
        """Who came and went in a room that is closed, as the events that webhooks should have told; nothing where the
        provider keeps no record. May be asked again."""
        return ()

    # recordings
    @abstractmethod
    def start_recording(self, room: ProviderRoom, *, instance_id: str, max_duration_s: int) -> None:
        """Idempotent per ``instance_id``. Raises ``PlatformRefused`` where only the host's page can."""

    @abstractmethod
    def stop_recording(self, room: ProviderRoom, *, instance_id: str) -> None:
        """Idempotent. Returning means the provider took the order, not that it has stopped."""

    @abstractmethod
    def recording_running(self, room: ProviderRoom) -> bool | None:
        """Whether anything records this room now; None where the provider cannot say."""

    @abstractmethod
    def list_recordings(self, *, page: str | None = None, room_name: str = "") -> RecordingPage:
        """One odd item never fails the page; it is left out and logged by id."""

    @abstractmethod
    def get_recording(self, recording_id: str) -> ProviderRecording | None: ...

    @abstractmethod
    def download(self, recording: ProviderRecording) -> AbstractContextManager[Download]:
        """Open the recording's file with our own bucket credentials, or by an access link asked from the API.

        Never from an address in a payload. Constant memory.
        """

    @abstractmethod
    def delete_recording(self, recording: ProviderRecording) -> None:
        """Delete at the provider and every version in the bucket. Gone already is success."""
