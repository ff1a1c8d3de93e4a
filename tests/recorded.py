"""Meetings in the rooms of a sandbox process, with people in them and recordings of what they say.

All recordings of one call to ``record`` hold the same sound at the same times.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import requests

from tests.crash import Installation
from tests.platforms.sandbox.process import Process
from tests.speech import fake_microphone

OPEN = """
import json
from meetings.opening import open_meeting
from rooms.models import Room
made = []
for number in range({count}):
    room = Room.objects.create(
        slug=f"{slug}-{{number}}", name="Standup", platform="daily", consent_policy="not_asked",
        recording_type="cloud", recording_trigger="none",
    )
    meeting = open_meeting(room=room)
    made.append([str(meeting.pk), meeting.provider_room_name])
print(json.dumps(made))
"""
FIND = """
import json
from django.db import transaction
from platforms import registry
from platforms.work import waker
from recordings.finding import found
adapter, rows = registry.get("daily"), []
for recording_id in {ids!r}:
    with transaction.atomic():
        rows.append(str(found(platform="daily", item=adapter.get_recording(recording_id), found_by="poller").pk))
assert waker.flush(10)
print(json.dumps(rows))
"""


def open_meetings(product: Installation, count: int) -> list[tuple[str, str]]:
    """New meetings, each in a room of its own: (id, the provider's room name)."""
    made = product.run(OPEN.format(count=count, slug=f"room-{uuid.uuid4().hex[:8]}"))
    return [(meeting, room) for meeting, room in made]


def come_in(sandbox: Process, room: str, audio: Path | None = None) -> str:
    """Somebody who says what is in ``audio``, from now on; the session's id."""
    asked = {"platform": "daily", "room": room, "name": "Ann"}
    if audio is None:
        return str(sandbox.control("POST", "people", asked)["id"])
    with audio.open("rb") as file:
        answer = requests.post(f"{sandbox.url}/_control/people", data=asked, files={"audio": file}, timeout=30)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def record(product: Installation, sandbox: Process, count: int, phrases: Any, folder: Path) -> list[str]:
    """``count`` meetings in which the phrases were said and recorded; the recordings' ids at the provider.

    The sandbox's clock jumps, so that nobody has to wait until everything was said.
    """
    audio = folder / f"{uuid.uuid4().hex}.wav"
    length_s = fake_microphone(audio, phrases, lead_s=0.2, tail_s=0.5)
    rooms = [room for _, room in open_meetings(product, count)]
    sandbox.control("POST", "clock", {"freeze": True})
    people = [come_in(sandbox, room, audio) for room in rooms]
    order = {"type": "cloud", "instanceId": str(uuid.uuid4())}
    for room in rooms:
        sandbox.api("POST", "daily", f"/rooms/{room}/recordings/start", order)
    sandbox.control("POST", "clock", {"advance_s": length_s})
    for room in rooms:
        sandbox.api("POST", "daily", f"/rooms/{room}/recordings/stop", order)
    for person in people:
        sandbox.control("DELETE", f"people/{person}")
    deadline = time.monotonic() + 90
    while True:
        made = [each for each in sandbox.control("GET", "recordings") if each["room_name"] in rooms]
        if all(each["state"] == "finished" for each in made):
            break
        assert time.monotonic() < deadline, made
        time.sleep(0.2)
    sandbox.control("POST", "clock", {"reset": True})
    assert len(made) == count
    return [each["id"] for each in made]


def find(product: Installation, ids: list[str]) -> None:
    """As the poller finds them; their wake-up calls are sent."""
    assert len(product.run(FIND.format(ids=ids))) == len(ids)
