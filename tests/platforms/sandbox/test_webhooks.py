"""How events are signed, told, retried, and given up."""

import base64
import hashlib
import hmac
import json

import pytest

from platforms.sandbox.server import Sandbox
from tests.platforms.sandbox.conftest import NOW, Daily, Receiver, Whereby


def test_registering_probes_and_signs_the_probe(daily: Daily, receiver: Receiver) -> None:
    hook = daily.webhook(receiver.url + "/hook")
    assert set(hook) == {
        "uuid", "url", "hmac", "basicAuth", "retryType", "eventTypes", "state", "failedCount",
        "lastMomentPushed", "domainId", "createdAt", "updatedAt",
    }  # fmt: skip
    ((path, headers, body),) = receiver.got
    assert (path, body) == ("/hook", b'{"test":"test"}')
    stamp = headers["X-Webhook-Timestamp"]
    assert stamp == str(int(NOW * 1000))
    digest = hmac.digest(base64.b64decode(hook["hmac"]), stamp.encode() + b"." + body, hashlib.sha256)
    assert headers["X-Webhook-Signature"] == base64.b64encode(digest).decode()


def test_registering_fails_without_a_200(daily: Daily, receiver: Receiver) -> None:
    receiver.statuses = [301]
    daily.webhook(receiver.url)
    assert daily.status == 400
    assert daily("GET", "/webhooks") == []


def test_one_webhook_per_domain(daily: Daily, receiver: Receiver) -> None:
    hook = daily.webhook(receiver.url)
    daily.webhook(receiver.url)
    assert daily.status == 400
    assert daily("GET", "/webhooks") == [hook]
    assert daily("GET", f"/webhooks/{hook['uuid']}") == hook
    daily("DELETE", f"/webhooks/{hook['uuid']}")
    assert daily("GET", "/webhooks") == []


def test_unknown_event_type_is_refused(daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url, eventTypes=["participant.joined", "participant.flew"])
    assert daily.status == 400


def test_three_failures_break_the_circuit_and_an_update_mends_it(daily: Daily, receiver: Receiver) -> None:
    hook = daily.webhook(receiver.url)
    daily.room("demo")
    receiver.statuses = [500, 401, 301]
    for name in ("Ann", "Ben", "Cem"):
        daily.join("demo", name)
        daily.later(0.1)
    shown = daily("GET", f"/webhooks/{hook['uuid']}")
    assert (shown["state"], shown["failedCount"]) == ("FAILED", 3)
    before = len(receiver.got)
    daily.join("demo", "Dan")
    daily.later(1)
    assert len(receiver.got) == before
    assert daily("POST", f"/webhooks/{hook['uuid']}", {"retryType": "exponential"})["state"] == "ACTIVE"
    assert receiver.got[-1][2] == b'{"test":"test"}'
    daily.join("demo", "Eva")
    daily.later(1)
    assert receiver.events()[-1]["payload"]["user_name"] == "Eva"


def test_a_success_resets_the_circuit(daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url)
    daily.room("demo")
    receiver.statuses = [500, 500, 200, 500, 500]
    for number in range(6):
        daily.leave(daily.join("demo", f"P{number}"))
        daily.later(0.1)
    assert daily("GET", "/webhooks")[0]["state"] == "ACTIVE"


def test_exponential_tries_five_times_and_goes_on(daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url, retryType="exponential", eventTypes=["participant.joined"])
    daily.room("demo")
    receiver.statuses = [500] * 5
    daily.join("demo")
    for _ in range(8):
        daily.later(1000)
    assert len(receiver.events()) == 5
    assert {event["id"] for event in receiver.events()} == {receiver.events()[0]["id"]}
    assert daily.control("GET", "deliveries")[0]["state"] == "failed"
    daily.join("demo", "Ben")
    daily.later(1)
    assert receiver.events()[-1]["payload"]["user_name"] == "Ben"
    assert daily("GET", "/webhooks")[0]["state"] == "ACTIVE"


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (503, 3), (400, 1), (401, 1), (204, 1)])
def test_whereby_retries_server_errors_only(whereby: Whereby, receiver: Receiver, status: int, tries: int) -> None:
    receiver.statuses = [status] * 9
    whereby.join(whereby.room()["roomName"])
    for _ in range(6):
        whereby.later(60)
    joined = [event for event in receiver.events() if event["type"] == "room.client.joined"]
    assert len(joined) == tries
    assert {path for path, _, _ in receiver.got} == {"/v1/webhooks/whereby"}


def test_whereby_signature_is_of_the_raw_bytes(whereby: Whereby, receiver: Receiver, sandbox: Sandbox) -> None:
    whereby.join(whereby.room()["roomName"], "Zoë")
    whereby.later(0)
    _, headers, body = receiver.got[0]
    assert "Zoë".encode() in body
    secret = sandbox.config.secrets["whereby_webhook_secret"].encode()
    expected = hmac.new(secret, f"{int(NOW)}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["Whereby-Signature"] == f"t={int(NOW)},v1={expected}"


def test_copies_have_the_same_or_a_new_id(daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url, eventTypes=["participant.joined"])
    daily.room("demo")
    daily.control("POST", "faults/daily", {"duplicates": 1})
    daily.join("demo")
    daily.later(0)
    daily.control("POST", "faults/daily", {"duplicate_ids": "new"})
    daily.join("demo", "Ben")
    daily.later(0)
    first, again, second, other = receiver.events()
    assert first == again
    assert second["id"] != other["id"]
    assert second["payload"] == other["payload"]


def test_groups_go_out_backwards(daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url, eventTypes=["participant.joined"])
    daily.room("demo")
    daily.control("POST", "faults/daily", {"reorder": 3})
    for name in ("Ann", "Ben", "Cem", "Dan"):
        daily.join("demo", name)
        daily.later(0.1)
    assert [event["payload"]["user_name"] for event in receiver.events()] == ["Cem", "Ben", "Ann"]
    daily.later(6)
    assert receiver.events()[-1]["payload"]["user_name"] == "Dan"


def test_webhooks_are_late_or_lost_on_demand(daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url, eventTypes=["participant.joined"])
    daily.room("demo")
    daily.control("POST", "faults/daily", {"drop": 1, "delay_s": 30})
    daily.join("demo", "Ann")
    daily.join("demo", "Ben")
    daily.later(29)
    assert receiver.events() == []
    daily.later(2)
    assert [event["payload"]["user_name"] for event in receiver.events()] == ["Ben"]


def test_queue_survives_a_restart(sandbox: Sandbox, daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url, eventTypes=["participant.joined"])
    daily.room("demo")
    daily.join("demo")
    again = Sandbox(sandbox.config, s3_port=1, clock=sandbox.clock, environ={})
    again.step()
    again.store.close()
    assert receiver.types() == ["participant.joined"]


def test_finished_delivery_can_be_sent_again(daily: Daily, receiver: Receiver) -> None:
    daily.webhook(receiver.url, eventTypes=["participant.joined"])
    daily.room("demo")
    daily.join("demo")
    daily.later(0)
    (delivery,) = daily.control("GET", "deliveries", query_string={"state": "delivered"})
    daily.control("POST", f"deliveries/{delivery['id']}/again")
    daily.later(1)
    assert (
        receiver.got[-1][2]
        == receiver.got[-2][2]
        == json.dumps(receiver.events()[-1], separators=(",", ":"), ensure_ascii=False).encode()
    )
