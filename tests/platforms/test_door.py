"""The webhook door, by HTTP only."""

import hashlib
import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from platforms.models import Heartbeat, WebhookEvent
from platforms.views import MOST_BYTES
from tests.accounts_for_platforms import BOTH
from tests.signing import SLUGS, signed

PAYLOADS = Path(__file__).parent.parent / "payloads"
JOINED = {
    "daily": (PAYLOADS / "daily-participant.joined.json").read_bytes(),
    "whereby": (PAYLOADS / "whereby-room.client.joined.json").read_bytes(),
}
ADDRESSES = [
    ("daily", "/v1/webhooks/daily"),
    ("daily", "/v1/daily"),
    ("daily", "/v1/daily/webhook"),
    ("whereby", "/v1/webhooks/whereby"),
    ("whereby", "/v1/whereby"),
    ("whereby", "/v1/whereby_webhook"),
]
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("platform", "address"), ADDRESSES)
def test_every_address_takes_a_signed_delivery(post, the_event, platform, address, slash):
    answer = post(platform, JOINED[platform], address=address + slash)
    assert answer.status_code == 200
    event = the_event()
    assert (event.platform, bytes(event.body)) == (platform, JOINED[platform])
    assert event.body_sha256 == hashlib.sha256(JOINED[platform]).hexdigest()


@pytest.mark.parametrize("platform", SLUGS)
def test_the_address_has_a_name(platform):
    assert reverse(f"webhook-{platform}") == f"/v1/webhooks/{platform}"


def test_what_the_door_can_tell_is_on_the_row(post, the_event):
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        post("daily", JOINED["daily"])
    event = the_event()
    assert event.event_type == "participant.joined"
    assert event.event_id == "ptcpt-join-6497c79b-f326-4942-aef8-c36a29140ad1-1708972279961"
    assert event.occurred_at is not None
    assert event.received_at == now
    assert abs(event.signed_at - now) < timedelta(seconds=1)
    assert not event.is_stale
    assert event.status == WebhookEvent.Status.PENDING


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head"])
@pytest.mark.parametrize(("platform", "address"), ADDRESSES)
def test_other_methods_are_405_never_a_redirect(both, client, method, platform, address):
    for path in (address, f"{address}/"):
        assert getattr(client, method)(path).status_code == 405


@pytest.mark.parametrize("platform", SLUGS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Webhook-Signature": "", "X-Webhook-Timestamp": "", "Whereby-Signature": ""},
        {"X-Webhook-Signature": "é", "X-Webhook-Timestamp": "é", "Whereby-Signature": "t=é,v1=é"},
        {"X-Webhook-Signature": "AAAA", "X-Webhook-Timestamp": "1" * 400, "Whereby-Signature": f"t={'1' * 400},v1=00"},
        {"X-Webhook-Signature": "AAAA", "X-Webhook-Timestamp": "-1", "Whereby-Signature": "t=-1,v1=zz,v1=yy,,="},
        {"X-Webhook-Signature": "AAAA", "X-Webhook-Timestamp": "nan", "Whereby-Signature": "v1="},
    ],
)
def test_unsigned_is_401_and_not_stored(both, client, platform, headers):
    answer = client.post(
        f"/v1/webhooks/{platform}", data=JOINED[platform], content_type="application/json", headers=headers
    )
    assert answer.status_code == 401
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("platform", SLUGS)
def test_a_signature_of_other_bytes_is_401(both, client, platform):
    headers = signed(platform, JOINED[platform])
    answer = client.post(
        f"/v1/webhooks/{platform}", data=JOINED[platform] + b" ", content_type="application/json", headers=headers
    )
    assert answer.status_code == 401
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("platform", SLUGS)
def test_without_a_secret_nothing_is_believed(settings, client, platform):
    settings.PLATFORM_ENVIRON = {}
    for headers in ({}, signed(platform, JOINED[platform]), signed(platform, JOINED[platform], secret="AAAA")):
        answer = client.post(
            f"/v1/webhooks/{platform}", data=JOINED[platform], content_type="application/json", headers=headers
        )
        assert answer.status_code == 401
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("platform", SLUGS)
def test_an_old_and_a_new_secret_are_both_good(settings, post, platform):
    other = {"daily": "b2xkLXNlY3JldA==", "whereby": "old-secret"}[platform]
    name = f"{platform.upper()}_WEBHOOK_SECRET"
    settings.PLATFORM_ENVIRON = BOTH | {name: f"{BOTH[name]}, {other}"}
    assert post(platform, b'{"a": 1}').status_code == 200
    assert post(platform, b'{"a": 2}', secret=other).status_code == 200
    assert WebhookEvent.objects.count() == 2


@pytest.mark.parametrize("configured", [True, False])
@pytest.mark.parametrize("platform", SLUGS)
@pytest.mark.parametrize("body", [b'{"test":"test"}', b'{"test": "test"}', b' {\r\n\t"test" :\n"test" }\n'])
def test_the_probe_is_200_and_not_stored(settings, client, body, platform, configured):
    settings.PLATFORM_ENVIRON = BOTH if configured else {}
    for headers in ({}, signed(platform, body)):
        answer = client.post(f"/v1/webhooks/{platform}", data=body, content_type="text/plain", headers=headers)
        assert answer.status_code == 200
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b'{"test":"test","x":1}',
        b'{"test":"test"}{}',
        b'[{"test":"test"}]',
        b'{"test":"Test"}',
        b'{"test":"test","test":"test"}',
        b"",
    ],
)
def test_what_only_resembles_the_probe_is_401(both, client, body):
    answer = client.post("/v1/webhooks/daily", data=body, content_type="application/json")
    assert answer.status_code == 401


@pytest.mark.parametrize("platform", SLUGS)
@pytest.mark.parametrize("age", [timedelta(minutes=6), timedelta(days=400), -timedelta(days=400)])
def test_signed_long_ago_is_taken_and_flagged(post, the_event, platform, age):
    assert post(platform, JOINED[platform], at=(timezone.now() - age).timestamp()).status_code == 200
    assert the_event().is_stale


@pytest.mark.parametrize("at", [0, 10**8, 10**11])
@pytest.mark.parametrize("platform", SLUGS)
def test_signed_at_an_absurd_time_is_taken(post, the_event, platform, at):
    assert post(platform, JOINED[platform], at=at).status_code == 200
    assert the_event().is_stale


def test_daily_timestamps_in_seconds_are_understood(both, client, the_event):
    at = int(time.time())
    headers = signed("daily", JOINED["daily"], at=at / 1000)
    assert headers["X-Webhook-Timestamp"] == str(at)
    answer = client.post("/v1/webhooks/daily", data=JOINED["daily"], content_type="application/json", headers=headers)
    assert answer.status_code == 200
    assert not the_event().is_stale


def test_the_same_body_again_is_counted(post, the_event):
    assert [post("daily", JOINED["daily"]).status_code for _ in range(3)] == [200] * 3
    event = the_event()
    assert event.duplicates == 2
    assert event.last_duplicate_at >= event.received_at


def test_one_id_under_two_bodies_are_two_deliveries(post):
    for room in ("one", "two"):
        assert post("daily", json.dumps({"id": "same", "payload": {"room": room}}).encode()).status_code == 200
    assert WebhookEvent.objects.filter(event_id="same").count() == 2


def test_the_same_body_at_two_platforms_are_two_deliveries(post):
    for platform in SLUGS:
        assert post(platform, b"{}").status_code == 200
    assert WebhookEvent.objects.count() == 2


def test_longest_body_is_taken_one_more_byte_is_not(post):
    longest = b'"' + b"x" * (MOST_BYTES - 2) + b'"'
    assert post("daily", longest).status_code == 200
    assert post("daily", longest + b" ").status_code == 413
    assert WebhookEvent.objects.count() == 1


class Unread:
    """A request body that must not be touched."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("the body was read")


def test_too_long_is_413_without_reading(both, rf):
    from platforms.views import WebhookDoor

    request = rf.generic("POST", "/v1/webhooks/daily")
    request.META["CONTENT_LENGTH"] = str(MOST_BYTES + 1)
    request._stream = Unread()
    assert WebhookDoor.as_view(platform="daily")(request).status_code == 413


class Counting:
    """An endless chunked body that counts what was taken."""

    taken = 0

    def read(self, size: int) -> bytes:
        self.taken += size
        return b"x" * size


def test_a_body_without_length_is_read_to_the_limit_only(both, rf):
    from platforms.views import WebhookDoor

    endless = Counting()
    request = rf.generic("POST", "/v1/webhooks/daily")
    request.META |= {"wsgi.input": endless, "wsgi.input_terminated": True}
    request.META.pop("CONTENT_LENGTH", None)
    assert WebhookDoor.as_view(platform="daily")(request).status_code == 413
    assert endless.taken == MOST_BYTES + 1


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "", "*/*;q=0"])
@pytest.mark.parametrize("content_type", ["application/json", "text/xml", "multipart/form-data", "nonsense", ""])
def test_no_header_of_the_sender_matters(both, client, accept, content_type):
    body = JOINED["daily"]
    answer = client.post(
        "/v1/webhooks/daily?format=xml",
        data=body,
        content_type=content_type,
        headers={"Accept": accept, "Origin": "https://elsewhere.example", **signed("daily", body)},
    )
    assert answer.status_code == 200
    assert bytes(WebhookEvent.objects.get().body) == body


def test_only_harmless_headers_are_kept(both, client, the_event):
    answer = client.post(
        "/v1/webhooks/daily",
        data=JOINED["daily"],
        content_type="application/json",
        headers={
            "Authorization": "Basic c2VjcmV0",
            "Cookie": "sessionid=secret",
            "User-Agent": "Sender/1 \x00" + "x" * 400,
            **signed("daily", JOINED["daily"]),
        },
    )
    assert answer.status_code == 200
    kept = the_event().headers
    assert set(kept) == {"Content-Type", "Content-Length", "User-Agent", "X-Webhook-Timestamp"}
    assert len(kept["User-Agent"]) == 300


def test_the_wake_up_call_follows_the_commit(post, the_event, calls, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        post("daily", JOINED["daily"])
        assert calls() == []
    assert calls() == [("interpret_webhook_event", str(the_event().pk))]


def test_a_duplicate_wakes_nobody(post, calls, django_capture_on_commit_callbacks):
    post("daily", JOINED["daily"])
    with django_capture_on_commit_callbacks(execute=True):
        post("daily", JOINED["daily"])
    assert calls() == []


def test_refusals_are_counted_until_one_is_taken(both, client, post):
    from platforms import refusals

    refusals._written.clear()
    for _ in range(3):
        client.post("/v1/webhooks/daily", data=b"{}", content_type="application/json")
    found = refusals.standing("daily", now=timezone.now())
    assert found.count == 3
    assert refusals.standing("whereby", now=timezone.now()) is None
    post("daily", JOINED["daily"])
    assert refusals.standing("daily", now=timezone.now()) is None
    client.post("/v1/webhooks/daily", data=b"{}", content_type="application/json")
    assert refusals.standing("daily", now=timezone.now()).count == 1
    assert refusals.standing("daily", now=timezone.now() + timedelta(days=2)) is None


def test_a_flood_of_nonsense_is_not_a_flood_of_writes(both, client, django_assert_max_num_queries):
    from platforms import refusals

    refusals._written.clear()
    for _ in range(refusals.MOST_WRITES):
        client.post("/v1/webhooks/daily", data=b"{}", content_type="application/json")
    with django_assert_max_num_queries(0):
        answer = client.post("/v1/webhooks/daily", data=b"{}", content_type="application/json")
    assert answer.status_code == 401
    assert Heartbeat.objects.get(name="refused:daily").state["count"] == refusals.MOST_WRITES


def test_the_log_holds_no_body_and_no_signature(both, client, post, caplog):
    client.post(
        "/v1/webhooks/daily",
        data=JOINED["daily"],
        content_type="application/json",
        headers={"X-Webhook-Signature": "c2lnbmF0dXJl", "X-Webhook-Timestamp": "1708972279961"},
    )
    post("daily", JOINED["daily"])
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "daily" in logged
    for secret in ("testuser", "c2lnbmF0dXJl", "6497c79b"):
        assert secret not in logged
