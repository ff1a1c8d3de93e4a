"""The guardian against the sandbox, over HTTP: a webhook that stops is started again, and the gap is filled."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from platforms import guardian, registry
from platforms.models import Alert, Heartbeat, WebhookEvent, WebhookGap
from platforms.sweeper import Sweeper, pollers, row_of
from tests.accounts_for_platforms import ONLY_WHEREBY
from tests.platforms.sandbox.conftest import Receiver, receiver  # noqa: F401  a fixture
from tests.platforms.sandbox.process import Process

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process.start(tmp_path_factory.mktemp("sandbox")).ready()
    yield process
    process.stop()


@pytest.fixture
def account(sandbox: Process, settings: Any, receiver: Receiver) -> Iterator[Process]:  # noqa: F811
    """Accounts in the sandbox; our address answers what the receiver is told to."""
    settings.PLATFORM_ENVIRON = sandbox.variables()
    settings.PUBLIC_URL = receiver.url
    yield sandbox
    sandbox.control("POST", "reset", {"webhooks": True})


def daily() -> Any:
    return registry.get("daily")


def register() -> None:
    daily().keep_webhook(webhook_url=f"{public()}/v1/webhooks/daily")


def public() -> str:
    from django.conf import settings

    return str(settings.PUBLIC_URL)


def hook(account: Process) -> dict[str, Any]:
    [found] = account.api("GET", "daily", "/webhooks")
    return dict(found)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def break_it(account: Process, receiver: Receiver) -> None:  # noqa: F811
    """Three deliveries that are answered 500 stop a webhook that is not exponential."""
    account.api("POST", "daily", f"/webhooks/{hook(account)['uuid']}", {"retryType": "circuit-breaker"})
    account.api("POST", "daily", "/rooms", {"name": "demo", "privacy": "public"})
    receiver.statuses = [500] * 3
    for name in ("Ann", "Ben", "Cem"):
        account.control("POST", "people", {"platform": "daily", "room": "demo", "name": name})
    until(lambda: hook(account)["state"] == "FAILED")
    receiver.statuses = []


def guard() -> None:
    guardian.guard_all(timezone.now())


def test_webhook_that_works_is_left_alone(account, receiver):  # noqa: F811
    register()
    before = hook(account)
    guard()
    assert hook(account) == before
    assert not WebhookGap.objects.exists()
    assert not Alert.objects.exists()
    seen = guardian.last_look("daily")
    assert seen is not None
    assert (seen["is_ours"], seen["is_active"], seen["failed_count"]) == (True, True, 0)


def test_failed_webhook_is_started_again_and_its_gap_is_recorded(account, receiver):  # noqa: F811
    register()
    last = WebhookEvent.objects.create(
        platform="daily", body=b"{}", body_sha256="0" * 64, signed_at=timezone.now(), event_type="participant.joined"
    )
    break_it(account, receiver)
    guard()

    shown = hook(account)
    assert (shown["state"], shown["retryType"], shown["failedCount"]) == ("ACTIVE", "exponential", 0)
    gap = WebhookGap.objects.get()
    assert gap.began_at == last.received_at
    assert gap.mended_at is not None
    assert "FAILED" in gap.cause
    alert = Alert.objects.get()
    assert alert.evidence["state"] == "FAILED"
    assert alert.evidence["failures in a row"] == 3
    assert not alert.is_open

    receiver.got.clear()
    account.control("POST", "people", {"platform": "daily", "room": "demo", "name": "Dan"})
    until(lambda: any(event["payload"].get("user_name") == "Dan" for event in receiver.events()))


def test_pollers_are_sent_to_fill_the_gap(account, receiver):  # noqa: F811
    register()
    guard()
    now = timezone.now()
    names = [row_of(job) for job in pollers()]
    assert len(names) == 2
    for name in names:
        Heartbeat.objects.create(name=name, beat_at=now, succeeded_at=now)
    break_it(account, receiver)
    guard()
    assert not Heartbeat.objects.filter(name__in=names, beat_at__isnull=False).exists()
    assert {job.name for job in Sweeper()._due(now)} >= {job.name for job in pollers()}

    assert WebhookGap.objects.get().filled_at is None
    later = timezone.now() + timedelta(seconds=5)
    Heartbeat.objects.filter(name=names[0]).update(beat_at=later, succeeded_at=later)
    guardian.guard_all(later)
    assert WebhookGap.objects.get().filled_at is None, "only one of two pollers has looked"
    Heartbeat.objects.filter(name=names[1]).update(beat_at=later, succeeded_at=later)
    guardian.guard_all(later)
    assert WebhookGap.objects.get().filled_at == later


def test_webhook_that_vanished_is_made_anew(account, receiver):  # noqa: F811
    register()
    guard()
    account.api("DELETE", "daily", f"/webhooks/{hook(account)['uuid']}")
    guard()
    assert hook(account)["url"] == f"{receiver.url}/v1/webhooks/daily"
    assert WebhookGap.objects.get().cause == "the webhook is gone"


def test_no_webhook_is_made_where_none_was_ever_ours(account, receiver):  # noqa: F811
    guard()
    assert account.api("GET", "daily", "/webhooks") == []
    assert not WebhookGap.objects.exists()


def test_webhook_that_points_elsewhere_is_never_taken_over(account, receiver):  # noqa: F811
    register()
    guard()
    elsewhere = f"{receiver.url}/somebody/else"
    account.api("POST", "daily", f"/webhooks/{hook(account)['uuid']}", {"url": elsewhere})
    for _ in range(2):
        guard()
    assert hook(account)["url"] == elsewhere
    gap, alert = WebhookGap.objects.get(), Alert.objects.get()
    assert gap.mended_at is None
    assert (alert.severity, alert.times, alert.is_open) == ("critical", 2, True)
    assert elsewhere in alert.words
    assert "left alone" in alert.words

    account.api("POST", "daily", f"/webhooks/{hook(account)['uuid']}", {"url": f"{receiver.url}/v1/webhooks/daily"})
    guard()
    gap.refresh_from_db()
    alert.refresh_from_db()
    assert gap.mended_at is not None
    assert not alert.is_open


def test_webhook_elsewhere_that_was_never_ours_raises_nothing(account, receiver):  # noqa: F811
    account.api("POST", "daily", "/webhooks", {"url": f"{receiver.url}/somebody/else"})
    guard()
    assert not Alert.objects.exists()


def test_webhook_that_cannot_be_mended_is_tried_again(account, receiver):  # noqa: F811
    register()
    guard()
    break_it(account, receiver)
    receiver.statuses = [503]  # the question whether anybody is there
    guard()
    assert hook(account)["state"] == "FAILED"
    alert = Alert.objects.get()
    assert (alert.severity, alert.is_open) == ("critical", True)
    assert "could not be mended" in alert.words
    guard()
    assert hook(account)["state"] == "ACTIVE"
    assert WebhookGap.objects.count() == 1
    alert.refresh_from_db()
    assert not alert.is_open


def test_provider_that_does_not_answer_changes_nothing(account, receiver):  # noqa: F811
    register()
    guard()
    account.control("POST", "faults/daily", {"down": True})
    guard()
    account.control("DELETE", "faults/daily")
    assert not Alert.objects.exists()
    assert not WebhookGap.objects.exists()


def test_platform_without_webhook_api_is_not_asked(settings, tmp_path: Path):
    settings.PLATFORM_ENVIRON = ONLY_WHEREBY
    guard()
    assert guardian.last_look("whereby") is None
