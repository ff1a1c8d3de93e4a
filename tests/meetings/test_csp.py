"""What the pages admit from elsewhere: nothing; and a call page: this meeting's platform, exactly."""

import re

import pytest

from platforms.base import Origins
from tests.factories import make_room
from tests.fake_platform.adapter import FakeAdapter
from tests.meetings.visitors import come_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_platforms")]


def policy(response):
    parts = response["Content-Security-Policy"].split("; ")
    return {name: set(sources) for name, *sources in (part.split() for part in parts)}


@pytest.fixture
def room():
    return make_room(slug="standup", platform="fake", is_shared=True)


@pytest.mark.parametrize("path", ["/", "/rooms/standup/", "/rooms/standup/kept/", "/accounts/login/", "/nowhere"])
def test_other_pages_admit_nothing_from_elsewhere(client, room, path):
    come_in(client, room)
    response = client.get(path)
    sources = {source for allowed in policy(response).values() for source in allowed}
    assert sources <= {"'self'", "'none'", "data:"}
    assert policy(response)["frame-src"] == {"'none'"}
    assert "camera=()" in response["Permissions-Policy"]
    assert "microphone=()" in response["Permissions-Policy"]
    assert not re.search(r'(?:src|href)="(?:https?:)?//', response.content.decode())


def test_call_page_admits_its_platform_and_the_sdk(client, room):
    come_in(client, room)
    response = client.get("/rooms/standup/call/")
    allowed = policy(response)
    assert allowed["frame-src"] == {"https://fake.example"}
    assert allowed["script-src"] == {"'self'", FakeAdapter.sdk.cdn_url}
    assert allowed["connect-src"] == {"'self'"}
    assert allowed["style-src"] == {"'self'"}
    assert 'camera=(self "https://fake.example")' in response["Permissions-Policy"]
    assert 'display-capture=(self "https://fake.example")' in response["Permissions-Policy"]
    text = response.content.decode()
    assert f'src="{FakeAdapter.sdk.cdn_url}" integrity="sha384-none" crossorigin="anonymous"' in text


def test_our_own_copy_of_the_sdk_needs_no_cdn(client, room, monkeypatch):
    monkeypatch.setattr("django.contrib.staticfiles.finders.find", lambda path: f"/static/{path}")
    come_in(client, room)
    response = client.get("/rooms/standup/call/")
    assert policy(response)["script-src"] == {"'self'"}
    assert 'src="/static/fake/sdk.js"' in response.content.decode()


def test_every_kind_of_origin_reaches_the_header(client, room, monkeypatch):
    told = Origins(
        frame=("http://localhost:8001",),
        script=("http://localhost:8001",),
        connect=("ws://localhost:8001",),
        style=("'sha256-abc='",),
        permissions=("http://localhost:8001",),
    )
    monkeypatch.setattr(FakeAdapter, "origins", lambda self, room_url="": told)
    come_in(client, room)
    allowed = policy(client.get("/rooms/standup/call/"))
    assert allowed["frame-src"] == {"http://localhost:8001"}
    assert "http://localhost:8001" in allowed["script-src"]
    assert "ws://localhost:8001" in allowed["connect-src"]
    assert allowed["style-src"] == {"'self'", "'sha256-abc='"}


@pytest.mark.parametrize("path", ["/", "/rooms/standup/", "/rooms/standup/call/", "/accounts/login/"])
def test_nothing_is_inline(client, room, path):
    come_in(client, room)
    text = client.get(path).content.decode()
    assert "<style" not in text
    assert not re.search(r"<[^>]+\sstyle=", text)
    assert not re.search(r"<[^>]+\son\w+=", text)
    for attributes, body in re.findall(r"<script\b([^>]*)>(.*?)</script>", text, re.DOTALL):
        assert "application/json" in attributes or not body.strip()
