"""Who sweeps, which jobs run when, and what a failing one does to the others."""

import threading
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from platforms import periodic
from platforms import sweeper as sweeping
from platforms.models import Heartbeat, WebhookEvent
from platforms.sweeper import LEASE, Sweeper

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def ran(monkeypatch):
    """Only these jobs exist: ``a`` each minute, ``bad`` fails, ``z`` each minute. The list says what ran."""
    log = []

    def bad(now):
        log.append("bad")
        raise RuntimeError("broken\x00 job")

    jobs = {
        "a": periodic.Job("a", 60, lambda now: log.append("a")),
        "bad": periodic.Job("bad", 60, bad),
        "z": periodic.Job("z", 60, lambda now: log.append("z")),
    }
    monkeypatch.setattr(periodic, "_jobs", jobs)
    return log


def test_a_pass_runs_every_job_and_one_that_fails_stops_nobody(ran):
    assert Sweeper().once(now=NOW) == ["bad"]
    assert ran == ["a", "bad", "z"]
    bad, good = Heartbeat.objects.get(name="job:bad"), Heartbeat.objects.get(name="job:z")
    assert (bad.last_error, bad.succeeded_at) == ("RuntimeError: broken job", None)
    assert (good.last_error, good.succeeded_at is not None) == ("", True)


def test_jobs_come_round_when_their_time_has_come(ran):
    Sweeper().once(now=NOW)
    ran.clear()
    Sweeper().once(now=NOW + timedelta(seconds=59))
    assert ran == []
    Sweeper().once(now=NOW + timedelta(seconds=59), every_job=True)
    assert ran == ["a", "bad", "z"]
    ran.clear()
    Sweeper().once(now=NOW + timedelta(seconds=119))
    assert ran == ["a", "bad", "z"]


def test_of_several_one_sweeps_and_another_takes_over(ran):
    first, second = Sweeper(), Sweeper()
    assert first._take("sweeper", NOW)
    assert first._take("sweeper", NOW + timedelta(seconds=5)), "its own lease can be renewed"
    assert second.once(now=NOW + timedelta(seconds=6)) is None
    assert ran == []
    assert second.once(now=NOW + timedelta(seconds=6) + LEASE) is not None
    assert ran == ["a", "bad", "z"]


def test_a_pass_hands_over_at_once(ran):
    assert Sweeper().once(now=NOW) is not None
    assert Sweeper().once(now=NOW) is not None


def test_a_job_that_still_runs_elsewhere_is_not_run_twice(ran):
    elsewhere = Sweeper()
    assert elsewhere._take_job(periodic.jobs()[0], NOW)
    Sweeper().once(now=NOW, every_job=True)
    assert ran == ["bad", "z"]


def test_a_pass_wakes_due_work(ran, calls):
    row = WebhookEvent.objects.create(
        platform="daily", body=b"", body_sha256="x", signed_at=NOW, due_at=NOW, woken_at=NOW
    )
    Sweeper().once(now=NOW + timedelta(minutes=1))
    assert calls() == [("interpret_webhook_event", str(row.pk))]


def test_the_command_says_what_failed(ran):
    with pytest.raises(CommandError, match="failed: bad"):
        call_command("sweep")


def test_the_command_leaves_work_to_another_sweeper(ran):
    Sweeper()._take("sweeper", timezone.now())
    out = StringIO()
    call_command("sweep", stdout=out)
    assert "Another sweeper" in out.getvalue()
    assert ran == []


def test_our_own_jobs_are_registered():
    names = [job.name for job in periodic.jobs()]
    assert len(names) == len(set(names))


def until(true, within_s=10):
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_hangs_holds_up_nobody(monkeypatch):
    release, ran = threading.Event(), []
    jobs = {
        "hangs": periodic.Job("hangs", 0, lambda now: release.wait(20)),
        "quick": periodic.Job("quick", 0, lambda now: ran.append(now)),
    }
    monkeypatch.setattr(periodic, "_jobs", jobs)
    monkeypatch.setattr(sweeping, "TICK_S", 0.02)
    stop = threading.Event()
    sweeper = Sweeper()
    loop = threading.Thread(target=sweeper.loop, args=(stop,))
    loop.start()
    try:
        until(lambda: len(ran) >= 3)
        assert Heartbeat.objects.get(name="sweeper").held_until is not None
    finally:
        stop.set()
        release.set()
        loop.join(10)
        for job in list(sweeper._running.values()):
            job.join(10)
    assert Heartbeat.objects.get(name="sweeper").held_until is None, "it hands over when it leaves"
