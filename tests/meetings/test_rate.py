"""Guests may press Join only so often."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from meetings.models import GuestJoins
from tests.factories import NOW, make_room, make_user
from tests.meetings.visitors import heading, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_platforms")]


@pytest.fixture(autouse=True)
def three_a_minute(settings):
    settings.GUEST_JOINS_PER_MINUTE = 3


@pytest.fixture
def room():
    return make_room(slug="standup", platform="fake", is_shared=True)


def statuses(room, count, **client_options):
    return [send(Client(**client_options), room).status_code for _ in range(count)]


def test_the_fourth_try_in_a_minute_is_told_when_to_come_back(room, provider):
    with time_machine.travel(NOW + timedelta(seconds=20), tick=False) as clock:
        assert statuses(room, 3) == [303, 303, 303]
        response = send(Client(), room)
        assert (response.status_code, response["Retry-After"]) == (429, "41")
        assert heading(response) == "Too many tries"
        assert "in 41 seconds" in response.content.decode()
        clock.shift(timedelta(seconds=41))
        assert statuses(room, 1) == [303]


def test_networks_are_counted_apart(room):
    with time_machine.travel(NOW, tick=False):
        assert statuses(room, 4, REMOTE_ADDR="192.0.2.1") == [303, 303, 303, 429]
        assert statuses(room, 1, REMOTE_ADDR="192.0.2.2") == [303]


def test_one_ipv6_customer_is_one_network(room):
    with time_machine.travel(NOW, tick=False):
        each = [statuses(room, 1, REMOTE_ADDR=f"2001:db8:1:2::{number}") for number in range(4)]
        assert each == [[303], [303], [303], [429]]


def test_accounts_are_not_limited(room, client):
    client.force_login(make_user())
    with time_machine.travel(NOW, tick=False):
        assert [send(client, room).status_code for _ in range(5)] == [303] * 5


def test_mistakes_and_looking_are_free(room, client, provider):
    with time_machine.travel(NOW, tick=False):
        for _ in range(5):
            client.get("/rooms/standup/")
            assert send(client, room, name="").status_code == 422
        assert send(client, room).status_code == 303


def test_behind_a_proxy_what_the_proxy_saw_counts(room, settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    with time_machine.travel(NOW, tick=False):
        forged = [statuses(room, 1, HTTP_X_FORWARDED_FOR=f"10.0.0.{number}, 192.0.2.1") for number in range(4)]
        assert forged == [[303], [303], [303], [429]]
        assert statuses(room, 1, HTTP_X_FORWARDED_FOR="10.0.0.1, 192.0.2.2") == [303]


def test_no_address_is_kept_and_old_minutes_go(room):
    with time_machine.travel(NOW, tick=False) as clock:
        statuses(room, 1, REMOTE_ADDR="192.0.2.1")
        assert "192.0.2.1" not in GuestJoins.objects.get().who
        clock.shift(timedelta(minutes=11))
        statuses(room, 1, REMOTE_ADDR="192.0.2.1")
        assert GuestJoins.objects.count() == 1
