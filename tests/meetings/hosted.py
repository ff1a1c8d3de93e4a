"""A room to meet in, one whose page records, and a host who is signed in."""

import pytest

from tests.factories import make_room, make_user


@pytest.fixture
def room():
    return make_room(slug="standup", name="Stand-up", platform="fake", is_shared=True)


@pytest.fixture
def page_room():
    return make_room(slug="page-room", platform="fake-page", is_shared=True)


@pytest.fixture
def host(room, client):
    user = make_user("hanna", first_name="Hanna", last_name="Host")
    room.hosts.add(user)
    client.force_login(user)
    return user
