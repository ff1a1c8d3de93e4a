"""Daily: private rooms entered by a token per person, recordings controlled by the server."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

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
    Problem,
    ProviderRecording,
    ProviderRoom,
    RecordingFormat,
    RecordingPage,
    RoomOptions,
    RoomPresence,
    Sdk,
    Signed,
    WebhookState,
)
from platforms.buckets import Bucket, no_bucket
from platforms.clocks import clock
from platforms.daily import answers, composing, events, signing, webhooks
from platforms.daily.client import API_URL, BUDGETS, PAGE, DailyClient
from platforms.environment import Variables, is_http_url, origin
from platforms.events import Event
from platforms.fetching import open_recording
from platforms.http import Budgets, Http, OutcomeUnknown
from platforms.text import mapping, moment, sequence, text, truth

logger = logging.getLogger(__name__)

ROOM_URL_PATTERN = "https://{subdomain}.daily.co/{room_name}"
MAX_ROOM_NAME = 128
#: what Prebuilt speaks, https://docs.daily.co/reference/rest-api/rooms/config#lang
LANGUAGES = frozenset(
    ["de", "en", "es", "fi", "fr", "it", "jp", "ka", "nl", "no", "pl", "pt", "pt-BR", "ru", "sv", "tr"]
)
OUR_LANGUAGES = {"ja": "jp", "nb": "no", "nn": "no", "pt-br": "pt-BR"}
#: what daily-js itself asks for its iframe
ALLOW = "microphone; camera; autoplay; display-capture; screen-wake-lock; compute-pressure; fullscreen"
ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")


class DailyAdapter(Adapter):
    slug = "daily"
    label = "Daily"
    capabilities = Capabilities(
        presence=True,
        server_recording=True,
        admits_by_token=True,
        webhook_api=True,
        recording_types=frozenset({"none", "local", "cloud"}),
        recording_formats=frozenset({RecordingFormat.MP4, RecordingFormat.SOUND, RecordingFormat.TRACKS}),
        options=frozenset(
            {
                "locked",
                "knocking",
                "chat",
                "screen_share",
                "camera_on",
                "microphone_on",
                "language",
                "max_participants",
                "recording_type",
            }
        ),
    )
    required = ("DAILY_API_KEY", "DAILY_WEBHOOK_SECRET")
    optional = (
        "DAILY_API_URL",
        "DAILY_SUBDOMAIN",
        "DAILY_ROOM_URL_PATTERN",
        "AWS_DAILY_S3_BUCKET",
        "AWS_DAILY_ROLE_ARN",
        "AWS_DAILY_S3_ENDPOINT_URL",
    )
    webhook_paths = ("v1/daily", "v1/daily/webhook")
    page_script = "platforms/daily/call.js"
    sdk = Sdk(
        static_path="vendor/daily-js/daily.js",
        cdn_url="https://cdn.jsdelivr.net/npm/@daily-co/daily-js@0.92.2/dist/daily.js",
        integrity="sha384-qkOcWks7O6ZM0W8bDQRvE2Zigs/pWm7ioqYeangGqWoaqMEFUNeAKYLp8J+qWiUS",
    )

    def __init__(
        self,
        *,
        api_key: str,
        webhook_secrets: Sequence[str],
        now: Callable[[], datetime],
        api_url: str = API_URL,
        subdomain: str = "reflector",
        room_url_pattern: str = ROOM_URL_PATTERN,
        bucket: Bucket | None = None,
        bucket_region: str = "us-west-2",
        role_arn: str = "",
        budgets: Budgets | None = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        """``webhook_secrets``: base64 as Daily has them, the newest first."""
        self.webhook_secrets = tuple(webhook_secrets)
        self._keys = signing.keys_in(self.webhook_secrets)
        self._api_key = api_key
        self._now = now
        self._room_url = room_url_pattern.replace("{subdomain}", subdomain)
        self._bucket = bucket
        self._bucket_region = bucket_region
        self._role_arn = role_arn
        self._problems = list(problems)
        self.plain_http = api_url.startswith("http://")
        self.client = DailyClient(
            Http(
                label=self.label,
                platform=self.slug,
                base_url=api_url,
                token=api_key,
                budgets=BUDGETS if budgets is None else budgets,
            )
        )

    # -- settings ------------------------------------------------------------------------------------------------

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], now: Callable[[], datetime]) -> DailyAdapter:
        values = Variables(environ, (*cls.required, "AWS_DAILY_S3_BUCKET", "AWS_DAILY_ROLE_ARN"))
        api_key = values.key("DAILY_API_KEY", "Daily dashboard, Developers")
        secrets = values.secrets("DAILY_WEBHOOK_SECRET", "make one with: openssl rand -base64 32")
        if any(not signing.decoded(secret) for secret in secrets):
            values.wrong("DAILY_WEBHOOK_SECRET", "is not base64", "make one with: openssl rand -base64 32")
        api_url = values.url("DAILY_API_URL", API_URL)
        subdomain = values.get("DAILY_SUBDOMAIN", "reflector")
        if not re.fullmatch(r"[A-Za-z0-9-]{1,63}", subdomain):
            values.wrong("DAILY_SUBDOMAIN", "is not one word of letters, digits and hyphens", "x of https://x.daily.co")
        pattern = values.get("DAILY_ROOM_URL_PATTERN", ROOM_URL_PATTERN)
        example = pattern.replace("{subdomain}", "x").replace("{room_name}", "x")
        if "{room_name}" not in pattern or re.search(r"[\s{}]", example) or not is_http_url(example):
            values.wrong(
                "DAILY_ROOM_URL_PATTERN", "is not a URL with {room_name} in it", f"for example {ROOM_URL_PATTERN}"
            )
        values.all_or_none("AWS_DAILY_S3_BUCKET", "AWS_DAILY_ROLE_ARN")
        role_arn = values.get("AWS_DAILY_ROLE_ARN")
        if role_arn and not ARN.fullmatch(role_arn):
            values.wrong("AWS_DAILY_ROLE_ARN", "is not the ARN of a role", "arn:aws:iam::123456789012:role/name")
        return cls(
            api_key=api_key,
            webhook_secrets=secrets,
            now=now,
            api_url=api_url,
            subdomain=subdomain,
            room_url_pattern=pattern,
            bucket=values.bucket("AWS_DAILY_S3_BUCKET", label=cls.label, endpoint="AWS_DAILY_S3_ENDPOINT_URL"),
            bucket_region=values.get("AWS_REGION", "us-west-2"),
            role_arn=role_arn,
            problems=values.problems,
        )

    @property
    def configured(self) -> bool:
        needed = {*self.required, "DAILY_API_URL", "DAILY_SUBDOMAIN", "DAILY_ROOM_URL_PATTERN"}
        return bool(self._api_key and self._keys) and not any(p.variable in needed for p in self._problems)

    def problems(self) -> list[Problem]:
        return list(self._problems)

    def set_rate_budgets(self, budgets: Mapping[str, tuple[int, float]]) -> None:
        self.client.http.set_budgets(budgets)

    def rate_budgets(self) -> Mapping[str, tuple[int, float]]:
        return self.client.http.budgets

    def diagnose(self, *, webhook_url: str) -> Iterable[Finding]:
        try:
            domain = text(self.client.domain().get("domain_name"))
        except PlatformError as error:
            yield Finding(
                ok=False,
                what=str(error),
                why="no room can be made on Daily",
                fix="check DAILY_API_KEY and DAILY_API_URL",
                **CREDENTIALS,
            )
            return
        what = f"Daily accepts the API key{f' (domain {domain})' if domain else ''}"
        yield Finding(ok=True, what=what, evidence={"domain": domain}, **CREDENTIALS)
        try:
            yield from webhooks.findings(self.client, self.addresses(webhook_url), self.webhook_secrets)
        except PlatformError as error:
            yield Finding(
                ok=False,
                what=str(error),
                why="whether events reach us is unknown",
                fix="manage.py sync_daily_webhook",
                key="webhook.registered",
                title=webhooks.TITLES["registered"],
            )
        yield clock(self.label, self.client.http.clock_ahead_s)
        if self._bucket:
            yield from self._bucket.check()
            yield from self._bucket.arrivals(self.list_recordings)
        else:
            yield no_bucket(self.label)

    def webhook_state(self, *, webhook_url: str) -> WebhookState:
        return webhooks.state(self.client, self.addresses(webhook_url))

    def keep_webhook(self, *, webhook_url: str) -> str:
        address, *aliases = self.addresses(webhook_url)
        return webhooks.sync(self.client, url=address, aliases=aliases, secret=self.webhook_secrets[0])

    def origins(self, room_url: str = "") -> Origins:
        rooms = origin(self._room_url)
        return Origins(frame=(rooms,), permissions=(rooms,)) if rooms else Origins()

    def speaks(self, language: str) -> bool:
        return bool(_language(language))

    # -- door ----------------------------------------------------------------------------------------------------

    def verify(self, headers: Mapping[str, str], body: bytes) -> Signed:
        return signing.verify(self._keys, headers, body, self._now())

    def sign(self, body: bytes) -> Mapping[str, str] | None:
        return signing.sign(self._keys[0], body, self._now()) if self._keys else None

    def compose(self, event: Event) -> bytes | None:
        return composing.compose(event)

    def describe(self, body: bytes) -> Envelope:
        return events.describe(body)

    def interpret(self, body: bytes) -> tuple[Event, ...]:
        return events.interpret(body, self._now())

    # -- rooms ---------------------------------------------------------------------------------------------------

    def create_room(self, options: RoomOptions) -> ProviderRoom:
        name = room_name(options)
        body = {"name": name, "privacy": "private", "properties": self._properties(options)}
        try:
            return self._room(self.client.create_room(body), name)
        except OutcomeUnknown:
            found = self.find_room(options)
            if found is None:
                raise
            return found
        except PlatformRefused as refused:
            # "already exists" shares its status and error word with every other invalid request
            found = self.find_room(options) if refused.status == 400 else None
            if found is None:
                raise
            return found

    def find_room(self, options: RoomOptions) -> ProviderRoom | None:
        name = room_name(options)
        answer = self.client.room(name)
        return None if answer is None else self._room(answer, name)

    def end_room(self, room: ProviderRoom) -> None:
        """Deleting a room puts everybody out; changing its expiry would not."""
        self.client.delete_room(room.name)

    def entry(self, room: ProviderRoom, person: Person) -> Entry:
        expires_at = person.expires_at or room.expires_at or self._now() + timedelta(hours=12)
        properties: dict[str, Any] = {
            "room_name": room.name,
            "user_id": person.participant_id,
            "user_name": text(person.name, 120),
            "is_owner": person.is_host,
            "exp": int(expires_at.timestamp()),
            "enable_screenshare": person.screen_share,
            "start_video_off": not person.camera_on,
            "start_audio_off": not person.microphone_on,
            "enable_prejoin_ui": False,
            "enable_recording_ui": person.records_locally,
            **_language(person.language),
        }
        if person.records_locally:
            properties["enable_recording"] = "local"
        if not person.admitted and not person.is_host:
            properties["knocking"] = True
        token = self.client.meeting_token(properties)
        page = {"url": room.url, "token": token, "userName": properties["user_name"], "isHost": person.is_host}
        if "lang" in properties:
            page["lang"] = properties["lang"]
        return Entry(frame_url=f"{room.url}?t={token}", page=page, allow=ALLOW)

    def presence(self, room_names: Iterable[str]) -> dict[str, RoomPresence]:
        rooms, now = self.client.presence(), self._now()
        return {name: answers.room_presence(name, rooms.get(name, []), now) for name in room_names}

    def past_stays(self, room: ProviderRoom) -> Iterable[Event]:
        for session in self.client.meetings(room.name):
            for person in map(mapping, sequence(session.get("participants"))):
                yield from events.stay(room.name, person, is_over=not truth(session.get("ongoing")))

    def _properties(self, options: RoomOptions) -> dict[str, Any]:
        """https://docs.daily.co/reference/rest-api/rooms/config"""
        properties: dict[str, Any] = {
            "exp": int(options.expires_at.timestamp()),
            "eject_at_room_exp": True,
            "enable_knocking": options.knocking,
            "enable_prejoin_ui": False,
            "enable_chat": options.chat,
            "enable_screenshare": options.screen_share,
            "start_video_off": not options.camera_on,
            "start_audio_off": not options.microphone_on,
            **_language(options.language),
        }
        if options.max_participants:
            properties["max_participants"] = options.max_participants
        if options.recording_type != "none":
            properties["enable_recording"] = options.recording_type
        if options.recording_type == "cloud" and self._bucket:
            properties["recordings_bucket"] = {
                "bucket_name": self._bucket.name,
                "bucket_region": self._bucket_region,
                "assume_role_arn": self._role_arn,
                "allow_api_access": True,
            }
            properties["recordings_template"] = f"{self._bucket.folder}{{domain_name}}/{{room_name}}/{{epoch_time}}"
        return properties

    def _room(self, answer: Mapping[str, Any], name: str) -> ProviderRoom:
        url = answer.get("url")
        if answer.get("name") != name or url != self._room_url.replace("{room_name}", name):
            logger.error("daily answered a room with an unexpected name or address, room %s", name)
            raise PlatformRefused(
                "Daily answered a room address that DAILY_ROOM_URL_PATTERN and DAILY_SUBDOMAIN do not allow"
            )
        return ProviderRoom(
            name=name,
            provider_id=text(answer.get("id"), 200) or name,
            url=url,
            expires_at=moment(mapping(answer.get("config")).get("exp")),
        )

    # -- recordings ----------------------------------------------------------------------------------------------

    def start_recording(self, room: ProviderRoom, *, instance_id: str, max_duration_s: int) -> None:
        body = {"type": "cloud", "instanceId": instance_id, "maxDuration": max_duration_s}
        self.client.start_recording(room.name, body)

    def stop_recording(self, room: ProviderRoom, *, instance_id: str) -> None:
        self.client.stop_recording(room.name, {"type": "cloud", "instanceId": instance_id})

    def recording_running(self, room: ProviderRoom) -> bool | None:
        return any(
            item.state == "in-progress" for item in answers.recordings(self.client.recordings(room_name=room.name))
        )

    def list_recordings(self, *, page: str | None = None, room_name: str = "") -> RecordingPage:
        rows = self.client.recordings(starting_after=page or "", room_name=room_name)
        ids = [recording_id for row in rows if (recording_id := text(mapping(row).get("id")))]
        more = len(rows) >= PAGE and bool(ids)
        return RecordingPage(items=tuple(answers.recordings(rows)), next_page=ids[-1] if more else None)

    def get_recording(self, recording_id: str) -> ProviderRecording | None:
        answer = self.client.recording(recording_id)
        return None if answer is None else answers.recording(answer)

    def download(self, recording: ProviderRecording) -> AbstractContextManager[Download]:
        return open_recording(
            recording,
            label=self.label,
            bucket=self._bucket,
            ask_link=self.client.access_link,
            plain_http=self.plain_http,
        )

    def delete_recording(self, recording: ProviderRecording) -> None:
        """Daily never deletes from a bucket of ours, so the copies there go first."""
        if self._bucket:
            known = self.get_recording(recording.recording_id) or recording
            keys = {track.key for item in (recording, known) for track in item.tracks}
            whole_files = {item.key for item in (recording, known) if item.key and item.kind != "raw-tracks"}
            keys |= whole_files | {f"{key}.event.json" for key in whole_files}
            raw = {f"{item.key}-" for item in (recording, known) if item.key and item.kind == "raw-tracks"}
            if keys or raw:
                self._bucket.delete(sorted(keys - {""}), prefixes=sorted(raw))
        self.client.delete_recording(recording.recording_id)


def room_name(options: RoomOptions) -> str:
    """``<slug>-<key>`` from ``[A-Za-z0-9_-]``, at most 128 characters."""
    plain = unicodedata.normalize("NFKD", options.name_prefix).encode("ascii", "ignore").decode()
    prefix = re.sub(r"[^A-Za-z0-9_-]+", "-", plain)[: MAX_ROOM_NAME - len(options.key) - 1].strip("-")
    return f"{prefix}-{options.key}" if prefix else options.key


def _language(language: str) -> dict[str, str]:
    primary = language.split("-")[0].lower()
    code = OUR_LANGUAGES.get(language.lower()) or OUR_LANGUAGES.get(primary, primary)
    return {"lang": code} if code in LANGUAGES else {}


ADAPTER = DailyAdapter
