import json
import os
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from meetings import lifecycle, opening
from meetings.models import Meeting
from meetings.opening import NotYet, OpeningFailed, RoomArchived, open_meeting, options_for
from platforms.base import PlatformRefused, PlatformUnavailable
from platforms.registry import get
from rooms import switching
from rooms.services import move_room
from tests.factories import NOW, make_meeting, make_room

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parent.parent.parent


def later(**after):
    return NOW + timedelta(**after)


@pytest.fixture
def room(fake_platforms):
    return make_room(slug="standup", platform="fake")


@pytest.fixture
def dead_opener(room):
    """A place that somebody claimed, who asked the provider and was never heard of again."""
    return Meeting.objects.create(
        room=room,
        platform="fake",
        created_at=NOW,
        opening_token=uuid.uuid4(),
        opening_until=later(seconds=30),
        expires_at=later(hours=8),
    )


# -- the straight path


def test_opening_fixes_platform_reason_and_what_the_room_says(provider, room):
    room.language, room.is_locked, room.enable_chat = "de", True, False
    room.save()
    meeting = open_meeting(room=room, now=NOW)
    assert (meeting.status, meeting.platform, meeting.opened_at) == ("open", "fake", NOW)
    assert meeting.platform_reason == "room is set to Fake since it was made"
    assert meeting.expires_at == later(hours=8)
    assert (meeting.language, meeting.is_locked) == ("de", True)
    assert meeting.provider_room_name == f"standup-{meeting.key}"
    options = provider.rooms[meeting.provider_room_name]
    assert options.expires_at == later(hours=9)
    assert (options.language, options.locked, options.chat) == ("de", True, False)
    assert meeting.opening_token is None


def test_opening_again_is_the_same_meeting(provider, room):
    assert open_meeting(room=room, now=NOW) == open_meeting(room=room, now=later(hours=7))
    assert provider.calls == ["create_room"]


def test_a_meeting_past_its_limit_is_ended_for_the_next_one(provider, room):
    first = open_meeting(room=room, now=NOW)
    second = open_meeting(room=room, now=later(hours=8))
    assert second != first
    first.refresh_from_db()
    assert (first.status, first.end_reason) == ("ended", "limit")


def test_late_joiner_after_the_end_lands_in_a_new_meeting(provider, room):
    first = open_meeting(room=room, now=NOW)
    lifecycle.end_meeting(meeting=first, reason=Meeting.EndReason.HOST, now=later(minutes=5))
    assert open_meeting(room=room, now=later(minutes=6)) != first


def test_a_move_leaves_the_live_meeting_where_it_is(provider, room):
    meeting = open_meeting(room=room, now=NOW)
    move_room(room_id=room.pk, platform="fake-page", reason="pilot", source="command")
    assert open_meeting(room=room, now=later(minutes=1)) == meeting
    lifecycle.end_meeting(meeting=meeting, reason=Meeting.EndReason.HOST, now=later(minutes=2))
    following = open_meeting(room=room, now=later(minutes=3))
    assert (meeting.platform, following.platform) == ("fake", "fake-page")
    assert "pilot" in following.platform_reason


def test_logo_is_set_where_the_platform_can(provider, room, settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    }
    room.logo.save("logo.png", ContentFile(b"png"))
    meeting = open_meeting(room=room)
    assert provider.logos == {meeting.provider_room_name: b"png"}


def test_a_logo_that_fails_fails_nothing_else(provider, room, settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    }
    room.logo.save("logo.png", ContentFile(b"png"))
    provider.errors["set_logo"] = [PlatformUnavailable("slow")]
    assert open_meeting(room=room).status == "open"


@pytest.mark.parametrize(
    ("platform", "policy", "trigger", "told"),
    [
        ("fake", "not_asked", "automatic", "none"),  # our server starts it
        ("fake-page", "not_asked", "automatic", "automatic"),
        ("fake-page", "choice", "automatic", "none"),
        ("fake-page", "required", "automatic", "none"),
        ("fake-page", "not_asked", "none", "none"),
    ],
)
def test_the_provider_records_by_itself_only_where_nobody_is_asked(fake_platforms, platform, policy, trigger, told):
    room = make_room(platform=platform)
    meeting = make_meeting(room, consent_policy=policy, recording_trigger=trigger)
    assert options_for(meeting, room).recording_trigger == told


def test_nothing_is_held_while_the_provider_is_asked(provider, room):
    """Opening calls the provider outside any transaction of its own."""
    depth = []
    provider.after["create_room"] = lambda: depth.append(len(connection.savepoint_ids))
    outside = len(connection.savepoint_ids)
    open_meeting(room=room)
    assert depth == [outside]


# -- when it cannot be


def test_room_not_open_yet(provider, room):
    room.opens_at = later(hours=1)
    room.save()
    with pytest.raises(NotYet) as refused:
        open_meeting(room=room, now=NOW)
    assert refused.value.opens_at == later(hours=1)
    assert open_meeting(room=room, now=later(hours=1)).status == "open"


def test_archived_room(provider, room):
    room.archived_at = NOW
    room.save()
    with pytest.raises(RoomArchived):
        open_meeting(room=room)
    assert not Meeting.objects.exists()


def test_platform_that_is_not_configured(provider, room, settings):
    settings.PLATFORM_ENVIRON = {}
    with pytest.raises(OpeningFailed, match="not set up"):
        open_meeting(room=room)
    assert not Meeting.objects.exists()


def test_failure_is_kept_for_staff_and_the_next_try_starts_anew(provider, room):
    provider.errors["create_room"] = [PlatformUnavailable("503 from the provider", retry_after_s=7)]
    with pytest.raises(OpeningFailed, match="Fake does not answer right now") as failed:
        open_meeting(room=room, now=NOW)
    assert failed.value.retry_after_s == 7
    row = Meeting.objects.get()
    assert (row.status, row.end_reason, row.failure) == ("failed", "failed", "503 from the provider")
    assert open_meeting(room=room, now=later(seconds=8)) != row


def test_refusal_says_so(provider, room):
    provider.errors["create_room"] = [PlatformRefused("bad option", status=400)]
    with pytest.raises(OpeningFailed, match="refused"):
        open_meeting(room=room)


def test_room_that_a_failed_opening_left_behind_is_ended(provider, room):
    """The create was answered too late: the room exists at the provider, and no row names it."""

    def time_out():
        raise PlatformUnavailable("time-out")

    provider.after["create_room"] = time_out
    with pytest.raises(OpeningFailed):
        open_meeting(room=room, now=NOW)
    assert len(provider.rooms) == 1
    lifecycle.close_at_provider(Meeting.objects.get().pk, now=later(seconds=61))
    assert provider.rooms == {}
    assert Meeting.objects.get().closed_at_provider_at == later(seconds=61)


# -- somebody else is opening


def test_waiting_for_the_opener_ends(provider, dead_opener, monkeypatch):
    monkeypatch.setattr(opening, "PATIENCE_S", 0.3)
    with pytest.raises(OpeningFailed, match="taking long"):
        open_meeting(room=dead_opener.room, now=later(seconds=29))
    assert provider.calls == []


def test_a_dead_opener_is_taken_over_with_the_same_key(provider, dead_opener):
    meeting = open_meeting(room=dead_opener.room, now=later(seconds=31))
    assert (meeting.pk, meeting.status) == (dead_opener.pk, "open")
    assert provider.rooms.keys() == {f"standup-{dead_opener.key}"}


def test_a_room_that_the_dead_opener_made_is_found_and_not_made_twice(provider, dead_opener):
    get("fake").create_room(options_for(dead_opener, dead_opener.room))
    meeting = open_meeting(room=dead_opener.room, now=later(seconds=31))
    assert (meeting.pk, meeting.status) == (dead_opener.pk, "open")
    assert provider.calls.count("create_room") == 1


def test_those_who_waited_for_a_failed_opening_do_not_all_try_again(provider, dead_opener, monkeypatch):
    def fail(_):
        Meeting.objects.filter(pk=dead_opener.pk).update(status="failed")

    monkeypatch.setattr(opening.time, "sleep", fail)
    with pytest.raises(OpeningFailed, match="could not open"):
        open_meeting(room=dead_opener.room, now=later(seconds=5))
    assert provider.calls == []


def test_an_opener_that_was_taken_for_dead_changes_nothing(provider, room):
    """It wakes up after another has opened the same room: same key, same room at the provider, nothing is ended."""

    def another():
        del provider.after["create_room"]
        open_meeting(room=room, now=later(seconds=31))

    provider.after["create_room"] = another
    meeting = open_meeting(room=room, now=NOW)
    assert meeting.opened_at == later(seconds=31)
    assert provider.closed == []


def test_room_of_an_opener_that_lost_its_place_is_ended(provider, room):
    provider.after["create_room"] = lambda: Meeting.objects.update(status="failed", ended_at=NOW)
    with pytest.raises(OpeningFailed):
        open_meeting(room=room, now=NOW)
    assert provider.rooms == {}
    assert len(provider.closed) == 1


def test_late_room_that_cannot_be_ended_now_is_remembered(provider, room):
    provider.after["create_room"] = lambda: Meeting.objects.update(status="failed", ended_at=NOW)
    provider.errors["end_room"] = [PlatformUnavailable("busy")]
    with pytest.raises(OpeningFailed):
        open_meeting(room=room, now=NOW)
    row = Meeting.objects.get()
    assert row.provider_room_name in provider.rooms
    lifecycle.close_at_provider(row.pk, now=row.close_due_at)
    assert provider.rooms == {}


def test_an_opening_that_nobody_finishes_is_failed(provider, dead_opener):
    lifecycle.end_what_is_over(later(seconds=59))
    dead_opener.refresh_from_db()
    assert dead_opener.status == "opening"
    lifecycle.end_what_is_over(later(seconds=61))
    dead_opener.refresh_from_db()
    assert (dead_opener.status, dead_opener.close_due_at) == ("failed", later(seconds=61))


# -- many at once, on real databases

MANY = """
import json, sys, threading
import django
django.setup()
from django.core.management import call_command
from django.db import connection
call_command("migrate", verbosity=0)
from meetings.models import Meeting
from meetings.opening import open_meeting
from platforms import registry
from rooms.models import Room

room = Room.objects.create(name="Standup", slug="standup", platform="fake")
provider = registry.get("fake").provider
provider.delay_s = 0.5
at_once, answers = threading.Barrier(20), []

def join():
    at_once.wait()
    try:
        answers.append(str(open_meeting(room=room).pk))
    except Exception as error:
        answers.append(repr(error))
    finally:
        connection.close()

threads = [threading.Thread(target=join) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"answers": answers, "made": provider.calls, "rows": Meeting.objects.count()}))
"""


def _open_by_twenty(database_url):
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "tests.settings_with_fakes",
        "TEST_DATABASE_URL": database_url,
    }
    done = subprocess.run(
        [sys.executable, "-c", MANY], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _expect_one_meeting(told):
    assert len(told["answers"]) == 20
    assert len(set(told["answers"])) == 1, told["answers"]
    assert uuid.UUID(told["answers"][0])
    assert told["made"] == ["create_room"]
    assert told["rows"] == 1


def test_twenty_at_once_open_one_meeting_on_sqlite(tmp_path):
    _expect_one_meeting(_open_by_twenty(f"sqlite:///{tmp_path / 'db.sqlite3'}"))


@pytest.mark.postgres
def test_twenty_at_once_open_one_meeting_on_postgresql(postgres_url):
    _expect_one_meeting(_open_by_twenty(postgres_url))


def test_a_closed_platform_is_not_asked_again_for_a_place_that_somebody_died_in(provider, room, dead_opener):
    switching.close(platform="fake", reason="drill")
    with pytest.raises(OpeningFailed, match="No new meetings can be started"):
        open_meeting(room=room, now=later(minutes=10))
    assert provider.calls == []
    dead_opener.refresh_from_db()
    assert (dead_opener.status, dead_opener.failure) == ("failed", "Fake is closed for new meetings.")


def test_a_place_that_was_lost_while_waiting_for_a_thread_is_left_alone(provider, room):
    place = opening.take_place(room=room, now=NOW)
    assert opening.take_place(room=room, now=later(seconds=31)).is_second_try
    with pytest.raises(OpeningFailed, match="taking long"):
        opening.open_place(place, lambda: later(seconds=32))
    assert provider.calls == []


def test_the_time_to_open_begins_when_it_is_begun(provider, room):
    place = opening.take_place(room=room, now=NOW)
    provider.after["create_room"] = lambda: opening.take_place(room=room, now=later(seconds=40))
    assert opening.open_place(place, lambda: later(seconds=20)).status == "open"
    assert provider.calls == ["create_room"]
