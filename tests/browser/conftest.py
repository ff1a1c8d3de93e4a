"""A browser, and our pages on the platform of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from rooms.models import Room
from tests.browser.product import FLAGS
from tests.factories import make_room, make_user

STATIC = Path(__file__).parent / "static"
PLATFORMS = ["platforms.whereby", "platforms.daily", "tests.fake_platform", "tests.fake_page_platform"]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright runs a loop in this thread, which Django takes for a mistake of ours
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def site(settings: Any, live_server: Any) -> str:
    settings.PLATFORMS = PLATFORMS
    settings.PLATFORM_ENVIRON = {"FAKE_KEY": "key"}
    settings.DEFAULT_PLATFORM = "fake"
    settings.STATICFILES_DIRS = [STATIC]
    settings.GUEST_JOINS_PER_MINUTE = 1000
    return str(live_server.url)


@pytest.fixture
def context(browser: Browser, site: str) -> Iterator[BrowserContext]:
    opened = browser.new_context(base_url=site, viewport={"width": 1280, "height": 800})
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    errors: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    yield opened
    assert errors == []


@pytest.fixture
def room(site: str) -> Room:
    return make_room(slug="standup", name="Stand-up", platform="fake", is_shared=True)


@pytest.fixture
def host(room: Room) -> Any:
    user = make_user("hanna", first_name="Hanna")
    room.hosts.add(user)
    return user
