"""The adapters in bad weather: answers that get lost, limits, refusals, and lists of more than one page."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from django.utils import timezone

from platforms import registry
from platforms.base import PlatformRefused, PlatformUnavailable, ProviderRoom, RoomOptions
from tests.platforms.played.conftest import Played

BOTH = ["daily", "whereby"]


def options(number: int = 0) -> RoomOptions:
    return RoomOptions(key=f"{number:032x}", name_prefix="team", expires_at=timezone.now() + timedelta(hours=9))


def rooms(played: Played, platform: str) -> list[str]:
    return [room["name"] for room in played.sandbox.store.all("room", state="open") if room["platform"] == platform]


@pytest.mark.parametrize("platform", BOTH)
def test_create_whose_answer_was_lost_made_one_room(played: Played, platform: str) -> None:
    operation = {"daily": "create_room", "whereby": "create_meeting"}[platform]
    played.sandbox.faults.set(platform, {"requests": [{"operation": operation, "status": 504, "after": True}]})
    made = registry.get(platform).create_room(options())
    assert [name.lstrip("/") for name in rooms(played, platform)] == [made.name]
    assert registry.get(platform).find_room(options()) == made


@pytest.mark.parametrize("platform", BOTH)
def test_create_that_failed_before_it_did_anything_may_be_tried_again(played: Played, platform: str) -> None:
    operation = {"daily": "create_room", "whereby": "create_meeting"}[platform]
    played.sandbox.faults.set(platform, {"requests": [{"operation": operation, "status": 503}]})
    with pytest.raises(PlatformUnavailable):
        registry.get(platform).create_room(options())
    assert rooms(played, platform) == []
    assert registry.get(platform).find_room(options()) is None
    registry.get(platform).create_room(options())
    assert len(rooms(played, platform)) == 1


@pytest.mark.parametrize("platform", BOTH)
def test_wait_that_the_provider_asks_for_is_handed_on(played: Played, platform: str) -> None:
    faults = [{"operation": "*", "times": 9, "status": 429, "retry_after_s": 38}]
    played.sandbox.faults.set(platform, {"requests": faults})
    with pytest.raises(PlatformUnavailable) as unavailable:
        registry.get(platform).create_room(options())
    assert unavailable.value.retry_after_s == 38


def test_our_budgets_keep_dailys_limits(played: Played) -> None:
    """None of these is ever answered 429: what is too fast waits here."""
    adapter = registry.get("daily")
    made = [adapter.create_room(options(number)) for number in range(4)]
    played.sandbox.faults.set("daily", {"rate_limits": True})
    for room in made:
        adapter.end_room(room)
        adapter.recording_running(room)
    assert rooms(played, "daily") == []


def test_points_of_whereby_are_not_overdrawn(played: Played) -> None:
    adapter = registry.get("whereby")
    played.sandbox.faults.set("whereby", {"rate_limits": True})
    for number in range(30):
        adapter.create_room(options(number))
    with pytest.raises(PlatformUnavailable, match="our own request budget"):
        adapter.create_room(options(30))
    assert len(rooms(played, "whereby")) == 30


def test_whereby_room_is_found_beyond_the_first_page(played: Played) -> None:
    """A lost answer in an organisation with hundreds of rooms."""
    adapter = registry.get("whereby")
    wanted = adapter.create_room(options(1))
    room = played.sandbox.whereby.find_room(wanted.name)
    assert room is not None
    for number in range(150):
        name = f"/other{number}"
        other = {**room, "id": f"whereby:{name}", "room": f"whereby:{name}", "name": name, "meeting_id": str(number)}
        played.sandbox.store.put("room", other)
    assert adapter.find_room(options(1)) == wanted


@pytest.mark.parametrize("platform", BOTH)
def test_ending_puts_everybody_out_and_is_done_once(played: Played, platform: str) -> None:
    adapter = registry.get(platform)
    made = adapter.create_room(options())
    provider = played.sandbox.calls.providers[platform]
    room = provider.find_room(made.name)
    assert room is not None
    person = played.sandbox.calls.join(room, provider.simulated(room, {"name": "Ann", "user_id": "u"}), injected=True)
    adapter.end_room(made)
    gone = played.sandbox.store.get("person", person["id"])
    assert gone is not None
    assert (gone["state"], gone["why"]) == ("left", "ejected")
    adapter.end_room(made)


@pytest.mark.parametrize("platform", BOTH)
def test_wrong_key_is_refused_and_never_tried_again(played: Played, settings, platform: str) -> None:  # type: ignore[no-untyped-def]
    key = f"{platform.upper()}_API_KEY"
    settings.PLATFORM_ENVIRON = {**settings.PLATFORM_ENVIRON, key: "another"}
    with pytest.raises(PlatformRefused) as refused:
        registry.get(platform).create_room(options())
    assert refused.value.status == 401


def test_logo_reaches_the_room(played: Played) -> None:
    adapter = registry.get("whereby")
    made = adapter.create_room(options())
    adapter.set_logo(made, b"\x89PNG and so on")
    room = played.sandbox.whereby.find_room(made.name)
    assert room is not None
    assert room["theme"] == {"logo": 14}
    with pytest.raises(PlatformRefused) as refused:
        adapter.set_logo(dataclasses.replace(made, name="elsewhere"), b"\x89PNG")
    assert refused.value.status == 404


def test_daily_recordings_are_listed_to_the_last_page(played: Played) -> None:
    begun = timezone.now().timestamp() - 1000
    for number in range(250):
        played.sandbox.store.put(
            "recording",
            {
                "id": f"{number:08x}-0000-4000-8000-000000000000",
                "room": "daily:team",
                "room_name": "team",
                "platform": "daily",
                "state": "finished",
                "type": "cloud",
                "started_at": begun + number,
                "duration": 60.0,
                "max_participants": 1,
                "key": f"k{number}",
                "tracks": [],
            },
        )
    adapter, page, found = registry.get("daily"), None, []
    while True:
        answer = adapter.list_recordings(page=page)
        found += [item.key for item in answer.items]
        page = answer.next_page
        if page is None:
            break
    assert found == [f"k{number}" for number in reversed(range(250))]


def test_recording_has_its_refusals(played: Played) -> None:
    """Not hosting yet: later. Running already: fine. Stopped twice: fine. Another kind of instance: refused."""
    adapter = registry.get("daily")
    made = adapter.create_room(dataclasses.replace(options(), recording_type="cloud"))
    instance = "11111111-1111-4111-8111-111111111111"

    def start(room: ProviderRoom = made, instance_id: str = instance) -> None:
        adapter.start_recording(room, instance_id=instance_id, max_duration_s=3600)

    with pytest.raises(PlatformUnavailable, match="not hosting"):
        start()
    room = played.sandbox.daily.find_room(made.name)
    assert room is not None
    token = played.sandbox.daily.simulated(room, {"name": "Ann"})
    played.sandbox.calls.join(room, token, injected=True)
    assert adapter.recording_running(made) is False
    start()
    start()
    assert adapter.recording_running(made) is True
    (running,) = played.sandbox.recorder.running(room["id"])
    assert (running["instance_id"], running["max_duration_s"], running["type"]) == (instance, 3600.0, "cloud")
    with pytest.raises(PlatformRefused):
        start(instance_id="c3df927c-f738-4471-a2b7-066fa7e95a6b")
    adapter.stop_recording(made, instance_id=instance)
    adapter.stop_recording(made, instance_id=instance)
    assert played.sandbox.recorder.running(room["id"]) == []
