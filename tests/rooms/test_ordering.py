from datetime import timedelta

import pytest
from django.utils import timezone

from platforms.models import Alert
from platforms.work import claim, wake_due, work_on
from rooms import ordering, services, switching
from rooms.models import Move, MoveOrder, Room
from rooms.ordering import cancel_order, order_as_planned, progress, schedule_move
from rooms.pinning import pin_room, unpin_room
from rooms.planning import preview_move
from rooms.services import MoveRefused, PlanChanged, move_room
from rooms.tasks import carry_out_move_order
from rooms.undoing import undo_order
from rooms.words import minute_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def rooms(db):
    return Room.objects.bulk_create(
        Room(name=f"Room {number}", slug=f"room-{number}", platform="whereby") for number in range(5)
    )


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(ordering, "MOST_AT_ONCE", 2)


def order(rooms, ann, to="daily", **more):
    plan = preview_move(room_ids=[room.pk for room in rooms], platform=to)
    return order_as_planned(
        **{
            "platform": to,
            "room_ids": [room.pk for room in rooms],
            "seen_hash": plan.hash,
            "reason": "cheaper",
            "actor": ann,
            **more,
        }
    )


def carry_out(order):
    carry_out_move_order(str(order.pk))
    order.refresh_from_db()


def platforms(rooms):
    return list(
        Room.objects.filter(pk__in=[room.pk for room in rooms]).order_by("pk").values_list("platform", flat=True)
    )


def told(order):
    return list(order.rooms.values_list("state", "words"))


# -- many rooms


def test_an_order_moves_its_rooms_in_chunks_and_each_once(rooms, ann, small_chunks, django_assert_max_num_queries):
    made = order(rooms, ann)
    assert platforms(rooms) == ["whereby"] * 5
    carry_out(made)
    carry_out(made)  # a message that comes twice
    assert platforms(rooms) == ["daily"] * 5
    moves = Move.objects.filter(order=made)
    assert moves.count() == 5
    assert set(moves.values_list("source", "actor", "reason", "batch")) == {("bulk", ann.pk, "cheaper", made.batch)}
    assert (made.status, progress(made).words) == (
        "done",
        "5 of 5 rooms moved, 0 skipped (there already), 0 refused, 0 to go",
    )


def test_what_was_refused_when_it_was_ordered_is_told_with_the_rest(rooms, ann):
    move_room(room_id=rooms[1].pk, platform="daily", reason="pilot", source="admin")
    Room.objects.filter(pk=rooms[2].pk).update(archived_at=timezone.now())
    made = order(rooms, ann)
    carry_out(made)
    assert told(made) == [
        ("moved", ""),
        ("skipped", "“Room 1” is already on Daily."),
        ("refused", "“Room 2” is archived."),
        ("moved", ""),
        ("moved", ""),
    ]


def test_a_room_that_somebody_moved_meanwhile_is_left_where_it_is(rooms, ann):
    made = order(rooms, ann)
    for platform in ("daily", "whereby", "daily"):
        move_room(room_id=rooms[0].pk, platform=platform, reason="trying", source="admin", actor=ann)
    carry_out(made)
    state, words = told(made)[0]
    assert state == "refused"
    assert words.startswith("“Room 0” was moved from Whereby to Daily by Ann Archer on ")
    assert Move.objects.filter(order=made).count() == 4


def test_a_worker_that_dies_between_chunks_leaves_whole_ones_and_the_next_goes_on(rooms, ann, small_chunks):
    made = order(rooms, ann)
    dead = claim(MoveOrder, made.pk)
    assert ordering._move_some(dead)
    assert platforms(rooms) == ["daily", "daily", "whereby", "whereby", "whereby"]
    carry_out(made)
    assert platforms(rooms) == ["daily", "daily", "whereby", "whereby", "whereby"]  # the lease of the dead still runs
    MoveOrder.objects.filter(pk=made.pk).update(lease_until=timezone.now())
    carry_out(made)
    assert platforms(rooms) == ["daily"] * 5
    assert Move.objects.count() == 5


def test_a_worker_that_wakes_up_late_moves_nothing(rooms, ann):
    made = order(rooms, ann)
    frozen = claim(MoveOrder, made.pk)
    MoveOrder.objects.filter(pk=made.pk).update(lease_until=timezone.now())
    assert claim(MoveOrder, made.pk) is not None
    with pytest.raises(ordering.LeaseLost):
        ordering.carry_out(frozen)
    assert platforms(rooms) == ["whereby"] * 5


def test_what_changed_since_it_was_shown_is_told_and_nothing_is_ordered(rooms, ann):
    plan = preview_move(room_ids=[room.pk for room in rooms], platform="daily")
    looked_at = timezone.now()
    move_room(room_id=rooms[0].pk, platform="daily", reason="was faster", source="admin", actor=ann)
    with pytest.raises(PlanChanged) as refused:
        order(rooms, ann, seen_hash=plan.hash, looked_at=looked_at)
    assert refused.value.changes == [
        "Now 4 rooms of 5 would move.",
        "“Room 0” was moved to Daily by Ann Archer: was faster.",
    ]
    with pytest.raises(PlanChanged) as refused:
        order(rooms, ann, seen_hash=plan.hash, seen=plan.facts)
    assert [change.partition(" on ")[0] for change in refused.value.changes] == [
        "“Room 0” was moved from Whereby to Daily by Ann Archer"
    ]
    assert not MoveOrder.objects.exists()


@pytest.mark.parametrize("reason", ["", " \n", "\x00"])
def test_an_order_without_a_reason_is_refused(rooms, ann, reason):
    with pytest.raises(MoveRefused, match="needs a reason"):
        order(rooms, ann, reason=reason)
    with pytest.raises(MoveRefused, match="needs a reason"):
        schedule_move(room_id=rooms[0].pk, platform="daily", reason=reason, at=timezone.now() + timedelta(hours=1))
    assert not MoveOrder.objects.exists()


def test_an_order_in_which_nothing_moves_is_refused(rooms, ann):
    with pytest.raises(MoveRefused, match="No room would move to Whereby"):
        order(rooms, ann, to="whereby")


def test_a_platform_that_is_gone_by_then_is_told_to_staff(rooms, ann, settings):
    made = order(rooms, ann)
    MoveOrder.objects.filter(pk=made.pk).update(platform="zoom")
    carry_out(made)
    assert (made.status, made.last_error) == (
        "quarantined",
        "No platform is called “zoom”; known: whereby, daily.",
    )


# -- later


def test_a_scheduled_move_waits_for_its_time(room, ann):
    now = timezone.now()
    made = schedule_move(
        room_id=room.pk, platform="daily", reason="at night", at=now + timedelta(hours=1), actor=ann, now=now
    )
    carry_out(made)
    assert wake_due(now=now + timedelta(minutes=59)) == 0
    assert platforms([room]) == ["whereby"]
    assert wake_due(now=now + timedelta(hours=1)) == 1
    work_on(MoveOrder, made.pk, ordering.carry_out)  # not due yet by the clock
    assert platforms([room]) == ["whereby"]
    MoveOrder.objects.filter(pk=made.pk).update(due_at=now)
    carry_out(made)
    assert platforms([room]) == ["daily"]
    assert list(Move.objects.values_list("source", "actor", "reason")) == [("schedule", ann.pk, "at night")]


def test_a_scheduler_that_was_down_does_it_when_it_is_back(room, ann):
    made = schedule_move(room_id=room.pk, platform="daily", reason="r", at=timezone.now() + timedelta(seconds=1))
    assert wake_due(now=timezone.now() + timedelta(days=7)) == 1
    MoveOrder.objects.filter(pk=made.pk).update(due_at=timezone.now() - timedelta(days=7))
    carry_out(made)
    assert platforms([room]) == ["daily"]


def test_a_scheduled_move_looks_again_when_its_time_has_come(room, ann):
    made = schedule_move(room_id=room.pk, platform="daily", reason="r", at=timezone.now() + timedelta(hours=1))
    switching.close(platform="daily", reason="outage", actor=ann)
    MoveOrder.objects.filter(pk=made.pk).update(due_at=timezone.now())
    carry_out(made)
    assert platforms([room]) == ["whereby"]
    state, words = told(made)[0]
    assert state == "refused"
    assert words.startswith("“Standup” cannot go to Daily, which is closed for new meetings by Ann Archer since")


def test_what_a_scheduled_move_left_is_an_alert_for_a_day(room, ann):
    made = schedule_move(room_id=room.pk, platform="daily", reason="r", at=timezone.now() + timedelta(hours=1))
    Room.objects.update(archived_at=timezone.now())
    MoveOrder.objects.filter(pk=made.pk).update(due_at=timezone.now())
    carry_out(made)
    alert = Alert.objects.get()
    assert alert.key == f"order:{made.pk}"
    assert alert.title == "A scheduled move to Daily did not move 1 room"
    assert (alert.words, alert.evidence) == ("“Standup” is archived.", {"not moved": 1, "moved": 0})
    assert alert.inverse_url == f"/admin/rooms/moveorder/{made.pk}/change/"
    ordering.settle_leftovers(timezone.now() + timedelta(hours=23))
    alert.refresh_from_db()
    assert alert.settled_at is None
    ordering.settle_leftovers(timezone.now() + timedelta(hours=25))
    alert.refresh_from_db()
    assert alert.settled_at is not None


def test_a_bulk_move_tells_on_its_page_only(rooms, ann):
    Room.objects.filter(pk=rooms[0].pk).update(archived_at=timezone.now())
    carry_out(order(rooms, ann))
    assert not Alert.objects.exists()


# -- pins


def at_its_time(made):
    MoveOrder.objects.filter(pk=made.pk).update(due_at=timezone.now())
    carry_out(made)


def in_an_hour(room, ann):
    at = timezone.now() + timedelta(hours=1)
    return schedule_move(room_id=room.pk, platform="daily", reason="at night", at=at, actor=ann)


def test_a_pin_set_after_a_move_was_scheduled_wins_and_says_all_about_it(room, ann):
    made = in_an_hour(room, ann)
    until = timezone.now() + timedelta(days=2)
    pin_room(room_id=room.pk, reason="board meets.", until=until, actor=ann)
    room.refresh_from_db()
    at_its_time(made)
    assert platforms([room]) == ["whereby"]
    words = (
        f"“Standup” was pinned to Whereby by Ann Archer on {minute_of(room.pinned_at)}, until {minute_of(until)}: "
        "board meets. That was after this move was ordered: unpin it and move it, or order its move again."
    )
    assert told(made) == [("refused", words)]
    assert Alert.objects.get().words == words
    again = in_an_hour(room, ann)
    at_its_time(again)
    assert (platforms([room]), told(again)) == (["daily"], [("moved", "")])


def test_a_pin_without_an_end_and_by_nobody_known_wins_as_well(rooms, ann, small_chunks):
    made = order(rooms, ann)
    pin_room(room_id=rooms[3].pk, reason="board")
    carry_out(made)
    assert platforms(rooms) == ["daily", "daily", "daily", "whereby", "daily"]
    state, words = told(made)[3]
    assert state == "refused"
    assert words.startswith("“Room 3” was pinned to Whereby on ")
    assert ", without an end: board. That was after" in words


def test_a_pin_that_was_there_when_the_move_was_ordered_does_not_stop_it(rooms, ann):
    pin_room(room_id=rooms[0].pk, reason="board", actor=ann)
    made = order(rooms, ann, looked_at=timezone.now())
    carry_out(made)
    assert platforms(rooms) == ["daily"] * 5
    assert told(made) == [("moved", "")] * 5


def test_a_pin_that_was_changed_after_the_order_wins(room, ann):
    pin_room(room_id=room.pk, reason="board", actor=ann)
    made = in_an_hour(room, ann)
    pin_room(room_id=room.pk, reason="elections", actor=ann)
    at_its_time(made)
    assert platforms([room]) == ["whereby"]
    assert ": elections. That was after" in told(made)[0][1]


def test_a_pin_that_has_ended_by_then_or_was_taken_out_stops_nothing(rooms, ann):
    made = order(rooms, ann)
    pin_room(room_id=rooms[0].pk, reason="board", until=timezone.now() + timedelta(hours=1), actor=ann)
    Room.objects.filter(pk=rooms[0].pk).update(pin_until=timezone.now())
    pin_room(room_id=rooms[1].pk, reason="board", actor=ann)
    unpin_room(room_id=rooms[1].pk, reason="over")
    carry_out(made)
    assert platforms(rooms) == ["daily"] * 5


def test_what_else_happened_to_a_room_is_said_before_its_pin(rooms, ann):
    made = order(rooms[:2], ann)
    move_room(room_id=rooms[0].pk, platform="daily", reason="was faster", source="admin", actor=ann)
    Room.objects.filter(pk=rooms[1].pk).update(archived_at=timezone.now())
    for room in rooms[:2]:
        pin_room(room_id=room.pk, reason="board", actor=ann)
    carry_out(made)
    (_, moved), archived = told(made)
    assert moved.startswith("“Room 0” was moved from Whereby to Daily by Ann Archer on ")
    assert archived == ("refused", "“Room 1” is archived.")


def test_a_pin_that_was_changed_after_the_page_was_made_is_shown_before_anything_is_ordered(rooms, ann):
    pin_room(room_id=rooms[0].pk, reason="board", actor=ann)
    plan = preview_move(room_ids=[room.pk for room in rooms], platform="daily")
    looked_at = timezone.now()
    pin_room(room_id=rooms[0].pk, reason="elections", actor=ann)
    with pytest.raises(PlanChanged) as refused:
        order(rooms, ann, seen_hash=plan.hash, seen=plan.facts, looked_at=looked_at)
    (change,) = refused.value.changes
    assert change.startswith("“Room 0” was pinned to Whereby by Ann Archer on ")
    assert change.endswith(", without an end: elections.")
    assert not MoveOrder.objects.exists()


def test_a_pin_set_after_the_order_to_take_moves_back_wins(rooms, ann):
    made = order(rooms[:2], ann)
    carry_out(made)
    (back,) = undo_order(order=made, actor=ann)
    pin_room(room_id=rooms[0].pk, reason="sounds better", actor=ann)
    carry_out(back)
    assert platforms(rooms[:2]) == ["daily", "whereby"]
    assert told(back)[0][1].startswith("“Room 0” was pinned to Daily by Ann Archer on ")


def test_a_pin_set_between_a_move_and_the_order_to_take_it_back_wins(rooms, ann):
    pin_room(room_id=rooms[1].pk, reason="was known when it was moved", actor=ann)
    made = order(rooms[:2], ann)
    carry_out(made)
    pin_room(room_id=rooms[0].pk, reason="sounds better", actor=ann)
    (back,) = undo_order(order=made, actor=ann)
    carry_out(back)
    assert platforms(rooms[:2]) == ["daily", "whereby"]
    assert told(back)[0][1].endswith(
        ", without an end: sounds better. That was after it was moved there: unpin it and move it."
    )


def test_times_that_cannot_be_are_refused(room):
    now = timezone.now()
    with pytest.raises(MoveRefused, match="has passed: choose a time to come, or move now"):
        schedule_move(room_id=room.pk, platform="daily", reason="r", at=now, now=now)
    with pytest.raises(MoveRefused, match="within 366 days"):
        schedule_move(room_id=room.pk, platform="daily", reason="r", at=now + timedelta(days=400), now=now)
    with pytest.raises(MoveRefused, match="is on Whereby, not on Daily. Look again"):
        schedule_move(
            room_id=room.pk, platform="whereby", reason="r", at=now + timedelta(days=1), expected_platform="daily"
        )
    with pytest.raises(MoveRefused, match="“Standup” is already on Whereby"):
        schedule_move(room_id=room.pk, platform="whereby", reason="r", at=now + timedelta(days=1))


# -- stopping, taking back


def test_cancelling_leaves_the_rest_where_it_is(rooms, ann, small_chunks):
    made = order(rooms, ann)
    lease = claim(MoveOrder, made.pk)
    ordering._move_some(lease)
    cancel_order(order_id=made.pk, actor=ann)
    with pytest.raises(ordering.LeaseLost):
        ordering.carry_out(lease)
    carry_out(made)
    assert platforms(rooms) == ["daily", "daily", "whereby", "whereby", "whereby"]
    assert progress(made).words == "2 of 5 rooms moved, 0 skipped (there already), 3 refused, 0 to go"
    assert (made.cancelled_by, made.is_over) == (ann, True)
    with pytest.raises(MoveRefused, match="cancelled already"):
        cancel_order(order_id=made.pk, actor=ann)


def test_what_is_done_cannot_be_cancelled(rooms, ann):
    made = order(rooms, ann)
    carry_out(made)
    with pytest.raises(MoveRefused, match="carried out already"):
        cancel_order(order_id=made.pk, actor=ann)


def test_an_order_is_taken_back_as_a_whole(rooms, ann, fake_third, small_chunks):
    move_room(room_id=rooms[4].pk, platform="fake", reason="pilot", source="admin")
    made = order(rooms, ann)
    carry_out(made)
    assert platforms(rooms) == ["daily"] * 5
    move_room(room_id=rooms[0].pk, platform="whereby", reason="no sound", source="admin", actor=ann)
    backs = undo_order(order=made, actor=ann)
    for back in backs:
        carry_out(back)
    assert platforms(rooms) == ["whereby"] * 4 + ["fake"]
    assert [(back.platform, back.kind) for back in backs] == [("fake", "undo"), ("whereby", "undo")]
    assert [state for state, _ in told(backs[1])] == ["refused", "moved", "moved", "moved"]
    assert "was moved from Daily to Whereby by Ann Archer" in told(backs[1])[0][1]
    undone = Move.objects.filter(order__in=backs)
    assert all(move.undoes.order == made and move.source == "undo" for move in undone)
    with pytest.raises(MoveRefused, match="moved back already"):
        undo_order(order=made, actor=ann)
    with pytest.raises(MoveRefused, match="moved back already"):
        undo_order(order=backs[0], actor=ann)


def test_an_order_is_not_taken_back_too_early_or_too_late(rooms, ann):
    made = order(rooms, ann)
    with pytest.raises(MoveRefused, match="still being moved"):
        undo_order(order=made, actor=ann)
    carry_out(made)
    with pytest.raises(MoveRefused, match="more than 10 minutes ago"):
        undo_order(order=made, actor=ann, now=timezone.now() + timedelta(minutes=10, seconds=1))


def test_a_chunk_takes_a_handful_of_queries(ann, django_assert_max_num_queries):
    assert services.MOST_AT_ONCE == 200
    rooms = Room.objects.bulk_create(Room(name=f"R {n}", slug=f"r-{n}", platform="whereby") for n in range(200))
    lease = claim(MoveOrder, order(rooms, ann).pk)
    with django_assert_max_num_queries(20):
        ordering._move_some(lease)


# -- who


def moved_later_by(actor, room):
    made = schedule_move(
        room_id=room.pk, platform="daily", reason="r", at=timezone.now() + timedelta(hours=1), actor=actor
    )
    MoveOrder.objects.update(due_at=timezone.now())
    carry_out(made)


def test_a_move_that_was_scheduled_in_a_shell_is_not_taken_for_one_of_a_lost_account(rooms, ann, client):
    client.force_login(ann)
    moved_later_by(None, rooms[0])
    assert Move.objects.get().by_whom == "on the command line, scheduled"
    assert "command line" in client.get("/admin/rooms/moveorder/").content.decode()


def test_a_scheduled_move_of_somebody_whose_account_is_gone(rooms, ann, admin_client):
    moved_later_by(ann, rooms[0])
    assert Move.objects.get().by_whom == "by Ann Archer"
    ann.delete()
    assert Move.objects.get().by_whom == "by somebody whose account is gone"
    assert "somebody whose account is gone" in admin_client.get("/admin/rooms/moveorder/").content.decode()
