"""Webhook and poller lead to the same rows, in any order, any number of times, through outages and paging."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlparse

import pytest

from meetings.models import Capture
from platforms import registry
from platforms.base import ProviderRecording
from platforms.events import RecordingReady
from platforms.models import Heartbeat
from platforms.signals import platform_event
from recordings.finding import found
from recordings.models import Recording
from recordings.polling import poll
from tests.recordings.conftest import API, STARTED, listed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def accounts(bucket):
    """Both platforms are configured."""


def ready(**changes):
    facts = {"recording_id": "rec-1", "room_name": "standup-abc", "started_at": STARTED, "duration_s": 17.0}
    return RecordingReady(platform="daily", occurred_at=STARTED + timedelta(seconds=30), **{**facts, **changes})


def test_webhook_makes_the_row_once_and_says_what_it_touched(meeting):
    first = platform_event.send(sender=None, event=ready())
    again = platform_event.send(sender=None, event=ready())
    row = Recording.objects.get()
    assert row.meeting == meeting
    assert row.found_by == "webhook"
    assert [("recordings.Recording", str(row.pk))] in [touched for _, touched in first]
    assert [("recordings.Recording", str(row.pk))] in [touched for _, touched in again]


def test_webhook_of_a_foreign_room_writes_nothing(meeting):
    platform_event.send(sender=None, event=ready(room_name="somebody-elses"))
    assert not Recording.objects.exists()


def test_a_recording_that_names_no_room_is_found_by_the_order_that_started_it(meeting):
    Capture.objects.create(meeting=meeting, provider_recording_id="rec-1", state=Capture.State.OFF)
    platform_event.send(sender=None, event=ready(room_name=""))
    assert Recording.objects.get().meeting == meeting


def test_webhook_and_poller_complete_each_other_in_either_order(meeting):
    bare = ProviderRecording(recording_id="rec-1", room_name="standup-abc")
    full = ProviderRecording(
        recording_id="rec-1", room_name="standup-abc", started_at=STARTED, duration_s=17.0, key="k/1"
    )
    for order in ([bare, full], [full, bare], [bare, bare, full, full]):
        Recording.objects.all().delete()
        for item in order:
            found(platform="daily", item=item, found_by="poller")
        row = Recording.objects.get()
        assert (row.started_at, row.duration_s, row.provider_key) == (STARTED, 17.0, "k/1")


def serve_pages(api, rows, *, per_page):
    """Daily's list, newest first, cut into pages; counts the requests."""
    asked: list[str] = []

    def answer(request):
        after = parse_qs(urlparse(request.url).query).get("starting_after", [""])[0]
        asked.append(after)
        ids = [row["id"] for row in rows]
        if after and after not in ids:
            return 400, {}, '{"error": "invalid-request-error"}'
        start = ids.index(after) + 1 if after else 0
        return 200, {}, json.dumps({"total_count": len(rows), "data": rows[start : start + per_page]})

    api.add_callback("GET", f"{API}/recordings", callback=answer)
    return asked


@pytest.fixture
def pages_of_three(monkeypatch):
    """Pages of three where Daily has a hundred."""
    monkeypatch.setattr("platforms.daily.adapter.PAGE", 3)


def test_poller_finds_everything_however_many_pages_and_walks_only_what_is_new_after(meeting, api, pages_of_three):
    rows = [listed(f"rec-{n}") for n in range(20, 0, -1)]
    asked = serve_pages(api, rows, per_page=3)
    assert poll(registry.get("daily")) == 20
    assert Recording.objects.count() == 20
    first_walk = len(asked)
    assert first_walk == 7
    rows.insert(0, listed("rec-21"))
    assert poll(registry.get("daily")) == 1
    assert len(asked) == first_walk + 1
    assert poll(registry.get("daily")) == 0


def test_poller_goes_on_where_a_bounded_tick_stopped(meeting, api, pages_of_three):
    serve_pages(api, [listed(f"rec-{n}") for n in range(12, 0, -1)], per_page=3)
    assert poll(registry.get("daily"), most_pages=2) == 6
    assert poll(registry.get("daily"), most_pages=2) == 6
    assert Recording.objects.count() == 12


def test_poller_comes_back_for_a_recording_that_was_still_running(meeting, api, pages_of_three):
    rows = [listed("rec-3"), listed("rec-2", status="in-progress", duration=None), listed("rec-1")]
    serve_pages(api, rows, per_page=3)
    poll(registry.get("daily"))
    assert set(Recording.objects.values_list("provider_recording_id", flat=True)) == {"rec-1", "rec-3"}
    rows[1] = listed("rec-2")
    assert poll(registry.get("daily")) == 1


def test_poller_starts_anew_when_the_recording_of_its_cursor_is_gone(meeting, api, pages_of_three):
    rows = [listed(f"rec-{n}") for n in range(7, 0, -1)]
    serve_pages(api, rows, per_page=3)
    poll(registry.get("daily"), most_pages=1)
    assert Heartbeat.objects.get().state["page"] == "rec-5"
    del rows[2]
    assert poll(registry.get("daily")) == 4
    assert Recording.objects.count() == 7


def test_poller_leaves_other_installations_and_canceled_ones_alone(meeting, api):
    serve_pages(
        api, [listed("theirs", room_name="somebody-elses"), listed("rec-2", status="canceled"), listed()], per_page=100
    )
    assert poll(registry.get("daily")) == 1
    assert Recording.objects.get().provider_recording_id == "rec-1"


def test_poller_survives_an_odd_item(meeting, api):
    serve_pages(api, [{"id": None}, listed("rec-2", tracks=None, start_ts="yesterday"), listed()], per_page=100)
    assert poll(registry.get("daily")) == 2


def test_poller_asks_nothing_where_no_meeting_was(db, api):
    assert poll(registry.get("daily")) == 0
    assert not api.calls
