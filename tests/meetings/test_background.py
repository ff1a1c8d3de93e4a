"""A platform that hangs takes all its threads; who needs none, or is on another platform, is not held up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

FULL = """
import json, re, threading, time
import django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
from meetings import background
from meetings.models import Meeting
from meetings.opening import open_meeting
from meetings.views import room as room_page
from platforms import registry
from rooms.models import Room

def room(slug, platform):
    return Room.objects.create(name=slug, slug=slug, platform=platform, is_shared=True)

idle, busy, other = room("idle", "fake"), room("busy", "fake"), room("other", "fake-page")
open_meeting(room=busy)
provider = registry.get("fake").provider
provider.calls.clear()
room_page.PATIENCE_S = 4
goes_on = threading.Event()
for _ in range(background.THREADS):
    threading.Thread(
        target=background.wait_for, args=[goes_on.wait], kwargs={"whose": "fake", "patience_s": 60}, daemon=True
    ).start()
time.sleep(0.3)

def heading(response):
    return re.search(r"<h1[^>]*>(.*?)</h1>", response.content.decode(), re.DOTALL)[1].strip()

def told(response):
    return response.get("Location") or heading(response)

def join(slug):
    client = Client(SERVER_NAME="localhost")
    form = client.get(f"/rooms/{slug}/").content.decode()
    words = re.search(r'name="words" value="([^"]*)"', form)
    began = time.monotonic()
    response = client.post(f"/rooms/{slug}/", {"name": "Gil", "answer": "yes", "words": words[1] if words else ""})
    return client, told(response), time.monotonic() - began

answers = {slug: join(slug)[1:] for slug in ("other", "busy")}
first, *answers["first"] = join("idle")
second, *answers["second"] = join("idle")
address = answers["first"][0]
answers["looks"] = [told(each.get(address)) for each in (first, second)]
answers["made_meanwhile"] = list(provider.calls)
goes_on.set()
give_up_at = time.monotonic() + 8
while Meeting.objects.filter(room=idle, status="opening").exists() and time.monotonic() < give_up_at:
    time.sleep(0.05)
answers["in"] = [told(each.get(address)) for each in (first, second)]
answers["made"] = provider.calls
answers["people"] = Meeting.objects.get(room=idle).participants.count()
print(json.dumps(answers))
"""


def _with_all_threads_taken(database_url):
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "tests.settings_with_fakes",
        "TEST_DATABASE_URL": database_url,
    }
    done = subprocess.run(
        [sys.executable, "-c", FULL], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _expect_nobody_held_up(told):
    for slug in ("other", "busy"):
        address, took_s = told[slug]
        assert address == f"/rooms/{slug}/call/"
        assert took_s < 3, slug
    address, took_s = told["first"]
    assert address.startswith("/rooms/idle/call/?since=")
    assert took_s >= 4, "whoever opens waits a little"
    address, took_s = told["second"]
    assert address.startswith("/rooms/idle/call/?since=")
    assert took_s < 3, "whoever only waits sees at once that something is going on"
    assert told["looks"] == ["Opening the meeting"] * 2
    assert told["made_meanwhile"] == []
    assert told["in"] == ["/rooms/idle/call/"] * 2
    assert (told["made"], told["people"]) == (["create_room"], 2)


def test_a_platform_that_hangs_holds_up_nobody_else_on_sqlite(tmp_path):
    _expect_nobody_held_up(_with_all_threads_taken(f"sqlite:///{tmp_path / 'db.sqlite3'}"))


@pytest.mark.postgres
def test_a_platform_that_hangs_holds_up_nobody_else_on_postgresql(postgres_url):
    _expect_nobody_held_up(_with_all_threads_taken(postgres_url))
