from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from rooms.models import RESERVED_SLUGS, Move, PlatformMovesOnly, Room
from rooms.services import move_room

ROOT = Path(__file__).parents[2]
APPS = ("platforms", "rooms", "meetings", "recordings", "reflector_project")

pytestmark = pytest.mark.django_db


def test_save_refuses_a_changed_platform(room):
    room.platform = "daily"
    for save in (room.save, lambda: room.save(update_fields=["platform"]), lambda: room.save(update_fields=["name"])):
        with pytest.raises(PlatformMovesOnly):
            save()
    assert Room.objects.get().platform == "whereby"


def test_save_refuses_a_changed_platform_of_a_row_that_was_read_without_it(room):
    partly = Room.objects.defer("platform").get()
    partly.platform = "daily"
    with pytest.raises(PlatformMovesOnly):
        partly.save()


def test_save_refuses_a_made_up_row_over_an_old_one(room):
    with pytest.raises(PlatformMovesOnly):
        Room(pk=room.pk, name="Other", slug="other", platform="daily").save()


def test_saving_a_room_that_was_read_before_a_move_does_not_undo_the_move(room):
    stale = Room.objects.get()
    move_room(room_id=room.pk, platform="daily", reason="pilot", source=Move.Source.ADMIN)
    stale.name = "Daily standup"
    stale.save()
    assert Room.objects.values_list("name", "platform").get() == ("Daily standup", "daily")


def test_a_room_can_be_saved_after_its_move_was_read(room):
    move_room(room_id=room.pk, platform="daily", reason="pilot", source=Move.Source.ADMIN)
    room.refresh_from_db()
    room.name = "Other"
    room.save()
    assert Room.objects.values_list("name", "platform").get() == ("Other", "daily")


def test_a_room_read_in_part_can_be_saved(room):
    partly = Room.objects.only("name").get()
    partly.name = "Other"
    partly.save()
    assert Room.objects.values_list("name", "slug", "platform").get() == ("Other", "standup", "whereby")


@pytest.mark.parametrize("slug", sorted(RESERVED_SLUGS))
def test_addresses_of_ours_are_no_short_names(slug, db):
    with pytest.raises(ValidationError) as refused:
        Room(name="x", slug=slug, platform="whereby").full_clean()
    assert list(refused.value.message_dict) == ["slug"]


def test_the_database_refuses_a_move_to_the_same_place_and_one_without_a_reason(room, django_assert_num_queries):
    for to, reason in (("whereby", "why"), ("daily", "")):
        with pytest.raises(IntegrityError):
            bad_move(room, to, reason)


def bad_move(room, to, reason):
    from django.db import transaction

    with transaction.atomic():
        Move.objects.create(room=room, from_platform="whereby", to_platform=to, reason=reason, source="admin")


def test_a_stale_row_that_names_its_platform_does_not_undo_a_move(room):
    stale = Room.objects.get()
    move_room(room_id=room.pk, platform="daily", reason="pilot", source="command")
    stale.name = "Daily standup"
    stale.save(update_fields=["name", "platform"])
    assert Room.objects.values_list("name", "platform").get() == ("Daily standup", "daily")


def test_many_rooms_cannot_be_written_over(room):
    room.platform = "daily"
    with pytest.raises(PlatformMovesOnly):
        Room.objects.bulk_create([room], update_conflicts=True, update_fields=["platform"], unique_fields=["slug"])
    assert Room.objects.get().platform == "whereby"


@pytest.mark.parametrize(
    "given", [(None, False, True, ["platform"], ["slug"]), (None, False, True, iter(["platform"]), ["slug"])]
)
def test_many_rooms_cannot_be_written_over_by_arguments_without_names(room, given):
    room.platform = "daily"
    with pytest.raises(PlatformMovesOnly):
        Room.objects.bulk_create([room], *given)
    assert Room.objects.get().platform == "whereby"


def test_what_else_a_room_is_can_be_written_over_at_once(room):
    room.name, room.platform = "Other", "daily"
    Room.objects.bulk_create([room], 10, False, True, iter(["name"]), ["slug"])
    assert Room.objects.values_list("name", "platform").get() == ("Other", "whereby")


def test_only_move_rooms_writes_the_platform():
    assert not hasattr(Room.objects, "write_platform"), "all rooms there are, in one word"
    sources = [path for app in APPS for path in (ROOT / app).rglob("*.py")]
    named = {str(path.relative_to(ROOT)) for path in sources if "write_platform" in path.read_text()}
    assert named == {"rooms/models/rooms.py", "rooms/services.py"}
