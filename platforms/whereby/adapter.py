"""Whereby: rooms by link, hosts by a secret link, recordings started by the room or by the host's page."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from platforms.base import (
    CREDENTIALS,
    Adapter,
    Capabilities,
    Download,
    Entry,
    Envelope,
    Finding,
    Origins,
    Person,
    PlatformError,
    PlatformRefused,
    PlatformUnavailable,
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
from platforms.buckets import Bucket, no_bucket
from platforms.clocks import clock
from platforms.environment import Variables, origin
from platforms.events import Event, RecordingReady
from platforms.fetching import open_recording
from platforms.http import Budgets, Http, OutcomeUnknown
from platforms.text import mapping, moment, text
from platforms.whereby import composing, events, signing
from platforms.whereby.client import API_URL, BUDGETS, FIELDS, WherebyClient
from platforms.whereby.sessions import Sessions

logger = logging.getLogger(__name__)

ROOM_URL = re.compile(r"https://[a-z0-9-]+\.whereby\.com/[^\s]+", re.IGNORECASE)
MAX_PREFIX = 39
#: a room closes, with everybody in it, this long after its endDate
CLOSES_AFTER = timedelta(hours=1)
TRIGGERS = frozenset({"none", "prompt", "automatic", "automatic-2nd-participant"})
LANGUAGES = frozenset(
    ["cs", "da", "de", "el", "en", "es", "fr", "hi", "hu", "it", "jp", "nb", "nl", "pl", "pt", "sv", "uk", "zh-hant"]
)
OUR_LANGUAGES = {"ja": "jp", "no": "nb", "nn": "nb", "zh-tw": "zh-hant"}
#: what the embed element itself asks for its iframe
ALLOW = (
    "autoplay; camera; microphone; fullscreen; speaker; display-capture; media-capture; compute-pressure; "
    "screen-wake-lock"
)
#: v3-embed.js 3.30.3 appends one inline style element; this is the hash of its text
STYLE_HASH = "'sha256-wWkhDcvkWlEEFofM+oCKyKaIPQKTy4KP7Elu/UcEYFs='"


class WherebyAdapter(Adapter):
    slug = "whereby"
    label = "Whereby"
    capabilities = Capabilities(
        logo=True,
        recording_types=frozenset({"none", "local", "cloud"}),
        recording_formats=frozenset({RecordingFormat.MP4, RecordingFormat.MKV}),
        options=frozenset(
            {
                "locked",
                "mode",
                "chat",
                "screen_share",
                "camera_on",
                "microphone_on",
                "language",
                "recording_type",
                "recording_trigger",
            }
        ),
    )
    required = ("WHEREBY_API_KEY", "WHEREBY_WEBHOOK_SECRET")
    optional = (
        "WHEREBY_API_URL",
        "AWS_WHEREBY_S3_BUCKET",
        "AWS_WHEREBY_ACCESS_KEY_ID",
        "AWS_WHEREBY_ACCESS_KEY_SECRET",
        "AWS_WHEREBY_S3_ENDPOINT_URL",
    )
    webhook_paths = ("v1/whereby", "v1/whereby_webhook")
    page_script = "platforms/whereby/call.js"
    sdk = Sdk(
        static_path="vendor/whereby/v3-embed.js",
        cdn_url="https://cdn.jsdelivr.net/npm/@whereby.com/browser-sdk@3.30.3/dist/cdn/v3-embed.js",
        integrity="sha384-WLJmlhDUPp2Gh+nqaAhiw92dUCZHNR3MKSNldqi2YD/aWvYYOszLVXZB3uKkVWVZ",
    )

    def __init__(
        self,
        *,
        api_key: str,
        webhook_secrets: Sequence[str],
        now: Callable[[], datetime],
        api_url: str = API_URL,
        bucket: Bucket | None = None,
        bucket_setting: str = "",
        bucket_keys: tuple[str, str] = ("", ""),
        budgets: Budgets | None = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        """``bucket`` is our own way in; ``bucket_setting`` and ``bucket_keys`` (id, secret) are told to Whereby."""
        self._secrets = [secret.encode() for secret in webhook_secrets if secret]
        self._api_key = api_key
        self._now = now
        self._api_origin = origin(api_url) if api_url != API_URL else ""
        self._plain_http = api_url.startswith("http://")
        self._bucket = bucket
        self._bucket_setting = bucket_setting
        self._bucket_keys = bucket_keys
        self._problems = list(problems)
        self.client = WherebyClient(
            Http(
                label=self.label,
                platform=self.slug,
                base_url=api_url,
                token=api_key,
                budgets=BUDGETS if budgets is None else budgets,
            )
        )
        self._sessions = Sessions(self.client)

    # -- settings ------------------------------------------------------------------------------------------------

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], now: Callable[[], datetime]) -> WherebyAdapter:
        bucket_group = ("AWS_WHEREBY_S3_BUCKET", "AWS_WHEREBY_ACCESS_KEY_ID", "AWS_WHEREBY_ACCESS_KEY_SECRET")
        values = Variables(environ, (*cls.required, *bucket_group))
        api_key = values.key("WHEREBY_API_KEY", "Whereby dashboard, Configure, API keys")
        secrets = values.secrets("WHEREBY_WEBHOOK_SECRET", "Whereby dashboard, Configure, Webhooks")
        api_url = values.url("WHEREBY_API_URL", API_URL)
        values.all_or_none(*bucket_group)
        return cls(
            api_key=api_key,
            webhook_secrets=secrets,
            now=now,
            api_url=api_url,
            bucket=values.bucket(
                bucket_group[0],
                label=cls.label,
                endpoint="AWS_WHEREBY_S3_ENDPOINT_URL",
                fallback_keys=(bucket_group[1], bucket_group[2]),
            ),
            bucket_setting=values.get(bucket_group[0]).strip("/"),
            bucket_keys=(values.get(bucket_group[1]), values.get(bucket_group[2])),
            problems=values.problems,
        )

    @property
    def configured(self) -> bool:
        needed = {*self.required, "WHEREBY_API_URL"}
        return bool(self._api_key and self._secrets) and not any(p.variable in needed for p in self._problems)

    def problems(self) -> list[Problem]:
        return list(self._problems)

    def set_rate_budgets(self, budgets: Mapping[str, tuple[int, float]]) -> None:
        self.client.http.set_budgets(budgets)

    def rate_budgets(self) -> Mapping[str, tuple[int, float]]:
        return self.client.http.budgets

    def diagnose(self, *, webhook_url: str) -> Iterable[Finding]:
        try:
            next(self.client.meetings(), None)
        except PlatformError as error:
            yield Finding(
                ok=False,
                what=str(error),
                why="no room can be made on Whereby",
                fix="check WHEREBY_API_KEY and WHEREBY_API_URL",
                **CREDENTIALS,
            )
            return
        yield Finding(ok=True, what="Whereby accepts the API key", **CREDENTIALS)
        yield Finding(
            ok=True,
            proven=False,
            what=f"Whereby cannot be asked about webhooks: its dashboard must list {webhook_url}",
            why="without it nobody is seen joining",
            fix="Whereby dashboard, Configure, Webhooks",
            key="webhook.registered",
            title="Webhook registered",
        )
        yield clock(self.label, self.client.http.clock_ahead_s)
        if self._bucket:
            yield from self._bucket.check()
            yield from self._bucket.arrivals(self.list_recordings)
        else:
            yield no_bucket(self.label)

    def origins(self, room_url: str = "") -> Origins:
        """The account's sub-domain is only known from its rooms; without one, every sub-domain is admitted."""
        rooms = origin(room_url) or self._api_origin
        return Origins(
            frame=(rooms or "https://*.whereby.com",),
            style=(STYLE_HASH,),
            permissions=(rooms,) if rooms else (),
        )

    def speaks(self, language: str) -> bool:
        return bool(_language(language))

    # -- door ----------------------------------------------------------------------------------------------------

    def verify(self, headers: Mapping[str, str], body: bytes) -> Signed:
        return signing.verify(self._secrets, headers, body, self._now())

    def sign(self, body: bytes) -> Mapping[str, str] | None:
        return signing.sign(self._secrets[0], body, self._now()) if self._secrets else None

    def compose(self, event: Event) -> bytes | None:
        return composing.compose(event)

    def describe(self, body: bytes) -> Envelope:
        return events.describe(body)

    def interpret(self, body: bytes) -> tuple[Event, ...]:
        return tuple(
            replace(event, key=self._key(event.key)) if isinstance(event, RecordingReady) else event
            for event in events.interpret(body, self._now())
        )

    # -- rooms ---------------------------------------------------------------------------------------------------

    def create_room(self, options: RoomOptions) -> ProviderRoom:
        try:
            answer = self.client.create_meeting(self._meeting(options))
        except OutcomeUnknown:
            found = self.find_room(options)
            if found is None:
                raise
            return found
        return self._room(answer, options)

    def find_room(self, options: RoomOptions) -> ProviderRoom | None:
        prefix = room_name_prefix(options)
        for answer in self.client.meetings():
            if events.room_name(answer.get("roomName")).startswith(prefix):
                return self._room(answer, options)
        return None

    def end_room(self, room: ProviderRoom) -> None:
        self.client.delete_meeting(room.provider_id)

    def set_logo(self, room: ProviderRoom, png: bytes) -> None:
        self.client.set_logo(room.name, png)

    def entry(self, room: ProviderRoom, person: Person) -> Entry:
        """Attributes of the embed element; the same names are query parameters of the room's address."""
        url = room.host_url if person.is_host and room.host_url else room.url
        attributes = {
            "displayName": display_name(person.name),
            "externalId": person.participant_id
            if re.fullmatch(r"[\w-]{1,36}", person.participant_id, re.ASCII)
            else "",
            "lang": _language(person.language),
            "audio": "" if person.microphone_on else "off",
            "video": "" if person.camera_on else "off",
            "screenshare": "" if person.screen_share else "off",
            # ours: name and consent are asked before, cloud recording has our own buttons
            "precallReview": "off",
            "skipMediaPermissionPrompt": "on",
            "recording": "" if person.records_locally else "off",
        }
        attributes = {name: value for name, value in attributes.items() if value}
        return Entry(
            frame_url=_with_query(url, attributes),
            page={"room": url, "attributes": attributes, "isHost": person.is_host},
            allow=ALLOW,
        )

    def presence(self, room_names: Iterable[str]) -> dict[str, RoomPresence]:
        """Whether a session of two or more runs, as of ten to fifteen minutes ago; never who is inside."""
        return self._sessions.of(room_names, self._now())

    def _meeting(self, options: RoomOptions) -> dict[str, Any]:
        end = max(options.expires_at - CLOSES_AFTER, self._now() + timedelta(minutes=1))
        return {
            "endDate": end.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "isLocked": options.locked,
            "roomMode": "normal" if options.mode == "normal" else "group",
            "roomNamePrefix": room_name_prefix(options),
            "roomNamePattern": "uuid",
            "recording": self._recording_settings(options),
            "fields": [FIELDS],
        }

    def _recording_settings(self, options: RoomOptions) -> dict[str, Any]:
        trigger = options.recording_trigger if options.recording_trigger in TRIGGERS else "none"
        if options.recording_type != "cloud":
            return {"type": options.recording_type, "destination": {"provider": "whereby"}, "startTrigger": "none"}
        destination: dict[str, Any] = {"provider": "whereby", "fileFormat": "mp4"}
        if self._bucket_setting:
            destination = {
                "provider": "s3",
                "authenticationType": "accessKey",
                "bucket": self._bucket_setting,
                "accessKeyId": self._bucket_keys[0],
                "accessKeySecret": self._bucket_keys[1],
                "fileFormat": "mp4",
            }
        return {"type": "cloud", "destination": destination, "startTrigger": trigger}

    def _room(self, answer: Mapping[str, Any], options: RoomOptions) -> ProviderRoom:
        name = events.room_name(answer.get("roomName"))
        meeting_id = text(answer.get("meetingId"), 200)
        url, host_url = text(answer.get("roomUrl"), 2000), text(answer.get("hostRoomUrl"), 4000)
        if not name or not meeting_id:
            raise PlatformUnavailable("Whereby answered a room without a name or id")
        if not self._allowed(url) or (host_url and not self._allowed(host_url)):
            logger.error("whereby answered a room with an unexpected address, meeting %s", meeting_id)
            raise PlatformRefused("Whereby answered a room address that is not on whereby.com")
        end = moment(answer.get("endDate"))
        extra = {} if options.chat else {"chat": "off"}
        return ProviderRoom(
            name=name,
            provider_id=meeting_id,
            url=_with_query(url, extra),
            host_url=_with_query(host_url, extra) if host_url else "",
            expires_at=end + CLOSES_AFTER if end else None,
        )

    def _allowed(self, url: str) -> bool:
        return bool(ROOM_URL.fullmatch(url)) or bool(self._api_origin and origin(url) == self._api_origin)

    # -- recordings ----------------------------------------------------------------------------------------------

    def start_recording(self, room: ProviderRoom, *, instance_id: str, max_duration_s: int) -> None:
        raise PlatformRefused("on Whereby the host's page starts the recording")

    def stop_recording(self, room: ProviderRoom, *, instance_id: str) -> None:
        raise PlatformRefused("on Whereby the host's page stops the recording")

    def recording_running(self, room: ProviderRoom) -> bool | None:
        return None

    def list_recordings(self, *, page: str | None = None, room_name: str = "") -> RecordingPage:
        rows, cursor = self.client.recordings(cursor=page or "", room_name=room_name)
        items = tuple(item for row in rows if (item := self._recording(mapping(row))))
        return RecordingPage(items=items, next_page=cursor or None)

    def get_recording(self, recording_id: str) -> ProviderRecording | None:
        answer = self.client.recording(recording_id)
        return None if answer is None else self._recording(answer)

    def download(self, recording: ProviderRecording) -> AbstractContextManager[Download]:
        return open_recording(
            recording,
            label=self.label,
            bucket=self._bucket,
            ask_link=self.client.access_link,
            plain_http=self._plain_http,
        )

    def delete_recording(self, recording: ProviderRecording) -> None:
        if self._bucket:
            known = self.get_recording(recording.recording_id)
            keys = {item.key for item in (recording, known) if item and item.key}
            if keys:
                self._bucket.delete(sorted(keys))
        self.client.delete_recording(recording.recording_id)

    def _recording(self, fields: Mapping[str, Any]) -> ProviderRecording | None:
        """https://docs.whereby.com: ``{recordingId, roomSessionId, filename, startDate, endDate, sizeInMegaBytes}``."""
        recording_id = text(fields.get("recordingId"))
        if not recording_id:
            logger.warning("whereby listed a recording without an id")
            return None
        filename = text(fields.get("filename"), 1024)
        named_room, named_start = events.parse_filename(filename)
        start, end = moment(fields.get("startDate")) or named_start, moment(fields.get("endDate"))
        return ProviderRecording(
            recording_id=recording_id,
            room_name=events.room_name(fields.get("roomName")) or named_room,
            state="finished",
            started_at=start,
            duration_s=(end - start).total_seconds() if start and end and end > start else None,
            key=self._key(filename),
            provider_session_id=text(fields.get("roomSessionId")),
        )

    def _key(self, filename: str) -> str:
        """Where Whereby puts a file in our bucket; empty when it keeps recordings itself."""
        return f"{self._bucket.folder}{filename}" if self._bucket and filename else ""


def room_name_prefix(options: RoomOptions) -> str:
    """``[a-z0-9]`` only, at most 39 characters: as much of the slug as fits, then the key."""
    plain = unicodedata.normalize("NFKD", options.name_prefix).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", plain)[: MAX_PREFIX - len(options.key)] + options.key


def display_name(name: str) -> str:
    """Whereby asks again for a name that is longer than 100 characters or has one of ``$!<>:;`` in it."""
    return re.sub(r"\s+", " ", re.sub(r"[$!<>:;]", " ", text(name))).strip()[:100].strip()


def _language(language: str) -> str:
    code = language.lower()
    known = (OUR_LANGUAGES.get(each, each) for each in (code, code.split("-")[0]))
    return next((each for each in known if each in LANGUAGES), "")


def _with_query(url: str, extra: Mapping[str, str]) -> str:
    """Appends, and leaves what is there untouched: the embed element looks for an unescaped address in it."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(extra)}" if extra else url


ADAPTER = WherebyAdapter
