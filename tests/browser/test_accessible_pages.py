"""Every page of participants, without any barrier that axe can see: light and dark, wide and narrow."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from meetings.background import StillBusy
from meetings.models import Capture
from platforms.base import PlatformUnavailable
from rooms.models import Room
from tests.browser.visiting import becomes, join, looks_right, sign_in
from tests.factories import make_meeting, make_participant, make_room, make_stay, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = "The Quarterly Cross-Departmental Infrastructure-and-Reliability Coordination Round Donaudampfschifffahrtsgesell"


@pytest.mark.timeout(300)
def test_every_page_before_the_call_is_accessible(page: Page, room: Room, client: Client) -> None:
    user = make_user("staff", is_staff=True, password="a good password")
    closed = make_room(slug="closed", platform="fake", is_shared=True, archived_at=timezone.now())
    early = make_room(slug="early", platform="fake", is_shared=True, opens_at=timezone.now() + timedelta(days=1))
    make_room(slug="strict", platform="fake", is_shared=True, consent_policy="required")
    busy = make_room(slug="busy", name=LONG, platform="fake", is_shared=True, is_locked=True)
    make_meeting(busy, platform="fake-page", status="ended")
    live = make_meeting(busy, opened_at=timezone.now())
    make_stay(make_participant(live, LONG[:100]))
    Capture.objects.create(meeting=live, state="on", started_at=timezone.now())

    for path in ["/", "/rooms/standup/", "/rooms/busy/", "/rooms/busy/kept/", "/", "/accounts/login/", "/nowhere/"]:
        page.goto(path)
        looks_right(page, path)
    for each in (closed, early):
        page.goto(each.get_absolute_url())
        looks_right(page, each.slug)
    page.goto("/rooms/standup/")
    page.click("#join-button")
    looks_right(page, "mistakes")
    page.goto("/rooms/strict/")
    page.fill("#name", "Gil")
    page.check("#answer-no")
    page.click("#join-button")
    expect(page.locator("h1")).to_have_text("You are not in the meeting")
    looks_right(page, "declined")
    for path in ["/accounts/password_reset/", "/accounts/password_reset/done/", "/accounts/reset/x/y/"]:
        page.goto(path)
        looks_right(page, path)
    sign_in(page, user)
    for path in ["/", "/?q=xyz", "/accounts/password_change/"]:
        page.goto(path)
        looks_right(page, f"{path} of staff")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "what",
    ["declined", "no-answer", "full", "ended", "removed", "expired", "elsewhere", "browser", "camera", "connection"],
)
def test_every_way_out_is_accessible(page: Page, room: Room, what: str) -> None:
    page.goto(f"/rooms/standup/out/{what}/")
    looks_right(page, what)


@pytest.mark.timeout(300)
def test_trouble_is_accessible(page: Page, room: Room, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from platforms import registry

    registry.get("fake").provider.errors["create_room"] = [PlatformUnavailable("down")]  # type: ignore[attr-defined]
    page.goto("/rooms/standup/")
    page.fill("#name", "Gil")
    page.check("#answer-yes")
    page.click("#join-button")
    expect(page.locator("h1")).to_have_text("The call could not be opened")
    looks_right(page, "provider down")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("h1")).to_have_text("Stand-up")

    settings.GUEST_JOINS_PER_MINUTE = 0
    page.goto("/rooms/standup/")
    page.check("#answer-yes")
    page.click("#join-button")
    expect(page.locator("h1")).to_have_text("Too many tries")
    looks_right(page, "rate limit")


@pytest.mark.timeout(300)
def test_accounts_are_accessible(page: Page, site: str, mailoutbox: list[Any]) -> None:
    make_user("ann", email="ann@example.org", password="the old password")

    def fill(*values: str) -> None:
        for field, value in zip(page.locator("main input:not([type=hidden])").all(), values, strict=True):
            field.fill(value)
        page.locator("main button").click()

    def is_at(title: str) -> None:
        expect(page.locator("h1")).to_have_text(title)
        looks_right(page, f"{title}, {page.title()}")

    page.goto("/accounts/password_reset/")
    is_at("Reset your password")
    fill("no address")
    expect(page.locator("#errors")).to_be_focused()
    is_at("Reset your password")
    fill("ann@example.org")
    is_at("Check your e-mail")
    link = re.search(r"/accounts/reset/\S+", mailoutbox[0].body)
    assert link
    page.goto(link[0])
    is_at("Choose a new password")
    fill("one new password", "another new password")
    expect(page.locator("#errors")).to_be_focused()
    is_at("Choose a new password")
    fill("one new password", "one new password")
    is_at("Your password is changed")
    page.goto(link[0])
    is_at("The link has expired")
    page.goto("/accounts/login/")
    fill("ann", "not the password")
    expect(page.locator("#errors")).to_be_focused()
    is_at("Sign in")
    fill("ann", "one new password")
    expect(page.get_by_text("Signed in as")).to_be_visible()
    page.goto("/accounts/login/?next=/admin/")
    is_at("Sign in")
    page.goto("/accounts/password_change/")
    is_at("Change your password")
    fill("one new password", "short", "short")
    expect(page.locator("#errors")).to_be_focused()
    is_at("Change your password")
    fill("one new password", "yet another password", "yet another password")
    is_at("Your password is changed")
    page.get_by_role("button", name="Sign out").click()
    is_at("You are signed out")


@pytest.mark.timeout(300)
def test_errors_are_accessible(page: Page, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(path: str, status: int, title: str) -> None:
        response = page.goto(path)
        assert response
        assert response.status == status
        expect(page.locator("h1")).to_have_text(title)
        looks_right(page, path)

    fetch("/not/an/address/of/ours/", 404, "There is nothing at this address")
    fetch("/rooms/nowhere/", 404, "There is nothing at this address")

    page.goto("/rooms/standup/")
    page.context.clear_cookies()
    page.fill("#name", "Gil")
    page.check("#answer-yes")
    page.click("#join-button")
    expect(page.locator("h1")).to_have_text("The form has expired")
    looks_right(page, "CSRF")
    page.get_by_role("link", name="Open the page again").click()
    expect(page.locator("h1")).to_have_text("Stand-up")

    def refuse(*_: Any) -> None:
        raise PermissionDenied

    def misunderstand(*_: Any) -> None:
        raise SuspiciousOperation

    def break_down(*_: Any) -> None:
        raise RuntimeError("on purpose")

    for fault, status, title in (
        (refuse, 403, "You may not do this"),
        (misunderstand, 400, "That request did not work"),
        (break_down, 500, "Something went wrong here"),
    ):
        monkeypatch.setattr("meetings.views.home.seen_rooms", fault)
        fetch("/", status, title)
    monkeypatch.undo()
    page.get_by_role("link", name="Try again").click()
    expect(page.locator("h1")).to_have_text("Your rooms")


def stands_still(page: Page) -> None:
    """The script of the progress page looks, and hears nothing: the page stays as it is."""

    def only_pages(route: Route) -> None:
        (route.abort if route.request.resource_type == "fetch" else route.continue_)()

    page.route("**/call/?since=*", only_pages)


@pytest.mark.timeout(300)
def test_opening_a_meeting_is_accessible(page: Page, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def goes_on(*_: Any, **__: Any) -> None:
        raise StillBusy

    monkeypatch.setattr("meetings.views.room.wait_for", goes_on)
    stands_still(page)
    page.goto("/rooms/standup/")
    page.fill("#name", "Gil")
    page.check("#answer-yes")
    page.click("#join-button")
    expect(page.locator("h1")).to_have_text("Opening the meeting")
    looks_right(page, "opening")
    page.unroute("**/call/?since=*")
    expect(page.locator("h1")).to_have_text("The call could not be opened", timeout=20_000)
    looks_right(page, "given up")


@pytest.mark.timeout(300)
def test_waiting_for_a_recording_to_stop_is_accessible(page: Page, room: Room) -> None:
    meeting = make_meeting(room, opened_at=timezone.now())
    make_stay(make_participant(meeting, answer="yes"))
    Capture.objects.create(meeting=meeting, state="on", started_at=timezone.now())
    page.goto("/rooms/standup/")
    page.fill("#name", "Gil")
    page.check("#answer-no")
    page.click("#join-button")
    expect(page.locator("h1")).to_have_text("Stopping the recording")
    stands_still(page)
    looks_right(page, "stopping")
    page.unroute("**/call/?since=*")
    expect(page.locator("h1")).to_have_text("The recording is still running", timeout=20_000)
    stands_still(page)
    looks_right(page, "still running")
    page.unroute("**/call/?since=*")
    Capture.objects.update(state="off", stopped_at=timezone.now())
    expect(page.locator("#frame iframe")).to_be_attached(timeout=10_000)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("who", ["guest", "host"])
def test_the_call_is_accessible(page: Page, room: Room, host: Any, who: str) -> None:
    if who == "host":
        sign_in(page, host)
    Room.objects.filter(pk=room.pk).update(name=LONG)
    join(page, room)
    becomes(page, "window.told")
    page.evaluate("told.on.knocking([{id: '1', name: 'Ben'}, {id: '2', name: ''}])")
    page.evaluate("told.on.problem('camera', 'No camera was found.'); told.on.problem('connection')")
    page.evaluate("told.on.waiting(); told.on.recording(true)")
    for words in ("unanswered", "minutes"):
        page.evaluate("(id) => { document.getElementById(id).hidden = false }", words)
    for details in page.locator(".tools details").all():
        details.evaluate("(e) => { e.open = true }")
    looks_right(page, f"call of a {who}")
    receipt = page.locator("a[href*=receipts]").get_attribute("href")
    page.goto(receipt or "")
    looks_right(page, "receipt")
    page.get_by_role("button", name="Withdraw my consent").click()
    expect(page.get_by_text("You have withdrawn.")).to_be_visible()
    looks_right(page, "receipt, withdrawn")
