import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from rooms.models import Move, Room
from rooms.pinning import PinRefused, pin_room, unpin_room
from rooms.services import move_room, move_rooms

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(room):
    return f"/admin/rooms/room/{room.pk}/pin/"


def words_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


def test_a_pin_has_a_reason_and_may_have_an_end(room, ann):
    now = timezone.now()
    pin_room(room_id=room.pk, reason=" hearing aids ", until=now + timedelta(days=1), actor=ann, now=now)
    room.refresh_from_db()
    assert (room.pin_reason, room.pinned_by, room.pinned_at) == ("hearing aids", ann, now)
    assert room.is_pinned(now + timedelta(hours=23))
    assert not room.is_pinned(now + timedelta(hours=25))
    unpin_room(room_id=room.pk, reason="not needed")
    room.refresh_from_db()
    assert (room.pin_reason, room.pinned_by, room.pinned_at, room.pin_until) == ("", None, None, None)


@pytest.mark.parametrize("reason", ["", " \n", "\x00"])
def test_a_reason_is_asked_for(room, reason):
    with pytest.raises(PinRefused, match="Say why"):
        pin_room(room_id=room.pk, reason=reason)
    pin_room(room_id=room.pk, reason="r")
    with pytest.raises(PinRefused, match="Say why"):
        unpin_room(room_id=room.pk, reason=reason)


def test_pins_that_cannot_be(room):
    with pytest.raises(PinRefused, match="would have ended already"):
        pin_room(room_id=room.pk, reason="r", until=timezone.now())
    with pytest.raises(PinRefused, match="“Standup” is not pinned"):
        unpin_room(room_id=room.pk, reason="r")
    with pytest.raises(PinRefused, match="does not exist"):
        pin_room(room_id=999, reason="r")


@pytest.mark.parametrize("source", [Move.Source.WAVE, Move.Source.ROLLBACK, Move.Source.GUARD])
def test_waves_leave_a_pinned_room_alone(room, source):
    pin_room(room_id=room.pk, reason="hearing aids")
    moved = move_rooms(rooms=[(room.pk, "whereby")], platform="daily", reason="r", source=source)
    assert moved.moves == []
    assert moved.refused == [(room.pk, "“Standup” is pinned to Whereby: hearing aids.")]
    assert moved.codes == {room.pk: "pinned"}


def test_staff_move_a_pinned_room_by_hand_and_the_pin_stays(room, ann):
    pin_room(room_id=room.pk, reason="hearing aids")
    move_room(room_id=room.pk, platform="daily", reason="I asked them", source="admin", actor=ann)
    assert Room.objects.get().pin_reason == "hearing aids"


def test_an_old_pin_holds_nothing(room):
    now = timezone.now()
    pin_room(room_id=room.pk, reason="r", until=now + timedelta(minutes=1), now=now)
    later = now + timedelta(minutes=2)
    moved = move_rooms(rooms=[(room.pk, None)], platform="daily", reason="r", source="wave", now=later)
    assert len(moved.moves) == 1


# -- page


def test_the_page_pins_changes_and_takes_out(staff, room, page):
    assert f'href="{page}"' in staff.get(f"/admin/rooms/room/{room.pk}/change/").content.decode()
    until = (timezone.now() + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
    done = staff.post(page, {"reason": "hearing aids", "until": until}, follow=True)
    assert done.redirect_chain == [(f"/admin/rooms/room/{room.pk}/change/", 302)]
    assert "to Whereby by Ann Archer since" in words_of(done)
    assert "hearing aids" in words_of(staff.get(page))
    staff.post(page, {"reason": "still", "until": ""})
    room.refresh_from_db()
    assert (room.pin_reason, room.pin_until) == ("still", None)
    staff.post(page, {"unpin": "1", "unpin-reason": "not needed"})
    room.refresh_from_db()
    assert room.pinned_at is None
    logged = [entry.change_message for entry in LogEntry.objects.order_by("pk")]
    assert logged[1:] == ["“Standup” is pinned to Whereby: still", "“Standup” is not pinned any more: not needed"]


def test_a_page_from_before_a_move_does_not_pin_the_room_to_where_it_was_moved(staff, room, page, ann):
    assert 'name="seen_on" value="whereby"' in staff.get(page).content.decode()
    move_room(room_id=room.pk, platform="daily", reason="pilot", source="admin", actor=ann)
    stale = staff.post(page, {"reason": "hearing aids", "seen_on": "whereby"})
    assert stale.status_code == 409
    assert "was moved from Whereby to Daily by Ann Archer on " in words_of(stale)
    assert "Pin to Daily" in words_of(stale)
    assert Room.objects.get().pinned_at is None
    assert staff.post(page, {"reason": "hearing aids", "seen_on": "daily"}).status_code == 302


def seen_pin(page):
    return re.search(r'name="seen_pin" value="([^"]*)"', page.content.decode())[1]


def test_a_page_from_before_another_pin_neither_overwrites_it_nor_takes_it_out(staff, room, page, ann):
    before = seen_pin(staff.get(page))
    pin_room(room_id=room.pk, reason="hearing aids", actor=ann)
    stale = staff.post(page, {"reason": "sounds better", "seen_pin": before})
    assert stale.status_code == 409
    assert "“Standup” was pinned to Whereby by Ann Archer on " in words_of(stale)
    assert "hearing aids. You had not seen that" in words_of(stale)
    first = seen_pin(stale)
    pin_room(room_id=room.pk, reason="elections", actor=ann)
    assert staff.post(page, {"unpin": "1", "unpin-reason": "over", "seen_pin": first}).status_code == 409
    assert Room.objects.get().pin_reason == "elections"
    assert (
        staff.post(page, {"unpin": "1", "unpin-reason": "over", "seen_pin": seen_pin(staff.get(page))}).status_code
        == 302
    )
    assert Room.objects.get().pinned_at is None


def test_a_page_from_before_a_pin_was_taken_out_says_so(staff, room, page):
    pin_room(room_id=room.pk, reason="hearing aids")
    before = seen_pin(staff.get(page))
    unpin_room(room_id=room.pk, reason="over")
    stale = staff.post(page, {"reason": "still", "seen_pin": before})
    assert stale.status_code == 409
    assert "The pin of “Standup” was taken out after you looked." in words_of(stale)


def test_the_page_says_what_is_missing(staff, room, page):
    assert "Say why" in words_of(staff.post(page, {"reason": " "}))
    assert "That has passed" in words_of(staff.post(page, {"reason": "r", "until": "2020-01-01T10:00"}))
    stale = staff.post(page, {"unpin": "1", "unpin-reason": "r"})
    assert stale.status_code == 409
    assert "“Standup” is not pinned." in words_of(stale)
    staff.post(page, {"reason": "r"})
    assert "Say why" in words_of(staff.post(page, {"unpin": "1", "unpin-reason": " "}))
    room.refresh_from_db()
    assert room.pinned_at is not None
    assert staff.get("/admin/rooms/room/999/pin/").status_code == 404
    assert staff.put(page).status_code == 405


def test_the_form_of_a_room_does_not_touch_its_pin(staff, room):
    pin_room(room_id=room.pk, reason="hearing aids")
    page = staff.get(f"/admin/rooms/room/{room.pk}/change/")
    assert not {"pin_reason", "pin_until", "pinned_at", "pinned_by", "platform"} & set(
        page.context["adminform"].form.fields
    )


def test_who_may_only_move_pins_nothing(client, room, page):
    mover = User.objects.create_user("mover", is_staff=True)
    mover.user_permissions.add(*Permission.objects.filter(codename__in=["view_room", "change_room", "move_room"]))
    client.force_login(mover)
    assert client.post(page, {"reason": "r"}).status_code == 403
    assert page not in client.get(f"/admin/rooms/room/{room.pk}/change/").content.decode()
