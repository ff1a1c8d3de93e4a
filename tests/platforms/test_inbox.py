"""From the stored delivery to the rows it touched."""

import itertools
import json
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from platforms.events import ParticipantJoined, RecordingReady, SessionStarted
from platforms.models import WebhookEvent
from platforms.signals import platform_event
from platforms.tasks import interpret_webhook_event
from tests.platforms.test_door import JOINED

pytestmark = pytest.mark.django_db


@contextmanager
def receiving(receiver):
    platform_event.connect(receiver, weak=False)
    try:
        yield
    finally:
        assert platform_event.disconnect(receiver)


def read(event):
    interpret_webhook_event(str(event.pk))
    event.refresh_from_db()
    return event


def test_events_reach_receivers_and_what_they_touch_is_noted(post, the_event):
    seen = []

    def first(sender, *, event, **_):
        seen.append(event)
        return [("meetings.Meeting", "m1"), ("meetings.Participant", "p1")]

    def second(sender, *, event, **_):
        return [("meetings.Meeting", "m1")]

    post("daily", JOINED["daily"])
    with receiving(first), receiving(second):
        event = read(the_event())
    assert [type(one) for one in seen] == [ParticipantJoined]
    assert event.status == WebhookEvent.Status.DONE
    assert event.touched == [["meetings.Meeting", "m1"], ["meetings.Participant", "p1"]]
    assert event.outcome == "joined: meeting, participant"


def test_a_room_that_is_not_ours_is_normal(post, the_event):
    post("daily", JOINED["daily"])
    event = read(the_event())
    assert event.status == WebhookEvent.Status.DONE
    assert event.outcome == "joined: nothing, no meeting of ours has this room"
    assert event.touched == []


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"[]", b'{"type": "never.heard.of"}', b'{"type": {"a": 1}}'])
@pytest.mark.parametrize("platform", ["daily", "whereby"])
def test_what_is_not_understood_says_so_and_is_done(post, the_event, platform, body):
    assert post(platform, body).status_code == 200
    event = read(the_event())
    assert event.status == WebhookEvent.Status.DONE
    assert event.outcome.startswith(("not understood: ", "noted: "))


def test_reading_twice_calls_receivers_once(post, the_event):
    seen = []
    post("daily", JOINED["daily"])
    with receiving(lambda sender, *, event, **_: seen.append(event)):
        read(the_event())
        read(the_event())
    assert len(seen) == 1


def test_nothing_is_kept_of_a_receiver_that_fails(post, the_event):
    def writes_and_fails(sender, *, event, **_):
        WebhookEvent.objects.create(platform="daily", body=b"x", body_sha256="x", signed_at=timezone.now())
        raise RuntimeError("no")

    post("daily", JOINED["daily"])
    with receiving(writes_and_fails):
        event = read(the_event())
    assert WebhookEvent.objects.count() == 1
    assert event.status == WebhookEvent.Status.PENDING
    assert event.attempts == 1
    assert event.last_error == "RuntimeError: no"
    assert event.due_at > timezone.now()


def test_a_receiver_that_always_fails_ends_in_quarantine_and_can_be_run_again(post, the_event):
    def fails(sender, *, event, **_):
        raise RuntimeError("no")

    post("daily", JOINED["daily"])
    event = the_event()
    with receiving(fails):
        for _ in range(WebhookEvent.max_attempts):
            WebhookEvent.objects.update(due_at=timezone.now() - timedelta(seconds=1))
            event = read(event)
    assert event.status == WebhookEvent.Status.QUARANTINED
    assert event.attempts == WebhookEvent.max_attempts
    read(event)
    assert event.status == WebhookEvent.Status.QUARANTINED
    event.run_again()
    assert read(event).status == WebhookEvent.Status.DONE
    assert event.last_error == ""


def test_one_poison_delivery_does_not_hold_up_others(post):
    def fails_on_one(sender, *, event, **_):
        if event.room_name == "poison":
            raise RuntimeError("no")

    for room in ("poison", "fine"):
        body = json.loads(JOINED["daily"])
        body["payload"]["room"] = room
        post("daily", json.dumps(body).encode())
    with receiving(fails_on_one):
        for event in WebhookEvent.objects.order_by("pk"):
            read(event)
    assert list(WebhookEvent.objects.order_by("pk").values_list("status", flat=True)) == ["pending", "done"]


@pytest.mark.parametrize(
    ("platform", "name", "kind"),
    [
        ("daily", "daily-meeting.started", SessionStarted),
        ("daily", "daily-recording.ready-to-download.cloud.composed", RecordingReady),
        ("whereby", "whereby-recording.finished", RecordingReady),
    ],
)
def test_each_kind_reaches_receivers(post, the_event, platform, name, kind):
    from tests.platforms.test_door import PAYLOADS

    seen = []
    post(platform, (PAYLOADS / f"{name}.json").read_bytes())
    with receiving(lambda sender, *, event, **_: seen.append(type(event))):
        assert read(the_event()).status == WebhookEvent.Status.DONE
    assert seen == [kind]


def test_all_orders_and_repetitions_of_reading_call_receivers_the_same_times(post):
    """The inbox neither drops nor doubles, whatever order the wake-up calls come in and however often."""
    seen = []
    for letter in "abc":
        body = json.loads(JOINED["daily"]) | {"id": letter}
        body["payload"]["session_id"] = letter
        post("daily", json.dumps(body).encode())
    pks = list(WebhookEvent.objects.values_list("pk", flat=True))
    with receiving(lambda sender, *, event, **_: seen.append(event.session_id)):
        for order in itertools.permutations(pks):
            WebhookEvent.objects.update(status="pending", attempts=0, due_at=timezone.now())
            seen.clear()
            for pk in order * 2:
                interpret_webhook_event(str(pk))
            assert sorted(seen) == ["a", "b", "c"]


def test_a_delivery_is_found_by_each_row_that_it_touched_last(post, the_event):
    touched = [("meetings.Meeting", "m1"), ("rooms.Room", "7")]

    def receiver(sender, *, event, **_):
        return touched

    post("daily", JOINED["daily"])
    with receiving(receiver):
        event = read(the_event())
        assert list(event.touched_rows.order_by("pk").values_list("label", "key", "received_at")) == [
            ("meetings.Meeting", "m1", event.received_at),
            ("rooms.Room", "7", event.received_at),
        ]
        touched.pop()
        event.run_again()
        event = read(event)
    assert list(event.touched_rows.values_list("label", "key")) == [("meetings.Meeting", "m1")]
