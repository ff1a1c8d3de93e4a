"""The room page and the call in a real browser, on the platform of the tests."""

from __future__ import annotations

import gzip
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from meetings.models import Capture, Meeting, Participant, Waiting
from rooms.models import Room
from tests.browser.visiting import becomes, join, looks_right, sign_in, until
from tests.factories import make_participant, make_room, make_stay, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


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


def test_nothing_stands_between_join_and_the_frame_of_an_open_meeting(page: Page, room: Room) -> None:
    """How long that takes is measured by tests/bench/time_to_frame.py; here, that nothing is waited for on the way."""
    join(page, room)
    page.goto("/rooms/standup/")
    page.check("#answer-yes")
    pages: list[tuple[str, str]] = []

    def note(request: Any) -> None:
        if request.is_navigation_request() and request.frame == page.main_frame:
            pages.append((request.method, urlsplit(request.url).path))

    page.on("request", note)
    page.click("#join-button")
    page.wait_for_url(re.compile("/call/"))
    becomes(page, "window.frameAt")
    assert pages == [("POST", "/rooms/standup/"), ("GET", "/rooms/standup/call/")]
    assert page.evaluate(ANSWERED_BEFORE_THE_FRAME) == []


ANSWERED_BEFORE_THE_FRAME = """performance.getEntriesByType("resource").filter(
  (entry) => ["fetch", "xmlhttprequest"].includes(entry.initiatorType) && entry.responseEnd < frameAt
).map((entry) => entry.name)"""


# -- the call


#: what a screen reader is given to say: each change that shows words inside a live region
SPOKEN = """() => {
  window.spoken = [];
  const regions = [...document.querySelectorAll("[role=status], [role=alert], [aria-live]")];
  const told = (records) => {
    const lines = new Set(records.map((r) => r.target.nodeType === 1 ? r.target : r.target.parentElement));
    for (const line of lines) {
      if (line.checkVisibility() && line.textContent.trim()) spoken.push(line.textContent.trim());
    }
  };
  for (const region of regions) new MutationObserver(told).observe(region,
    {childList: true, characterData: true, subtree: true, attributes: true, attributeFilter: ["hidden"]});
}"""


@pytest.mark.parametrize("who", ["guest", "host"])
def test_a_recording_is_shown_and_spoken_once_per_change(page: Page, room: Room, host: Any, who: str) -> None:
    if who == "host":
        sign_in(page, host)
    meeting = join(page, room)
    becomes(page, "window.told")
    make_stay(meeting.participants.get())
    page.evaluate(SPOKEN)
    capture = Capture.objects.create(meeting=meeting, state="on", started_at=timezone.now())
    page.evaluate("told.on.recording(true); told.on.recording(true)")
    expect(page.locator("#recording-sign")).to_be_visible()
    expect(page.locator("#recording-sign")).to_have_text("Recording")
    expect(page.locator("#recording-sign .dot")).to_be_visible()
    expect(page.locator("#not-recording-sign")).to_be_hidden()
    page.wait_for_timeout(6000)  # a poll says the same
    assert page.evaluate("spoken") == ["Recording has started."]
    Capture.objects.filter(pk=capture.pk).update(state="off")
    page.evaluate("told.on.recording(false)")
    page.wait_for_timeout(6000)
    assert page.evaluate("spoken") == ["Recording has started.", "Recording has stopped."]
    expect(page.locator("#recording-sign")).to_be_hidden()


def test_hosts_hear_who_knocks_once(page: Page, room: Room, host: Any) -> None:
    sign_in(page, host)
    join(page, room)
    becomes(page, "window.told")
    page.evaluate(SPOKEN)
    page.evaluate("told.on.knocking([{id: '1', name: 'Ben'}])")
    page.wait_for_timeout(6000)  # our server has not heard of it yet
    page.evaluate("told.on.knocking([{id: '1', name: 'Ben'}, {id: '2', name: ''}])")
    page.evaluate("told.on.knocking([])")
    assert page.evaluate("spoken") == ["One person is waiting to be let in.", "2 people are waiting to be let in."]
    expect(page.locator("#waiting-fact")).to_be_hidden()


def test_an_answer_that_was_not_saved_is_not_shown_as_saved(page: Page, room: Room) -> None:
    join(page, room)
    becomes(page, "window.told")
    page.route("**/call/answer", lambda route: route.abort())
    page.get_by_text("Recording choice:").click()
    page.check("#answer-no")
    page.get_by_role("button", name="Save my choice").click()
    expect(page.locator("#said")).to_have_text("That did not work. Please try again.")
    expect(page.locator("#my-answer")).to_have_text("Yes")


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
    looks_right(page, "the question")
    expect(page.locator("#ask-title")).to_be_focused()
    sizes = page.evaluate(
        "[...document.querySelectorAll('#ask .pair button')].map((b) => [b.offsetHeight, getComputedStyle(b).color])"
    )
    assert sizes[0] == sizes[1]
    page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_be_hidden()
    becomes(page, "document.activeElement.localName === 'iframe'")
    participant.refresh_from_db()
    assert participant.answer == "none"
    assert not participant.consents.filter(answer="none").exists()


def test_the_question_in_the_call_takes_an_answer(page: Page, room: Room) -> None:
    participant = ask_in_the_call(page, room)
    page.locator("#ask").get_by_role("button", name="No", exact=True).click()
    expect(page.locator("#said")).to_have_text("Your choice is saved.")
    expect(page.locator("#my-answer")).to_have_text("No")
    becomes(page, "document.activeElement.localName === 'iframe'")
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


def test_whoever_knocks_in_vain_may_go_on_waiting_or_stop(page: Page, room: Room) -> None:
    page.clock.install()
    meeting = join(page, room)
    becomes(page, "window.told")
    who = meeting.participants.get().provider_user_id
    Waiting.objects.create(meeting=meeting, session_id="k", user_id=who, started_at=timezone.now())
    page.evaluate("told.on.waiting(); told.on.joined({})")  # let in at once
    page.clock.fast_forward("03:00")
    expect(page.locator("#unanswered")).to_be_hidden()
    page.evaluate("told.on.waiting()")
    page.clock.fast_forward("01:00")
    page.evaluate("told.on.waiting()")  # some platforms say it again
    expect(page.locator("#unanswered")).to_be_hidden()
    page.clock.fast_forward("01:05")
    expect(page.locator("#unanswered")).to_be_visible()
    assert page.locator("#frame iframe").count() == 1
    page.get_by_role("link", name="stop waiting").click()
    expect(page.locator("h1")).to_have_text("Nobody answered")
    assert not meeting.waiting.open().exists()


def test_a_second_tab_steps_aside_and_can_take_over(page: Page, room: Room, context: BrowserContext) -> None:
    join(page, room)
    becomes(page, "window.told")
    second = context.new_page()
    second.goto("/rooms/standup/call/")
    expect(second.locator("#elsewhere")).to_be_visible()
    expect(second.locator("#elsewhere h2")).to_be_focused()
    looks_right(second, "elsewhere")
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


def test_the_page_of_a_host_tells_that_a_recording_could_not_be_started(page: Page, site: str) -> None:
    user = make_user()
    room = make_room(slug="page-room", platform="fake-page", is_shared=True, owner=user, recording_trigger="none")
    sign_in(page, user)
    meeting = join(page, room)
    make_stay(meeting.participants.get())
    becomes(page, "window.told")
    page.evaluate("told.on.joined({})")
    page.get_by_role("button", name="Start recording").click(timeout=10_000)
    becomes(page, "told.orders.includes('start')")
    page.evaluate("told.on.problem('recording', 'It could not be started.'); told.on.recording(false)")
    expect(page.locator("#said")).to_have_text("It could not be started.")
    until(lambda: Capture.objects.get().state == "failed", page)
    expect(page.locator("#capture-problem")).to_contain_text("The recording failed", timeout=10_000)
    expect(page.locator("#recording-sign")).to_be_hidden()
