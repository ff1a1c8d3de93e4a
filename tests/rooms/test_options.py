"""What a room's options come to on each platform: what the preview of a move and the options page show."""

import pytest

from platforms import registry
from rooms.options import compare, without_effect
from tests.factories import make_room

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("option", "lost"),
    [
        # as they come
        ({}, {"daily": [], "whereby": []}),
        ({"is_locked": True}, {"daily": [], "whereby": []}),
        ({"mode": "normal"}, {"daily": ["mode"], "whereby": []}),
        ({"enable_knocking": False}, {"daily": [], "whereby": ["knocking"]}),
        ({"enable_chat": False}, {"daily": [], "whereby": []}),
        ({"enable_screen_share": False}, {"daily": [], "whereby": []}),
        ({"camera_on": False}, {"daily": [], "whereby": []}),
        ({"microphone_on": False}, {"daily": [], "whereby": []}),
        ({"max_participants": 12}, {"daily": [], "whereby": ["max participants"]}),
        ({"recording_type": "none"}, {"daily": [], "whereby": []}),
        ({"recording_type": "local"}, {"daily": [], "whereby": []}),
        ({"recording_trigger": "prompt"}, {"daily": [], "whereby": []}),
        ({"logo": "logos/a.png"}, {"daily": ["logo"], "whereby": []}),
        ({"language": "de"}, {"daily": [], "whereby": []}),
        ({"language": "pt-BR"}, {"daily": [], "whereby": []}),
        ({"language": "fi"}, {"daily": [], "whereby": ["language fi"]}),
        ({"language": "zh-TW"}, {"daily": ["language zh-TW"], "whereby": []}),
    ],
)
def test_what_is_lost_on_each_platform(option, lost):
    room = make_room(**option)
    assert {platform: without_effect(room, platform) for platform in lost} == lost


def rows(**options):
    adapters = [registry.get("daily"), registry.get("whereby")]
    return {row.name: row for row in compare(make_room(**options), adapters)}


def test_every_option_has_a_row():
    assert list(rows()) == [
        *("locked", "mode", "knocking", "chat", "screen share", "camera on at start", "microphone on at start"),
        *("language", "max participants", "recording type", "recording starts", "logo"),
    ]


def test_members_of_a_locked_room_knock_where_they_cannot_be_told_from_guests():
    row = rows(is_locked=True)["locked"]
    assert [effect.words for effect in row.effects] == ["members walk in", "members knock too"]
    assert row.differs
    assert not rows(is_locked=False)["locked"].differs


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"consent_policy": "not_asked"}, ["by our server", "by the platform"]),
        ({"consent_policy": "choice"}, ["by our server", "by a host’s page: only while a host is there"]),
    ],
)
def test_who_starts_a_recording_differs(options, words):
    row = rows(**options)["recording starts"]
    assert [effect.words for effect in row.effects] == words
    assert row.differs


def test_a_language_of_one_platform_only_is_a_difference():
    row = rows(language="fi")["language"]
    assert [(effect.works, effect.matters) for effect in row.effects] == [(True, True), (False, True)]


def test_a_move_says_what_rooms_lose_before_it_is_made(client, ann):
    client.force_login(ann)
    rooms = [make_room(platform="daily", **options) for options in ({}, {"max_participants": 12, "language": "fi"})]
    address = f"/admin/rooms/room/move/?to=whereby&rooms={rooms[0].pk},{rooms[1].pk}"
    said = client.get(address).content.decode()
    assert "Without effect on Whereby: language fi (1 room), max participants (1 room)." in said
    assert "<td>language fi, max participants <a" in said
    assert "<td>– <a" in said


def test_a_rooms_page_says_what_it_set_in_vain(client, ann):
    client.force_login(ann)
    room = make_room(platform="whereby", enable_knocking=False)
    page = f"/admin/rooms/room/{room.pk}/change/"
    assert "Without effect on Whereby" in client.get(page).content.decode()
    room.enable_knocking = True
    room.save()
    assert "Without effect on" not in client.get(page).content.decode()
