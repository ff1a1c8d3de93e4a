"""Looks that raise alerts, and settle them when it is over."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from platforms import calls, refusals, watching
from platforms.metrics import meter
from platforms.models import Alert, WebhookEvent
from tests.accounts_for_platforms import BOTH

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _account(settings: Any, tmp_path: Any) -> None:
    settings.PLATFORM_ENVIRON = BOTH
    settings.MEDIA_STORAGE = f"file://{tmp_path}/media"
    meter.take()


def watch(**later: float) -> None:
    watching.watch(timezone.now() + timedelta(**later))


def open_keys() -> list[str]:
    return list(Alert.objects.filter(settled_at=None).order_by("key").values_list("key", flat=True))


def stuck(number: int) -> WebhookEvent:
    return WebhookEvent.objects.create(
        platform="daily",
        body=b"{}",
        body_sha256=str(number),
        signed_at=timezone.now(),
        status="quarantined",
        finished_at=timezone.now(),
        last_error="ValueError: odd",
    )


def count_calls(failed: int, fine: int, operation: str = "token") -> None:
    for number in range(failed + fine):
        outcome = "failed" if number < failed else "ok"
        meter.note("daily", operation, outcome, error="Daily answered 500 (token)" if outcome == "failed" else "")
    calls.write()


def test_nothing_is_wrong():
    watch()
    assert not Alert.objects.exists()


def test_stuck_work_is_told_once_with_the_way_to_run_it_again():
    stuck(1)
    watch()
    stuck(2)
    watch()
    alert = Alert.objects.get()
    assert (alert.key, alert.times) == ("stuck:platforms.webhookevent", 2)
    assert alert.title == "2 webhook events stuck"
    assert alert.evidence["latest reason"] == "ValueError: odd"
    assert alert.inverse_url == "/admin/platforms/webhookevent/?status__exact=quarantined"
    for event in WebhookEvent.objects.all():
        event.run_again()
    watch()
    assert open_keys() == []


def test_api_that_fails_often_is_told_with_its_numbers():
    count_calls(failed=6, fine=10)
    count_calls(failed=1, fine=0, operation="presence")
    watch()
    alert = Alert.objects.get()
    assert (alert.key, alert.severity) == ("api:daily", "critical")
    assert "7 of 17 calls failed in the last 5 minutes, most of them “token”: Daily answered 500" in alert.words
    assert alert.evidence["per operation"] == {"token": "6 of 16", "presence": "1 of 1"}
    assert alert.inverse_url == "/admin/platform/daily/"
    watch(minutes=10)
    assert open_keys() == []


@pytest.mark.parametrize(("failed", "fine"), [(4, 0), (5, 21), (0, 100)])
def test_few_failures_are_no_trouble(failed, fine):
    count_calls(failed=failed, fine=fine)
    watch()
    assert open_keys() == []


def test_row_of_refused_deliveries_is_told_until_one_is_taken(post):
    refusals._written.clear()
    for number in range(3):
        assert post("daily", b'{"n": %d}' % number, secret="b3RoZXI=").status_code == 401
    watch()
    assert open_keys() == ["refused:daily"]
    assert "DAILY_WEBHOOK_SECRET" in Alert.objects.get().inverse
    assert post("daily", b'{"n": 4}').status_code == 200
    watch()
    assert open_keys() == []


def test_storage_that_cannot_be_written_is_told(settings, tmp_path):
    settings.MEDIA_STORAGE = "file:///dev/null/media"
    watch()
    assert open_keys() == ["ready:storage"]
    assert "MEDIA_STORAGE" in Alert.objects.get().inverse
    settings.MEDIA_STORAGE = f"file://{tmp_path}/media"
    watch()
    assert open_keys() == []
