"""Moving later and in the background in a real browser: by keyboard and without scripts, and watched as it goes on."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, expect

from platforms.work import claim
from rooms import ordering, switching
from rooms.models import MoveOrder, Room
from rooms.ordering import order_as_planned, schedule_move
from rooms.pinning import pin_room
from rooms.planning import preview_move
from tests.accounts_for_platforms import BOTH
from tests.factories import make_meeting, make_participant, make_room, make_stay, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ROOMS, PLATFORMS = "/admin/rooms/room/", "/admin/rooms/platformswitch/"


@pytest.fixture
def staff(settings: Any, live_server: Any, client: Any) -> User:
    settings.PLATFORM_ENVIRON = BOTH
    settings.DEFAULT_PLATFORM = "whereby"
    user = make_user("ann", first_name="Ann", last_name="Archer", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


def signed_in(browser: Browser, live_server: Any, client: Any, **how: Any) -> BrowserContext:
    context = browser.new_context(base_url=live_server.url, **how)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    return context


def order_of(rooms: list[Room], staff: User) -> MoveOrder:
    ids = [room.pk for room in rooms]
    plan = preview_move(room_ids=ids, platform="daily")
    return order_as_planned(platform="daily", room_ids=ids, seen_hash=plan.hash, reason="cheaper", actor=staff)


def test_the_page_of_an_order_follows_it_without_being_loaded_anew(
    browser: Browser, live_server: Any, client: Any, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "MOST_AT_ONCE", 5)
    order = order_of([make_room(platform="whereby") for _ in range(10)], staff)
    context = signed_in(browser, live_server, client)
    page = context.new_page()
    page.goto(f"/admin/rooms/moveorder/{order.pk}/change/")
    expect(page.get_by_role("status")).to_contain_text("0 of 10 rooms moved")
    page.evaluate("window.same = true")
    lease = claim(MoveOrder, order.pk)
    assert lease is not None
    assert ordering._move_some(lease)
    expect(page.get_by_role("status")).to_contain_text("5 of 10 rooms moved")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "5")
    assert page.evaluate("window.same")
    ordering.carry_out(lease)
    expect(page.get_by_role("button", name="Move all of them back")).to_be_visible()
    expect(page.get_by_text("10 of 10 rooms moved")).to_be_visible()
    context.close()


def test_a_move_for_later_needs_neither_mouse_nor_script(
    browser: Browser, live_server: Any, client: Any, staff: User
) -> None:
    room = make_room(slug="standup", name="Stand-up", platform="whereby")
    context = signed_in(browser, live_server, client, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{ROOMS}move/?to=daily&rooms={room.pk}")
    page.keyboard.type("at night")  # the field for the reason has the focus
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="At")).to_be_checked()
    page.get_by_label("Day and time").fill((timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M"))
    page.get_by_role("button", name="Move 1 room to Daily").press("Enter")
    expect(page.get_by_text("1 room will be moved to Daily on")).to_be_visible()
    order = MoveOrder.objects.get()
    page.goto(f"/admin/rooms/moveorder/{order.pk}/change/")
    page.get_by_role("button", name="Cancel this move").press("Enter")
    expect(page.get_by_text("Cancelled. Rooms that were moved stay moved.")).to_be_visible()
    assert Room.objects.get().platform == "whereby"
    context.close()


def test_a_platform_is_closed_and_opened_again_with_a_reason_and_a_button(
    browser: Browser, live_server: Any, client: Any, staff: User
) -> None:
    context = signed_in(browser, live_server, client, java_script_enabled=False)
    page = context.new_page()
    page.goto(PLATFORMS)
    page.get_by_role("button", name="Close Daily for new meetings").click()
    expect(page.get_by_text("Say why")).to_be_visible()
    page.get_by_label("Why close Daily?").fill("outage")
    page.get_by_role("button", name="Close Daily for new meetings").click()
    expect(page.get_by_text("Daily is closed for new meetings; live ones go on.")).to_be_visible()
    assert switching.is_closed("daily")
    page.get_by_label("Why open Daily?").fill("over")
    page.get_by_role("button", name="Open Daily for new meetings").click()
    expect(page.get_by_text("Daily is open for new meetings again.")).to_be_visible()
    assert not switching.is_closed("daily")
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)])
def test_the_pages_have_no_barrier_and_do_not_run_over_the_edge(
    browser: Browser, live_server: Any, client: Any, staff: User, scheme: Any, width: int
) -> None:
    long = make_room(slug="board", name="Board of the very long-winded Donaudampfschifffahrtsgesellschaft")
    rooms = [long, make_room(name="Stand-up"), make_room(name="Old", archived_at=timezone.now())]
    pin_room(room_id=long.pk, reason="hearing aids that work on one platform only", actor=staff)
    make_stay(make_participant(make_meeting(long), "Dan"))
    there = [make_room(platform="daily") for _ in range(3)]
    done = order_of([make_room(platform="whereby") for _ in range(4)] + there, staff)
    ordering.carry_out(claim(MoveOrder, done.pk))  # type: ignore[arg-type]
    running = order_of(rooms, staff)
    at = timezone.now() + timedelta(days=1)
    later = schedule_move(room_id=rooms[1].pk, platform="daily", reason="at night", at=at, actor=staff)
    switching.close(platform="whereby", reason="they told of an outage that may last all day", actor=staff)
    addresses = {
        "move": f"{ROOMS}move/?to=daily&rooms={','.join(str(room.pk) for room in [*rooms, *there])}",
        "nothing": f"{ROOMS}move/?to=whereby&rooms={there[0].pk},{there[1].pk}",
        "pin": f"{ROOMS}{long.pk}/pin/",
        "room": f"{ROOMS}{rooms[1].pk}/change/",
        "platforms": PLATFORMS,
        "orders": "/admin/rooms/moveorder/",
        "done": f"/admin/rooms/moveorder/{done.pk}/change/",
        "running": f"/admin/rooms/moveorder/{running.pk}/change/",
        "later": f"/admin/rooms/moveorder/{later.pk}/change/",
    }
    context = signed_in(
        browser,
        live_server,
        client,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    )
    page = context.new_page()
    found = []
    for name, address in addresses.items():
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found.append((name, violation["id"], violation["nodes"][0]["html"][:160]))
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            found.append((name, f"{over} pixels too wide at {width}", ""))
        if folder := os.environ.get("PICTURES"):
            page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png", full_page=True)
    context.close()
    assert found == []
