"""The front page, a room's history and the choice of a time zone in a real browser: wide, phone, light, dark."""

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from meetings.models import Capture, Consent, ConsentText
from platforms.alerts import alert
from platforms.models import ReadinessResult, Touched, WebhookEvent
from recordings.models import Recording, Transcript
from rooms import switching
from rooms.models import Experiment, MoveOrder, MoveOrderRoom, Outcome, Room, Wave, WaveRoom
from rooms.pinning import pin_room
from rooms.services import move_room
from tests.accounts_for_platforms import BOTH
from tests.factories import make_meeting, make_participant, make_room, make_stay, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOKS = [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)]
LONG = "Board of the very long-winded Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"


@pytest.fixture
def staff(settings: Any, live_server: Any, client: Any) -> User:
    settings.PLATFORM_ENVIRON = BOTH
    settings.DEFAULT_PLATFORM = "whereby"
    user = make_user("ann", first_name="Ann", last_name="Archer", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def busy(staff: User) -> Room:
    """A fleet in which everything is going on, most of it in one room."""
    now = timezone.now()
    many = Room.objects.bulk_create(
        Room(
            name=f"Room {number}",
            slug=f"room-{number}",
            platform="daily" if number % 4 == 0 else "whereby",
            uuid=uuid.uuid4(),
            archived_at=now if number % 9 == 0 else None,
        )
        for number in range(200)
    )
    room = make_room(slug="board", name=LONG, platform="whereby")
    move_room(room_id=room.pk, platform="daily", reason="trouble with sound", source="admin", actor=staff)
    pin_room(room_id=room.pk, reason="hearing aids that only work there", actor=staff)
    alert(
        "webhook:daily",
        title="Daily’s webhook does not work",
        words="It is FAILED, and could not be mended. Events may be missing.",
        evidence={
            "state": "FAILED",
            "failures in a row": 7,
            "points at": "https://rooms.example.org/v1/webhooks/daily",
        },
        inverse="See why deliveries were refused, then start it again",
        inverse_url="/admin/platform/daily/",
        severity="critical",
    )
    ReadinessResult.objects.create(
        platform="daily", key="credentials", title="Credentials", status="failed", words="the key is refused"
    )
    switching.close(platform="whereby", reason="outage", actor=staff)
    for name, status in [("To the new one", "running"), ("Second floor", "held")]:
        wave = Wave.objects.create(
            name=name,
            platform="daily",
            reason="pilot",
            status=status,
            held_at=now if status == "held" else None,
            held_reason="3 failures in a row of “recording delivered”" if status == "held" else "",
            steps=[
                {"percent": 25, "dwell_minutes": 1440, "min_meetings": 20},
                {"percent": 100, "dwell_minutes": 60, "min_meetings": 0},
            ],
            step=0,
            reached=2500,
            started_at=now - timedelta(hours=2),
            step_started_at=now - timedelta(minutes=10),
        )
        WaveRoom.objects.bulk_create(
            WaveRoom(wave=wave, room=one, bucket=100 * number, from_platform="whereby", state="moved")
            for number, one in enumerate(many[:50])
        )
    order = MoveOrder.objects.create(
        kind="scheduled",
        platform="whereby",
        reason="back in the evening",
        actor=staff,
        scheduled_for=now + timedelta(hours=3),
        due_at=now + timedelta(hours=3),
    )
    MoveOrderRoom.objects.create(order=order, room=room, seen_on="daily")
    Experiment.objects.create(
        name="Sound", reason="is it better", platform_a="whereby", platform_b="daily", status="running", started_at=now
    ).rooms.add(room)
    _history(room, staff)
    make_stay(make_participant(make_meeting(room, opened_at=now), "Dan"), joined_at=now)
    return room


def _history(room: Room, staff: User) -> None:
    now = timezone.now()
    failed = make_meeting(
        room,
        platform="whereby",
        status="failed",
        failure="503: no rooms today",
        opened_at=now - timedelta(hours=5),
        ended_at=now - timedelta(hours=5),
    )
    past = make_meeting(
        room,
        platform="daily",
        status="ended",
        fell_back_from=failed,
        platform_reason="Daily because Whereby could not open the meeting",
        opened_at=now - timedelta(hours=5),
        ended_at=now - timedelta(hours=4),
        end_reason="host",
        ended_by=staff,
    )
    cleo = make_participant(past, "Cleo de la Cruz")
    words = ConsentText.version_of("May it be recorded?")
    for answer, ago in (("yes", 290), ("withdrawn", 100)):
        at = now - timedelta(minutes=ago)
        Consent.objects.create(participant=cleo, text=words, policy="choice", answer=answer, answered_at=at)
    Capture.objects.create(
        meeting=past, state="failed", error="The bucket refuses us.", wanted_at=now - timedelta(minutes=280)
    )
    recording = Recording.objects.create(
        platform="daily",
        provider_recording_id="r7",
        meeting=past,
        found_by="webhook",
        status="done",
        media_duration_s=754,
        found_at=now - timedelta(minutes=230),
    )
    Transcript.objects.create(
        recording=recording, status="done", engine="moonshine", finished_at=now - timedelta(minutes=220)
    )
    Outcome.objects.create(
        meeting_id=past.pk,
        room=room,
        platform="daily",
        kind="recording",
        status="success",
        words="after 312 s",
        met_at=past.created_at,
        mature_at=now,
        decided_at=now - timedelta(minutes=225),
    )
    for number in range(60):
        at = now - timedelta(hours=30, minutes=number)
        event = WebhookEvent.objects.create(
            platform="daily",
            body=b"{}",
            body_sha256=f"{number:064}",
            event_type="participant.joined",
            signed_at=at,
            received_at=at,
            status="done",
            outcome="joined: meeting, participant, room",
        )
        Touched.objects.create(event=event, label="rooms.Room", key=str(room.pk), received_at=at)


def opened(browser: Browser, live_server: Any, client: Any, **how: Any) -> BrowserContext:
    context = browser.new_context(base_url=live_server.url, **how)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    return context


def is_fine(page: Page, name: str) -> None:
    """No barrier that axe can see, nothing over the edge. ``PICTURES`` is where to put a picture of it."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    violations = Axe().run(page).response["violations"]
    serious = [
        (one["id"], one["nodes"][0]["html"][:200]) for one in violations if one["impact"] in ("serious", "critical")
    ]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert (name, serious, over) == (name, [], 0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_pages_are_without_barriers_wide_and_narrow_light_and_dark(
    browser: Browser, live_server: Any, client: Any, busy: Room, scheme: Any, width: int
) -> None:
    context = opened(
        browser,
        live_server,
        client,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    )
    page = context.new_page()
    for name, address in [
        ("front", "/admin/"),
        ("history", f"/admin/rooms/room/{busy.pk}/change/"),
        ("nothing-of-this-kind", "/admin/rooms/room/{}/change/?type=moves".format(Room.objects.get(slug="room-1").pk)),
        ("zone", "/admin/zone/?next=/admin/"),
    ]:
        page.goto(address)
        is_fine(page, f"{name}-{scheme}-{width}")
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_a_front_page_with_nothing_on_it(
    browser: Browser, live_server: Any, client: Any, staff: User, scheme: Any, width: int
) -> None:
    context = opened(browser, live_server, client, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto("/admin/")
    is_fine(page, f"empty-front-{scheme}-{width}")
    context.close()


def test_history_is_filtered_and_turned_over_without_any_script(
    browser: Browser, live_server: Any, client: Any, busy: Room
) -> None:
    context = opened(browser, live_server, client, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/admin/rooms/room/{busy.pk}/change/")
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_text("participant.joined").first).to_be_visible()
    page.get_by_role("link", name="Newest").click()
    page.get_by_role("checkbox", name="Consent").check()
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".timeline li")).to_have_count(2)
    page.get_by_role("link", name="Show everything").click()
    expect(page.locator(".timeline li")).to_have_count(40)
    context.close()


def test_a_zone_is_chosen_by_typing_it_without_any_script(
    browser: Browser, live_server: Any, client: Any, busy: Room
) -> None:
    context = opened(browser, live_server, client, java_script_enabled=False, timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto(f"/admin/rooms/room/{busy.pk}/change/")
    page.get_by_role("link", name="Times in UTC").click()
    expect(page.get_by_role("button", name="this browser")).to_be_hidden()
    page.get_by_label("Another one").fill("Europe/Bree")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_text("No time zone is called “Europe/Bree”.")).to_be_visible()
    page.get_by_label("Another one").fill("Europe/Zurich")
    page.get_by_role("button", name="Use it").click()
    page.wait_for_url(f"**/admin/rooms/room/{busy.pk}/change/")
    expect(page.get_by_role("link", name="Times in Europe/Zurich")).to_be_visible()
    context.close()


def test_the_browsers_own_zone_is_one_click(browser: Browser, live_server: Any, client: Any, staff: User) -> None:
    context = opened(browser, live_server, client, timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto("/admin/zone/?next=/admin/")
    page.get_by_role("button", name="Asia/Tokyo (this browser)").click()
    page.wait_for_url("**/admin/")
    expect(page.get_by_role("link", name="Times in Asia/Tokyo")).to_be_visible()
    context.close()
