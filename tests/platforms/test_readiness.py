"""Readiness checks: asked, kept with evidence and time, and told when they fail."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import responses
from django.test import Client
from django.utils import timezone

from platforms import doctor, readiness, refusals, registry
from platforms.base import ProviderRecording, ProviderTrack
from platforms.buckets import Bucket
from platforms.clocks import clock
from platforms.models import Alert, Heartbeat, ReadinessResult, WebhookEvent
from platforms.sweeper import pollers, row_of
from platforms.tasks import interpret_webhook_event
from tests.accounts_for_platforms import BOTH, ONLY_WHEREBY
from tests.platforms.s3 import s3, s3_url  # noqa: F401  fixtures
from tests.platforms.test_doctor import ONLY_DAILY, WEBHOOK

API = "https://api.daily.co/v1"
DOOR = "https://testserver/v1/webhooks/daily"
ALL = [
    *("credentials", "webhook.registered", "webhook.active", "webhook.retries", "webhook.events", "webhook.secret"),
    *("clock", "bucket.readable", "door", "believed", "delivered", "sweeper", "pollers"),
]


class World:
    """Daily's API and our own door, as the network shows them."""

    def __init__(self, http: responses.RequestsMock) -> None:
        self.http = http
        self.webhook: dict[str, Any] = dict(WEBHOOK, hmac=BOTH["DAILY_WEBHOOK_SECRET"])
        self.api_up = self.door_up = True
        for path in ("/", "/webhooks"):
            http.add_callback(responses.GET, API + path, callback=self.api)
        http.add_callback(responses.POST, DOOR, callback=self.door)

    def api(self, request: Any) -> Any:
        if not self.api_up:
            return 503, {}, "{}"

        body = [self.webhook] if request.path_url.endswith("/webhooks") else {"domain_name": "reflector"}
        return 200, {"Date": format_datetime(datetime.now(UTC), usegmt=True)}, json.dumps(body)

    def door(self, request: Any) -> Any:
        if not self.door_up:
            return 502, {}, ""
        signature = {name: value for name, value in request.headers.items() if name.startswith("X-")}
        answer = Client().post(
            "/v1/webhooks/daily", data=request.body, content_type="application/json", headers=signature
        )
        for pk in WebhookEvent.objects.values_list("pk", flat=True):
            interpret_webhook_event(str(pk))
        return answer.status_code, {}, answer.content


@pytest.fixture
def world(db: None, settings: Any) -> Iterator[World]:
    """Everything is as it should be."""
    settings.PLATFORM_ENVIRON = ONLY_DAILY | {"AWS_DAILY_S3_BUCKET": "", "AWS_DAILY_ROLE_ARN": ""}
    settings.PUBLIC_URL = "https://testserver"
    now = timezone.now()
    Heartbeat.objects.create(name="sweeper", beat_at=now)
    for job in pollers():
        Heartbeat.objects.create(name=row_of(job), beat_at=now, succeeded_at=now)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as http:
        yield World(http)


def check(**how: Any) -> dict[str, ReadinessResult]:
    return {row.key: row for row in readiness.check(registry.get("daily"), **how)}


def statuses() -> dict[str, str]:
    return dict(ReadinessResult.objects.filter(platform="daily").values_list("key", "status"))


def test_everything_as_it_should_be(world):
    rows = check()
    assert list(rows) == ALL
    assert {key: row.status for key, row in rows.items() if row.status != "ok"} == {
        "bucket.readable": "not_applicable",
        "delivered": "unproven",
    }
    assert rows["webhook.active"].evidence["failures in a row"] == 0
    assert rows["clock"].evidence == {"ours ahead by": rows["clock"].evidence["ours ahead by"]}
    assert rows["door"].evidence["address"] == DOOR
    assert not WebhookEvent.objects.exists(), "the knock leaves nothing behind"


def test_answers_are_kept_one_row_per_question(world):
    first = check()["credentials"]
    second = check()["credentials"]
    assert second.pk == first.pk
    assert second.checked_at > first.checked_at
    assert second.since == first.since
    assert ReadinessResult.objects.count() == len(ALL)


def test_webhook_that_has_stopped(world):
    check()
    world.webhook |= {"state": "FAILED", "failedCount": 3}
    row = check()["webhook.active"]
    assert (row.status, row.is_blocking, row.fix) == ("failed", True, "manage.py sync_daily_webhook")
    assert row.evidence["state"] == "FAILED"
    assert row.ok_at is not None
    assert row.since == row.checked_at


def test_api_that_does_not_answer_makes_the_rest_unproven_and_not_failed(world):
    check()
    world.api_up = False
    check()
    found = statuses()
    assert found["credentials"] == "failed"
    assert found["webhook.active"] == "unproven"
    assert found["door"] == "ok"
    assert "could not be asked" in ReadinessResult.objects.get(key="webhook.active").words


def test_signed_round_trip_through_the_public_address(world):
    world.door_up = False
    row = check()["door"]
    assert row.status == "failed"
    assert "502" in row.words


def test_the_providers_own_deliveries_are_told_apart_from_our_knock(world):
    WebhookEvent.objects.create(
        platform="daily", body=b"x", body_sha256="1", signed_at=timezone.now(), event_type=doctor.ROUND_TRIP_TYPE
    )
    assert check()["delivered"].status == "unproven"
    WebhookEvent.objects.create(
        platform="daily", body=b"y", body_sha256="2", signed_at=timezone.now(), event_type="meeting.started"
    )
    assert check()["delivered"].status == "ok"


def test_knocks_that_were_read_too_late_are_cleared_away(world):
    long_ago = timezone.now() - timedelta(hours=2)
    for number, (kind, status) in enumerate(
        [(doctor.ROUND_TRIP_TYPE, "done"), (doctor.ROUND_TRIP_TYPE, "quarantined"), ("meeting.started", "done")]
    ):
        WebhookEvent.objects.create(
            platform="daily",
            body=b"x",
            body_sha256=str(number),
            signed_at=long_ago,
            received_at=long_ago,
            event_type=kind,
            status=status,
        )
    check()
    assert WebhookEvent.objects.count() == 2


def test_sweeper_and_pollers_that_are_silent(world):
    long_ago = timezone.now() - timedelta(minutes=10)
    Heartbeat.objects.update(beat_at=long_ago, succeeded_at=long_ago)
    Heartbeat.objects.filter(name=row_of(pollers()[0])).update(last_error="PlatformUnavailable: no answer")
    rows = check()
    assert (rows["sweeper"].status, rows["pollers"].status) == ("failed", "failed")
    assert "PlatformUnavailable" in rows["pollers"].words


def test_nonsense_from_anybody_is_told_and_does_not_stop_moves(world):
    refusals._written.clear()
    for _ in range(3):
        Client().post("/v1/webhooks/daily", data=b"{}", content_type="application/json")
    row = check()["believed"]
    assert (row.status, row.is_blocking) == ("failed", False)
    assert row.evidence["refused"] == 3


# -- alerts


def test_failure_is_told_when_it_lasts_and_settled_when_it_is_over(world):
    start = timezone.now()
    check(now=start)
    world.webhook |= {"state": "FAILED"}
    check(now=start + timedelta(minutes=10))
    assert not Alert.objects.exists(), "once is no trouble yet"
    check(now=start + timedelta(minutes=11))
    alert = Alert.objects.get(key="check:daily:webhook.active")
    assert "manage.py sync_daily_webhook" in alert.inverse
    assert alert.evidence["state"] == "FAILED"
    assert alert.is_open
    world.webhook |= {"state": "ACTIVE"}
    check(now=start + timedelta(minutes=21))
    alert.refresh_from_db()
    assert not alert.is_open


def test_check_that_was_never_ok_raises_no_alert(world):
    world.webhook |= {"state": "FAILED"}
    for second in range(3):
        check(now=timezone.now() + timedelta(seconds=second))
    assert not Alert.objects.exists()


def test_looked_at_every_ten_minutes_and_again_a_minute_after_a_first_failure(world):
    start = timezone.now()
    assert readiness.is_due("daily", start)
    check(now=start)
    assert not readiness.is_due("daily", start + timedelta(minutes=9))
    later = start + timedelta(minutes=10)
    assert readiness.is_due("daily", later)
    world.webhook |= {"state": "FAILED"}
    check(now=later)
    assert not readiness.is_due("daily", later + timedelta(seconds=30))
    assert readiness.is_due("daily", later + timedelta(minutes=1))
    check(now=later + timedelta(minutes=1))
    assert not readiness.is_due("daily", later + timedelta(minutes=3))


# -- single questions


@pytest.mark.parametrize(
    ("ahead_s", "ok", "blocks"), [(0.3, True, True), (-4.9, True, True), (30, False, False), (-120, False, True)]
)
def test_clocks(ahead_s, ok, blocks):
    finding = clock("Daily", ahead_s)
    assert (finding.ok, finding.blocks) == (ok, blocks)
    if ahead_s < -5:
        assert "behind Daily's" in finding.what


def test_clock_that_was_not_said_is_unproven():
    assert readiness.status_of(clock("Daily", None)) == "unproven"


def bucket(s3_url: str) -> Bucket:  # noqa: F811
    return Bucket(
        "daily-bucket",
        access_key="AKIAMADEUPOURS000000",
        secret_key="made-up",
        region="us-west-2",
        endpoint_url=s3_url,
        label="Daily",
    )


def listed(key: str = "", **more: Any) -> ProviderRecording:
    return ProviderRecording(recording_id="r1", key=key, started_at=datetime(2026, 3, 3, tzinfo=UTC), **more)


def test_newest_recording_is_looked_for_in_the_bucket(s3, s3_url):  # noqa: F811
    s3.put_object(Bucket="daily-bucket", Key="d/room/1", Body=b"four")
    s3.put_object(Bucket="daily-bucket", Key="d/room/2-audio", Body=b"four")
    ours = bucket(s3_url)
    arrived = ours.newest_arrived([listed("d/room/9", state="in-progress"), listed("d/room/1")])
    assert readiness.status_of(arrived) == "ok"
    assert arrived.evidence["bytes"] == 4

    tracks = (ProviderTrack(kind="audio", key="d/room/2-audio"),)
    assert readiness.status_of(ours.newest_arrived([listed("d/room/2", tracks=tracks)])) == "ok"

    elsewhere = ours.newest_arrived([listed("d/room/3"), listed("d/room/1")])
    assert (readiness.status_of(elsewhere), elsewhere.blocks) == ("failed", False)
    assert readiness.status_of(ours.newest_arrived([])) == "unproven"
    assert readiness.status_of(ours.newest_arrived([listed("")])) == "unproven"


@pytest.mark.django_db
def test_platform_that_cannot_be_asked_says_so(settings):
    settings.PLATFORM_ENVIRON = {
        name: value for name, value in ONLY_WHEREBY.items() if not name.startswith("AWS_WHEREBY")
    }
    settings.PUBLIC_URL = "https://testserver"
    with responses.RequestsMock() as http:
        http.get("https://api.whereby.dev/v1/meetings", json={"results": []})
        http.post("https://testserver/v1/webhooks/whereby", status=502)
        rows = {row.key: row for row in readiness.check(registry.get("whereby"))}
    assert rows["webhook.registered"].status == "unproven"
    assert "cannot be asked" in rows["webhook.registered"].words
    assert "webhook.active" not in rows
