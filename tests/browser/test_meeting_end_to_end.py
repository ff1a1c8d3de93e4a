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

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(600)]

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
def test_two_people_talk_and_staff_read_it(
    product: Product, two_people: tuple[Guest, Guest], platform: str, tmp_path: Path
) -> None:
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
    said_words = text_of([*SAID_BY_ANN, *SAID_BY_BEN])
    assert word_error_rate(said_words, words) <= 0.25, words
    measured_for_parity(ann.page, product, platform, meeting, said_words, tmp_path)
    picture(ann.page, f"meeting-{platform}")
    seeks(ann.page)
    assert not ann.errors
    assert not ben.errors


def measured_for_parity(
    page: Page, product: Product, platform: str, meeting: str, said_words: str, tmp_path: Path
) -> None:
    """The planted speech's word error rate is kept, and staff see it beside the other platform's."""
    planted = tmp_path / "planted.txt"
    planted.write_text(said_words)
    assert product.manage("measure_speech", meeting, str(planted)) == 0
    page.goto(f"{product.url}/admin/rooms/outcome/parity/")
    table = page.get_by_role("region", name="Measured on real recordings")
    column = table.locator("thead th").all_inner_texts().index(platform.capitalize())
    cell = table.get_by_role("row").filter(has_text="Word error rate").locator("td").nth(column)
    expect(cell).to_contain_text("✓ as it should be")
    expect(cell).to_contain_text(meeting)
    page.goto(f"{product.url}/meetings/{meeting}/")


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


@pytest.mark.parametrize("platform", ["daily", "whereby"])
def test_a_muted_microphone_gives_an_empty_transcript(
    product: Product, playwright: Playwright, chromium: str, tmp_path: Path, platform: str
) -> None:
    slug = f"demo-{platform}"
    voice = tmp_path / "speaking.wav"
    fake_microphone(voice, ANN, lead_s=0.0, tail_s=0)
    ann = Guest.start(playwright, chromium, product, "Ann Archer", voice)
    ben = Guest.start(playwright, chromium, product, "Ben Baker", voice)
    ann.sign_in()
    for guest in (ann, ben):
        guest.join(slug)
        frame = guest.page.frame_locator("#frame iframe")
        frame.get_by_role("button", name=re.compile("mute|microphone", re.I)).first.click()
    meeting = live_meeting(product, slug)
    until(lambda: product.state(slug)["recording"], 25, "it is recorded", product.logged)
    time.sleep(10)
    ben.leave()
    ann.leave()
    assert read_meeting(ann.page, product, meeting) == ""
    expect(ann.page.get_by_text("No words were heard")).to_be_visible()
    ann.stop()
    ben.stop()


@pytest.mark.parametrize(("here", "there"), [("daily", "whereby"), ("whereby", "daily")])
def test_staff_move_a_room_while_people_are_inside(
    product: Product, playwright: Playwright, chromium: str, tmp_path: Path, here: str, there: str
) -> None:
    slug, target = f"demo-{here}", there.capitalize()
    voice = tmp_path / "quiet.wav"
    fake_microphone(voice, [], lead_s=2)
    ann = Guest.start(playwright, chromium, product, "Ann Archer", voice)
    ben = Guest.start(playwright, chromium, product, "Ben Baker", voice)
    late = Guest.start(playwright, chromium, product, "Cem Cook", voice)
    ann.sign_in()
    until(lambda: product.state(slug)["meeting"] is None, 120, "the last meeting is over", product.logged)
    ann.join(slug)
    ben.join(slug)
    until(lambda: product.state(slug)["people"] == 2, 20, "both are inside", product.logged)
    meeting = live_meeting(product, slug)

    staff = ann.page.context.new_page()
    staff.goto(f"{product.url}/admin/rooms/room/")
    if here == "daily":
        picture(staff, "admin")

    def may_move() -> bool:
        """A slow machine may not have passed the first checks of the platform yet, which stops moves there."""
        staff.goto(f"{product.url}/admin/rooms/room/")
        row = staff.locator("#result_list tr").filter(has_text=slug)
        row.get_by_role("link", name=re.compile(f"Move to {target}")).click()
        expect(staff.locator("main, #content").first).to_contain_text(target)
        return staff.locator("[name=reason]").count() == 1

    until(may_move, 120, "the room may be moved", lambda: staff.locator("#content").inner_text())
    staff.fill("[name=reason]", "the browser test moves it")
    staff.locator("#content form [type=submit]").last.click()
    until(lambda: target in staff.locator("body").inner_text(), 10, "the admin says so")

    assert product.state(slug)["platform"] == here
    assert live_meeting(product, slug) == meeting
    late.join(slug)
    until(lambda: product.state(slug)["people"] == 3, 20, "the late joiner is inside too", product.logged)
    assert live_meeting(product, slug) == meeting
    assert late.sdk_says_joined(here)
    assert ann.sdk_says_joined(here)
    assert ben.sdk_says_joined(here)

    for guest in (late, ben, ann):
        guest.leave()
    until(lambda: product.state(slug)["meeting"] is None, 120, "the meeting is over", product.logged)
    ben.join(slug)
    until(lambda: product.state(slug)["people"] == 1, 20, "the next meeting is open", product.logged)
    assert product.state(slug)["platform"] == there
    assert live_meeting(product, slug) != meeting
    assert ben.sdk_says_joined(there)
    for guest in (ann, ben, late):
        guest.stop()
