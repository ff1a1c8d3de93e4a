"""Two people meet, and later staff read who was there and what was said. Nothing of ours is mocked.

Real: the processes of ``make run``, Chromium with the providers' unmodified SDK files, speech into microphones, S3,
webhooks, the broker, the transcriber. Played: the providers, by the sandbox over HTTP.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright, expect, sync_playwright

from tests.browser.product import Guest, Product, picture, running_product, until
from tests.speech import ANN, BEN, fake_microphone, text_of, word_error_rate

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SDK_SHA384 = {
    "daily": "qkOcWks7O6ZM0W8bDQRvE2Zigs/pWm7ioqYeangGqWoaqMEFUNeAKYLp8J+qWiUS",
    "whereby": "WLJmlhDUPp2Gh+nqaAhiw92dUCZHNR3MKSNldqi2YD/aWvYYOszLVXZB3uKkVWVZ",
}
SAID_BY_ANN, SAID_BY_BEN = ANN[:4], BEN[:4]
#: silence before Ann speaks, and before Ben does: by then both are inside and the recording runs
ANN_WAITS_S, BEN_WAITS_S = 25.0, 38.0


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Product]:
    with running_product(tmp_path_factory.mktemp("product")) as running:
        yield running


@pytest.fixture(autouse=True)
def rooms_as_they_were(product: Product) -> Iterator[None]:
    """The tests share the demo's rooms and come in any order: each leaves them empty and where they were."""
    yield
    for platform in ("daily", "whereby"):
        slug = f"demo-{platform}"
        until(lambda slug=slug: live_meeting(product, slug) == "None", 150, f"{slug} is empty", product.logged)  # type: ignore[misc]
        product.manage("move_room", slug, platform, "--reason", "as it was before the test")


@pytest.fixture
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture
def two_people(
    playwright: Playwright, chromium: str, product: Product, tmp_path: Path
) -> Iterator[tuple[Guest, Guest]]:
    """Ann, a host, and Ben, a guest. They speak one after the other and have no phrase in common."""
    ann_wav, ben_wav = tmp_path / "ann.wav", tmp_path / "ben.wav"
    fake_microphone(ann_wav, SAID_BY_ANN, lead_s=ANN_WAITS_S, tail_s=60)
    fake_microphone(ben_wav, SAID_BY_BEN, lead_s=BEN_WAITS_S, tail_s=60)
    ann = Guest.start(playwright, chromium, product, "Ann Archer", ann_wav)
    ben = Guest.start(playwright, chromium, product, "Ben Baker", ben_wav)
    ann.sign_in()
    yield ann, ben
    ann.stop()
    ben.stop()


def sdk_hash(page: Page) -> str:
    """SHA-384 of the SDK file that this page loaded."""
    address = page.locator("head script[src]:not([type=module])").get_attribute("src")
    assert address
    body = page.request.get(page.evaluate("(path) => new URL(path, location).href", address)).body()
    return base64.b64encode(hashlib.sha384(body).digest()).decode()


def live_meeting(product: Product, slug: str) -> str:
    return str(product.state(slug)["meeting"])


def read_meeting(page: Page, product: Product, meeting: str) -> str:
    """The meeting's page once its transcript is finished; returns the words."""
    address = f"{product.url}/meetings/{meeting}/"

    def finished() -> bool:
        page.goto(address)
        over = page.locator(".meeting-head .facts").get_by_text("Ended").count() == 1
        return over and page.locator("script[data-pending=no]").count() == 1 and page.locator("video").count() > 0

    until(finished, 150, "the transcript is finished", product.logged)
    return " ".join(page.locator(".turns p").all_inner_texts())


@pytest.mark.parametrize("platform", ["daily", "whereby"])
def test_two_people_talk_and_staff_read_it(product: Product, two_people: tuple[Guest, Guest], platform: str) -> None:
    ann, ben = two_people
    slug = f"demo-{platform}"
    ann.join(slug)
    began = time.monotonic()
    ben.join(slug)
    for guest in two_people:
        until(partial(guest.sdk_says_joined, platform), 20, f"{guest.name}'s SDK says joined", product.logged)
        assert sdk_hash(guest.page) == SDK_SHA384[platform]
    state = until(
        lambda: (now := product.state(slug))["people"] == 2 and now["recording"] and now, 25, "both are recorded"
    )
    assert time.monotonic() - began < ANN_WAITS_S, "the recording began too late to hear Ann"
    assert (state["platform"], state["phase"]) == (platform, "open")
    assert "names" not in state
    expect(ann.page.locator("#recording-sign")).to_be_visible(timeout=15_000)
    picture(ann.page, f"call-{platform}")
    meeting = live_meeting(product, slug)

    said = BEN_WAITS_S + SAID_BY_BEN[-1].end_s - SAID_BY_BEN[0].start_s + 8
    time.sleep(max(0.0, said - (time.monotonic() - began)))
    ben.leave()
    ann.leave()
    words = read_meeting(ann.page, product, meeting)
    people = ann.page.locator(".people tbody th").all_inner_texts()
    assert sorted(re.sub(r"\s*host$", "", name) for name in people) == ["Ann Archer", "Ben Baker"]
    assert word_error_rate(text_of([*SAID_BY_ANN, *SAID_BY_BEN]), words) <= 0.25, words
    picture(ann.page, f"meeting-{platform}")
    seeks(ann.page)
    assert not ann.errors
    assert not ben.errors


def seeks(page: Page) -> None:
    """A click on a time moves the player there, which needs ranges."""
    last = page.locator(".turns a[data-seek]").last
    wanted = float(last.get_attribute("data-seek") or 0)
    page.locator("video").first.evaluate(
        "(v) => new Promise((ok) => v.readyState ? ok() : v.addEventListener('loadedmetadata', ok))"
    )
    last.click()
    page.wait_for_timeout(700)
    assert abs(page.locator("video").first.evaluate("(v) => v.currentTime") - wanted) < 2


def test_a_muted_microphone_gives_an_empty_transcript(
    product: Product, playwright: Playwright, chromium: str, tmp_path: Path
) -> None:
    voice = tmp_path / "speaking.wav"
    fake_microphone(voice, ANN, lead_s=0.0, tail_s=0)
    ann = Guest.start(playwright, chromium, product, "Ann Archer", voice)
    ben = Guest.start(playwright, chromium, product, "Ben Baker", voice)
    ann.sign_in()
    for guest in (ann, ben):
        guest.join("demo-daily")
        frame = guest.page.frame_locator("#frame iframe")
        frame.get_by_role("button", name=re.compile("mute|microphone", re.I)).first.click()
    meeting = live_meeting(product, "demo-daily")
    until(lambda: product.state("demo-daily")["recording"], 25, "it is recorded", product.logged)
    time.sleep(10)
    ben.leave()
    ann.leave()
    assert read_meeting(ann.page, product, meeting) == ""
    expect(ann.page.get_by_text("No words were heard")).to_be_visible()
    ann.stop()
    ben.stop()


def test_staff_move_a_room_while_people_are_inside(
    product: Product, playwright: Playwright, chromium: str, tmp_path: Path
) -> None:
    voice = tmp_path / "quiet.wav"
    fake_microphone(voice, [], lead_s=2)
    ann = Guest.start(playwright, chromium, product, "Ann Archer", voice)
    ben = Guest.start(playwright, chromium, product, "Ben Baker", voice)
    late = Guest.start(playwright, chromium, product, "Cem Cook", voice)
    ann.sign_in()
    until(lambda: product.state("demo-daily")["meeting"] is None, 60, "the last meeting is over", product.logged)
    ann.join("demo-daily")
    ben.join("demo-daily")
    until(lambda: product.state("demo-daily")["people"] == 2, 20, "both are inside", product.logged)
    meeting = live_meeting(product, "demo-daily")

    staff = ann.page.context.new_page()
    staff.goto(f"{product.url}/admin/rooms/room/")
    picture(staff, "admin")
    row = staff.locator("#result_list tr").filter(has_text="demo-daily")
    row.get_by_role("link", name=re.compile("Move to Whereby")).click()
    expect(staff.locator("main, #content").first).to_contain_text("Whereby")
    staff.fill("[name=reason]", "the browser test moves it")
    staff.locator("#content form [type=submit]").last.click()
    until(lambda: "Whereby" in staff.locator("body").inner_text(), 10, "the admin says so")

    assert product.state("demo-daily")["platform"] == "daily"
    assert live_meeting(product, "demo-daily") == meeting
    late.join("demo-daily")
    until(lambda: product.state("demo-daily")["people"] == 3, 20, "the late joiner is inside too", product.logged)
    assert live_meeting(product, "demo-daily") == meeting
    assert late.sdk_says_joined("daily")
    assert ann.sdk_says_joined("daily")
    assert ben.sdk_says_joined("daily")

    for guest in (late, ben, ann):
        guest.leave()
    until(lambda: product.state("demo-daily")["meeting"] is None, 60, "the meeting is over", product.logged)
    ben.join("demo-daily")
    until(lambda: product.state("demo-daily")["people"] == 1, 20, "the next meeting is open", product.logged)
    assert product.state("demo-daily")["platform"] == "whereby"
    assert live_meeting(product, "demo-daily") != meeting
    assert ben.sdk_says_joined("whereby")
    for guest in (ann, ben, late):
        guest.stop()
