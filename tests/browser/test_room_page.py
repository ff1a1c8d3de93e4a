"""The pages of participants in a real browser, on the platform of the tests."""

from __future__ import annotations

import gzip
import re
import statistics
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from meetings.models import Capture, Meeting, Participant
from platforms.base import PlatformUnavailable
from rooms.models import Room
from tests.browser.product import FLAGS
from tests.factories import make_meeting, make_participant, make_room, make_stay, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

STATIC = Path(__file__).parent / "static"
PLATFORMS = ["platforms.whereby", "platforms.daily", "tests.fake_platform", "tests.fake_page_platform"]
LONG = "The Quarterly Cross-Departmental Infrastructure-and-Reliability Coordination Round Donaudampfschifffahrtsgesell"


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


@pytest.fixture
def host(room: Room) -> Any:
    user = make_user("hanna", first_name="Hanna")
    room.hosts.add(user)
    return user


def until(true: Callable[[], object], page: Page) -> None:
    for _ in range(100):
        # in memory, the server's threads and this one share a connection: it may be busy
        with suppress(OperationalError):
            if true():
                return
        page.wait_for_timeout(100)
    raise AssertionError("it did not come true within 10 s")


def becomes(page: Page, expression: str) -> None:
    """Playwright's own waiting evaluates strings inside the page, which our policy forbids."""
    until(lambda: page.evaluate(f"Boolean({expression})"), page)


# -- reachable by everybody


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
def test_waiting_for_a_recording_to_stop_is_accessible(page: Page, room: Room) -> None:
    meeting = make_meeting(room, opened_at=timezone.now())
    make_stay(make_participant(meeting, answer="yes"))
    Capture.objects.create(meeting=meeting, state="on", started_at=timezone.now())
    page.goto("/rooms/standup/")
    page.fill("#name", "Gil")
    page.check("#answer-no")
    page.click("#join-button")
    expect(page.locator("h1")).to_have_text("Stopping the recording")
    assert problems(page) == []
    expect(page.locator("h1")).to_have_text("The recording is still running", timeout=20_000)
    assert problems(page) == []
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
    for details in page.locator(".tools details").all():
        details.evaluate("(e) => { e.open = true }")
    looks_right(page, f"call of a {who}")
    receipt = page.locator("a[href*=receipts]").get_attribute("href")
    page.goto(receipt or "")
    looks_right(page, "receipt")
    page.get_by_role("button", name="Withdraw my consent").click()
    expect(page.get_by_text("You have withdrawn.")).to_be_visible()
    looks_right(page, "receipt, withdrawn")


# -- the form


def test_join_by_keyboard_alone(page: Page, room: Room) -> None:
    page.goto("/rooms/standup/")
    seen: list[str] = []

    def tab() -> str:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["outline"], f"{focused['name']} does not show that it has the focus"
        assert focused["uncovered"], f"{focused['name']} is covered"
        seen.append(focused["name"])
        return str(focused["name"])

    while tab() != "name":
        pass
    page.keyboard.type("Gil Guest")
    assert tab() == "answer-yes"
    page.keyboard.press("Space")
    assert tab() == "What is kept, for how long, who sees it"
    assert tab() == "join-button"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/call/"))
    becomes(page, "window.told")
    assert tab() == "Leave"
    assert tab() == "Recording choice"
    page.keyboard.press("Tab")
    seen.append("frame")
    assert page.evaluate("document.activeElement.title") == "Video meeting: Stand-up"
    assert len(seen) <= 8, seen


FOCUSED = """() => {
  const e = document.activeElement, box = e.getBoundingClientRect();
  const shown = (x) => { const s = getComputedStyle(x); return s.outlineStyle !== "none" && s.outlineWidth !== "0px"; };
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return {name: e.id || e.textContent.trim(), outline: shown(e) || shown(e.parentElement),
          uncovered: e.contains(top) || e.labels?.[0] === top};
}"""


def test_neither_answer_is_preferred(page: Page, room: Room) -> None:
    page.goto("/rooms/standup/")
    assert page.locator("input[type=radio]:checked").count() == 0
    looks = page.evaluate(
        """() => ["yes", "no"].map((answer) => {
          const radio = document.getElementById(`answer-${answer}`);
          const parts = [radio, radio.labels[0], radio.parentElement, document.getElementById(`${answer}-means`)];
          const names = ["color", "backgroundColor", "borderColor", "borderWidth", "fontSize", "fontWeight", "padding",
                         "opacity", "width", "display"];
          return parts.map((part) => { const s = getComputedStyle(part); return names.map((name) => s[name]); });
        })"""
    )
    assert looks[0] == looks[1]


def test_mistakes_take_the_focus_and_lead_to_the_field(page: Page, room: Room) -> None:
    page.goto("/rooms/standup/")
    page.fill("#name", "Gil Guest")
    page.click("#join-button")
    expect(page).to_have_title("Error: Stand-up – Reflector rooms")
    expect(page.locator("#errors")).to_be_focused()
    expect(page.locator("#name")).to_have_value("Gil Guest")
    page.get_by_role("link", name="Choose yes or no.").click()
    expect(page.locator("#answer-yes")).to_be_focused()


def test_the_pages_are_light_and_ask_nobody_else_before_joining(page: Page, room: Room, site: str) -> None:
    weight: dict[str, int] = {}
    hosts: set[str] = set()

    def weigh(response: Any) -> None:
        hosts.add(urlsplit(response.url).netloc)
        if "sdk.js" not in response.url and response.request.resource_type in ("document", "stylesheet", "script"):
            weight[urlsplit(response.url).path] = len(gzip.compress(response.body()))

    page.on("requestfinished", lambda request: weigh(request.response()) if request.response().ok else None)
    page.goto("/rooms/standup/")
    page.wait_for_load_state("networkidle")
    assert hosts == {urlsplit(site).netloc}
    assert sum(weight.values()) <= 40_000, weight
    before = dict(weight)
    join(page, room)
    becomes(page, "window.told")
    assert sum({**before, **weight}.values()) <= 40_000, weight


def test_ready_meeting_is_framed_within_half_a_second(page: Page, room: Room) -> None:
    join(page, room)
    times = []
    for _ in range(7):
        page.goto("/rooms/standup/")
        page.check("#answer-yes")
        pressed = page.evaluate("performance.timeOrigin + performance.now()")
        page.click("#join-button")
        page.wait_for_url(re.compile("/call/"))
        becomes(page, "window.frameAt")
        times.append(page.evaluate("performance.timeOrigin + frameAt") - pressed)
    assert statistics.median(times) <= 500, times


# -- the call


def test_a_recording_is_shown_and_spoken_once_per_change(page: Page, room: Room) -> None:
    meeting = join(page, room)
    becomes(page, "window.told")
    page.evaluate(
        """() => { window.spoken = [];
          const voice = document.getElementById("recording-status");
          new MutationObserver(() => spoken.push(voice.textContent))
            .observe(voice, {childList: true, characterData: true, subtree: true});
        }"""
    )
    capture = Capture.objects.create(meeting=meeting, state="on", started_at=timezone.now())
    page.evaluate("told.on.recording(true); told.on.recording(true)")
    expect(page.locator("#recording-sign")).to_be_visible()
    expect(page.locator("#not-recording-sign")).to_be_hidden()
    page.wait_for_timeout(6000)  # a poll says the same
    assert page.evaluate("spoken") == ["Recording has started."]
    Capture.objects.filter(pk=capture.pk).update(state="off")
    page.evaluate("told.on.recording(false)")
    page.wait_for_timeout(500)
    assert page.evaluate("spoken") == ["Recording has started.", "Recording has stopped."]
    expect(page.locator("#recording-sign")).to_be_hidden()


def test_polling_never_touches_the_frame(page: Page, room: Room) -> None:
    meeting = join(page, room)
    becomes(page, "window.told")
    page.evaluate("document.querySelector('#frame iframe').contentWindow.mark = 'the same'")
    make_stay(make_participant(meeting))
    make_stay(make_participant(meeting))
    Capture.objects.create(meeting=meeting, state="on", started_at=timezone.now())
    expect(page.locator("#people")).to_have_text("2", timeout=8000)
    expect(page.locator("#recording-sign")).to_be_visible(timeout=8000)
    assert page.evaluate("document.querySelector('#frame iframe').contentWindow.mark") == "the same"
    assert page.locator("#frame iframe").count() == 1


def ask_in_the_call(page: Page, room: Room) -> Participant:
    join(page, room)
    Participant.objects.update(answer="none")
    page.reload()
    becomes(page, "window.told")
    expect(page.locator("#ask")).to_be_hidden()
    page.evaluate("told.on.recording(true)")
    expect(page.locator("#ask")).to_be_visible()
    return Participant.objects.get()


def test_the_question_in_the_call_waits_for_an_answer(page: Page, room: Room) -> None:
    participant = ask_in_the_call(page, room)
    expect(page.locator("#ask-title")).to_be_focused()
    assert problems(page) == []
    sizes = page.evaluate(
        "[...document.querySelectorAll('#ask .pair button')].map((b) => [b.offsetHeight, getComputedStyle(b).color])"
    )
    assert sizes[0] == sizes[1]
    page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_be_hidden()
    assert page.evaluate("document.activeElement.localName") == "iframe"
    participant.refresh_from_db()
    assert participant.answer == "none"
    assert not participant.consents.filter(answer="none").exists()


def test_the_question_in_the_call_takes_an_answer(page: Page, room: Room) -> None:
    participant = ask_in_the_call(page, room)
    page.locator("#ask").get_by_role("button", name="No", exact=True).click()
    expect(page.locator("#said")).to_have_text("Your choice is saved.")
    expect(page.locator("#my-answer")).to_have_text("No")
    assert page.evaluate("document.activeElement.localName") == "iframe"
    participant.refresh_from_db()
    assert participant.answer == "no"
    assert page.locator("#frame iframe").count() == 1


def test_the_skip_link_opens_the_recording_choice(page: Page, room: Room) -> None:
    join(page, room)
    becomes(page, "window.told")
    page.evaluate("document.querySelector('#frame iframe').contentWindow.mark = 'the same'")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#answer-no")).to_be_visible()
    page.check("#answer-no")
    page.get_by_role("button", name="Save my choice").click()
    expect(page.locator("#said")).to_contain_text("You are no longer recorded")
    assert Participant.objects.get().answer == "withdrawn"
    assert page.evaluate("document.querySelector('#frame iframe').contentWindow.mark") == "the same"


@pytest.mark.parametrize("reason", ["declined", "removed", "full", "ended", "elsewhere", "no-answer", "connection"])
def test_the_platform_says_that_it_is_over(page: Page, room: Room, reason: str) -> None:
    join(page, room)
    becomes(page, "window.told")
    page.evaluate("(reason) => told.on.left(reason)", reason)
    page.wait_for_url(f"**/rooms/standup/out/{reason}/")


def test_leaving_leads_to_the_meetings_page(page: Page, room: Room) -> None:
    meeting = join(page, room)
    becomes(page, "window.told")
    page.click("#leave")
    page.wait_for_url(f"**/meetings/{meeting.pk}/")
    expect(page.locator("h1")).to_be_visible()


def test_waiting_at_the_door_and_blocked_cameras_are_told_in_the_page(page: Page, room: Room) -> None:
    join(page, room)
    becomes(page, "window.told")
    page.evaluate("told.on.waiting()")
    expect(page.locator("#knocking")).to_be_visible()
    page.evaluate("told.on.joined({})")
    expect(page.locator("#knocking")).to_be_hidden()
    page.evaluate("told.on.problem('camera', 'No camera was found.')")
    expect(page.locator("#camera")).to_contain_text("No camera was found.")
    assert page.locator("#frame iframe").count() == 1


def test_a_second_tab_steps_aside_and_can_take_over(page: Page, room: Room, context: BrowserContext) -> None:
    join(page, room)
    becomes(page, "window.told")
    second = context.new_page()
    second.goto("/rooms/standup/call/")
    expect(second.locator("#elsewhere")).to_be_visible()
    expect(second.locator("#elsewhere h2")).to_be_focused()
    assert problems(second) == []
    assert second.locator("#frame iframe").count() == 0
    second.click("#use-here")
    becomes(second, "window.told")
    expect(second.locator("#elsewhere")).to_be_hidden()
    expect(page.locator("#elsewhere")).to_be_visible()
    assert page.evaluate("told.orders") == ["leave"]


def test_when_the_sdk_does_not_load_a_plain_frame_takes_the_call(page: Page, room: Room) -> None:
    page.route("**/fake/sdk.js", lambda route: route.abort())
    page.route("https://fake.example/**", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    meeting = join(page, room)
    frame = page.locator("#frame iframe")
    expect(frame).to_have_attribute("title", "Video meeting: Stand-up")
    expect(frame).to_have_attribute("allow", "camera")
    assert (frame.get_attribute("src") or "").startswith(f"{meeting.url}?t=")


def test_hosts_command_without_leaving_the_call(page: Page, room: Room, host: Any) -> None:
    sign_in(page, host)
    meeting = join(page, room)
    make_stay(meeting.participants.get())
    becomes(page, "window.told")
    page.evaluate("document.querySelector('#frame iframe').contentWindow.mark = 'the same'")
    page.evaluate("told.on.joined({})")
    page.get_by_role("button", name="Start recording").click()
    expect(page.locator("#said")).to_have_text("The recording is being started.")
    expect(page.get_by_role("button", name="Stop recording")).to_be_visible()
    assert page.evaluate("document.querySelector('#frame iframe').contentWindow.mark") == "the same"
    page.get_by_text("End for all").click()
    page.get_by_role("button", name="End the meeting for all").click()
    page.wait_for_url(f"**/meetings/{meeting.pk}/")
    meeting.refresh_from_db()
    assert (meeting.status, meeting.end_reason) == ("ended", "host")


def test_the_end_for_all_reaches_the_others(page: Page, room: Room) -> None:
    meeting = join(page, room)
    becomes(page, "window.told")
    Meeting.objects.filter(pk=meeting.pk).update(status="ended", ended_at=timezone.now(), end_reason="host")
    page.wait_for_url("**/rooms/standup/out/ended/", timeout=10_000)
    page.get_by_role("link", name="See what is kept of it").click()
    page.wait_for_url(f"**/meetings/{meeting.pk}/")


def test_everything_works_without_scripts(browser: Browser, site: str, room: Room, host: Any) -> None:
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.route("https://fake.example/**", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    sign_in(page, host)
    meeting = join(page, room)
    frame = page.locator("#frame iframe")
    assert (frame.get_attribute("src") or "").startswith("https://fake.example/")
    assert frame.get_attribute("title") == "Video meeting: Stand-up"
    make_stay(meeting.participants.get())
    page.reload()
    page.get_by_role("button", name="Start recording").click()
    expect(page.get_by_text("The recording is being started.")).to_be_visible()
    assert page.locator("#frame iframe").count() == 1
    page.locator("summary", has_text="Recording choice").click()
    page.check("#answer-no")
    page.get_by_role("button", name="Save my choice").click()
    expect(page.get_by_text("You are no longer recorded")).to_be_visible()
    page.locator("summary", has_text="End for all").click()
    page.get_by_role("button", name="End the meeting for all").click()
    page.wait_for_url(re.compile("/meetings/"))
    context.close()


@pytest.mark.parametrize("instruction", ["start", "stop"])
def test_the_page_of_a_host_does_what_the_server_says(page: Page, site: str, instruction: str) -> None:
    user = make_user()
    room = make_room(slug="page-room", platform="fake-page", is_shared=True, owner=user, recording_trigger="none")
    sign_in(page, user)
    meeting = join(page, room)
    make_stay(meeting.participants.get())
    becomes(page, "window.told")
    page.evaluate("told.on.joined({})")
    page.get_by_role("button", name="Start recording").click(timeout=10_000)
    becomes(page, "told.orders.includes('start')")
    page.evaluate("told.on.recording(true)")
    expect(page.locator("#recording-sign")).to_be_visible()
    until(lambda: Capture.objects.get().state == "on", page)
    if instruction == "stop":
        page.get_by_role("button", name="Stop recording").click()
        becomes(page, "told.orders.includes('stop')")
        page.evaluate("told.on.recording(false)")
        until(lambda: Capture.objects.get().state == "off", page)
