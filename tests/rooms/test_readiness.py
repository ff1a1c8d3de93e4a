"""Failed readiness checks stop moves, unless staff waived them."""

from datetime import timedelta
from typing import Any

import pytest

from platforms.models import ReadinessResult
from rooms.models import Waiver
from rooms.readiness import blockers
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def result(key: str = "webhook.active", status: str = "failed", **fields: Any) -> ReadinessResult:
    return ReadinessResult.objects.create(
        **{
            "platform": "daily",
            "key": key,
            "title": "Webhook active",
            "status": status,
            "words": "the webhook is FAILED",
            "fix": "run the sync",
            "checked_at": NOW,
            **fields,
        }
    )


def waiver(**fields: Any) -> Waiver:
    return Waiver.objects.create(
        **{
            "platform": "daily",
            "check_key": "webhook.active",
            "reason": "known",
            "created_at": NOW,
            "expires_at": NOW + timedelta(days=1),
            **fields,
        }
    )


def keys(**how: Any) -> list[str]:
    return [blocker.key for blocker in blockers("daily", now=NOW, **how)]


def test_check_that_was_never_run_blocks_only_who_names_it():
    assert keys() == []
    assert keys(named=["webhook.active"]) == ["webhook.active"]
    [blocker] = blockers("daily", now=NOW, named=["webhook.active"])
    assert blocker.words.startswith("The check “webhook.active” was never run on this platform.")


def test_failed_blocking_check_says_what_was_found_and_what_to_do():
    result()
    [blocker] = blockers("daily", now=NOW)
    assert blocker.words == "Webhook active: the webhook is FAILED. What to do: run the sync."
    assert blockers("whereby", now=NOW) == []


@pytest.mark.parametrize(
    ("status", "who_names_it"), [("ok", []), ("unproven", ["webhook.active"]), ("not_applicable", [])]
)
def test_only_failed_checks_block_and_unproven_ones_who_names_them(status, who_names_it):
    result(status=status)
    assert keys() == []
    assert keys(named=["webhook.active"]) == who_names_it
    waiver()
    assert keys(named=["webhook.active"]) == []


def test_check_that_does_not_block_blocks_only_who_names_it_and_blocking_ones_always_do():
    result("bucket.newest", is_blocking=False)
    result("credentials")
    assert keys() == ["credentials"]
    assert keys(named=["bucket.newest"]) == ["bucket.newest", "credentials"]
    assert keys(named=["webhook.active"]) == ["credentials", "webhook.active"]


def test_old_result_counts_and_says_how_old_it_is():
    result(checked_at=NOW - timedelta(hours=3))
    [blocker] = blockers("daily", now=NOW)
    assert "3 h ago" in blocker.words


@pytest.mark.parametrize(
    ("fields", "blocked"),
    [
        ({}, False),
        ({"expires_at": NOW}, True),
        ({"withdrawn_at": NOW}, True),
        ({"platform": "whereby"}, True),
        ({"check_key": "credentials"}, True),
    ],
)
def test_waiver_lets_its_check_through_until_it_expires_or_is_withdrawn(fields, blocked):
    result()
    waiver(**fields)
    assert bool(keys()) is blocked
    assert bool(keys(named=["webhook.active"])) is blocked


def test_blockers_ask_two_queries(django_assert_num_queries):
    for number in range(5):
        result(f"check-{number}")
    with django_assert_num_queries(2):
        blockers("daily", now=NOW)
