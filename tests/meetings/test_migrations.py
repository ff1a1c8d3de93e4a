import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

OLD = [("rooms", "0001_initial"), ("meetings", "0001_initial")]


def migrate(targets):
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state([target for target in targets if target[1]]).apps


def columns(table):
    with connection.cursor() as cursor:
        return {column.name for column in connection.introspection.get_table_description(cursor, table)}


@pytest.fixture
def old_database(transactional_db):
    """The database as it was before rooms and meetings knew platforms."""
    yield migrate([("recordings", None), *OLD])
    with connection.cursor() as cursor:
        for table in ("meetings_meeting", "rooms_room"):
            cursor.execute(f"DELETE FROM {table}")
    call_command("migrate", verbosity=0)


def test_old_rooms_and_meetings_were_on_whereby_and_back(old_database):
    assert "platform" not in columns("rooms_room") | columns("meetings_meeting")
    room = old_database.get_model("rooms", "Room").objects.create(name="Old", slug="old")
    rows = [
        old_database.get_model("meetings", "Meeting").objects.create(room=room, key=f"key-{status}", status=status)
        for status in ("open", "ended")
    ]

    call_command("migrate", verbosity=0)

    from meetings.models import Meeting
    from rooms.models import Room

    assert list(Room.objects.values_list("slug", "platform")) == [("old", "whereby")]
    assert set(Meeting.objects.values_list("key", "status", "platform")) == {
        ("key-open", "open", "whereby"),
        ("key-ended", "ended", "whereby"),
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        Meeting.objects.filter(key="key-open").update(platform="daily")
    # what came later uses the column
    Meeting.objects.create(room_id=room.pk, platform="daily", status="ended", key="key-new")

    old = migrate([("recordings", None), *OLD])

    assert "platform" not in columns("rooms_room") | columns("meetings_meeting")
    assert list(old.get_model("rooms", "Room").objects.values_list("slug", flat=True)) == ["old"]
    kept = set(old.get_model("meetings", "Meeting").objects.values_list("key", flat=True))
    assert kept == {"key-new", *(row.key for row in rows)}


def test_migrations_go_forward_again_after_going_back(old_database):
    call_command("migrate", verbosity=0)
    migrate([("recordings", None), *OLD])
    call_command("migrate", verbosity=0)
    assert "platform" in columns("rooms_room") & columns("meetings_meeting")
