"""Claims, leases, retries and quarantine, on the row of a webhook event."""

import threading
from datetime import timedelta

import dramatiq
import pytest
from django.db import transaction
from django.utils import timezone
from dramatiq.middleware import Shutdown, TimeLimitExceeded

from platforms import work
from platforms.models import WebhookEvent
from platforms.work import Defer, Hopeless, LeaseLost, Work, claim, kinds, wake_due, work_on

pytestmark = pytest.mark.django_db
NOW = timezone.now


@pytest.fixture
def row(db):
    return WebhookEvent.objects.create(platform="daily", body=b"{}", body_sha256="0" * 64, signed_at=NOW())


def state(row):
    row.refresh_from_db()
    return row.status


def finish(lease):
    with lease.finishing():
        pass


def test_claimed_once(row):
    assert claim(WebhookEvent, row.pk) is not None
    assert claim(WebhookEvent, row.pk) is None
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("running", 1)


def test_not_claimed_before_it_is_due(row):
    WebhookEvent.objects.update(due_at=NOW() + timedelta(seconds=5))
    assert claim(WebhookEvent, row.pk) is None
    assert claim(WebhookEvent, row.pk, now=NOW() + timedelta(seconds=6)) is not None


def test_unknown_rows_are_nobodys():
    assert claim(WebhookEvent, "12345") is None
    work_on(WebhookEvent, "12345", finish)


def test_a_dead_workers_row_is_claimed_after_its_lease(row):
    dead = claim(WebhookEvent, row.pk)
    assert claim(WebhookEvent, row.pk, now=NOW() + work.LEASE - timedelta(seconds=1)) is None
    alive = claim(WebhookEvent, row.pk, now=NOW() + work.LEASE + timedelta(seconds=1))
    assert alive.row.attempts == 2
    finish(alive)
    with pytest.raises(LeaseLost):
        finish(dead)
    for late in (lambda: dead.retry("x"), lambda: dead.quarantine("x"), lambda: dead.defer("x", timedelta(0))):
        late()
        assert state(row) == "done"


def test_a_worker_that_wakes_up_late_changes_nothing(row):
    def frozen(lease):
        claim(WebhookEvent, row.pk, now=NOW() + timedelta(minutes=1))
        with lease.finishing():
            pytest.fail("the lease is somebody else's")

    work_on(WebhookEvent, row.pk, frozen)
    assert state(row) == "running"


def test_effects_and_done_are_one(row):
    def effect_then_failure(lease):
        with lease.finishing():
            WebhookEvent.objects.update(outcome="half")
            raise ValueError("x")

    work_on(WebhookEvent, row.pk, effect_then_failure)
    assert (state(row), row.outcome) == ("pending", "")


def test_pauses_grow_and_then_it_is_stuck(row):
    pauses = []
    for _ in range(WebhookEvent.max_attempts):
        now = NOW()
        work_on(WebhookEvent, row.pk, lambda lease: 1 / 0)
        row.refresh_from_db()
        pauses.append(round((row.due_at - now).total_seconds()))
        WebhookEvent.objects.update(due_at=now)
    assert pauses[:7] == [2, 4, 8, 16, 32, 64, 128]
    assert state(row) == "quarantined"
    assert row.last_error.startswith("ZeroDivisionError")
    assert list(WebhookEvent.objects.stuck()) == [row]


def test_not_ready_uses_up_no_try(row):
    def not_yet(lease):
        raise Defer("the provider is not ready", after=timedelta(seconds=60))

    for _ in range(20):
        work_on(WebhookEvent, row.pk, not_yet)
        row.refresh_from_db()
        assert (row.status, row.attempts) == ("pending", 0)
        assert row.due_at > NOW() + timedelta(seconds=50)
        WebhookEvent.objects.update(due_at=NOW())


def test_hopeless_is_stuck_at_once(row):
    def hopeless(lease):
        raise Hopeless("not a recording\x00")

    work_on(WebhookEvent, row.pk, hopeless)
    assert (state(row), row.last_error) == ("quarantined", "not a recording")


def test_told_to_stop_is_due_again_at_once_for_free(row):
    def interrupted(lease):
        raise Shutdown

    with pytest.raises(Shutdown):
        work_on(WebhookEvent, row.pk, interrupted)
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("pending", 0)
    assert claim(WebhookEvent, row.pk) is not None


def test_too_slow_is_a_failed_try(row):
    def slow(lease):
        raise TimeLimitExceeded

    with pytest.raises(TimeLimitExceeded):
        work_on(WebhookEvent, row.pk, slow)
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("pending", 1)
    assert "TimeLimitExceeded" in row.last_error


def test_what_kills_its_worker_runs_out_of_tries(row):
    for number in range(1, WebhookEvent.max_attempts + 1):
        assert claim(WebhookEvent, row.pk) is not None, number
        WebhookEvent.objects.update(lease_until=NOW() - timedelta(seconds=1))
    assert claim(WebhookEvent, row.pk) is None
    assert state(row) == "quarantined"
    assert "died each time" in row.last_error


def test_run_again_takes_it_from_whoever_has_it(row):
    lease = claim(WebhookEvent, row.pk)
    row.run_again()
    with pytest.raises(LeaseLost):
        finish(lease)
    assert claim(WebhookEvent, row.pk).row.attempts == 1


# wake-up calls


def test_due_rows_are_woken_and_not_again_at_once(row, calls):
    call = ("interpret_webhook_event", str(row.pk))
    assert wake_due() == 0, "the door has just sent a call"
    later = NOW() + work.WAKE_AGAIN + timedelta(seconds=1)
    assert wake_due(now=later) == 1
    assert calls() == [call]
    assert wake_due(now=later) == 0
    assert wake_due(now=later + work.WAKE_AGAIN) == 1


def test_a_dead_workers_row_is_woken(row, calls):
    claim(WebhookEvent, row.pk)
    assert wake_due(now=NOW() + work.LEASE - timedelta(seconds=1)) == 0
    assert wake_due(now=NOW() + work.LEASE + timedelta(seconds=1)) == 1


def test_a_retry_is_woken_as_soon_as_it_is_due(row, calls):
    work_on(WebhookEvent, row.pk, lambda lease: 1 / 0)
    assert wake_due(now=NOW() + timedelta(seconds=1)) == 0
    assert wake_due(now=NOW() + timedelta(seconds=3)) == 1


@pytest.mark.parametrize("status", [Work.Status.DONE, Work.Status.QUARANTINED])
def test_what_is_over_is_left_alone(row, calls, status):
    WebhookEvent.objects.update(status=status)
    assert wake_due(now=NOW() + timedelta(days=1)) == 0


@pytest.mark.parametrize("rows", [1, 3])
def test_waking_costs_two_queries_per_kind_whatever_the_number(row, rows, django_assert_max_num_queries):
    for number in range(rows - 1):
        WebhookEvent.objects.create(platform="daily", body=b"", body_sha256=str(number), signed_at=NOW())
    with django_assert_max_num_queries(len(kinds()) + 1):
        assert wake_due(now=NOW() + timedelta(minutes=1)) == rows


def test_every_kind_of_work_has_its_actor():
    for model in kinds():
        assert dramatiq.get_broker().get_actor(model.actor_name).options["max_retries"] == 0


# the lease is renewed


@pytest.mark.django_db(transaction=True)
def test_a_long_job_keeps_its_lease(row, monkeypatch):
    monkeypatch.setattr(work, "RENEW_EVERY_S", 0.05)
    renewed = threading.Event()

    def long(lease):
        first = lease._mine.get().lease_until
        for _ in range(200):
            if lease._mine.get().lease_until > first:
                renewed.set()
                break
            threading.Event().wait(0.05)
        finish(lease)

    work_on(WebhookEvent, row.pk, long)
    assert renewed.is_set()
    assert state(row) == "done"


def test_wake_up_calls_go_out_after_the_commit_only(row, calls, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        with transaction.atomic():
            row.wake_after_commit()
            transaction.set_rollback(True)
        row.wake_after_commit()
        assert calls() == []
    assert calls() == [("interpret_webhook_event", str(row.pk))]
