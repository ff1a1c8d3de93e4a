"""Waves in a real browser: started in a minute without any script, accessible in every state, readable on a phone."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from platforms.models import ReadinessResult
from rooms.models import Room, Wave
from rooms.services import move_room
from rooms.waves.commands import Command, carry_out
from rooms.waves.tick import tick
from tests.accounts_for_platforms import BOTH
from tests.factories import make_meeting, make_user
from tests.rooms.waves.conftest import outcome

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WAVES = "/admin/rooms/wave/"


@pytest.fixture
def staff(settings: Any, live_server: Any, client: Any) -> User:
    settings.PLATFORM_ENVIRON = BOTH
    settings.DEFAULT_PLATFORM = "whereby"
    user = make_user("ann", first_name="Ann", last_name="Archer", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def rooms(staff: User) -> list[Room]:
    return Room.objects.bulk_create(
        Room(name=f"Room {number}", slug=f"room-{number}", platform="whereby", uuid=UUID(int=number))
        for number in range(60)
    )


def signed_in(browser: Browser, live_server: Any, client: Any, **how: Any) -> BrowserContext:
    context = browser.new_context(base_url=live_server.url, **how)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    return context


def wave_of(name: str, rooms: list[Room], **fields: Any) -> Wave:
    return Wave.objects.create(
        **{
            "name": name,
            "platform": "daily",
            "salt": "0" * 32,
            "reason": "the new one costs half as much",
            "selection": {"rooms": [room.pk for room in rooms]},
            "steps": [
                {"percent": 25, "dwell_minutes": 1440, "min_meetings": 10},
                {"percent": 50, "dwell_minutes": 1440, "min_meetings": 20},
                {"percent": 100, "dwell_minutes": 1440, "min_meetings": 0},
            ],
            "blackouts": [{"days": [0, 1, 2, 3, 4], "from": "23:58", "to": "23:59"}],
            **fields,
        }
    )


@pytest.fixture
def waves(rooms: list[Room], staff: User) -> dict[str, Wave]:
    """One in each state."""
    ReadinessResult.objects.create(platform="daily", key="bucket", title="Bucket readable", status="ok", words="ok")
    begun = timezone.now() - timedelta(days=2)
    made = {
        "draft": wave_of("Autumn", rooms[50:]),
        "running": wave_of("Spring, with a name that goes on for quite a while to see where it breaks", rooms[:20]),
        "held": wave_of("Summer", rooms[20:40]),
        "rolled back": wave_of("Winter", rooms[40:45]),
        "completed": wave_of("Pilot", rooms[45:50], steps=[{"percent": 100, "dwell_minutes": 60, "min_meetings": 0}]),
    }
    for name in ("running", "held", "rolled back", "completed"):
        carry_out(wave_id=made[name].pk, command=Command.START, reason="pilot", actor=staff, now=begun)
    tick(begun + timedelta(minutes=1))
    carry_out(wave_id=made["rolled back"].pk, command=Command.ROLL_BACK, reason="no sound", actor=staff)
    for moved in made["held"].rooms.filter(state="moved")[:1]:
        for minute in (2, 3, 4):
            at = begun + timedelta(hours=minute)
            outcome(moved.room_id, "failure", at=at, kind="recording", words="no recording after two hours")
    for room in rooms[:8]:
        make_meeting(room, status="ended", opened_at=begun + timedelta(hours=1))
    for moved in made["running"].rooms.filter(state="moved")[:1]:
        move_room(room_id=moved.room_id, platform="whereby", reason="trouble with sound", source="admin", actor=staff)
        for hour in range(1, 13):
            outcome(moved.room_id, at=begun + timedelta(hours=hour))
    tick(begun + timedelta(days=1, hours=6))
    for name, wave in made.items():
        wave.refresh_from_db()
        assert wave.get_status_display() == name
    return made


def pages(waves: dict[str, Wave]) -> list[str]:
    running, held, draft = waves["running"].pk, waves["held"].pk, waves["draft"].pk
    return [
        WAVES,
        f"{WAVES}add/",
        *(f"{WAVES}{wave.pk}/change/" for wave in waves.values()),
        f"{WAVES}{draft}/edit/",
        f"{WAVES}{draft}/delete/",
        f"{WAVES}{draft}/start/",
        f"{WAVES}{running}/pause/",
        f"{WAVES}{held}/resume/",
        f"{WAVES}{running}/shrink/",
        f"{WAVES}{running}/shrink/?percent=5",
        f"{WAVES}{running}/rollback/",
        f"/admin/rooms/waveroom/?wave__id__exact={running}",
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)])
def test_no_page_has_a_serious_barrier_or_runs_over_the_edge(
    browser: Browser,
    live_server: Any,
    client: Any,
    waves: dict[str, Wave],
    scheme: Any,
    width: int,
) -> None:
    context = signed_in(browser, live_server, client, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    found = []
    for address in pages(waves):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        found += barriers(page, address, f"{scheme}-{width}")
    context.close()
    assert found == []


def barriers(page: Page, address: str, how: str = "") -> list[tuple[str, str, str]]:
    """Serious ones, and what runs over the edge; a picture where ``PICTURES_OF_PAGES`` names a folder."""
    if folder := os.environ.get("PICTURES_OF_PAGES"):
        name = re.sub(r"\W+", "-", address.replace("admin/rooms", "")).strip("-")
        page.screenshot(path=f"{folder}/{name}-{how}.png", full_page=True)
    found = [
        (address, violation["id"], violation["nodes"][0]["html"][:120])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*found, *([(address, f"{over} pixels too wide", "")] if over > 0 else [])]


def test_a_wave_is_made_started_and_rolled_back_without_any_script(
    browser: Browser, live_server: Any, client: Any, rooms: list[Room]
) -> None:
    context = signed_in(browser, live_server, client, java_script_enabled=False)
    page = context.new_page()
    page.goto(WAVES)
    page.get_by_role("link", name="Add wave").click()
    page.get_by_label("Name", exact=True).fill("Spring")
    page.get_by_label("Move rooms to").select_option(label="Daily")
    page.get_by_label("Why?").fill("cheaper")
    page.get_by_role("button", name="Save as a draft").click()
    expect(page.get_by_text("nothing moves before it is started")).to_be_visible()

    page.get_by_role("link", name="Start…").click()
    expect(page.get_by_text("60 rooms will move to Daily in 4 steps.")).to_be_visible()
    page.get_by_label("Why?").fill("go")
    page.get_by_role("button", name="Start the wave").click()
    expect(page.get_by_text("Before the first step: 60 rooms")).to_be_visible()
    for _ in range(2):
        tick(timezone.now())
    page.reload()
    expect(page.get_by_text("Step 1 of 4: up to 5 % of 60 rooms")).to_be_visible()

    page.get_by_role("link", name="Next step now…").click()
    page.get_by_label("Why?").fill("all is well")
    page.get_by_role("button", name="now").click()
    expect(
        page.get_by_text("Step 2 of 4: up to 25 % of the rooms. Taken ahead of its time: all is well").first
    ).to_be_visible()
    moved = Room.objects.filter(platform="daily").count()
    assert moved > 0

    page.get_by_role("link", name="Roll back…").click()
    page.get_by_role("button", name=f"Roll back {moved} room").click()
    expect(page.get_by_text("Say why: the reason is kept in the wave’s log.")).to_be_visible()
    page.get_by_label("Why?").fill("no sound")
    page.get_by_role("button", name=f"Roll back {moved} room").click()
    expect(page.get_by_text("Rolled back: no sound").first).to_be_visible()
    assert Room.objects.filter(platform="daily").count() == 0
    context.close()


def test_what_is_wrong_with_a_form_is_said_beside_it(
    browser: Browser, live_server: Any, client: Any, rooms: list[Room]
) -> None:
    context = signed_in(browser, live_server, client)
    page = context.new_page()
    page.goto(f"{WAVES}add/")
    page.get_by_label("The rooms that I list").check()
    page.get_by_label("List", exact=True).fill("room-1 nowhere")
    page.get_by_label("Percent of the rooms").nth(1).fill("3")
    page.get_by_role("button", name="Save as a draft").click()
    expect(page).to_have_title("Error: New wave | Reflector rooms")
    expect(page.get_by_text("No room has the short name “nowhere”.")).to_be_visible()
    expect(page.get_by_text("let the percentages grow")).to_be_visible()
    expect(page.get_by_label("List", exact=True)).to_have_value("room-1 nowhere")
    assert barriers(page, "form with errors") == []
    context.close()
