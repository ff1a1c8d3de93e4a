"""Whatever is signed is taken, kept, read and shown; whatever is not, is not."""

import json
from pathlib import Path

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platforms import registry
from platforms.events import Event
from platforms.models import WebhookEvent
from platforms.tasks import interpret_webhook_event
from tests.payload_variations import PAYLOADS, samples, variations
from tests.signing import SLUGS, signed

pytestmark = pytest.mark.django_db
LIST = "/admin/platforms/webhookevent/"
SAMPLES = samples()


def test_there_are_samples_of_both():
    assert len(SAMPLES) == len(list(Path(PAYLOADS).glob("*.json"))) - 1 >= 25
    assert {platform for platform, _, _ in SAMPLES} == set(SLUGS)


@pytest.mark.parametrize(("platform", "name", "body"), SAMPLES, ids=[name for _, name, _ in SAMPLES])
def test_signed_is_taken_and_read_unsigned_is_not(both, client, platform, name, body):
    address = f"/v1/webhooks/{platform}"
    seen = set()
    for variation, changed in variations(body):
        assert client.post(address, data=changed, content_type="application/json").status_code == 401, variation
        answer = client.post(address, data=changed, content_type="application/json", headers=signed(platform, changed))
        assert answer.status_code == 200, variation
        seen.add(changed)
    assert {bytes(kept) for kept in WebhookEvent.objects.values_list("body", flat=True)} == seen
    for pk in WebhookEvent.objects.values_list("pk", flat=True):
        interpret_webhook_event(str(pk))
    failed = WebhookEvent.objects.exclude(status="done").values_list("event_type", "last_error", "body")[:3]
    assert list(failed) == []
    assert not WebhookEvent.objects.filter(outcome="").exists()


@pytest.mark.parametrize(("platform", "name", "body"), SAMPLES, ids=[name for _, name, _ in SAMPLES])
def test_staff_see_every_kind_of_variation(post, admin_client, platform, name, body):
    """One of each kind: the first field at which it happens, before and after it was read."""
    kinds = {}
    for variation, changed in variations(body):
        kinds.setdefault(variation.partition(" ")[2] or variation, changed)
    assert len(kinds) >= 20
    for changed in kinds.values():
        post(platform, changed)
    assert admin_client.get(LIST).status_code == 200
    for event in list(WebhookEvent.objects.all()):
        interpret_webhook_event(str(event.pk))
        for address in (f"{LIST}{event.pk}/change/", f"{LIST}{event.pk}/body/"):
            assert admin_client.get(address).status_code == 200
    assert admin_client.get(LIST).status_code == 200
    assert admin_client.get(LIST, {"q": "test"}).status_code == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
WORDS = st.sampled_from(sorted({json.loads(body)["type"] for _, _, body in SAMPLES}))
FIELDS = st.sampled_from(
    ["room", "room_name", "session_id", "user_id", "user_name", "joined_at", "duration", "roomName", "participantId"]
    + [
        "externalId",
        "displayName",
        "roleName",
        "recordingId",
        "recording_id",
        "filename",
        "tracks",
        "s3_key",
        "start_ts",
    ]
)
TIMES = st.floats() | st.integers() | st.text(max_size=30)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "type": WORDS | JSON,
        "id": JSON,
        "event_ts": TIMES,
        "createdAt": TIMES,
        "payload": st.dictionaries(FIELDS, JSON, max_size=8) | JSON,
        "data": st.dictionaries(FIELDS, JSON, max_size=8) | JSON,
    },
)
BODIES = (
    ENVELOPES.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    | st.binary(max_size=200)
)


@pytest.mark.parametrize("platform", SLUGS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES)
def test_anything_signed_is_taken_and_read(both, platform, body):
    answer = Client().post(
        f"/v1/webhooks/{platform}", data=body, content_type="application/json", headers=signed(platform, body)
    )
    assert answer.status_code == 200
    for pk in WebhookEvent.objects.exclude(status="done").values_list("pk", flat=True):
        interpret_webhook_event(str(pk))
    assert not WebhookEvent.objects.exclude(status="done").exists()


@pytest.mark.parametrize("platform", SLUGS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES)
def test_adapters_never_raise_and_speak_cleanly(both, platform, body):
    adapter = registry.get(platform)
    adapter.describe(body)
    for event in adapter.interpret(body):
        assert isinstance(event, Event)
        assert event.occurred_at.tzinfo is not None
        for value in vars(event).values():
            if isinstance(value, str):
                value.encode()
                assert "\x00" not in value
                assert len(value) <= 500


@pytest.mark.parametrize("platform", SLUGS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=60), min_size=3, max_size=3
    )
)
def test_no_made_up_signature_opens_the_door(both, platform, values):
    names = ("X-Webhook-Signature", "X-Webhook-Timestamp", "Whereby-Signature")
    answer = Client().post(
        f"/v1/webhooks/{platform}",
        data=b"{}",
        content_type="application/json",
        headers=dict(zip(names, values, strict=True)),
    )
    assert answer.status_code == 401
