"""What each group of staff may do on every page of the admin. The pages are found by walking the addresses."""

from __future__ import annotations

import re

import pytest
import responses
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from rooms import rights
from rooms.models import Move, Room
from tests.factories import make_user
from tests.rooms.staff_pages import make_one_of_each, pages, rows_of_everything

VIEWERS, OPERATORS, LEADS = rights.VIEWERS, rights.OPERATORS, rights.LEADS
ORDER = [VIEWERS, OPERATORS, LEADS]
ANSWERS = {200, 301, 302, 400, 403, 404, 405, 409, 422}
#: pages that belong to whoever is signed in; they show and change nothing of the product's
ONES_OWN = {
    *("index", "app_list", "login", "logout", "password_change", "password_change_done", "jsi18n", "view_on_site"),
    *("autocomplete", "staff-zone", "rooms_room_find"),
}
#: the rows of a new database have no such file
NO_FILE = {"rooms_room_logo", "recordings_recording_media"}
#: name of an address → the first group that may do more there than look. Whoever adds a page adds a line.
NEEDS = {
    "rooms_room_add": OPERATORS,
    "rooms_room_change": OPERATORS,
    "rooms_room_archive": OPERATORS,
    "rooms_room_move": OPERATORS,
    "rooms_room_undo": OPERATORS,
    "rooms_room_pin": OPERATORS,
    "rooms_moveorder_cancel": OPERATORS,
    "rooms_moveorder_undo": OPERATORS,
    "rooms_moveorder_again": OPERATORS,
    "platform-check": OPERATORS,
    "platforms_webhookevent_again": OPERATORS,
    "platforms_webhookevent_dry_run": OPERATORS,
    "platforms_alertdelivery_again": OPERATORS,
    "meetings_capture_again": OPERATORS,
    "recordings_recording_again": OPERATORS,
    "recordings_transcript_again": OPERATORS,
    "platform-waive": LEADS,
    "rooms_waiver_withdraw": LEADS,
    "rooms_platformswitch_switch": LEADS,
    "rooms_wave_add": LEADS,
    "rooms_wave_edit": LEADS,
    "rooms_wave_delete": LEADS,
    "rooms_wave_command": LEADS,
    "rooms_experiment_add": LEADS,
    "rooms_experiment_edit": LEADS,
    "rooms_experiment_delete": LEADS,
    "rooms_experiment_command": LEADS,
}
SAID = {"post": "yes", "reason": "because", "days": "3", "daily-reason": "because", "_save": "Save"}


@pytest.fixture
def world(db):
    rights.grant(apps)
    with responses.RequestsMock(assert_all_requests_are_fired=False):  # no provider can be asked
        yield make_one_of_each()


@pytest.fixture
def signed_in(world):
    """``signed_in(group)``: a browser of somebody in that group; of a superuser without one."""

    def sign_in(group=None, **fields):
        user = make_user((group or "root").replace(" ", "-"), is_staff=True, **fields)
        if group in ORDER:
            user.groups.add(Group.objects.get(name=group))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


def product_pages():
    """All but those for accounts and tokens, which no group has a right to, and one's own."""
    return [page for page in pages() if page.name not in ONES_OWN and not is_of_accounts(page)]


def is_of_accounts(page):
    return page.name.startswith(("auth_", "authtoken_"))


def tried(client, address):
    """Status of a POST, all its effects taken back."""
    with transaction.atomic():
        status = client.post(address, SAID).status_code
        transaction.set_rollback(True)
    return status


def test_the_walk_gets_to_every_page(signed_in):
    """One row of every kind, and no address that the walk fills in wrongly."""
    client = signed_in(is_superuser=True)
    found = list(pages())
    assert [model for model in admin.site._registry if not model._base_manager.exists()] == []
    lists = {f"{model._meta.app_label}_{model._meta.model_name}_changelist" for model in admin.site._registry}
    assert lists <= {page.name for page in found}
    assert ONES_OWN | NO_FILE | set(NEEDS) <= {page.name for page in found}
    lost = [page.address for page in found if page.name not in NO_FILE and client.get(page.address).status_code == 404]
    assert lost == []


@pytest.mark.parametrize("group", ORDER)
def test_every_group_looks_at_everything(signed_in, group):
    client = signed_in(group)
    needs_more = set(ORDER[ORDER.index(group) + 1 :])
    root = signed_in(is_superuser=True)
    odd = []
    for page in product_pages():
        status = client.get(page.address).status_code
        if status not in ANSWERS or (
            NEEDS.get(page.name) not in needs_more and status != root.get(page.address).status_code
        ):
            odd.append((page.address, status))
    assert odd == []
    assert client.get("/admin/rooms/room/find/?q=board").status_code == 200


def test_staff_in_no_group_see_nothing(signed_in, world):
    client = signed_in("nobody")
    answers = {page.address: client.get(page.address, follow=True).status_code for page in product_pages()}
    seen = [address for address, status in answers.items() if status not in (403, 404, 405)]
    assert seen == []
    assert tried(client, "/admin/rooms/room/move/") == 403
    assert f"/admin/rooms/room/{world.pk}/" not in client.get("/admin/rooms/room/find/?q=board").content.decode()


@pytest.mark.parametrize("group", ["nobody", *ORDER])
def test_accounts_and_tokens_are_for_superusers(signed_in, group):
    client = signed_in(group)
    may = {"auth_user_changelist", "auth_user_change", "auth_user_history"} if group in (OPERATORS, LEADS) else set()
    theirs = [page for page in pages() if is_of_accounts(page)]
    assert {page.name for page in theirs if client.get(page.address).status_code != 403} == may
    assert {page.name for page in theirs if tried(client, page.address) != 403} <= may - {"auth_user_change"}


def test_commands_are_for_whom_they_are_meant_and_every_command_is_named(signed_in):
    clients = {group: signed_in(group) for group in ORDER}
    root = signed_in(is_superuser=True)
    found, wrong = set(), []
    for page in product_pages():
        posted = {group: tried(clients[group], page.address) for group in ORDER}
        if set(posted.values()) | {tried(root, page.address)} == {403}:
            continue  # nobody may, such as deleting a room
        first = next((group for group in ORDER if posted[group] != 403), None)
        if first != VIEWERS:
            found.add(page.name)
        later = ORDER[ORDER.index(first) :] if first else []
        if NEEDS.get(page.name, VIEWERS) != first or any(posted[group] not in ANSWERS - {403} for group in later):
            wrong.append((page.address, posted))
    assert wrong == []
    assert found == set(NEEDS)


def test_viewers_change_nothing_whatever_they_post(signed_in):
    client = signed_in(VIEWERS)
    was = rows_of_everything()
    for page in pages():
        if page.name != "logout":
            assert client.post(page.address, SAID).status_code in ANSWERS, page.address
    everything = RequestFactory().get("/")
    everything.user = make_user("root", is_superuser=True, is_staff=True)
    names = {name for model_admin in admin.site._registry.values() for name in model_admin.get_actions(everything)}
    everything.user.delete()
    assert {"run_again", "run_selected_again", "archive", "move_to_daily"} <= names
    for page in product_pages():
        if page.name.endswith("_changelist"):
            for name in names:
                chosen = {"action": name, "_selected_action": [page.model._base_manager.all()[0].pk]}
                assert client.post(page.address, chosen).status_code in ANSWERS, page.address
    assert client.get("/admin/").status_code == 200  # still signed in, else all of it would be for nothing
    now = rows_of_everything()
    assert {label for label in was if now[label] != was[label]} == set()


def test_operators_move_a_room_for_real(signed_in, world):
    client = signed_in(OPERATORS)
    address = f"/admin/rooms/room/move/?to=whereby&rooms={world.pk}"
    page = client.get(address).content.decode()
    hidden = dict(re.findall(r'<input type="hidden" name="(seen|seen_hash)" value="([^"]*)"', page))
    hidden["seen"] = hidden["seen"].replace("&quot;", '"')
    client.post(address, {**hidden, "reason": "back again"})
    assert Room.objects.get().platform == "whereby"
    assert Move.objects.first().actor.username == "Room-operators"


def test_changing_a_room_is_not_moving_it(client, world):
    user = make_user("half", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_room"))
    client.force_login(user)
    undo = reverse("admin:rooms_room_undo", args=[Move.objects.get().batch])
    move = f"/admin/rooms/room/move/?to=whereby&rooms={world.pk}"
    assert client.post(move, {"reason": "r"}).status_code == 403
    assert client.post(undo).status_code == 403
    page = client.get("/admin/rooms/room/").content.decode()
    assert "Move to" not in page
    assert "Undo" not in page


def test_a_group_alone_lets_nobody_into_the_admin(world, client):
    user = make_user("outsider")
    user.groups.add(Group.objects.get(name=LEADS))
    client.force_login(user)
    assert client.get("/admin/")["Location"].startswith("/admin/login/")
