"""``manage.py sync_daily_webhook`` with a provider that probes the door before it agrees."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from platforms.models import WebhookEvent
from tests.platforms.played.conftest import Played


def sync(*arguments: str) -> str:
    out = StringIO()
    call_command("sync_daily_webhook", *arguments, stdout=out)
    return out.getvalue()


def hook(played: Played) -> dict[str, Any]:
    found = played.sandbox.daily.webhook()
    assert found is not None
    return found


def test_registered_once_and_then_left_alone(played: Played, live_server: Any) -> None:
    assert "now sends" in sync()
    first = hook(played)
    assert (first["url"], first["retryType"], first["state"]) == (
        f"{live_server.url}/v1/webhooks/daily",
        "exponential",
        "ACTIVE",
    )
    assert "Nothing to do" in sync()
    assert hook(played) == first
    # the probe was signed with our secret, and so is what comes now
    assert WebhookEvent.objects.count() == 0


def test_failed_webhook_is_activated_again(played: Played) -> None:
    sync()
    played.sandbox.store.put("webhook", {**hook(played), "state": "FAILED", "failedCount": 3})
    assert "changed: state" in sync()
    assert (hook(played)["state"], hook(played)["failedCount"]) == ("ACTIVE", 0)


def test_somebody_elses_is_refused_and_then_taken_over(played: Played, live_server: Any) -> None:
    sync()
    played.sandbox.store.put("webhook", {**hook(played), "url": "https://staging.example.org/v1/webhooks/daily"})
    with pytest.raises(CommandError, match="staging.example.org") as refused:
        sync()
    assert (refused.value.returncode, "--take-over" in str(refused.value)) == (1, True)
    assert hook(played)["url"] == "https://staging.example.org/v1/webhooks/daily"
    assert "now points" in sync("--take-over")
    assert hook(played)["url"] == f"{live_server.url}/v1/webhooks/daily"


def test_take_over_that_the_door_does_not_answer_changes_nothing(
    played: Played, live_server: Any, settings: Any
) -> None:
    """The provider's probe meets a 404: it keeps the webhook that it has, and we say what to look at."""
    sync()
    there = {**hook(played), "url": "https://staging.example.org/v1/webhooks/daily"}
    played.sandbox.store.put("webhook", there)
    settings.PUBLIC_URL = f"{live_server.url}/behind-a-wrong-prefix"
    with pytest.raises(CommandError, match="reachable") as refused:
        sync("--take-over")
    assert refused.value.returncode == 1
    assert hook(played)["url"] == there["url"]
