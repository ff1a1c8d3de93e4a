"""What every adapter must do. A platform's test module inherits ``AdapterContract`` and fills in its own facts."""

import copy
import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests
import responses
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from platforms.base import (
    Adapter,
    DeliveryRejected,
    Person,
    PlatformRefused,
    PlatformUnavailable,
    ProviderRoom,
    RecordingFormat,
    RoomOptions,
)
from platforms.events import Event, RecordingReady, Unrecognised
from tests.accounts_for_platforms import BOTH
from tests.signing import signed

PAYLOADS = Path(__file__).parent.parent / "payloads"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = "0123456789abcdef0123456789abcdef"
ODD_VALUES: list[Any] = [
    None,
    True,
    [],
    {},
    [[None]],
    "",
    "\x00",
    "a\x00b",
    "\ud800",
    "x" * 5000,
    "1708526032.672",
    -1,
    0,
    1e300,
    10**30,
    float("nan"),
    float("inf"),
    "9999-12-31T23:59:59-23:00",
    "0001-01-01T00:00:00+23:00",
    "not a time",
]


def options(**changes: Any) -> RoomOptions:
    base = RoomOptions(key=KEY, name_prefix="weekly-sync", expires_at=NOW + timedelta(hours=9))
    return dataclasses.replace(base, **changes)


def person(**changes: Any) -> Person:
    base = Person(participant_id="6f3fd5fc-4a35-4c53-9d9f-fb2bb4a7bb4e", name="Zoë")
    return dataclasses.replace(base, **changes)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from paths_of(inner, (*path, name))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with the value at ``path`` replaced, or removed when ``new`` is ``...``."""
    result = copy.deepcopy(value)
    holder = result
    for step in path[:-1]:
        holder = holder[step]
    if new is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return result


def variations(sample: dict[str, Any]) -> Iterator[bytes]:
    for path in paths_of(sample):
        for new in (..., *ODD_VALUES):
            yield json.dumps(changed(sample, path, new)).encode()
    yield json.dumps({**sample, "added": {"by": ["them"]}}).encode()
    for name in sample:
        yield json.dumps({**sample, name: 0}).replace(f'"{name}": 0', f'"{name}": {"9" * 6000}').encode()
        deep = "[" * 20_000 + "]" * 20_000
        yield json.dumps({**sample, name: 0}).replace(f'"{name}": 0', f'"{name}": {deep}').encode()


KINDS = {
    RecordingFormat.MP4: "cloud",
    RecordingFormat.MKV: "cloud",
    RecordingFormat.SOUND: "cloud-audio-only",
    RecordingFormat.TRACKS: "raw-tracks",
}
JUNK = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"17",
    b"{",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b'{"type": "\xff"}',
    b'{"a":' * 20_000,
    b"[" * 20_000,
    b'{"type": NaN, "id": Infinity, "event_ts": 1e999}',
]


def assert_clean(event: Event, slug: str) -> None:
    assert event.platform == slug
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if isinstance(value, str):
            value.encode()  # a lone surrogate would raise
            assert "\x00" not in value
            assert len(value) <= (2048 if field.name == "key" else 500)
        elif isinstance(value, datetime):
            assert value.utcoffset() == timedelta(0)


class AdapterContract:
    adapter_class: ClassVar[type[Adapter]]
    #: payload file → what ``interpret`` must answer
    expected: ClassVar[dict[str, Event]]
    #: format of recordings → payload file that tells of one, and what has to be put in the place of what in it
    formats: ClassVar[dict[RecordingFormat, tuple[str, dict[str, str]]]]
    #: the URL that makes a room
    create_url: ClassVar[str]

    # -- to be filled in ---------------------------------------------------------------------------------------------

    def create_answer(self) -> dict[str, Any]:
        """What the provider answers to a create of ``options()``."""
        raise NotImplementedError

    def expect_lookup(self, *, found: bool) -> None:
        """Register what ``find_room(options())`` asks."""
        raise NotImplementedError

    def expect_end(self, room: ProviderRoom, status: int) -> None:
        raise NotImplementedError

    # -- settings ----------------------------------------------------------------------------------------------------

    @property
    def slug(self) -> str:
        return self.adapter_class.slug

    def adapter(self, **environ: str) -> Any:
        return self.adapter_class.from_environment({**BOTH, **environ}, lambda: NOW)

    def test_empty_environment_is_not_configured_and_no_problem(self) -> None:
        adapter = self.adapter_class.from_environment({}, lambda: NOW)
        assert (adapter.configured, adapter.problems()) == (False, [])

    def test_full_environment_is_configured_without_problems(self) -> None:
        adapter = self.adapter()
        assert (adapter.configured, adapter.problems()) == (True, [])

    def test_each_missing_required_variable_is_named(self) -> None:
        for name in self.adapter_class.required:
            adapter = self.adapter(**{name: ""})
            assert not adapter.configured
            assert [problem.variable for problem in adapter.problems()] == [name]

    def test_malformed_url_is_named(self) -> None:
        name = next(name for name in self.adapter_class.optional if name.endswith("_API_URL"))
        adapter = self.adapter(**{name: "api.example.com"})
        assert not adapter.configured
        assert [problem.variable for problem in adapter.problems()] == [name]

    def test_half_a_bucket_is_a_problem_and_rooms_can_be_made(self) -> None:
        name = next(name for name in self.adapter_class.optional if name.endswith("_S3_BUCKET"))
        adapter = self.adapter(**{name: ""})
        assert adapter.configured
        assert [problem.variable for problem in adapter.problems()] == [name]

    def test_languages_that_the_call_speaks(self) -> None:
        adapter = self.adapter()
        assert [adapter.speaks(language) for language in ("en", "de-AT", "ja", "xx", "")] == [True] * 3 + [False] * 2

    def test_sdk_names_an_exact_version_and_the_page_script_exists(self) -> None:
        adapter_class = self.adapter_class
        assert adapter_class.sdk.cdn_url.count("@") >= 2
        assert adapter_class.sdk.integrity.startswith("sha384-")
        root = Path(__file__).parents[2] / "platforms" / self.slug / "static"
        script = (root / adapter_class.page_script).read_text()
        assert "export async function startCall(" in script
        assert "export function sdkLoaded(" in script

    # -- door --------------------------------------------------------------------------------------------------------

    def verify(self, headers: dict[str, str], body: bytes, **environ: str) -> Any:
        return self.adapter(**environ).verify(CaseInsensitiveDict(headers), body)

    def secret_variable(self) -> str:
        return next(name for name in self.adapter_class.required if name.endswith("_WEBHOOK_SECRET"))

    def test_signed_delivery_is_accepted(self) -> None:
        body = '{"name":"Zoë \\u0000"}'.encode()
        proof = self.verify(signed(self.slug, body, at=NOW.timestamp()), body)
        assert (proof.at, proof.stale) == (NOW, False)

    def test_headers_are_found_in_any_case(self) -> None:
        headers = {name.lower(): value for name, value in signed(self.slug, b"{}", at=NOW.timestamp()).items()}
        assert self.verify(headers, b"{}").stale is False

    def test_unsigned_delivery_is_rejected(self) -> None:
        headers = signed(self.slug, b"{}", at=NOW.timestamp())
        for name in headers:
            for value in ("", "nonsense", "t=,v1=", "ü", "\udc80"):
                with pytest.raises(DeliveryRejected):
                    self.verify({**headers, name: value}, b"{}")
            with pytest.raises(DeliveryRejected):
                self.verify({other: value for other, value in headers.items() if other != name}, b"{}")

    def test_changed_body_is_rejected(self) -> None:
        headers = signed(self.slug, b'{"a": 1}', at=NOW.timestamp())
        with pytest.raises(DeliveryRejected):
            self.verify(headers, b'{"a":1}')

    def test_both_secrets_are_accepted_during_rotation(self) -> None:
        old, new = BOTH[self.secret_variable()], "bmV3LXNlY3JldC1vZi0zMi1ieXRlcy1vZi1uZXdlciE="
        for secret in (old, new):
            headers = signed(self.slug, b"{}", at=NOW.timestamp(), secret=secret)
            assert self.verify(headers, b"{}", **{self.secret_variable(): f"{new}, {old}"}).stale is False
        with pytest.raises(DeliveryRejected):
            self.verify(signed(self.slug, b"{}", secret=old), b"{}", **{self.secret_variable(): new})

    def test_no_secret_rejects_everything(self) -> None:
        headers = signed(self.slug, b"{}", at=NOW.timestamp())
        with pytest.raises(DeliveryRejected):
            self.verify(headers, b"{}", **{self.secret_variable(): ""})

    @pytest.mark.parametrize(
        ("offset_s", "stale"), [(-299, False), (299, False), (-301, True), (301, True), (-31_536_000, True)]
    )
    def test_age_is_told_and_never_refused(self, offset_s: int, stale: bool) -> None:
        headers = signed(self.slug, b"{}", at=NOW.timestamp() + offset_s)
        assert self.verify(headers, b"{}").stale is stale

    # -- events ------------------------------------------------------------------------------------------------------

    def samples(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(PAYLOADS.glob(f"{self.slug}-*.json"))}

    def test_every_payload_file_is_interpreted(self) -> None:
        adapter = self.adapter()
        answered = {name: adapter.interpret(body) for name, body in self.samples().items()}
        assert answered == {name: (event,) for name, event in self.expected.items()}

    def test_envelopes_of_all_payload_files(self) -> None:
        adapter = self.adapter()
        for name, body in self.samples().items():
            fields = json.loads(body)
            envelope = adapter.describe(body)
            assert (envelope.event_id, envelope.event_type) == (fields.get("id", ""), fields.get("type", ""))
            assert (envelope.occurred_at is None) == ("verification" in name)

    def test_variations_never_raise_and_answer_clean_events(self) -> None:
        adapter = self.adapter()
        count = 0
        for body in self.samples().values():
            for variation in variations(json.loads(body)):
                adapter.describe(variation)
                (event,) = adapter.interpret(variation)
                assert_clean(event, self.slug)
                count += 1
        assert count > 1000

    def test_every_format_that_the_checklist_names_is_read_as_a_recording(self) -> None:
        able = self.adapter_class.capabilities
        assert able.recording_formats == self.formats.keys()
        assert RecordingFormat.MP4 in able.recording_formats, "what we ask for"
        for form, (name, changes) in self.formats.items():
            body = self.samples()[name].decode()
            for old, new in changes.items():
                assert old in body
                body = body.replace(old, new)
            (event,) = self.adapter().interpret(body.encode())
            assert isinstance(event, RecordingReady)
            assert (event.kind, bool(event.room_name)) == (KINDS[form], True)

    @pytest.mark.parametrize("body", JUNK)
    def test_junk_is_unrecognised_with_a_reason(self, body: bytes) -> None:
        adapter = self.adapter()
        adapter.describe(body)
        (event,) = adapter.interpret(body)
        assert isinstance(event, Unrecognised)
        assert event.reason
        assert_clean(event, self.slug)

    # one definition, inherited by each platform's class
    @hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(data=st.data())
    def test_generated_bodies_never_raise(self, data: st.DataObject) -> None:
        sample = json.loads(data.draw(st.sampled_from(sorted(self.samples().values()))))
        path = data.draw(st.sampled_from(list(paths_of(sample))))
        value = data.draw(
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                max_leaves=8,
            )
        )
        adapter = self.adapter()
        body = json.dumps(changed(sample, path, value)).encode()
        adapter.describe(body)
        for event in adapter.interpret(body):
            assert_clean(event, self.slug)

    # -- rooms -------------------------------------------------------------------------------------------------------

    @responses.activate
    def test_created_room_is_spelt_as_events_spell_it(self) -> None:
        responses.post(self.create_url, json=self.create_answer())
        room = self.adapter().create_room(options())
        assert KEY in room.name
        assert "/" not in room.name
        assert room.url.startswith("https://")

    @responses.activate
    def test_create_that_timed_out_is_looked_up_and_not_repeated(self) -> None:
        post = responses.post(self.create_url, body=requests.ReadTimeout())
        self.expect_lookup(found=True)
        room = self.adapter().create_room(options())
        assert KEY in room.name
        assert post.call_count == 1

    @responses.activate
    def test_create_that_broke_off_and_made_nothing_may_be_tried_later(self) -> None:
        post = responses.post(self.create_url, body=requests.ConnectionError("reset"))
        self.expect_lookup(found=False)
        with pytest.raises(PlatformUnavailable):
            self.adapter().create_room(options())
        assert post.call_count == 1

    @responses.activate
    def test_create_answered_with_a_server_error_is_looked_up(self) -> None:
        post = responses.post(self.create_url, status=502, body="<html>bad gateway</html>")
        self.expect_lookup(found=True)
        assert KEY in self.adapter().create_room(options()).name
        assert post.call_count == 1

    @responses.activate
    def test_create_refused_for_a_wrong_key_is_refused(self) -> None:
        responses.post(self.create_url, status=401, json={"error": "authentication-error"})
        with pytest.raises(PlatformRefused) as refused:
            self.adapter().create_room(options())
        assert refused.value.status == 401
        assert refused.value.code == "authentication-error"

    @responses.activate
    def test_short_retry_after_is_waited_for(self) -> None:
        responses.post(self.create_url, status=429, headers={"Retry-After": "0"}, json={"error": "rate-limit-error"})
        responses.post(self.create_url, json=self.create_answer())
        assert KEY in self.adapter().create_room(options()).name

    @responses.activate
    def test_long_retry_after_is_handed_on(self) -> None:
        post = responses.post(self.create_url, status=429, headers={"Retry-After": "38"}, json={"error": "x"})
        with pytest.raises(PlatformUnavailable) as unavailable:
            self.adapter().create_room(options())
        assert unavailable.value.retry_after_s == 38
        assert post.call_count == 1

    @responses.activate
    def test_error_texts_and_logs_hold_no_secret(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        adapter = self.adapter()
        answers: list[dict[str, Any]] = [{"status": 400}, {"status": 401}, {"status": 503}]
        for answer in answers:
            responses.post(self.create_url, json={"error": "e", "info": "see https://x.example/?t=token"}, **answer)
        responses.post(self.create_url, body=requests.ConnectionError("https://x.example/?t=token"))
        for _ in range(4):
            self.expect_lookup(found=False)
        for _ in range(4):
            with pytest.raises((PlatformRefused, PlatformUnavailable)) as raised:
                adapter.create_room(options())
            assert "://" not in str(raised.value)
        secrets = [value for name, value in BOTH.items() if "SECRET" in name or "API_KEY" in name]
        assert not [secret for secret in secrets if secret in caplog.text]
        assert "token" not in caplog.text

    @responses.activate
    def test_requests_carry_the_key(self) -> None:
        responses.post(self.create_url, json=self.create_answer())
        self.adapter().create_room(options())
        key = BOTH[self.adapter_class.required[0]]
        assert responses.calls[0].request.headers["Authorization"] == f"Bearer {key}"

    @responses.activate
    def test_room_that_is_gone_has_ended(self) -> None:
        responses.post(self.create_url, json=self.create_answer())
        room = self.adapter().create_room(options())
        self.expect_end(room, status=404)
        self.adapter().end_room(room)

    @responses.activate
    def test_room_address_of_somebody_else_is_refused(self) -> None:
        answer = json.loads(json.dumps(self.create_answer()).replace("https://", "https://evil.example/"))
        responses.post(self.create_url, json=answer)
        with pytest.raises(PlatformRefused):
            self.adapter().create_room(options())
