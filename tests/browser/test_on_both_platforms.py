"""The same room on either platform, with the product's own processes and the providers' unmodified SDK files: what
people walk through is the same, and a no has the effect that the page states."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.product import Guest, Product, running_product, until
from tests.speech import fake_microphone

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PLATFORMS = ["daily", "whereby"]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Product]:
    with running_product(tmp_path_factory.mktemp("both")) as running:
        yield running


@pytest.fixture
def people(product: Product, chromium: str, tmp_path: Path) -> Iterator[tuple[Guest, Guest, Guest]]:
    """Ann, a host, and two guests, all silent. The rooms are left empty."""
    voice = tmp_path / "quiet.wav"
    fake_microphone(voice, [], lead_s=2)
    with sync_playwright() as playwright:
        three = [Guest.start(playwright, chromium, product, name, voice) for name in ("Ann Archer", "Ben", "Cem")]
        three[0].sign_in()
        yield (three[0], three[1], three[2])
        for guest in three:
            guest.stop()
    for platform in PLATFORMS:
        nobody_is_in(product, f"demo-{platform}")


def nobody_is_in(product: Product, slug: str) -> None:
    until(lambda: product.state(slug)["meeting"] is None, 150, f"{slug} is empty", product.logged)


def inside(product: Product, guest: Guest, platform: str) -> None:
    until(lambda: guest.sdk_says_joined(platform), 30, f"{guest.name} is inside", product.logged)


OUTLINE = """() => [...document.querySelectorAll(
    "h1, h2, h3, header, nav, main, footer, section, form, fieldset, legend")]
  .filter((e) => e.checkVisibility())
  .map((e) => e.localName + (/^h[1-3]$/.test(e.localName) ? " " + e.textContent.trim() : ""))"""
STOP = """() => {
  const e = document.activeElement;
  return [e.localName, e.type ?? "", e.id, e.title || e.labels?.[0]?.textContent.trim() || e.textContent.trim()];
}"""


def walk(page: Page, last: str) -> list[list[str]]:
    """Every stop of the Tab key, up to the one that matches ``last``."""
    page.evaluate("document.activeElement.blur()")
    stops: list[list[str]] = []
    while not (stops and re.search(last, " ".join(stops[-1]))):
        assert len(stops) < 12, stops
        page.keyboard.press("Tab")
        stops.append(page.evaluate(STOP))
    return stops


def test_a_room_is_walked_through_alike_wherever_it_meets(product: Product, people: tuple[Guest, Guest, Guest]) -> None:
    guest = people[1]
    seen: list[Any] = []
    for platform in PLATFORMS:
        product.manage("move_room", "demo-daily", platform, "--reason", "the test compares")
        guest.page.goto(f"{product.url}/rooms/demo-daily/")
        before = guest.page.evaluate(OUTLINE), walk(guest.page, "join-button")
        guest.join("demo-daily")
        inside(product, guest, platform)
        assert product.state("demo-daily")["platform"] == platform
        guest.page.bring_to_front()
        guest.page.reload()
        inside(product, guest, platform)
        during = guest.page.evaluate(OUTLINE), walk(guest.page, "Video meeting: |whereby-embed|iframe")
        seen.append((before, during))
        guest.leave()
        nobody_is_in(product, "demo-daily")
    product.manage("move_room", "demo-daily", "daily", "--reason", "as it was before the test")
    (before, during), other = seen
    assert before == other[0]
    assert during[0] == other[1][0]
    assert [stop[3] for stop in during[1]] == [stop[3] for stop in other[1][1]]
    assert len(before[1]) + len(during[1]) <= 10  # three of them are the site's own and the two radio buttons are one


def being_recorded(product: Product, platform: str) -> list[Any]:
    """What the provider records at this moment, as itself says."""
    recordings = requests.get(f"{product.sandbox_url}/_control/recordings", timeout=10).json()
    return [each for each in recordings if each["platform"] == platform and each["state"] == "in-progress"]


@pytest.mark.parametrize(
    ("platform", "says"),
    [("daily", "it is stopped before you come in"), ("whereby", "a host's page stops it first")],
)
def test_who_refuses_comes_in_when_nothing_records_any_more(
    product: Product, people: tuple[Guest, Guest, Guest], platform: str, says: str
) -> None:
    ann, ben, cem = people
    slug = f"demo-{platform}"
    for guest in (ann, ben):
        guest.join(slug)
        inside(product, guest, platform)
    until(lambda: product.state(slug)["recording"], 40, "they are recorded", product.logged)
    cem.page.goto(f"{product.url}/rooms/{slug}/")
    expect(cem.page.locator("#no-means")).to_contain_text(says)
    cem.join(slug, "no")
    expect(cem.page.locator("h1")).to_have_text("Stopping the recording")
    expect(cem.page.locator("#frame")).to_be_attached(timeout=40_000)  # from here on the page lets him in
    assert not being_recorded(product, platform)
    inside(product, cem, platform)
    assert not being_recorded(product, platform)
    until(lambda: not product.state(slug)["recording"], 20, "nobody is shown a recording", product.logged)
    expect(ann.page.locator("#not-recording-sign")).to_be_visible(timeout=15_000)
    expect(ann.page.locator("#capture-problem")).to_contain_text("did not agree", timeout=15_000)
    expect(ann.page.get_by_role("button", name="Start recording")).to_be_hidden()
    assert product.state(slug)["recording"] is False
    for guest in (cem, ben, ann):
        guest.leave()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_host_records_on_their_own_computer(
    product: Product, people: tuple[Guest, Guest, Guest], platform: str
) -> None:
    ann, ben, _ = people
    slug = f"demo-{platform}"
    choose_recording(product, slug, "local")
    nobody_is_in(product, slug)
    for guest in (ann, ben):
        guest.join(slug)
        inside(product, guest, platform)
    expect(ann.page.locator("#record-form")).to_have_count(0)
    button = ann.page.frame_locator("#frame iframe").get_by_role("button", name="Start recording")
    button.click()
    for guest in (ann, ben):
        expect(guest.page.locator("#recording-sign")).to_be_visible(timeout=10_000)
        expect(guest.page.locator("#recording-status")).to_have_text("Recording has started.")
    expect(ben.page.frame_locator("#frame iframe").get_by_role("button", name="Stop recording")).to_be_hidden()
    ann.page.wait_for_timeout(6000)  # our server knows nothing of it, and the sign stays
    expect(ann.page.locator("#recording-sign")).to_be_visible()
    ann.page.frame_locator("#frame iframe").get_by_role("button", name="Stop recording").click()
    for guest in (ann, ben):
        expect(guest.page.locator("#recording-sign")).to_be_hidden(timeout=10_000)
    meeting = str(product.state(slug)["meeting"]).replace("-", "")
    for guest in (ben, ann):
        guest.leave()
    nobody_is_in(product, slug)
    with sqlite3.connect(Path(product.environ["VAR_DIR"]) / "db.sqlite3") as database:
        for table in ("meetings_capture", "recordings_recording"):
            kept = database.execute(f"SELECT count(*) FROM {table} WHERE meeting_id = ?", [meeting])  # noqa: S608
            assert kept.fetchone() == (0,), table
    choose_recording(product, slug, "cloud")


def choose_recording(product: Product, slug: str, kind: str) -> None:
    change = f"Room.objects.filter(slug={slug!r}).update(recording_type={kind!r})"
    assert product.manage("shell", "-c", f"from rooms.models import Room; {change}") == 0
