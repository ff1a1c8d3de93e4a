"""What people do on our pages, and what must be so on each of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Page

from meetings.models import Meeting
from rooms.models import Room


def join(page: Page, room: Room, *, name: str = "Gil Guest", answer: str = "yes") -> Meeting:
    page.goto(room.get_absolute_url())
    page.fill("#name", name)
    if page.locator(f"#answer-{answer}").count():
        page.check(f"#answer-{answer}")
    page.click("#join-button")
    page.wait_for_url(re.compile("/call/"))
    return Meeting.objects.live().get(room=room)


def sign_in(page: Page, user: Any) -> None:
    client = Client()
    client.force_login(user)
    cookie = client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": page.context.browser and _origin(page)}])


def _origin(page: Page) -> str:
    address = page.context.new_page()
    address.goto("/healthz")
    url = urlsplit(address.url)
    address.close()
    return f"{url.scheme}://{url.netloc}"


def until(true: Callable[[], object], page: Page) -> None:
    for _ in range(100):
        if true():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not come true within 10 s")


def becomes(page: Page, expression: str) -> None:
    """Playwright's own waiting evaluates strings inside the page, which our policy forbids."""
    until(lambda: page.evaluate(f"Boolean({expression})"), page)


def problems(page: Page) -> list[str]:
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    return [f"{violation['id']}: {violation['nodes'][0]['html'][:200]}" for violation in found.response["violations"]]


def looks_right(page: Page, name: str) -> None:
    """axe finds nothing; one heading; nothing sticks out; nothing is too small to hit: light, dark, wide and narrow."""
    for scheme in ("light", "dark"):
        for width in (1280, 320):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": 800})
            where = f"{name}, {scheme}, {width} px"
            assert problems(page) == [], where
            assert page.locator("h1").count() == 1, where
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{where}: sticks out"
            small = page.evaluate(SMALL_TARGETS)
            assert small == [], where
    page.set_viewport_size({"width": 1280, "height": 800})


#: WCAG 2.5.8; links inside sentences are excepted
SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), summary")]
  .filter((e) => e.checkVisibility() && !e.closest("p, li:not(.site li), .skip"))
  .filter((e) => { const b = e.getBoundingClientRect(); return b.width && (b.width < 24 || b.height < 24); })
  .map((e) => e.outerHTML.slice(0, 120))"""
