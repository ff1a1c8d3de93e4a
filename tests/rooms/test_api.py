"""``POST /v1/rooms/<slug>/move``."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from rooms import api, switching
from rooms.models import ApiAnswer, Move, MoveOrder, Room
from rooms.services import move_room

pytestmark = pytest.mark.django_db

ADDRESS = "/v1/rooms/standup/move"


@pytest.fixture
def mover(room):
    """Somebody who may move rooms, and nothing else."""
    user = User.objects.create_user("mover", first_name="Mo", last_name="Ver")
    user.user_permissions.add(Permission.objects.get(codename="move_room"))
    return user


@pytest.fixture
def post(mover, client):
    token = Token.objects.create(user=mover)

    def send(body=None, *, address=ADDRESS, **headers):
        asked = {"platform": "daily", "reason": "pilot"} if body is None else body
        headers = {"authorization": f"Token {token.key}", **{name.replace("_", "-"): headers[name] for name in headers}}
        return client.post(address, asked, content_type="application/json", headers=headers)

    return send


def problem_of(response):
    """The problem, after a look at its shape."""
    problem = json.loads(response.content)
    assert response["Content-Type"] == "application/problem+json"
    assert problem["status"] == response.status_code
    assert {"type", "title", "detail", "code"} <= problem.keys()
    assert re.fullmatch("[0-9a-f]{32}", problem["request_id"])
    assert response["X-Request-ID"] == problem["request_id"]
    return problem["status"], problem["code"], problem["detail"]


def test_a_room_is_moved(post, room, mover):
    response = post()
    move = Move.objects.get()
    assert (response.status_code, response.json()) == (
        200,
        {
            "room": "standup",
            "from_platform": "whereby",
            "to_platform": "daily",
            "reason": "pilot",
            "move_id": move.pk,
            "moved_at": move.moved_at.isoformat(),
        },
    )
    assert re.fullmatch("[0-9a-f]{32}", response["X-Request-ID"])
    assert (move.source, move.actor, move.reason) == ("api", mover, "pilot")
    assert Room.objects.get().platform == "daily"


def test_the_address_works_with_a_slash_too(post):
    assert post(address=f"{ADDRESS}/").status_code == 200


def test_a_move_for_later(post, room, mover):
    at = timezone.now() + timedelta(days=1)
    response = post({"platform": "daily", "reason": "at night", "at": at.isoformat()})
    order = MoveOrder.objects.get()
    assert (response.status_code, response.json()["order_id"]) == (202, order.pk)
    assert response.json()["scheduled_for"] == at.isoformat()
    assert (order.scheduled_for, order.actor, order.reason) == (at, mover, "at night")
    assert Room.objects.get().platform == "whereby"


# -- who


def test_without_a_token_it_is_401(client, room):
    response = client.post(ADDRESS, {}, content_type="application/json")
    assert problem_of(response)[:2] == (401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Token"


def test_with_a_wrong_token_it_is_401(post):
    assert problem_of(post(authorization="Token wrong"))[:2] == (401, "authentication_failed")


def test_without_the_permission_it_is_403_whether_the_room_exists_or_not(post, mover):
    mover.user_permissions.clear()
    assert problem_of(post()) == (403, "permission_denied", "You may not move rooms.")
    assert problem_of(post(address="/v1/rooms/nowhere/move"))[0] == 403
    assert not Move.objects.exists()


def test_a_session_works_with_its_csrf_token_only(room, mover):
    client = Client(enforce_csrf_checks=True)
    client.force_login(mover)
    asked = {"platform": "daily", "reason": "pilot"}
    refused = client.post(ADDRESS, asked, content_type="application/json")
    assert problem_of(refused)[:2] == (403, "permission_denied")
    client.cookies["csrftoken"] = "a" * 32
    headers = {"X-CSRFToken": "a" * 32}
    assert client.post(ADDRESS, asked, content_type="application/json", headers=headers).status_code == 200


# -- what cannot be


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"platform": "daily"}, 422, "invalid"),
        ({"platform": "daily", "reason": ""}, 422, "invalid"),
        ({"platform": "daily", "reason": " \n"}, 422, "invalid"),
        ({"platform": "daily", "reason": "\u0000"}, 422, "invalid"),
        ({"platform": "daily", "reason": "r", "expected": "whereby"}, 422, "invalid"),
        ({"platform": "daily", "reason": "r", "at": "tomorrow"}, 422, "invalid"),
        ({"platform": "daily", "reason": "r", "at": "2020-01-01T00:00:00Z"}, 422, "at_passed"),
        ({"platform": "zoom", "reason": "r"}, 422, "unknown_platform"),
        ({"platform": "whereby", "reason": "r"}, 409, "already_there"),
        ({"platform": "daily", "reason": "r", "expected_platform": "daily"}, 409, "stale"),
        ([], 422, "invalid"),
        ("daily", 422, "invalid"),
    ],
)
def test_what_cannot_be_is_said_and_moves_nothing(post, asked, status, code):
    assert problem_of(post(json.dumps(asked)))[:2] == (status, code)
    assert not Move.objects.exists()
    assert not MoveOrder.objects.exists()


def test_fields_are_named(post):
    response = post({"platform": "daily", "reason": " ", "plattform": "x"})
    assert set(response.json()["errors"]) == {"reason"}
    assert set(post({"platform": "daily", "reason": "r", "plattform": "x"}).json()["errors"]) == {"plattform"}


def test_a_stale_request_is_told_what_changed(post, room, ann):
    move_room(room_id=room.pk, platform="daily", reason="was faster", source="admin", actor=ann)
    status, code, words = problem_of(post({"platform": "daily", "reason": "r", "expected_platform": "whereby"}))
    assert (status, code) == (409, "stale")
    assert words.startswith("“Standup” was moved from Whereby to Daily by Ann Archer on ")
    assert "was faster" in words


def test_a_closed_platform_is_409(post):
    switching.close(platform="daily", reason="outage")
    assert problem_of(post())[:2] == (409, "closed")


def test_odd_requests(post, client):
    assert problem_of(post("{"))[:2] == (400, "parse_error")
    assert problem_of(post(address="/v1/rooms/nowhere/move"))[:2] == (404, "not_found")
    token = Token.objects.get().key
    headers = {"authorization": f"Token {token}"}
    assert problem_of(client.get(ADDRESS, headers=headers))[:2] == (405, "method_not_allowed")
    as_form = client.post(ADDRESS, {"platform": "daily"}, headers=headers)
    assert problem_of(as_form)[:2] == (415, "unsupported_media_type")


def test_the_doors_of_webhooks_stay_as_they_are(client, db):
    assert client.post("/v1/webhooks/daily", b"{}", content_type="application/json").status_code == 401
    assert client.post("/v1/webhooks/whereby", b"{}", content_type="application/json").status_code == 401


# -- the same request again


def test_a_request_that_is_sent_again_gets_the_same_answer_and_moves_once(post, room):
    first = post(idempotency_key="k1")
    move_room(room_id=room.pk, platform="whereby", reason="back", source="admin")
    again = post(idempotency_key="k1")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert Move.objects.filter(source="api").count() == 1
    assert post(idempotency_key="k2").json()["move_id"] != first.json()["move_id"]


def test_refusals_are_answers_too(post, room):
    switching.close(platform="daily", reason="outage")
    first = post(idempotency_key="k1")
    switching.open(platform="daily", reason="over")
    again = post(idempotency_key="k1")
    assert (again.status_code, again.json()) == (409, first.json())


def test_another_request_under_the_same_key_is_refused(post):
    post(idempotency_key="k1")
    again = post({"platform": "whereby", "reason": "pilot"}, idempotency_key="k1")
    assert problem_of(again)[:2] == (422, "key_reused")


def test_keys_are_each_users_own(post, room, ann, client):
    post(idempotency_key="k1")
    client.force_login(ann)
    asked = {"platform": "whereby", "reason": "back"}
    headers = {"idempotency-key": "k1"}
    assert client.post(ADDRESS, asked, content_type="application/json", headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel"])
def test_keys_that_are_none(post, key):
    assert problem_of(post(idempotency_key=key))[:2] == (400, "bad_key")


def test_answers_are_forgotten_after_a_day(post):
    post(idempotency_key="k1")
    api.forget_answers(timezone.now() + timedelta(hours=23))
    assert ApiAnswer.objects.count() == 1
    api.forget_answers(timezone.now() + timedelta(hours=25))
    assert ApiAnswer.objects.count() == 0
