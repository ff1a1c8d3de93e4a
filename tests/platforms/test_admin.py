"""The inbox as staff see it."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from platforms.admin import readable
from platforms.models import Heartbeat, WebhookEvent
from platforms.tasks import interpret_webhook_event
from tests.platforms.test_door import JOINED, PAYLOADS

pytestmark = pytest.mark.django_db
LIST = "/admin/platforms/webhookevent/"


def page_of(event):
    return reverse("admin:platforms_webhookevent_change", args=[event.pk])


@pytest.fixture
def looker(client):
    """Staff who may look and nothing else."""
    user = get_user_model().objects.create_user("looker", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_webhookevent"))
    client.force_login(user)
    return client


def found(client, **query):
    answer = client.get(LIST, query)
    assert answer.status_code == 200
    return list(answer.context["cl"].queryset)


def test_a_delivery_and_what_became_of_it(post, the_event, admin_client):
    post("daily", JOINED["daily"])
    interpret_webhook_event(str(the_event().pk))
    event = the_event()
    listed = admin_client.get(LIST).content.decode()
    assert "participant.joined" in listed
    assert "no meeting of ours has this room" in listed
    shown = admin_client.get(page_of(event)).content.decode()
    for words in (
        "testuser",
        event.event_id,
        event.body_sha256,
        "no meeting of ours has this room",
        "X-Webhook-Timestamp",
    ):
        assert words in shown
    assert "X-Webhook-Signature" not in shown.partition('id="as-curl"')[0]  # what came is not kept; curl's is made anew


def test_a_stale_delivery_is_marked_and_times_are_told_with_their_zone(post, the_event, admin_client):
    post("whereby", JOINED["whereby"], at=(timezone.now() - timedelta(days=9)).timestamp())
    assert "stale; " in admin_client.get(LIST).content.decode()
    page = admin_client.get(page_of(the_event())).content.decode()
    assert "stale: signed more than five minutes from when it arrived" in page
    received = the_event().received_at
    assert f"{received:%b %Y %H:%M:%S} UTC</time>" in page
    assert "1 week, 2 days ago" in page, "when it was signed"


def test_touched_rows_are_links(the_event, post, admin_client):
    post("daily", JOINED["daily"])
    WebhookEvent.objects.update(touched=[["platforms.Heartbeat", "sweeper"], ["nobody.Knows", "<7>"]])
    shown = admin_client.get(page_of(the_event())).content.decode()
    assert '<a href="/admin/platforms/heartbeat/sweeper/change/">heartbeat sweeper</a>' in shown
    assert "knows &lt;7&gt;" in shown


def test_exactly_the_bytes_that_came(post, the_event, admin_client):
    body = b'{"a": "\xff\x00<script>"}\r\n'
    post("daily", body)
    answer = admin_client.get(f"{LIST}{the_event().pk}/body/")
    assert answer.content == body
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment;")
    shown = admin_client.get(page_of(the_event())).content
    assert b"<script>" not in shown.partition(b"webhook-body")[2].partition(b"</pre>")[0]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("1-w-ptcpt-joined-ed25c43f", "daily-waiting-participant.joined"),
        ("knocking", "daily-waiting-participant.joined"),
        ("a9fd1a4f-34f8-4f20-b518-11e9d277316f", "whereby-recording.finished"),
        ("Joe Bloggs", "whereby-room.client.joined"),
        ("recording.error", "daily-recording.error"),
    ],
)
def test_search_by_id_room_recording_and_name(post, admin_client, wanted, name):
    for path in PAYLOADS.glob("*.json"):
        post(path.name.partition("-")[0], path.read_bytes())
    body = (PAYLOADS / f"{name}.json").read_bytes()
    assert body in [bytes(event.body) for event in found(admin_client, q=wanted)]
    assert len(found(admin_client, q=wanted)) < WebhookEvent.objects.count()


def test_search_for_names_however_json_spells_them(post, admin_client):
    for body in (
        json.dumps({"n": "Zoë 工"}),
        json.dumps({"n": "Zoë 工"}, ensure_ascii=False),
        json.dumps({"n": "Zoe"}),
    ):
        post("daily", body.encode())
    assert len(found(admin_client, q="Zoë 工")) == 2


def test_search_for_a_row_of_ours(post, admin_client):
    for number in range(2):
        post("daily", b'{"n": %d}' % number)
    first = WebhookEvent.objects.first()
    WebhookEvent.objects.filter(pk=first.pk).update(touched=[["meetings.Meeting", "6f0f3c2e"]])
    assert found(admin_client, q="6f0f3c2e") == [first]


@pytest.mark.parametrize("term", ["'", '"', "%", "\\", "\x00", "a\x00b", "\ud800", "<b>"])
def test_search_takes_anything(post, admin_client, term):
    post("daily", JOINED["daily"])
    found(admin_client, q=term.encode("utf-8", "surrogatepass"))


def test_filters(post, admin_client):
    post("daily", JOINED["daily"])
    post("whereby", JOINED["whereby"], at=(timezone.now() - timedelta(days=9)).timestamp())
    WebhookEvent.objects.filter(platform="daily").update(
        status="quarantined", received_at=timezone.now() - timedelta(days=20)
    )
    assert [event.platform for event in found(admin_client, platform__exact="daily")] == ["daily"]
    assert [event.platform for event in found(admin_client, status__exact="quarantined")] == ["daily"]
    assert [event.platform for event in found(admin_client, is_stale__exact="1")] == ["whereby"]
    assert [event.platform for event in found(admin_client, event_type="room.client.joined")] == ["whereby"]
    week = (timezone.now() - timedelta(days=7)).isoformat()
    assert [event.platform for event in found(admin_client, received_at__gte=week)] == ["whereby"]


def test_run_again_from_the_list(post, admin_client, the_event):
    post("daily", JOINED["daily"])
    WebhookEvent.objects.update(status="quarantined", attempts=8, last_error="no")
    answer = admin_client.post(LIST, {"action": "run_again", "_selected_action": [the_event().pk]}, follow=True)
    assert "1 will be run again" in answer.content.decode()
    assert (the_event().status, the_event().attempts) == ("pending", 0)


def test_run_again_by_the_button(post, admin_client, the_event):
    post("daily", JOINED["daily"])
    interpret_webhook_event(str(the_event().pk))
    again = f"{LIST}{the_event().pk}/again/"
    assert again in admin_client.get(page_of(the_event())).content.decode()
    assert admin_client.get(again).status_code == 405
    assert admin_client.post(again).status_code == 302
    assert the_event().status == "pending"


def test_looking_is_not_running_again(post, looker, the_event):
    post("daily", JOINED["daily"])
    WebhookEvent.objects.update(status="done")
    shown = looker.get(page_of(the_event())).content.decode()
    assert "testuser" in shown
    assert "/again/" not in shown
    assert looker.post(f"{LIST}{the_event().pk}/again/").status_code == 403
    looker.post(LIST, {"action": "run_again", "_selected_action": [the_event().pk]})
    assert the_event().status == "done"


def test_nobody_edits_adds_or_deletes(post, admin_client, the_event):
    post("daily", JOINED["daily"])
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(page_of(the_event()), {"outcome": "x"}).status_code == 403
    assert admin_client.post(f"{LIST}{the_event().pk}/delete/", {"post": "yes"}).status_code == 403


def test_bodies_are_for_staff_who_may_look(post, client, the_event):
    post("daily", JOINED["daily"])
    address = f"{LIST}{the_event().pk}/body/"
    assert client.get(address).status_code == 302
    client.force_login(get_user_model().objects.create_user("other", is_staff=True))
    assert client.get(address).status_code == 403


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_for_any_number(post, admin_client, rows, django_assert_max_num_queries):
    for number in range(rows):
        post("daily", b'{"n": %d}' % number)
    with django_assert_max_num_queries(12):
        admin_client.get(LIST)


def test_periodic_jobs_are_shown(admin_client):
    Heartbeat.objects.create(name="job:x", last_error="RuntimeError: no", beat_at=timezone.now())
    assert "RuntimeError: no" in admin_client.get("/admin/platforms/heartbeat/").content.decode()
    assert admin_client.get("/admin/platforms/heartbeat/job:x/change/").status_code == 200


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a":1}', '{\n  "a": 1\n}'),
        (b'"\\ud800"', '"\\ud800"'),
        (b'"\\u0000"', '"\\u0000"'),
        (b"\x00\xff", "\\x00\\xff"),
        ('"\u202eevil"'.encode(), '"\\u202eevil"'),
        (b"[" * 20_000, "[" * 20_000),
        (b"9" * 5_000, "9" * 5_000),
    ],
)
def test_readable(body, shown):
    assert readable(body) == shown


def test_readable_is_cut():
    assert readable(b"x" * 200_000).endswith("… 100000 more characters; download the rest")
