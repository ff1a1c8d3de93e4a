"""The page of a call tells how the join went, in a real browser: with a body of its own, or not at all when blocked."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import BrowserContext, Page

from meetings.models import JoinBeacon
from rooms.models import Room
from tests.browser.visiting import becomes, join, until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


#: listens in on what the page sends, and sends it
LISTEN = """
const send = navigator.sendBeacon.bind(navigator);
window.sent = [];
navigator.sendBeacon = (url, body) => { body.text().then((text) => window.sent.push(text)); return send(url, body); };
"""


def facts(page: Page, **wanted: bool) -> JoinBeacon:
    until(lambda: JoinBeacon.objects.filter(**{f"{name}__isnull": not is_set for name, is_set in wanted.items()}), page)
    return JoinBeacon.objects.get()


def test_a_join_is_told_once_with_its_phases(page: Page, room: Room) -> None:
    page.add_init_script(LISTEN)
    join(page, room)
    beacon = facts(page, joined_at=True)
    assert beacon.joined_at is not None
    assert beacon.pressed_at < beacon.joined_at
    assert beacon.framed_ms is not None
    assert beacon.joined_ms is not None
    assert 0 < beacon.framed_ms <= beacon.joined_ms < 60_000
    assert (beacon.failure, beacon.left_at) == ("", None)
    (sent,) = page.evaluate("window.sent")
    assert len(sent.encode()) <= 1024
    assert set(json.loads(sent)) == {"token", "what", "framed_ms", "joined_ms"}
    page.goto("/healthz")
    assert JoinBeacon.objects.get().left_at is None


def test_a_script_that_does_not_load_is_told_and_the_call_goes_on(page: Page, room: Room) -> None:
    page.route("**/sdk.js", lambda route: route.abort())
    join(page, room)
    beacon = facts(page, failed_at=True)
    assert (beacon.failure, beacon.joined_at) == ("sdk", None)
    assert page.locator("#frame iframe").count() == 1


def test_a_call_that_cannot_be_reached_is_told(page: Page, room: Room) -> None:
    page.route("**/fake/call.js", lambda route: route.fulfill(body=UNREACHABLE, content_type="text/javascript"))
    join(page, room)
    assert facts(page, failed_at=True).failure == "connection"


def test_who_closes_the_page_before_being_inside_is_told(page: Page, context: BrowserContext, room: Room) -> None:
    page.route("**/fake/call.js", lambda route: route.fulfill(body=SILENT, content_type="text/javascript"))
    join(page, room)
    becomes(page, "document.querySelector('#frame iframe')")
    looking_on = context.new_page()
    looking_on.goto("/healthz")
    page.goto("/healthz")
    beacon = facts(looking_on, left_at=True)
    assert (beacon.joined_at, beacon.failed_at) == (None, None)


@pytest.mark.parametrize("how", ["undefined", "() => false", "() => { throw new Error('blocked') }"])
def test_where_beacons_are_blocked_the_call_goes_on(page: Page, room: Room, how: str) -> None:
    page.add_init_script(f"navigator.sendBeacon = {how};")
    join(page, room)
    becomes(page, "document.body.dataset.call === 'joined'")
    assert JoinBeacon.objects.get().joined_at is None


FRAME = "const frame = document.createElement('iframe'); frame.title = title; container.append(frame);"
SILENT = f"""
export const sdkLoaded = () => true;
export async function startCall({{ container, title }}) {{ {FRAME} return {{ leave: async () => {{}} }}; }}
"""
UNREACHABLE = f"""
export const sdkLoaded = () => true;
export async function startCall({{ container, title, on }}) {{
  {FRAME}
  on.problem("connection", "The call could not be joined.");
  return {{ leave: async () => {{}} }};
}}
"""
