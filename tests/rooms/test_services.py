from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from rooms.models import Move, PlatformSwitch, Room
from rooms.pinning import pin_room, unpin_room
from rooms.services import MoveRefused, PlanChanged, move_as_planned, move_room, preview_move
from rooms.undoing import undo_move
from tests.accounts_for_platforms import ONLY_WHEREBY
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db


def move(room, to="daily", **more):
    return move_room(**{"room_id": room.pk, "platform": to, "reason": "pilot", "source": Move.Source.ADMIN, **more})


def test_move_changes_the_platform_and_writes_who_when_and_why(room, ann):
    made = move(room, actor=ann, now=NOW)
    room.refresh_from_db()
    assert room.platform == "daily"
    assert list(room.moves.values("from_platform", "to_platform", "reason", "source", "actor", "moved_at")) == [
        {
            "from_platform": "whereby",
            "to_platform": "daily",
            "reason": "pilot",
            "source": "admin",
            "actor": ann.pk,
            "moved_at": NOW,
        }
    ]
    assert made.room == room


@pytest.mark.parametrize("reason", ["", "  \n", "\x00"])
def test_move_without_a_reason_is_refused(room, reason):
    with pytest.raises(MoveRefused, match="needs a reason"):
        move(room, reason=reason)
    room.refresh_from_db()
    assert (room.platform, room.moves.count()) == ("whereby", 0)


def test_move_to_where_the_room_is_is_refused(room):
    with pytest.raises(MoveRefused, match="“Standup” is already on Whereby"):
        move(room, "whereby")


def test_move_to_an_unknown_platform_is_refused(room):
    with pytest.raises(MoveRefused, match="No platform is called “zoom”; known: whereby, daily."):
        move(room, "zoom")


def test_move_to_a_platform_without_an_account_is_refused(room, settings):
    settings.PLATFORM_ENVIRON = ONLY_WHEREBY
    with pytest.raises(MoveRefused, match="“Standup” cannot go to Daily, which is not configured."):
        move(room)


def test_move_of_an_archived_room_is_refused(room):
    room.archived_at = NOW
    room.save()
    with pytest.raises(MoveRefused, match="“Standup” is archived."):
        move(room)


def test_move_of_a_room_that_is_gone_is_refused(room):
    room.delete()
    with pytest.raises(MoveRefused, match="does not exist"):
        move_room(room_id=12345, platform="daily", reason="pilot", source=Move.Source.ADMIN)


def test_move_from_a_stale_page_says_what_changed_who_did_it_and_when(room, ann):
    move(room, actor=ann, now=NOW)
    with pytest.raises(MoveRefused) as refused:
        move(room, "whereby", expected_platform="whereby")
    assert str(refused.value) == (
        "“Standup” was moved from Whereby to Daily by Ann Archer on 22 November at 14:03 UTC: pilot. "
        "Look again before you move it."
    )
    assert room.moves.count() == 1


def three_rooms():
    return [Room.objects.create(name=f"Room {n}", slug=f"room-{n}", platform="whereby") for n in range(3)]


def test_preview_says_what_goes_and_what_stays_and_changes_nothing(room):
    one, two, three = three_rooms()
    move(two)
    Room.objects.filter(pk=three.pk).update(archived_at=NOW)
    plan = preview_move(room_ids=[one.pk, two.pk, three.pk, 999], platform="daily")
    assert [(row.room, row.from_platform, row.refused) for row in plan.rows] == [
        (one, "whereby", None),
        (two, "daily", "is already on Daily"),
        (three, "whereby", "is archived"),
    ]
    assert [row.room for row in plan.moving] == [one]
    assert Move.objects.count() == 1


def as_planned(plan, ann, **more):
    return move_as_planned(
        **{"platform": plan.platform, "seen": plan.facts, "seen_hash": plan.hash, "reason": "r", "actor": ann, **more}
    )


def test_what_was_previewed_is_what_happens(room, ann):
    rooms = three_rooms()
    move(rooms[1])
    plan = preview_move(room_ids=[each.pk for each in rooms], platform="daily")
    moves = as_planned(plan, ann)
    assert [made.room for made in moves] == [rooms[0], rooms[2]]
    assert len({made.batch for made in moves}) == 1
    assert set(Room.objects.filter(platform="daily")) == set(rooms)


def test_nothing_happens_when_one_room_changed_since_the_preview(room, ann):
    rooms = three_rooms()
    plan = preview_move(room_ids=[each.pk for each in rooms], platform="daily")
    move(rooms[2], actor=ann, now=NOW, reason="went ahead")
    Room.objects.filter(pk=rooms[0].pk).update(archived_at=NOW)
    rooms[1].delete()
    with pytest.raises(PlanChanged) as changed:
        as_planned(plan, ann)
    assert changed.value.changes == [
        "“Room 0” is archived.",
        "A room that you chose was deleted.",
        "“Room 2” was moved from Whereby to Daily by Ann Archer on 22 November at 14:03 UTC: went ahead.",
    ]
    assert Move.objects.count() == 1


def test_a_pin_that_was_changed_since_the_preview_is_shown_before_anything_moves(room, ann):
    pin_room(room_id=room.pk, reason="board", actor=ann)
    looked_at = timezone.now()
    plan = preview_move(room_ids=[room.pk], platform="daily")
    pin_room(room_id=room.pk, reason="elections", actor=ann)
    with pytest.raises(PlanChanged) as changed:
        as_planned(plan, ann, looked_at=looked_at)
    (words,) = changed.value.changes
    assert words.startswith("“Standup” was pinned to Whereby by Ann Archer on ")
    assert words.endswith(", without an end: elections.")
    assert Move.objects.count() == 0
    assert as_planned(plan, ann, looked_at=timezone.now())


def test_nothing_happens_when_the_platform_is_closed_between_the_last_look_and_the_move(room, ann):
    """What another process commits just before the statement that looks at the switches for the second time."""
    plan = preview_move(room_ids=[each.pk for each in three_rooms()], platform="daily")
    looks = []

    def closes_in_time(execute, sql, params, many, context):
        if "rooms_platformswitch" in sql and sql.startswith("SELECT"):
            looks.append(sql)
            if len(looks) == 2:
                PlatformSwitch.objects.create(platform="daily", is_closed=True, reason="outage", actor=ann)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(closes_in_time), pytest.raises(PlanChanged) as changed:
        as_planned(plan, ann)
    assert len(changed.value.changes) == 3
    assert all("cannot go to Daily, which is closed for new meetings" in words for words in changed.value.changes)
    assert Move.objects.count() == 0


def test_nothing_happens_when_the_page_was_tampered_with(room, ann):
    one, two, _ = three_rooms()
    plan = preview_move(room_ids=[one.pk], platform="daily")
    with pytest.raises(PlanChanged):
        as_planned(plan, ann, seen=[[one.pk, "whereby", None, False], [two.pk, "whereby", None, False]])
    assert Move.objects.count() == 0


def test_a_plan_in_which_nothing_moves_is_refused(room, ann):
    plan = preview_move(room_ids=[room.pk], platform="whereby")
    with pytest.raises(MoveRefused, match="No room would move to Whereby"):
        as_planned(plan, ann)


def test_undo_brings_the_room_back_and_says_so(room, ann):
    made = move(room, actor=ann, now=NOW)
    back = undo_move(move=made, actor=ann, now=NOW + timedelta(minutes=9))
    room.refresh_from_db()
    assert room.platform == "whereby"
    assert (back.undoes, back.source, back.reason) == (made, Move.Source.UNDO, "Taken back: pilot")


def test_undo_is_refused_after_ten_minutes(room, ann):
    made = move(room, now=NOW)
    with pytest.raises(MoveRefused, match="more than 10 minutes ago"):
        undo_move(move=made, actor=ann, now=NOW + timedelta(minutes=10, seconds=1))


def test_undo_is_refused_twice_and_of_an_undo(room, ann):
    made = move(room, now=NOW)
    back = undo_move(move=made, actor=ann, now=NOW)
    with pytest.raises(MoveRefused, match="Taken back: pilot"):
        undo_move(move=made, actor=ann, now=NOW)
    with pytest.raises(MoveRefused, match="moved back already"):
        undo_move(move=back, actor=ann, now=NOW)
    assert room.moves.count() == 2


def test_undo_is_refused_when_the_room_moved_on(room, ann):
    made = move(room, now=NOW)
    move(room, "whereby", now=NOW, reason="no sound")
    with pytest.raises(MoveRefused, match="was moved from Daily to Whereby .*: no sound."):
        undo_move(move=made, actor=ann, now=NOW)


def test_undo_leaves_alone_what_was_pinned_since(room, ann):
    pin_room(room_id=room.pk, reason="known when it was moved", actor=ann, now=NOW - timedelta(minutes=1))
    made = move(room, now=NOW)
    pin_room(room_id=room.pk, reason="sounds better", actor=ann, now=NOW + timedelta(minutes=1))
    with pytest.raises(
        MoveRefused, match="was pinned to Daily by Ann Archer .*: sounds better. .*unpin it and move it"
    ):
        undo_move(move=made, actor=ann, now=NOW + timedelta(minutes=2))
    unpin_room(room_id=room.pk, reason="over")
    pin_room(room_id=room.pk, reason="old", actor=ann, now=NOW - timedelta(minutes=1))
    assert undo_move(move=made, actor=ann, now=NOW + timedelta(minutes=2)).to_platform == "whereby"


def test_moves_are_written_once(room):
    made = move(room)
    made.reason = "another"
    with pytest.raises(ValueError, match="written once"):
        made.save()
    assert timezone.is_aware(made.moved_at)
