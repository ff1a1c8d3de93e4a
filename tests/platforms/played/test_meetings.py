"""Whole meetings on each platform, from the room page to the provider and back by its webhooks."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from meetings.models import Capture, Meeting
from rooms.models import Room
from tests.factories import make_room, make_user
from tests.meetings.visitors import come_in
from tests.platforms.played.conftest import Played

BOTH = ["daily", "whereby"]


@pytest.fixture
def owner(played: Played) -> Any:
    return make_user("olga", is_staff=True, is_superuser=True)


@pytest.fixture
def host(owner: Any) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def live(room: Room) -> Meeting:
    return Meeting.objects.live().get(room=room)


def state(client: Client, room: Room) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"{room.get_absolute_url()}state").json()
    return answer


# -- moving a room ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("here", "there"), [("whereby", "daily"), ("daily", "whereby")])
def test_room_is_moved_while_people_are_inside(played: Played, owner: Any, host: Client, here: str, there: str) -> None:
    call_command("sync_daily_webhook", verbosity=0)
    room = make_room(platform=here, owner=owner, is_shared=True, recording_type="none")
    first, late = Client(), Client()
    inside = [played.arrives(come_in(client, room, name="Ann")) for client in (host, first)]
    meeting = live(room)
    assert (meeting.platform, state(host, room)["people"]) == (here, 2)

    call_command("move_room", room.slug, there, "--reason", "a test", verbosity=0)
    assert state(host, room) | {"names": None} == {
        "platform": here,
        "phase": "open",
        "meeting": str(meeting.pk),
        "people": 2,
        "recording": False,
        "waiting": 0,
        "names": None,
    }
    late_person = come_in(late, room, name="Late Lea")
    assert late_person.meeting == meeting
    inside.append(played.arrives(late_person))
    assert state(host, room)["people"] == 3

    for person in inside:
        played.leaves(person)
    for _ in range(4):
        played.later(45)
        played.come_round()
    meeting.refresh_from_db()
    assert (meeting.status, meeting.end_reason, meeting.platform) == ("ended", "empty", here)
    assert meeting.closed_at_provider_at is not None
    assert played.room(meeting) is None

    again = come_in(first, room, name="Ben")
    played.arrives(again)
    assert again.meeting != meeting
    assert (again.meeting.platform, state(host, room)["platform"], state(host, room)["people"]) == (there, there, 1)


# -- nobody comes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", BOTH)
def test_room_that_nobody_ever_enters_is_given_back(played: Played, platform: str) -> None:
    """The page was answered, and the call never joined: a closed tab, a camera that was refused."""
    room = make_room(platform=platform, is_shared=True)
    meeting = come_in(Client(), room).meeting
    assert played.room(meeting) is not None
    for _ in range(59):  # half an hour less half a minute
        played.later(30)
        played.come_round()
    assert live(room) == meeting
    for _ in range(3):
        played.later(30)
        played.come_round()
    meeting.refresh_from_db()
    assert (meeting.status, meeting.end_reason) == ("ended", "never_used")
    assert played.room(meeting) is None


# -- a recording that fails ------------------------------------------------------------------------------------------


def test_recording_error_is_shown_to_host_and_staff(played: Played, owner: Any, host: Client) -> None:
    call_command("sync_daily_webhook", verbosity=0)
    room = make_room(
        platform="daily",
        owner=owner,
        is_shared=True,
        recording_type="cloud",
        recording_trigger="automatic",
        consent_policy="choice",
    )
    played.sandbox.faults.set("daily", {"recording_errors": 1})
    participant = come_in(host, room, answer="yes")
    played.arrives(participant)
    for _ in range(3):
        played.later(5)
    capture = Capture.objects.get()
    assert (capture.state, capture.error) == (
        Capture.State.FAILED,
        "cloud-recording-error: Error fetching STS credentials",
    )
    call = host.get(f"{room.get_absolute_url()}call/state").json()
    assert "Error fetching STS credentials" in call["capture_problem"]
    assert (call["recording"], call["can_start"]) == (False, True)
    page = host.get(f"/admin/meetings/meeting/{participant.meeting_id}/change/").content.decode()
    assert "Error fetching STS credentials" in page
    guest = Client()
    come_in(guest, room, name="Gil", answer="yes")
    assert "capture_problem" not in guest.get(f"{room.get_absolute_url()}call/state").json()


# -- nothing was told ------------------------------------------------------------------------------------------------


def test_stays_are_found_though_nothing_told_of_them(played: Played) -> None:
    """No webhook is registered, and nobody of ours was there to look while the meeting went on."""
    room = make_room(platform="daily", is_shared=True, recording_type="none")
    first, second = (come_in(Client(), room, name=name) for name in ("Ann", "Ben"))
    inside = [played.arrives(participant) for participant in (first, second)]
    played.later(600)
    played.leaves(inside[0])
    played.later(60)
    played.leaves(inside[1])
    meeting = live(room)
    assert not meeting.sessions.exists()

    played.later(9 * 3600)
    played.come_round()
    meeting.refresh_from_db()
    assert meeting.closed_at_provider_at is not None
    stays = meeting.sessions.order_by("left_at").select_related("participant")
    lengths = [(stay.participant, (stay.left_at - stay.joined_at).total_seconds()) for stay in stays]
    assert lengths == [(first, 600), (second, 660)]
