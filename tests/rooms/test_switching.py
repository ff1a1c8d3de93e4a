"""The kill switch of a platform: services, command, page, and that it holds in every process."""

import os
import re
import subprocess
import sys
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command

from platforms.models import Alert
from rooms import switching
from rooms.models import PlatformSwitch, Room
from tests.factories import make_meeting, make_participant, make_stay
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parent.parent.parent
PAGE = "/admin/rooms/platformswitch/"


def words_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


def messages_of(response):
    return [str(message) for message in response.context["messages"]]


def test_a_platform_is_open_until_it_is_closed_and_opened_again(ann, django_assert_num_queries):
    assert not switching.is_closed("daily")
    switching.close(platform="daily", reason=" outage. ", actor=ann, now=NOW)
    with django_assert_num_queries(1):
        assert switching.is_closed("daily")
    assert not switching.is_closed("whereby")
    words = "closed for new meetings by Ann Archer since 22 November at 14:03 UTC: outage"
    assert switching.in_words(switching.closed()["daily"]) == words
    switching.open(platform="daily", reason="over", actor=ann)
    assert not switching.is_closed("daily")
    assert list(PlatformSwitch.objects.values_list("is_closed", "reason")) == [(False, "over"), (True, "outage.")]


@pytest.mark.parametrize("reason", ["", " \n", "\x00"])
def test_a_reason_is_asked_for(reason):
    for switch in (switching.close, switching.open):
        with pytest.raises(switching.SwitchRefused, match="Say why"):
            switch(platform="daily", reason=reason)
    assert not PlatformSwitch.objects.exists()


def test_what_would_change_nothing_is_refused():
    with pytest.raises(switching.SwitchRefused, match="Daily is open for new meetings already."):
        switching.open(platform="daily", reason="r")
    switching.close(platform="daily", reason="r")
    with pytest.raises(switching.SwitchRefused, match="Daily is closed for new meetings already."):
        switching.close(platform="daily", reason="r")
    with pytest.raises(switching.SwitchRefused, match="No platform is called “zoom”; known: whereby, daily."):
        switching.close(platform="zoom", reason="r")


def test_a_closed_platform_is_an_alert_until_it_is_open_again(ann, room, settings):
    settings.ALERT_EMAILS = ["alerts@rooms.example"]
    switching.close(platform="whereby", reason="outage", actor=ann)
    alert = Alert.objects.get()
    assert (alert.key, alert.title) == ("closed:whereby", "Whereby is closed for new meetings")
    assert (alert.evidence, alert.inverse, alert.inverse_url) == (
        {"rooms": 1, "reason": "outage"},
        "Open Whereby again",
        PAGE,
    )
    assert alert.deliveries.count() == 1
    switching.open(platform="whereby", reason="over", actor=ann)
    alert.refresh_from_db()
    assert alert.settled_at is not None


class TestWhoIsGone:
    """Whoever used a switch is named as far as it is known; nobody is made a command line by having left."""

    def close(self, **fields):
        PlatformSwitch.objects.create(platform="daily", is_closed=True, reason="outage", switched_at=NOW, **fields)

    def said(self, staff):
        """What a sentence says, and what the table of uses does."""
        page = words_of(staff.get(PAGE))
        row = page.partition("What was done")[2]
        return switching.in_words(switching.closed()["daily"]), row

    def test_an_account_that_is_deleted(self, staff):
        bob = User.objects.create_user("bob")
        switching.close(platform="daily", reason="outage", actor=bob)
        assert "closed for new meetings by bob since" in self.said(staff)[0]
        bob.delete()
        words, row = self.said(staff)
        assert "closed for new meetings by somebody whose account is gone since" in words
        assert "by somebody whose account is gone" in row
        assert "command line" not in words + row

    def test_the_command_line(self, staff):
        call_command("platform_switch", "daily", "close", reason="outage", stdout=StringIO())
        assert PlatformSwitch.objects.get().is_from_shell is True
        words, row = self.said(staff)
        assert "closed for new meetings on the command line since" in words
        assert "on the command line" in row
        assert "gone" not in words + row

    def test_uses_from_before_it_was_written_down(self, staff, ann):
        told = import_module("rooms.migrations.0015_switches_used_by_somebody").told
        bob = User.objects.create_user("bob")
        self.close(actor=bob), self.close(actor=None)
        told(apps, None)
        bob.delete()
        assert [switch.by_whom for switch in PlatformSwitch.objects.order_by("pk")] == [
            "by somebody whose account is gone",
            "on the command line or by somebody whose account is gone",
        ]
        assert "on the command line or by somebody whose account is gone" in self.said(staff)[1]


# -- command


def test_the_command_closes_and_opens():
    out = StringIO()
    call_command("platform_switch", "daily", "close", reason="outage", stdout=out)
    assert switching.is_closed("daily")
    call_command("platform_switch", "daily", "open", reason="over", stdout=out)
    assert not switching.is_closed("daily")
    assert out.getvalue() == (
        "Daily is closed for new meetings; live ones go on.\nDaily is open for new meetings again.\n"
    )
    with pytest.raises(CommandError, match="is open for new meetings already"):
        call_command("platform_switch", "daily", "open", reason="over")
    with pytest.raises(CommandError, match="Say why"):
        call_command("platform_switch", "daily", "close", reason=" ")


# -- page


def test_the_page_says_what_closing_means_and_does_it(staff, room, settings):
    settings.PLATFORM_FAILURE_POLICY = "fail"
    Room.objects.create(name="Board", slug="board", platform="whereby", on_failure="fall_back")
    meeting = make_meeting(room)
    for _ in range(2):
        make_stay(make_participant(meeting))
    page = words_of(staff.get(PAGE))
    assert (
        "2 rooms are set to meet on Whereby. Closed, 1 of them would fall back to another platform, and 1 could not "
        "start a meeting." in page
    )
    assert "1 live meeting with 2 people inside would go on until the end." in page
    assert "No platform was ever closed." in page
    done = staff.post(f"{PAGE}whereby/switch/", {"to": "close", "whereby-reason": "outage"}, follow=True)
    assert messages_of(done) == ["Whereby is closed for new meetings; live ones go on."]
    assert switching.is_closed("whereby")
    page = words_of(done)
    assert "✕ closed for new meetings" in page
    assert "Closed for new meetings by Ann Archer since" in page
    assert "1 fall back to another platform, 1 cannot start a meeting." in page
    meeting.refresh_from_db()
    assert meeting.status == "open"
    done = staff.post(f"{PAGE}whereby/switch/", {"to": "open", "whereby-reason": "over"}, follow=True)
    assert messages_of(done) == ["Whereby is open for new meetings again."]
    assert not switching.is_closed("whereby")


def test_the_page_refuses_what_cannot_be(staff, room):
    page = staff.post(f"{PAGE}daily/switch/", {"to": "close", "daily-reason": " "})
    assert "Say why" in words_of(page)
    assert "<title>Error:" in re.sub(r">\s+", ">", page.content.decode())
    stale = staff.post(f"{PAGE}daily/switch/", {"to": "open", "daily-reason": "over"}, follow=True)
    assert messages_of(stale) == ["Daily is open for new meetings already."]
    assert staff.post(f"{PAGE}zoom/switch/", {"to": "close"}).status_code == 404
    assert staff.get(f"{PAGE}daily/switch/").status_code == 405
    assert not PlatformSwitch.objects.exists()


def test_a_page_from_before_does_not_open_what_was_closed_for_another_reason_since(staff, ann):
    switching.close(platform="daily", reason="outage", actor=ann)
    seen = re.search(r'name="seen" value="(\d+)"', staff.get(PAGE).content.decode())[1]
    switching.open(platform="daily", reason="over", actor=ann)
    switching.close(platform="daily", reason="recordings are lost", actor=ann)
    agreed = {"to": "open", "daily-reason": "outage is over"}
    stale = staff.post(f"{PAGE}daily/switch/", agreed | {"seen": seen}, follow=True)
    (said,) = messages_of(stale)
    assert said.startswith("Daily was closed anew since you looked: it is closed for new meetings by Ann Archer since ")
    assert said.endswith(": recordings are lost.")
    assert switching.is_closed("daily")
    seen = re.search(r'name="seen" value="(\d+)"', stale.content.decode())[1]
    staff.post(f"{PAGE}daily/switch/", agreed | {"seen": seen})
    assert not switching.is_closed("daily")


def test_the_page_needs_few_queries(staff, room, django_assert_max_num_queries):
    for number in range(5):
        make_meeting(Room.objects.create(name=f"R{number}", slug=f"r{number}", platform="daily"))
    staff.get(PAGE)
    with django_assert_max_num_queries(8):
        staff.get(PAGE)


def test_who_may_only_look_switches_nothing(client, room):
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_platformswitch"))
    client.force_login(viewer)
    page = client.get(PAGE)
    assert page.status_code == 200
    assert "Close Daily" not in page.content.decode()
    assert client.post(f"{PAGE}daily/switch/", {"to": "close", "daily-reason": "r"}).status_code == 403
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert client.get(PAGE).status_code == 403


# -- every process, at once

JOINER = """
import sys
import django
django.setup()
from meetings.models import Meeting
from meetings.opening import OpeningFailed, open_meeting
from rooms.models import Room

room = Room.objects.get(slug="standup")
for line in sys.stdin:
    try:
        meeting = open_meeting(room=room)
        said = "open"
        Meeting.objects.filter(pk=meeting.pk).update(status="ended")
    except OpeningFailed as error:
        said = str(error)
    print(said, flush=True)
"""


def _closed_for_another_process(database_url):
    """A process that has opened meetings already sees the switch that another one uses at its very next meeting."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "TEST_DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "tests.settings_with_fakes",
    }

    def manage(*arguments):
        subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True)

    manage("migrate", "-v0")
    make = "from rooms.models import Room; Room.objects.create(name='Standup', slug='standup', platform='fake')"
    manage("shell", "-c", make)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", JOINER], cwd=ROOT, env=environment, **pipes) as joiner:

        def join():
            joiner.stdin.write("join\n")
            joiner.stdin.flush()
            return joiner.stdout.readline().strip()

        said = [join()]
        manage("platform_switch", "fake", "close", "--reason", "outage")
        said.append(join())
        manage("platform_switch", "fake", "open", "--reason", "over")
        said.append(join())
        joiner.stdin.close()
    assert said == [
        "open",
        "No new meetings can be started in this room right now.",
        "open",
    ]


def test_a_switch_holds_for_the_next_meeting_of_another_process_on_sqlite(tmp_path):
    _closed_for_another_process(f"sqlite:///{tmp_path / 'db.sqlite3'}")


@pytest.mark.postgres
def test_a_switch_holds_for_the_next_meeting_of_another_process_on_postgresql(postgres_url):
    _closed_for_another_process(postgres_url)
