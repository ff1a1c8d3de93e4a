"""Alerts: one row per trouble, told once to everybody, told again when it is over."""

import base64
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from platforms import alerts, telling
from platforms.models import Alert, AlertDelivery
from platforms.tasks import deliver_alert
from platforms.work import Work

pytestmark = pytest.mark.django_db
KEY = "guardian:daily"


@dataclass
class Receiver:
    """The operator's own address, for real: what it got and what it answers."""

    url: str = ""
    status: int = 204
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/hook?token=s3cret"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def told(settings: Any, receiver: Receiver) -> Receiver:
    settings.ALERT_EMAILS = ["ann@example.org", "bo@example.org"]
    settings.ALERT_WEBHOOK_URL = receiver.url
    settings.ALERT_WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a key of the operator's").decode()
    return receiver


def raise_it(key: str = KEY, **more: Any) -> Alert:
    return alerts.alert(
        key,
        **{
            "title": "The webhook is FAILED",
            "words": "Three deliveries in a row were refused.",
            "evidence": {"failed_count": 3, "since": timezone.now()},
            "inverse": "Run the sync again.",
            "inverse_url": "/admin/",
            **more,
        },
    )


def deliver_all(at: Callable[[], Any] = timezone.now) -> None:
    AlertDelivery.objects.filter(due_at__lte=at()).update(due_at=timezone.now() - timedelta(seconds=1))
    due = AlertDelivery.objects.filter(status=Work.Status.PENDING, due_at__lte=timezone.now()).order_by("pk")
    for pk in due.values_list("pk", flat=True):
        deliver_alert(str(pk))


def in_two_minutes() -> Any:
    return timezone.now() + timedelta(minutes=2)


def test_alert_is_told_once_to_everybody_while_it_is_open(told):
    first = raise_it()
    deliver_all()
    again = raise_it(words="Four by now.")
    deliver_all()

    assert again.pk == first.pk
    assert (again.times, again.words) == (2, "Four by now.")
    assert [message.to for message in mail.outbox] == [["ann@example.org"], ["bo@example.org"]]
    assert len(told.got) == 1


def test_mail_says_evidence_and_what_to_do(told):
    alert = raise_it()
    deliver_all()
    message = mail.outbox[0]
    assert message.subject == "[testserver] Warning: The webhook is FAILED"
    body = str(message.body)
    assert "Three deliveries in a row were refused." in body
    assert "failed count: 3" in body
    assert "What to do: Run the sync again." in body
    assert "http://testserver/admin/" in body
    assert message.extra_headers["Message-ID"].startswith(f"<alert-{alert.pk}-raised-")


def test_webhook_post_is_signed_so_that_a_receiver_can_check_it(told):
    alert = raise_it()
    deliver_all()
    headers, body = told.got[0]
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"a key of the operator's", message, sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == f"alert-{alert.pk}-raised"
    data = json.loads(body)
    assert data["type"] == "alert.raised"
    assert data["data"]["evidence"]["failed_count"] == 3
    assert data["data"]["inverse_url"] == "http://testserver/admin/"


def test_settled_is_told_a_minute_later(told):
    raise_it()
    deliver_all()
    alerts.settle(KEY, words="Active again.")
    deliver_all()
    assert len(mail.outbox) == 2

    deliver_all(in_two_minutes)
    assert [message.subject for message in mail.outbox[2:]] == ["[testserver] Over: The webhook is FAILED"] * 2
    assert "Active again." in str(mail.outbox[-1].body)
    assert [json.loads(body)["type"] for _, body in told.got] == ["alert.raised", "alert.settled"]


def test_trouble_that_comes_and_goes_is_one_alert(told):
    first = raise_it()
    deliver_all()
    for _ in range(3):
        alerts.settle(KEY)
        assert raise_it().pk == first.pk
    deliver_all(in_two_minutes)
    assert len(mail.outbox) == 2
    assert Alert.objects.get().is_open


def test_trouble_that_comes_back_after_it_was_told_over_is_a_new_alert(told):
    first = raise_it()
    alerts.settle(KEY)
    deliver_all(in_two_minutes)
    second = raise_it()
    assert second.pk != first.pk
    deliver_all()
    assert len(mail.outbox) == 6


def test_settling_what_is_not_open_does_nothing():
    assert alerts.settle(KEY) is None
    assert not AlertDelivery.objects.exists()


def test_alert_in_a_transaction_that_fails_is_not_told(told):
    def raised_in_vain() -> None:
        with transaction.atomic():
            raise_it()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        raised_in_vain()
    assert not Alert.objects.exists()
    deliver_all()
    assert mail.outbox == []


def test_webhook_that_does_not_answer_is_tried_again_and_told_without_its_address(told):
    told.status = 503
    raise_it()
    deliver_all()
    row = AlertDelivery.objects.get(channel="webhook")
    assert (row.status, row.attempts) == (Work.Status.PENDING, 1)
    assert "answered 503" in row.last_error
    assert "s3cret" not in row.last_error

    told.status = 200
    AlertDelivery.objects.filter(pk=row.pk).update(due_at=timezone.now())
    deliver_alert(str(row.pk))
    row.refresh_from_db()
    assert (row.status, row.outcome) == (Work.Status.DONE, "posted, answered 200")
    assert told.got[0][0]["webhook-id"] == told.got[1][0]["webhook-id"]


def test_webhook_that_cannot_be_reached_keeps_its_address_out_of_the_row(told, settings):
    settings.ALERT_WEBHOOK_URL = "http://127.0.0.1:1/hook?token=s3cret"
    raise_it()
    deliver_all()
    row = AlertDelivery.objects.get(channel="webhook")
    assert "cannot be reached" in row.last_error
    assert "s3cret" not in row.last_error


def test_deliveries_told_twice_are_told_once(told):
    raise_it()
    deliver_all()
    for pk in AlertDelivery.objects.values_list("pk", flat=True):
        deliver_alert(str(pk))
    assert (len(mail.outbox), len(told.got)) == (2, 1)


def test_nobody_to_tell_is_no_mistake():
    raise_it()
    assert not AlertDelivery.objects.exists()
    assert Alert.objects.count() == 1


def test_secret_is_base64_behind_its_prefix_and_text_without():
    assert telling.key_of("whsec_" + base64.b64encode(b"\x00\xff").decode()) == b"\x00\xff"
    assert telling.key_of("plain words") == b"plain words"
    with pytest.raises(ValueError, match="base64"):
        telling.key_of("whsec_not base64!")
