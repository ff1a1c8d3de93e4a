"""Moving many rooms, moving later, and what staff see of it."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from platforms.models import ReadinessResult
from rooms import services, switching
from rooms.admin import RoomAdmin
from rooms.models import Move, MoveOrder, Room
from rooms.ordering import order_as_planned, schedule_move
from rooms.planning import preview_move
from rooms.services import MoveRefused, move_room
from rooms.staff import moving
from rooms.tasks import carry_out_move_order
from rooms.undoing import undo_move
from tests.factories import make_meeting, make_participant, make_stay

pytestmark = pytest.mark.django_db

ROOMS = "/admin/rooms/room/"
ORDERS = "/admin/rooms/moveorder/"


@pytest.fixture
def rooms(db):
    return Room.objects.bulk_create(
        Room(name=f"Room {number}", slug=f"room-{number}", platform="whereby") for number in range(5)
    )


@pytest.fixture
def many_is_three(monkeypatch):
    """More than two rooms are many."""
    monkeypatch.setattr(services, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(moving, "MOST_AT_ONCE", 2)


def hidden(page):
    """What a browser would send besides what somebody types."""
    text = page.content.decode()
    names = ("seen", "seen_hash", "looked_at", "next")
    found = {name: re.search(rf'name="{name}" value="([^"]*)"', text)[1] for name in names}
    return {**found, "seen": found["seen"].replace("&quot;", '"')}


def words_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


def messages_of(response):
    return [str(message) for message in response.context["messages"]]


def carry_out(order):
    carry_out_move_order(str(order.pk))
    order.refresh_from_db()


def address(rooms, to="daily"):
    return f"{ROOMS}move/?to={to}&rooms={','.join(str(room.pk) for room in rooms)}"


# -- many


def test_all_that_match_are_moved_in_the_background(staff, rooms, ann, many_is_three):
    Room.objects.create(name="Other", slug="other", platform="whereby")
    chosen = {"action": "move_to_daily", "select_across": "1", "_selected_action": [rooms[0].pk]}
    page = staff.post(f"{ROOMS}?q=room", chosen, follow=True)
    assert "Move 5 rooms to Daily" in words_of(page)
    assert "moved in the background" in words_of(page)
    form = hidden(page)
    assert form["seen"] == "[]"
    done = staff.post(page.redirect_chain[-1][0], {**form, "reason": "cheaper", "when": "now"}, follow=True)
    order = MoveOrder.objects.get()
    assert done.redirect_chain == [(f"{ORDERS}{order.pk}/change/", 302)]
    assert messages_of(done) == ["5 rooms are being moved to Daily; this page says how far it is."]
    assert "0 of 5 rooms moved, 0 skipped (there already), 0 refused, 5 to go" in words_of(done)
    assert '<meta http-equiv="refresh" content="5">' in done.content.decode()
    assert staff.get(f"{ORDERS}{order.pk}/progress/").json() == {
        "words": "0 of 5 rooms moved, 0 skipped (there already), 0 refused, 5 to go",
        "value": 0,
        "most": 5,
        "is_moving": True,
    }
    carry_out(order)
    assert staff.get(f"{ORDERS}{order.pk}/progress/").json()["value"] == 5
    done = staff.get(f"{ORDERS}{order.pk}/change/")
    assert "5 of 5 rooms moved" in words_of(done)
    assert "refresh" not in done.content.decode()
    assert set(Room.objects.filter(platform="daily")) == set(rooms)
    assert LogEntry.objects.get().change_message == "Ordered: 5 rooms to Daily: cheaper"
    assert "5 of 5" in words_of(staff.get(ORDERS))


def all_moves(page):
    """Words → address of the links that move all rooms which a list finds."""
    links = re.findall(r'<li><a href="([^"]+)">(Move all[^<]*)</a>', page.content.decode())
    return {words: html.unescape(address) for address, words in links}


def test_all_that_match_are_moved_by_links_alone(staff, rooms, many_is_three):
    other = Room.objects.create(name="Other", slug="other", platform="whereby")
    listed = f"{ROOMS}?q=room&platform__exact=whereby"
    links = all_moves(staff.get(listed))
    assert list(links) == ["Move all 5 rooms of this list to Whereby…", "Move all 5 rooms of this list to Daily…"]
    link = links["Move all 5 rooms of this list to Daily…"]
    page = staff.get(link)
    assert "Move 5 rooms to Daily" in words_of(page)
    form = hidden(page)
    assert form["next"] == html.escape(listed)
    staff.post(link, {**form, "reason": "cheaper", "when": "now"})
    order = MoveOrder.objects.get()
    assert {row.room for row in order.rooms.all()} == set(rooms)
    carry_out(order)
    assert set(Room.objects.filter(platform="daily")) == set(rooms)
    other.refresh_from_db()
    assert other.platform == "whereby"


def test_links_that_move_all_are_there_when_the_list_shows_a_part(staff, rooms, monkeypatch):
    assert all_moves(staff.get(ROOMS)) == {}
    assert all_moves(staff.get(f"{ROOMS}?q=nothing-like-it")) == {}
    assert len(all_moves(staff.get(f"{ROOMS}?is_shared__exact=0"))) == 2
    monkeypatch.setattr(RoomAdmin, "list_per_page", 4)
    second = all_moves(staff.get(f"{ROOMS}?p=2"))
    assert "Move 5 rooms to Daily" in words_of(staff.get(second["Move all 5 rooms of this list to Daily…"]))


def test_who_may_not_move_gets_no_link_that_moves_all(client, rooms):
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_room"))
    client.force_login(viewer)
    assert "Room" in words_of(client.get(f"{ROOMS}?q=room"))
    assert all_moves(client.get(f"{ROOMS}?q=room")) == {}


def test_what_changed_since_the_page_of_many_was_shown_is_told(staff, rooms, ann, many_is_three):
    page = staff.get(address(rooms))
    move_room(room_id=rooms[0].pk, platform="daily", reason="was faster", source="admin", actor=ann)
    answer = staff.post(address(rooms), {**hidden(page), "reason": "cheaper", "when": "now"})
    assert answer.status_code == 409
    assert "Now 4 rooms of 5 would move." in words_of(answer)
    assert "“Room 0” was moved to Daily by Ann Archer: was faster." in words_of(answer)
    assert not MoveOrder.objects.exists()
    again = staff.post(address(rooms), {**hidden(answer), "reason": "cheaper", "when": "now"})
    assert again.status_code == 302
    assert MoveOrder.objects.get().rooms.filter(state="waiting").count() == 4


@pytest.mark.parametrize("when", ["now", "at"])
def test_a_room_that_a_list_does_not_find_any_more_was_moved_not_deleted(staff, rooms, ann, when):
    link = all_moves(staff.get(f"{ROOMS}?platform__exact=whereby"))["Move all 5 rooms of this list to Daily…"]
    at = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    agreed = {"reason": "cheaper", "when": when, "at": at}
    page = staff.get(link)
    move_room(room_id=rooms[0].pk, platform="daily", reason="was faster", source="admin", actor=ann)
    Room.objects.create(name="Made since", slug="made-since", platform="whereby")
    stale = staff.post(link, {**hidden(page), **agreed})
    assert stale.status_code == 409
    assert "“Room 0” was moved from Whereby to Daily by Ann Archer on " in words_of(stale)
    assert "was deleted" not in words_of(stale)
    done = staff.post(link, {**hidden(stale), **agreed}, follow=True)
    assert messages_of(done)[0].startswith("Moved 4 rooms to Daily" if when == "now" else "4 rooms will be moved to")
    assert Room.objects.get(slug="made-since").platform == "whereby"


def test_a_move_of_many_is_taken_back_with_one_button(staff, rooms, many_is_three, monkeypatch):
    monkeypatch.setattr("rooms.staff.undoing.MOST_AT_ONCE", 2)
    staff.post(address(rooms), {**hidden(staff.get(address(rooms))), "reason": "cheaper", "when": "now"})
    order = MoveOrder.objects.get()
    assert "/undo/" not in staff.get(ROOMS).content.decode()
    carry_out(order)
    page = staff.get(ROOMS)
    assert "5 rooms moved to Daily by Ann Archer" in words_of(page)
    undo = re.search(r'action="(/admin/rooms/room/undo/[^"]+)"', page.content.decode())[1]
    done = staff.post(undo, follow=True)
    back = MoveOrder.objects.get(kind="undo")
    assert done.redirect_chain == [(f"{ORDERS}{back.pk}/change/", 302)]
    carry_out(back)
    assert Room.objects.filter(platform="whereby").count() == 5
    assert "/undo/" not in staff.get(ROOMS).content.decode()


def test_the_page_of_an_order_cancels_and_takes_back(staff, rooms, ann):
    def order(to):
        plan = preview_move(room_ids=[room.pk for room in rooms], platform=to)
        ids = [room.pk for room in rooms]
        return order_as_planned(platform=to, room_ids=ids, seen_hash=plan.hash, reason="cheaper", actor=ann)

    first = order("daily")
    carry_out(first)
    page = staff.get(f"{ORDERS}{first.pk}/change/").content.decode()
    assert "Move all of them back" in page
    assert "Cancel" not in page
    staff.post(f"{ORDERS}{first.pk}/undo/")
    carry_out(MoveOrder.objects.get(kind="undo"))
    second = order("daily")
    done = staff.post(f"{ORDERS}{second.pk}/cancel/", follow=True)
    assert messages_of(done)[-1] == "Cancelled. Rooms that were moved stay moved."
    assert "Cancelled before it was this room’s turn." in words_of(done)
    assert "✕ cancelled" not in words_of(done)
    assert messages_of(staff.post(f"{ORDERS}{second.pk}/cancel/", follow=True)) == ["This move was cancelled already."]
    assert Room.objects.filter(platform="whereby").count() == 5
    for what in ("cancel", "undo"):
        assert staff.get(f"{ORDERS}{second.pk}/{what}/").status_code == 405
        assert staff.post(f"{ORDERS}999/{what}/").status_code == 404


def test_a_stuck_order_goes_on_with_a_click(staff, rooms, ann):
    plan = preview_move(room_ids=[rooms[0].pk], platform="daily")
    order = order_as_planned(platform="daily", room_ids=[rooms[0].pk], seen_hash=plan.hash, reason="cheaper", actor=ann)
    MoveOrder.objects.update(status="quarantined", last_error="gone mad", finished_at=timezone.now())
    page = staff.get(f"{ORDERS}{order.pk}/change/")
    assert "✕ stuck" in words_of(page)
    assert "gone mad" in words_of(page)
    staff.post(f"{ORDERS}{order.pk}/again/")
    carry_out(order)
    assert Room.objects.get(pk=rooms[0].pk).platform == "daily"


def test_lists_need_the_same_few_queries_for_many_rooms(
    staff, rooms, ann, many_is_three, django_assert_max_num_queries
):
    staff.post(address(rooms), {**hidden(staff.get(address(rooms))), "reason": "cheaper", "when": "now"})
    carry_out(MoveOrder.objects.get())
    for page, most in ((ROOMS, 12), (ORDERS, 8), (f"{ORDERS}{MoveOrder.objects.get().pk}/change/", 14)):
        with django_assert_max_num_queries(most):
            staff.get(page)


# -- later


def test_a_move_for_later_is_kept_shown_and_done(staff, room, ann, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    at = (timezone.now() + timedelta(days=1)).replace(second=0, microsecond=0)
    page = staff.get(address([room]))
    assert timezone.localtime().tzname() in words_of(page)
    typed = timezone.localtime(at).strftime("%Y-%m-%dT%H:%M")
    done = staff.post(address([room]), {**hidden(page), "reason": "at night", "when": "at", "at": typed}, follow=True)
    assert messages_of(done)[0].startswith("1 room will be moved to Daily on ")
    order = MoveOrder.objects.get()
    assert (order.scheduled_for, order.actor, order.kind) == (at, ann, "scheduled")
    assert Room.objects.get(pk=room.pk).platform == "whereby"
    page = words_of(staff.get(f"{ROOMS}{room.pk}/change/"))
    assert "Will be moved" in page
    assert "by Ann Archer: at night" in page
    assert "○ waiting for its time" in words_of(staff.get(ORDERS))
    staff.post(f"{ORDERS}{order.pk}/cancel/")
    assert "Will be moved" not in words_of(staff.get(f"{ROOMS}{room.pk}/change/"))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Give the day and the time, or choose “Now”."),
        ("tomorrow", "Give a day and a time, such as 2026-03-03T14:00."),
        ("2020-01-01T10:00", "has passed: choose a time to come, or move now."),
    ],
)
def test_times_that_cannot_be_are_told(staff, room, typed, words):
    page = staff.post(address([room]), {**hidden(staff.get(address([room]))), "reason": "r", "when": "at", "at": typed})
    assert words in words_of(page)
    assert not MoveOrder.objects.exists()
    assert not Move.objects.exists()


def test_a_reason_is_asked_for_later_moves_too(staff, room):
    form = {**hidden(staff.get(address([room]))), "reason": " ", "when": "at", "at": "2099-01-01T10:00"}
    assert "Say why" in words_of(staff.post(address([room]), form))
    assert not MoveOrder.objects.exists()


# -- what staff are told before


def test_the_page_sums_up_what_there_is_to_know(staff, rooms, ann):
    for number, people in ((0, 2), (1, 1)):
        meeting = make_meeting(rooms[number])
        for _ in range(people):
            make_stay(make_participant(meeting))
    Room.objects.filter(pk=rooms[2].pk).update(pinned_at=timezone.now(), pin_reason="hearing aids")
    Room.objects.filter(pk=rooms[3].pk).update(archived_at=timezone.now())
    page = words_of(staff.get(address(rooms)))
    assert "2 live meetings with 3 people inside stay where they are until the end." in page
    assert "1 room is pinned: read why before you move it." in page
    assert "◔ pinned : hearing aids" in page
    assert "1 room will not be moved; the reasons are below." in page
    assert "Room 3 is archived" in page


def test_a_pin_that_came_since_the_page_was_shown_stops_the_move(staff, room):
    page = staff.get(address([room]))
    Room.objects.update(pinned_at=timezone.now(), pin_reason="hearing aids")
    answer = staff.post(address([room]), {**hidden(page), "reason": "r", "when": "now"})
    assert answer.status_code == 409
    assert "“Standup” was pinned." in words_of(answer)
    again = staff.post(address([room]), {**hidden(answer), "reason": "I asked them", "when": "now"})
    assert again.status_code == 302
    assert Room.objects.get().platform == "daily"


def test_the_page_leads_to_where_a_refusal_can_be_mended(staff, room, ann):
    switching.close(platform="daily", reason="outage", actor=ann)
    page = staff.get(address([room]))
    assert "cannot go to Daily, which is closed for new meetings by Ann Archer" in words_of(page)
    assert 'href="/admin/rooms/platformswitch/"' in page.content.decode()
    switching.open(platform="daily", reason="over")
    checked = {"title": "Credentials", "status": "failed", "is_blocking": True, "checked_at": timezone.now()}
    ReadinessResult.objects.create(platform="daily", key="credentials", words="401", fix="Set the key", **checked)
    page = staff.get(address([room]))
    assert "cannot go to Daily: Credentials: 401. What to do: Set the key. Its checks" in words_of(page)
    assert 'href="/admin/platform/daily/readiness/"' in page.content.decode()
    with pytest.raises(MoveRefused, match="Credentials: 401") as refused:
        move_room(room_id=room.pk, platform="daily", reason="r", source="admin")
    assert refused.value.code == "checks_failed:credentials"


def test_a_check_that_fails_does_not_hold_up_who_goes_back(room):
    move = move_room(room_id=room.pk, platform="daily", reason="r", source="admin")
    checked = {"title": "Credentials", "status": "failed", "is_blocking": True, "checked_at": timezone.now()}
    ReadinessResult.objects.create(platform="whereby", key="credentials", words="401", fix="Set the key", **checked)
    with pytest.raises(MoveRefused, match="Credentials: 401"):
        move_room(room_id=room.pk, platform="whereby", reason="r", source="admin")
    undo_move(move=move, actor=None)
    assert Room.objects.get().platform == "whereby"


# -- rights


def test_who_may_only_look_moves_cancels_and_takes_back_nothing(client, room):
    order = schedule_move(room_id=room.pk, platform="daily", reason="r", at=timezone.now() + timedelta(days=1))
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(*Permission.objects.filter(codename__in=["view_room", "view_moveorder"]))
    client.force_login(viewer)
    page = client.get(f"{ORDERS}{order.pk}/change/")
    assert page.status_code == 200
    assert "Cancel" not in page.content.decode()
    for what in ("cancel", "undo", "again"):
        assert client.post(f"{ORDERS}{order.pk}/{what}/").status_code == 403
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert client.get(f"{ORDERS}{order.pk}/change/").status_code == 403
    assert client.get(f"{ORDERS}{order.pk}/progress/").status_code == 404


def test_a_move_somebody_ordered_is_named_as_such_in_the_history(staff, room, ann):
    order = schedule_move(
        room_id=room.pk, platform="daily", reason="at night", at=timezone.now() + timedelta(seconds=1), actor=ann
    )
    MoveOrder.objects.update(due_at=timezone.now())
    carry_out(order)
    assert list(Move.objects.values_list("source", "actor", "order")) == [("schedule", ann.pk, order.pk)]
