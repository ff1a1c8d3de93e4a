"""The admin in a real browser: accessible, readable on a phone, and moving rooms needs few clicks and no script."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from meetings.models import Capture, Consent, ConsentText, Meeting
from platforms.models import WebhookEvent
from recordings.models import Recording, Transcript, TranscriptSegment
from rooms.models import Move, Room
from rooms.services import move_room
from tests.accounts_for_platforms import BOTH
from tests.browser.product import FLAGS
from tests.factories import make_meeting, make_participant, make_room, make_stay, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ROOMS = "/admin/rooms/room/"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright runs a loop in this thread, which Django takes for a mistake of ours
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


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


@pytest.fixture
def meeting(staff: User) -> Meeting:
    """A room with a bit of everything: moved a minute ago, live now, and with a meeting that was recorded."""
    room = make_room(slug="board", name="Board of the very long-winded Donaudampfschifffahrtsgesellschaft", owner=staff)
    make_room(slug="standup", name="Stand-up")
    now = timezone.now()
    past = make_meeting(
        room,
        status=Meeting.Status.ENDED,
        opened_at=now - timedelta(days=1),
        ended_at=now - timedelta(hours=23),
        end_reason=Meeting.EndReason.EMPTY,
    )
    cleo = make_participant(past, "Cleo de la Cruz", answer="yes")
    make_stay(cleo, joined_at=now - timedelta(days=1), left_at=now - timedelta(hours=23))
    Consent.objects.create(
        participant=cleo, text=ConsentText.version_of("May it be\nrecorded?"), policy="choice", answer="yes"
    )
    Capture.objects.create(meeting=past, state="failed", status="quarantined", error="no bucket")
    recording = Recording.objects.create(
        platform="whereby",
        provider_recording_id="a9fd1a4f-34f8-4f20-b518-11e9d277316f",
        meeting=past,
        found_by="webhook",
        status="quarantined",
        last_error="PlatformUnavailable: 503",
    )
    transcript = Transcript.objects.create(recording=recording, status="done")
    TranscriptSegment.objects.create(transcript=transcript, start_ms=0, end_ms=4000, text="It was the best of times")
    WebhookEvent.objects.create(
        platform="whereby",
        body=b"{}",
        body_sha256="a" * 64,
        event_type="room.client.joined",
        signed_at=now,
        status="done",
        outcome="joined: meeting, participant",
        touched=[["meetings.Meeting", str(past.pk)]],
    )
    move_room(room_id=room.pk, platform="daily", reason="trouble with sound", source="admin", actor=staff)
    make_stay(make_participant(make_meeting(room), "Dan"), joined_at=now)
    return past


def pages(meeting: Meeting) -> list[str]:
    rows = [
        meeting.room,
        meeting,
        meeting.participants.get(),
        Consent.objects.get(),
        ConsentText.objects.get(),
        Capture.objects.get(),
        Recording.objects.get(),
        Transcript.objects.get(),
        Move.objects.get(),
    ]
    lists = ["rooms/room", "rooms/move", "meetings/meeting", "meetings/participant", "recordings/recording"]
    return [
        "/admin/",
        *(f"/admin/{name}/" for name in lists),
        *(f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/" for row in rows),
        f"{ROOMS}add/",
        f"{ROOMS}find/?q=board",
        f"{ROOMS}move/?to=whereby&rooms={','.join(str(room.pk) for room in Room.objects.all())}",
        f"/admin/meetings/participant/?meeting__room__id__exact={meeting.room.pk}",
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 320)])
def test_no_page_has_a_serious_barrier_or_runs_over_the_edge(
    browser: Browser, live_server: Any, client: Any, meeting: Meeting, scheme: Any, width: int
) -> None:
    context = signed_in(
        browser,
        live_server,
        client,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        reduced_motion="reduce",
    )
    page = context.new_page()
    found = []
    for address in pages(meeting):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found.append((address, violation["id"], violation["nodes"][0]["html"][:120]))
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            found.append((address, f"{over} pixels too wide at {width}", ""))
    context.close()
    assert found == []


def test_one_room_moves_with_two_clicks_and_back_with_one_without_any_script(
    browser: Browser, live_server: Any, client: Any, staff: User
) -> None:
    room = make_room(slug="standup", name="Stand-up", platform="whereby")
    context = signed_in(browser, live_server, client, java_script_enabled=False)
    page = context.new_page()
    page.goto(ROOMS)
    page.get_by_role("link", name="Move to Daily… Stand-up").click()
    page.get_by_label("Why?").fill("pilot")
    page.get_by_role("button", name="Move 1 room to Daily").click()
    expect(page.get_by_text("Moved 1 room to Daily, skipped 0.")).to_be_visible()
    assert Room.objects.get(pk=room.pk).platform == "daily"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Moved 1 room back, skipped 0.")).to_be_visible()
    assert Room.objects.get(pk=room.pk).platform == "whereby"
    context.close()


def test_fifty_rooms_move_with_five_clicks(browser: Browser, live_server: Any, client: Any, staff: User) -> None:
    for _ in range(50):
        make_room(platform="whereby")
    context = signed_in(browser, live_server, client)
    page = context.new_page()
    page.goto(ROOMS)
    page.locator("#action-toggle").click()  # one
    page.get_by_label("Action:").select_option(label="Move to Daily…")  # two: open, three: pick
    page.get_by_role("button", name="Go").click()  # four
    page.get_by_label("Why?").fill("wave one")
    page.get_by_role("button", name="Move 50 rooms to Daily").click()  # five
    expect(page.get_by_text("Moved 50 rooms to Daily, skipped 0.")).to_be_visible()
    assert Room.objects.filter(platform="daily").count() == 50
    context.close()


def test_a_room_moves_by_keyboard_alone(browser: Browser, live_server: Any, client: Any, staff: User) -> None:
    make_room(slug="standup", name="Stand-up", platform="whereby")
    context = signed_in(browser, live_server, client)
    page = context.new_page()
    page.goto(ROOMS)
    _tab_to(page, "Move to Daily…")
    page.keyboard.press("Enter")
    page.wait_for_url("**/move/**")
    expect(page.get_by_label("Why?")).to_be_focused()
    page.keyboard.type("pilot")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Moved 1 room to Daily, skipped 0.")).to_be_visible()
    context.close()


def _tab_to(page: Page, text: str) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith(text):
            return
    raise AssertionError(f"{text!r} cannot be reached with the Tab key")


def test_people_are_picked_by_typing(browser: Browser, live_server: Any, client: Any, staff: User) -> None:
    room = make_room(slug="standup", name="Stand-up", platform="whereby")
    ben = make_user("ben")
    context = signed_in(browser, live_server, client)
    page = context.new_page()
    page.goto(f"{ROOMS}{room.pk}/change/")
    page.get_by_role("searchbox", name="Hosts").click()
    page.keyboard.type("ben")
    page.get_by_role("option", name="ben").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**{ROOMS}")
    assert list(room.hosts.all()) == [ben]
    context.close()


@pytest.fixture
def event(staff: User) -> WebhookEvent:
    """Somebody joined; the delivery is not read yet."""
    body = (Path(__file__).parent.parent / "payloads" / "daily-participant.joined.json").read_bytes()
    make_meeting(make_room(slug="board", name="Board", platform="daily"), provider_room_name="test")
    return WebhookEvent.objects.create(
        platform="daily", body=body, body_sha256="b" * 64, event_type="participant.joined", signed_at=timezone.now()
    )


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)])
def test_a_dry_run_has_no_barriers(
    browser: Browser, live_server: Any, client: Any, event: WebhookEvent, scheme: Any, width: int
) -> None:
    context = signed_in(
        browser,
        live_server,
        client,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(f"/admin/platforms/webhookevent/{event.pk}/change/")
    _is_fine(page, f"event-{scheme}-{width}")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("Rows: 2 created.")).to_be_visible()
    expect(page.get_by_role("heading", name="Created: participant testuser")).to_be_visible()
    _is_fine(page, f"dry-run-{scheme}-{width}")
    page.get_by_role("button", name="Run again for real").click()
    expect(page.get_by_text("1 will be run again within seconds.")).to_be_visible()
    context.close()


def test_a_dry_run_needs_no_script(browser: Browser, live_server: Any, client: Any, event: WebhookEvent) -> None:
    context = signed_in(browser, live_server, client, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/admin/platforms/webhookevent/{event.pk}/change/")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("Rows: 2 created.")).to_be_visible()
    event.refresh_from_db()
    assert event.attempts == 0
    page.get_by_role("button", name="Run again for real").click()
    expect(page.get_by_text("1 will be run again within seconds.")).to_be_visible()
    context.close()


def test_a_delivery_is_copied_as_a_command(
    browser: Browser, live_server: Any, client: Any, event: WebhookEvent
) -> None:
    context = signed_in(browser, live_server, client)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"/admin/platforms/webhookevent/{event.pk}/change/")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    command = page.evaluate("navigator.clipboard.readText()")
    assert command == page.get_by_role("group", name="As a curl command").text_content()
    assert "X-Webhook-Signature" in command
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_who_is_locked_out_is_told_until_when(
    browser: Browser, live_server: Any, settings: Any, scheme: Any, width: int
) -> None:
    settings.AXES_ENABLED = True
    make_user("ann", is_staff=True)
    context = browser.new_context(
        base_url=live_server.url, color_scheme=scheme, viewport={"width": width, "height": 800}
    )
    page = context.new_page()
    for _ in range(5):
        page.goto("/admin/login/")
        page.get_by_label("Username").fill("ann")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Too many wrong passwords")).to_be_visible()
    expect(page.get_by_text("in 15 minutes")).to_be_visible()
    _is_fine(page, f"locked-out-{scheme}-{width}")
    page.get_by_role("link", name="Choose a new password").click()
    page.wait_for_url("**/accounts/password_reset/")
    context.close()


def _is_fine(page: Page, name: str) -> None:
    """No serious barrier, nothing over the edge; a picture where ``PICTURES_OF_PAGES`` names a folder."""
    if folder := os.environ.get("PICTURES_OF_PAGES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
    found = [
        (violation["id"], violation["nodes"][0]["html"][:120])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
