"""Experiments in a real browser: made and started without any script, accessible, readable on a phone."""

from __future__ import annotations

import os
import re
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from rooms.experiments.commands import Command, carry_out
from rooms.experiments.drawing import arm_of
from rooms.guard.watch import watch
from rooms.models import Assignment, Experiment, Outcome, Room
from rooms.outcomes import Kind, Status
from tests.accounts_for_platforms import BOTH
from tests.factories import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EXPERIMENTS = "/admin/rooms/experiment/"


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
        Room(name=f"Room {number}", slug=f"room-{number}", platform="whereby") for number in range(30)
    )


def signed_in(browser: Browser, live_server: Any, client: Any, **how: Any) -> BrowserContext:
    context = browser.new_context(base_url=live_server.url, **how)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    return context


def made(name: str, rooms: list[Room], staff: User, *, platform_b: str = "daily") -> Experiment:
    experiment = Experiment.objects.create(
        name=name,
        reason="the new one costs half as much",
        platform_a="whereby",
        platform_b=platform_b,
        created_by=staff,
    )
    experiment.rooms.set(rooms)
    return experiment


def met(experiment: Experiment, room: Room, count: int, *, fails: str, at: datetime) -> None:
    """So many meetings of a room; those on the arm ``fails`` have no recording, and the last is still awaited."""
    for number in range(count):
        arm = arm_of(experiment, room.uuid, number)
        platform = experiment.platform_a if arm == "A" else experiment.platform_b
        drawn = Assignment.objects.create(
            experiment=experiment,
            room=room,
            meeting_id=uuid.uuid4(),
            number=number,
            arm=arm,
            platform=platform,
            assigned_at=at,
            served_platform=platform,
        )
        for kind in Kind:
            failed = kind == Kind.RECORDING and arm == fails
            status = Status.PENDING if number == count - 1 else Status.FAILURE if failed else Status.SUCCESS
            Outcome.objects.create(
                meeting_id=drawn.meeting_id,
                room=room,
                platform=platform,
                kind=kind,
                status=status,
                met_at=at,
                mature_at=at,
                decided_at=at,
            )


@pytest.fixture
def experiments(rooms: list[Room], staff: User) -> dict[str, Experiment]:
    """One in each state."""
    begun = timezone.now() - timedelta(days=2)
    all_of_them = {
        "draft": made("Autumn", rooms[20:], staff),
        "ended": made("Does it see what is not there", rooms[:5], staff, platform_b="whereby"),
        "held": made("Summer", rooms[5:10], staff),
        "running": made("Spring, with a name that goes on for quite a while to see", rooms[10:20], staff),
    }
    for name in ("ended", "held", "running"):
        carry_out(
            experiment_id=all_of_them[name].pk,
            command=Command.START,
            reason="pilot",
            aa_waiver="five rooms only",
            actor=staff,
            now=begun,
        )
    carry_out(experiment_id=all_of_them["ended"].pk, command=Command.END, reason="proven", actor=staff)
    for name, fails in (("ended", ""), ("held", "B"), ("running", "")):
        all_of_them[name].refresh_from_db()
        for room in all_of_them[name].rooms.all():
            met(all_of_them[name], room, 9, fails=fails, at=begun)
    astray = Assignment.objects.filter(experiment=all_of_them["running"]).first()
    assert astray is not None
    Assignment.objects.filter(pk=astray.pk).update(
        served_platform="whereby", quarantined="drawn for Daily, but served on Whereby"
    )
    watch(timezone.now())
    for name, experiment in all_of_them.items():
        experiment.refresh_from_db()
        assert experiment.get_status_display() == name
    return all_of_them


def pages(experiments: dict[str, Experiment]) -> list[str]:
    of = {name: f"{EXPERIMENTS}{experiment.pk}" for name, experiment in experiments.items()}
    return [
        EXPERIMENTS,
        f"{EXPERIMENTS}add/",
        *(f"{address}/change/" for address in of.values()),
        f"{of['draft']}/edit/",
        f"{of['draft']}/delete/",
        f"{of['draft']}/start/",
        f"{of['running']}/hold/",
        f"{of['held']}/resume/",
        f"{of['running']}/end/",
        f"{of['ended']}/hold/",
        f"/admin/rooms/assignment/?experiment__id__exact={experiments['running'].pk}",
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)])
def test_no_page_has_a_serious_barrier_or_runs_over_the_edge(
    browser: Browser,
    live_server: Any,
    client: Any,
    experiments: dict[str, Experiment],
    scheme: Any,
    width: int,
) -> None:
    context = signed_in(browser, live_server, client, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    found = []
    for address in pages(experiments):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == (409 if address.endswith(f"{experiments['ended'].pk}/hold/") else 200), address
        found += barriers(page, address, f"{scheme}-{width}")
    context.close()
    assert found == []


def barriers(page: Page, address: str, how: str) -> list[tuple[str, str, str]]:
    """Serious ones, and what runs over the edge; a picture where ``PICTURES_OF_PAGES`` names a folder."""
    if folder := os.environ.get("PICTURES_OF_PAGES"):
        name = re.sub(r"\W+", "-", address.replace("admin/rooms", "")).strip("-")
        page.screenshot(path=f"{folder}/{name}-{how}.png", full_page=True)
    found = [
        (address, violation["id"], violation["nodes"][0]["html"][:120])
        for violation in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append((address, "runs over the edge", ""))
    return found


def test_an_aa_run_is_made_and_started_by_keyboard_without_any_script(
    browser: Browser, live_server: Any, client: Any, rooms: list[Room]
) -> None:
    context = signed_in(browser, live_server, client, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{EXPERIMENTS}add/")
    page.get_by_label("Name", exact=True).fill("Proof")
    for arm in ("Arm A, where things are", "Arm B, what is tried"):
        page.get_by_label(arm).select_option("whereby")
    page.get_by_label("Why?").fill("trust, but check")
    page.get_by_label("Rooms", exact=True).fill("room-1 room-2")
    page.get_by_role("button", name="Save as a draft").press("Enter")
    page.get_by_role("link", name="Start…").press("Enter")
    expect(page.get_by_text("both on Whereby: nobody will notice anything")).to_be_visible()
    expect(page.get_by_label("Why may it start without an A/A run?")).to_have_count(0)
    page.get_by_label("Why?").fill("go")
    page.get_by_role("button", name="Start the experiment").press("Enter")
    expect(page.get_by_role("listitem").filter(has_text="Started: go")).to_be_visible()
    context.close()
    assert Experiment.objects.get().status == Experiment.Status.RUNNING
