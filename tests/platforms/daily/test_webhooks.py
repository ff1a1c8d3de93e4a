"""``manage.py sync_daily_webhook``."""

import json
from io import StringIO
from typing import Any

import pytest
import requests
import responses
from django.core.management import CommandError, call_command

from tests.accounts_for_platforms import BOTH, ONLY_WHEREBY
from tests.platforms.daily.test_contract import API

URL = "https://rooms.example.org/v1/webhooks/daily"
EVENT_TYPES = [
    "meeting.started",
    "meeting.ended",
    "participant.joined",
    "participant.left",
    "waiting-participant.joined",
    "waiting-participant.left",
    "recording.started",
    "recording.ready-to-download",
    "recording.error",
]
OURS = {
    "uuid": "w-1",
    "url": URL,
    "hmac": BOTH["DAILY_WEBHOOK_SECRET"],
    "retryType": "exponential",
    "eventTypes": EVENT_TYPES,
    "state": "ACTIVE",
}
WANTED = {"url": URL, "eventTypes": EVENT_TYPES, "retryType": "exponential", "hmac": BOTH["DAILY_WEBHOOK_SECRET"]}


@pytest.fixture(autouse=True)
def _account(settings: Any) -> None:
    settings.PLATFORM_ENVIRON = BOTH
    settings.PUBLIC_URL = "https://rooms.example.org"


def sync(*arguments: str) -> str:
    out = StringIO()
    call_command("sync_daily_webhook", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as error:
        sync(*arguments)
    return error.value.returncode, str(error.value)


@responses.activate
def test_first_time_creates() -> None:
    responses.get(f"{API}/webhooks", json=[])
    created = responses.post(f"{API}/webhooks", json=OURS)
    assert "now sends" in sync()
    assert json.loads(created.calls[0].request.body or b"") == WANTED


@responses.activate
def test_second_time_changes_nothing() -> None:
    responses.get(f"{API}/webhooks", json=[OURS])
    assert "Nothing to do" in sync()
    assert len(responses.calls) == 1


@pytest.mark.parametrize(
    "difference",
    [
        {"state": "FAILED"},
        {"retryType": "circuit-breaker"},
        {"eventTypes": EVENT_TYPES[1:]},
        {"hmac": "b2xk"},
        {"hmac": None},
        {"url": f"{URL}/"},
        {"url": "https://rooms.example.org/v1/daily/webhook"},
    ],
)
@responses.activate
def test_own_webhook_is_mended_in_place(difference: dict[str, Any]) -> None:
    responses.get(f"{API}/webhooks", json=[{**OURS, **difference}])
    updated = responses.post(f"{API}/webhooks/w-1", json=OURS)
    assert "now points" in sync()
    assert json.loads(updated.calls[0].request.body or b"") == WANTED


@responses.activate
def test_somebody_elses_webhook_is_left_alone_until_taken_over() -> None:
    responses.get(f"{API}/webhooks", json=[{**OURS, "url": "https://staging.example.org/v1/webhooks/daily"}])
    updated = responses.post(f"{API}/webhooks/w-1", json=OURS)
    code, words = refused()
    assert code == 1
    assert "staging.example.org" in words
    assert "--take-over" in words
    assert updated.call_count == 0
    assert "now points" in sync("--take-over")
    assert updated.call_count == 1


@responses.activate
def test_newest_of_several_secrets_is_registered(settings: Any) -> None:
    settings.PLATFORM_ENVIRON = {**BOTH, "DAILY_WEBHOOK_SECRET": f"bmV3ZXN0,{BOTH['DAILY_WEBHOOK_SECRET']}"}
    responses.get(f"{API}/webhooks", json=[])
    created = responses.post(f"{API}/webhooks", json=OURS)
    sync()
    assert json.loads(created.calls[0].request.body or b"")["hmac"] == "bmV3ZXN0"


@responses.activate
def test_failures_are_one_sentence_with_an_exit_code(settings: Any) -> None:
    responses.get(f"{API}/webhooks", body=requests.ConnectTimeout())
    code, words = refused()
    assert (code, "try again" in words) == (3, True)
    responses.reset()
    responses.get(f"{API}/webhooks", json=[])
    responses.post(f"{API}/webhooks", status=400, json={"error": "invalid-request-error", "info": "non-200 status"})
    code, words = refused()
    assert (code, "reachable" in words) == (1, True)


@responses.activate
def test_account_without_a_card_is_told_so() -> None:
    responses.get(f"{API}/webhooks", json=[])
    responses.post(f"{API}/webhooks", status=400, json={"error": "invalid-plan-type"})
    code, words = refused()
    assert (code, "payment method" in words, "reachable" in words) == (1, True, False)


def test_needs_https_and_an_account(settings: Any) -> None:
    settings.PUBLIC_URL = "http://rooms.example.org"
    assert refused()[0] == 1
    settings.PLATFORM_ENVIRON = ONLY_WHEREBY
    code, words = refused()
    assert (code, "DAILY_API_KEY" in words) == (1, True)
