"""How people use the pages, for tests: through the form, with the words that it shows."""

from __future__ import annotations

import re
from typing import Any

from django.test import Client

from meetings.models import Meeting, Participant
from rooms.models import Room


def words_on(response: Any) -> str:
    found = re.search(r'name="words" value="([0-9a-f]{64})"', response.content.decode())
    return found[1] if found else ""


def send(client: Client, room: Room, *, name: str = "Gil Guest", answer: str = "yes") -> Any:
    """Open the form and send it, as a browser does. Returns the answer to the POST."""
    shown = client.get(room.get_absolute_url())
    data = {"name": name, "words": words_on(shown)}
    if answer:
        data["answer"] = answer
    return client.post(room.get_absolute_url(), data)


def come_in(client: Client, room: Room, **fields: str) -> Participant:
    """Through the form into the call."""
    response = send(client, room, **fields)
    assert response.status_code == 303, response.content
    meeting = Meeting.objects.live().get(room=room)
    participant = meeting.participants.order_by("-created_at", "-pk").first()
    assert participant is not None
    return participant


def heading(response: Any) -> str:
    """The page's only ``h1``."""
    found = re.findall(r"<h1[^>]*>(.*?)</h1>", response.content.decode(), re.DOTALL)
    assert len(found) == 1, found
    return str(found[0]).strip()
