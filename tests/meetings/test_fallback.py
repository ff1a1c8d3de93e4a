"""A platform that cannot open a meeting: the room says whether another one may."""

import json
import os
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from meetings import lifecycle, opening
from meetings.models import Meeting
from meetings.opening import OpeningFailed, open_meeting
from platforms.base import PlatformRefused, PlatformUnavailable
from rooms import switching
from rooms.models import Room
from tests.factories import NOW, make_meeting, make_room

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parent.parent.parent


def later(**after):
    return NOW + timedelta(**after)


@pytest.fixture
def room(fake_platforms):
    return make_room(slug="standup", platform="fake", on_failure=Room.OnFailure.FALL_BACK)


def fail(*providers, times=1):
    for provider in providers:
        provider.errors["create_room"] = [PlatformUnavailable("503 from the provider") for _ in range(times)]


def test_another_meeting_opens_on_the_other_platform(provider, page_provider, room):
    fail(provider)
    meeting = open_meeting(room=room, now=NOW)
    failed = meeting.fell_back_from
    assert (meeting.status, meeting.platform) == ("open", "fake-page")
    assert (failed.status, failed.platform, failed.failure) == ("failed", "fake", "503 from the provider")
    assert meeting.pk != failed.pk
    why = "Fake page because Fake could not open the meeting; room is set to Fake since it was made"
    assert meeting.platform_reason == why
    assert open_meeting(room=room, now=later(minutes=1)) == meeting
    assert (provider.calls, page_provider.calls) == (["create_room"], ["create_room"])
    room.refresh_from_db()
    assert room.platform == "fake"  # the room was not moved


def test_a_refusal_falls_back_too(provider, page_provider, room):
    provider.errors["create_room"] = [PlatformRefused("bad option", status=400)]
    assert open_meeting(room=room, now=NOW).platform == "fake-page"


@pytest.mark.parametrize(("room_says", "installation"), [("fail", "fall_back"), ("default", "fail")])
def test_a_room_that_does_not_fall_back_fails(provider, page_provider, room, settings, room_says, installation):
    settings.PLATFORM_FAILURE_POLICY = installation
    room.on_failure = room_says
    room.save()
    fail(provider)
    with pytest.raises(OpeningFailed, match="Fake does not answer right now"):
        open_meeting(room=room, now=NOW)
    assert page_provider.calls == []
    assert Meeting.objects.count() == 1


def test_when_all_fail_one_sentence_says_so_and_nothing_is_left_open(provider, page_provider, room):
    provider.after["create_room"] = page_provider.after["create_room"] = _time_out
    with pytest.raises(OpeningFailed) as failed:
        open_meeting(room=room, now=NOW)
    assert str(failed.value) == "Fake and Fake page could not open the meeting: none of them works right now."
    assert [(row.platform, row.status) for row in Meeting.objects.order_by("platform")] == [
        ("fake", "failed"),
        ("fake-page", "failed"),
    ]
    # each provider made its room and answered too late
    assert len(provider.rooms) == len(page_provider.rooms) == 1
    for row in Meeting.objects.all():
        lifecycle.close_at_provider(row.pk, now=later(seconds=61))
    assert provider.rooms == page_provider.rooms == {}


def _time_out():
    raise PlatformUnavailable("time-out")


def test_the_next_visitor_tries_the_rooms_own_platform_again(provider, page_provider, room):
    fail(provider, page_provider)
    with pytest.raises(OpeningFailed):
        open_meeting(room=room, now=NOW)
    meeting = open_meeting(room=room, now=later(seconds=10))
    assert (meeting.platform, meeting.fell_back_from) == ("fake", None)


def test_there_is_no_moment_without_a_live_meeting(provider, page_provider, room):
    """Whoever waits for the first one sees the second, never a gap to open a third one in."""
    live = []
    page_provider.after["create_room"] = lambda: live.append(Meeting.objects.live().get().platform)
    fail(provider)
    open_meeting(room=room, now=NOW)
    assert live == ["fake-page"]


def test_whoever_waits_for_the_first_meeting_lands_in_the_second(provider, page_provider, room, monkeypatch):
    first = make_meeting(room, status="opening", opening_token=uuid.uuid4(), opening_until=later(seconds=30))

    def replaced(_):
        Meeting.objects.filter(pk=first.pk).update(status="failed", opening_token=None)
        make_meeting(room, platform="fake-page", fell_back_from=first)

    monkeypatch.setattr(opening.time, "sleep", replaced)
    assert open_meeting(room=room, now=NOW).fell_back_from == first


def test_a_taken_over_opening_falls_back_too(provider, page_provider, room):
    Meeting.objects.create(
        room=room,
        platform="fake",
        created_at=NOW,
        opening_token=uuid.uuid4(),
        opening_until=later(seconds=30),
        expires_at=later(hours=8),
    )
    fail(provider)
    assert open_meeting(room=room, now=later(seconds=31)).platform == "fake-page"


def test_a_closed_platform_is_not_asked_and_live_meetings_there_go_on(provider, page_provider, room):
    live = open_meeting(room=room, now=NOW)
    switching.close(platform="fake", reason="outage", now=NOW)
    assert open_meeting(room=room, now=later(minutes=1)) == live
    lifecycle.end_meeting(meeting=live, reason=Meeting.EndReason.HOST, now=later(minutes=2))
    following = open_meeting(room=room, now=later(minutes=3))
    assert (following.platform, following.fell_back_from) == ("fake-page", None)
    assert provider.calls.count("create_room") == 1


def test_a_closed_platform_is_no_refuge(provider, page_provider, room):
    switching.close(platform="fake-page", reason="outage", now=NOW)
    fail(provider)
    with pytest.raises(OpeningFailed, match="Fake does not answer right now"):
        open_meeting(room=room, now=NOW)
    assert page_provider.calls == []


def test_a_room_that_does_not_fall_back_is_told_that_its_platform_is_closed(provider, room):
    room.on_failure = Room.OnFailure.FAIL
    room.save()
    switching.close(platform="fake", reason="outage", now=NOW)
    with pytest.raises(OpeningFailed, match="No new meetings can be started in this room right now."):
        open_meeting(room=room, now=NOW)
    assert not Meeting.objects.exists()


# -- many at once, on real databases

MANY = """
import json, threading
import django
django.setup()
from django.core.management import call_command
from django.db import connection
call_command("migrate", verbosity=0)
from meetings.models import Meeting
from meetings.opening import open_meeting
from platforms import registry
from platforms.base import PlatformUnavailable
from rooms.models import Room

room = Room.objects.create(name="Standup", slug="standup", platform="fake", on_failure="fall_back")
first, second = registry.get("fake").provider, registry.get("fake-page").provider
first.delay_s = second.delay_s = 0.5
def fail():
    raise PlatformUnavailable("503")
first.after["create_room"] = fail
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
rows = list(Meeting.objects.order_by("created_at").values_list("platform", "status"))
print(json.dumps({"answers": answers, "first": first.calls, "second": second.calls, "rows": rows}))
"""


def _expect_one_fallback(database_url):
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "tests.settings_with_fakes",
        "TEST_DATABASE_URL": database_url,
    }
    done = subprocess.run(
        [sys.executable, "-c", MANY], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told["answers"]) == 20
    assert len(set(told["answers"])) == 1, told["answers"]
    assert uuid.UUID(told["answers"][0])
    assert (told["first"], told["second"]) == (["create_room"], ["create_room"])
    assert told["rows"] == [["fake", "failed"], ["fake-page", "open"]]


def test_twenty_at_once_fall_back_into_one_meeting_on_sqlite(tmp_path):
    _expect_one_fallback(f"sqlite:///{tmp_path / 'db.sqlite3'}")


@pytest.mark.postgres
def test_twenty_at_once_fall_back_into_one_meeting_on_postgresql(postgres_url):
    _expect_one_fallback(postgres_url)
