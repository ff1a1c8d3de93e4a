"""Every page of the admin: answered, without barriers, photographed wide and narrow, light and dark; and closed to
whoever may only look. Pictures go into the folder ``PICTURES``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core import serializers
from django.test import Client, RequestFactory
from django.utils import timezone
from playwright.sync_api import Browser, Page

from tests.accounts_for_platforms import BOTH
from tests.browser.admin_pages import Address, addresses, nobody_may
from tests.browser.everything import fill
from tests.browser.visiting import problems

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.django_db(transaction=True)]

HTML = "text/html"


@pytest.fixture
def staff(settings: Any, tmp_path: Path) -> User:
    settings.PLATFORM_ENVIRON = BOTH
    settings.DEFAULT_PLATFORM = "whereby"
    settings.MEDIA_STORAGE = f"file://{tmp_path / 'media'}"
    settings.ALERT_EMAILS = ["alerts@rooms.example"]
    return fill(timezone.now())


@pytest.fixture
def client(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def pages_of(client: Client, staff: User) -> list[Address]:
    """Those with something to see. Every other address must have a good reason to show nothing."""
    request = RequestFactory().get("/")
    request.user = staff
    shown, wrong = [], []
    for address in addresses():
        answer = client.get(address.url)
        answer.close()
        what = answer.headers.get("Content-Type", "").partition(";")[0]
        match answer.status_code:
            case 200 if what == HTML:
                shown.append(address)
            case 200 | 405:  # a file or data; a button
                pass
            case 302 | 303:  # leads to a page, which is here by its own address
                pass
            case 403 if nobody_may(address, request):
                pass
            case status:
                wrong.append((address.url, status))
    assert not wrong, "\n".join(map(str, wrong))
    return shown


@pytest.fixture
def page(browser: Browser, live_server: Any, client: Client) -> Iterator[Page]:
    context = browser.new_context(base_url=live_server.url, reduced_motion="reduce")
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    yield context.new_page()
    context.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", [1280, 320])
def test_every_page_is_fit_to_be_seen(page: Page, client: Client, staff: User, folder: Path, width: int) -> None:
    found: list[tuple[str, str]] = []
    page.set_viewport_size({"width": width, "height": 800})
    page.on("pageerror", lambda error: found.append((page.url, str(error))))
    for address in pages_of(client, staff):
        answer = page.goto(address.url)
        assert answer is not None
        if answer.status != 200:
            found.append((address.url, str(answer.status)))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += [(address.url, f"{scheme}: {problem}") for problem in problems(page)]
            page.screenshot(path=folder / f"{address.name}-{width}-{scheme}.png", full_page=True)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            found.append((address.url, f"{over} pixels too wide"))
        if (headings := page.locator("h1").count()) != 1:
            found.append((address.url, f"{headings} headings of the first rank"))
    assert not found, "\n".join(map(str, found))


#: what everybody signed in may do for themselves
OWN = {"/admin/login/", "/admin/logout/", "/admin/password_change/"}
REFUSED = {302, 303, 403, 404, 405}


def test_whoever_may_only_look_changes_nothing(staff: User) -> None:
    viewer = Client()
    viewer.force_login(User.objects.get(username="vera"))
    before = everything_there_is()
    done = []
    for address in addresses():
        if address.is_of_admin and address.url.partition("?")[0] not in OWN:
            data = {"reason": "may I?", "action": "archive", "_selected_action": "1", "post": "yes"}
            answer = viewer.post(address.url, data)
            answer.close()
            # a page that may be looked at, and that does not care how it is asked, is shown
            if answer.status_code not in REFUSED and not may_look(viewer, address):
                done.append((address.url, answer.status_code))
    assert done == []
    assert everything_there_is() == before


def may_look(viewer: Client, address: Address) -> bool:
    answer = viewer.get(address.url)
    answer.close()
    return answer.status_code == 200


def everything_there_is() -> dict[str, str]:
    """All rows of our own, of accounts and of rights, as text."""
    ours = ("auth", "authtoken", "platforms", "rooms", "meetings", "recordings")
    models = [model for label in ours for model in apps.get_app_config(label).get_models()]
    return {model._meta.label: serializers.serialize("json", model._default_manager.order_by("pk")) for model in models}
