"""The page scripts in a real browser, with the SDK at their edge played by the test."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, sync_playwright

PLATFORMS = Path(__file__).parents[2] / "platforms"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START = """
import { startCall, sdkLoaded } from "/call.js";
window.heard = [];
const names = ["joined", "waiting", "left", "problem", "recording", "knocking", "count"];
const on = Object.fromEntries(names.map((name) => [name, (...said) => window.heard.push([name, ...said])]));
window.begin = async (page) => {
  const container = document.querySelector("main");
  window.controls = await startCall({ container, page, title: "Call in Weekly sync", on });
  return Object.keys(window.controls);
};
window.sdkLoaded = sdkLoaded;
"""
#: what daily-js does for createFrame, as far as the page script sees it
DAILY = """
window.Daily = {
  createFrame(container) {
    const frame = document.createElement("iframe");
    container.append(frame);
    const handlers = {};
    const call = {
      iframe: () => frame,
      on: (name, handler) => { handlers[name] = handler; },
      join: async (options) => { window.joinedWith = options; },
      leave: async () => { handlers["left-meeting"]?.({}); },
      destroy: async () => { frame.remove(); },
      participants: () => window.people ?? {},
      waitingParticipants: () => { throw new Error("only supported on custom callObject instances"); },
    };
    window.emit = (name, event) => handlers[name]?.(event);
    return call;
  },
};
"""
WHEREBY = """
customElements.define("whereby-embed", class extends HTMLElement {
  connectedCallback() {
    window.emit = (name, detail) => this.dispatchEvent(new CustomEvent(name, { detail }));
    window.commands = [];
    for (const name of ["leaveRoom", "startRecording", "stopRecording", "endMeeting"])
      this[name] = () => window.commands.push(name);
  }
});
"""


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


def opened(browser: Any, slug: str, sdk: str) -> Page:
    """A page that has the platform's script and, if any, its SDK."""
    files = {
        "/": (
            "text/html",
            "<!doctype html><main></main><script src=/sdk.js></script><script type=module src=/start.js></script>",
        ),
        "/sdk.js": ("text/javascript", sdk),
        "/start.js": ("text/javascript", START),
        "/call.js": (
            "text/javascript",
            (PLATFORMS / slug / "static" / "platforms" / slug / "call.js").read_text(),
        ),
    }

    def answer(route: Route) -> None:
        kind, body = files.get("/" + route.request.url.split("/", 3)[3], ("text/plain", ""))
        route.fulfill(content_type=kind, body=body)

    page: Page = browser.new_page()
    page.route("**/*", answer)
    page.goto("http://page.test/")
    page.wait_for_function("!!window.sdkLoaded", timeout=10_000)
    return page


def heard(page: Page) -> Any:
    page.wait_for_timeout(20)
    return page.evaluate("window.heard.splice(0)")


def emit(page: Page, name: str, detail: Any = None) -> Any:
    page.evaluate(f"window.emit({json.dumps(name)}, {json.dumps(detail)})")
    return heard(page)


pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("slug", "sdk"), [("daily", DAILY), ("whereby", WHEREBY)])
def test_sdk_that_did_not_load_is_noticed(browser: Any, slug: str, sdk: str) -> None:
    assert opened(browser, slug, "").evaluate("window.sdkLoaded()") is False
    assert opened(browser, slug, sdk).evaluate("window.sdkLoaded()") is True


def daily(browser: Any, **page_data: Any) -> Page:
    page = opened(browser, "daily", DAILY)
    data = {"url": "https://x.daily.co/r", "token": "t", "userName": "Zoë", "isHost": False, **page_data}
    assert page.evaluate(f"window.begin({json.dumps(data)})") == ["leave"]
    return page


def test_daily_joins_with_token_and_titles_its_frame(browser: Any) -> None:
    page = daily(browser, lang="jp")
    expected = {"url": "https://x.daily.co/r", "token": "t", "userName": "Zoë", "lang": "jp"}
    assert page.evaluate("window.joinedWith") == expected
    assert page.locator("iframe").get_attribute("title") == "Call in Weekly sync"


def test_daily_events_in_our_words(browser: Any) -> None:
    page = daily(browser, isHost=True)
    page.evaluate("window.people = {local: {}, other: {}}")
    local = {"session_id": "s", "user_name": "Zoë"}
    assert emit(page, "joined-meeting", {"participants": {"local": local}}) == [
        ["joined", {"sessionId": "s", "name": "Zoë"}],
        ["count", 2],
    ]
    assert emit(page, "participant-counts-updated", {"participantCounts": {"present": 3}}) == [["count", 3]]
    assert emit(page, "recording-started", {}) == [["recording", True]]
    assert emit(page, "recording-stopped", {}) == [["recording", False]]
    assert emit(page, "recording-started", {"local": True}) == [["recording", True]]
    someone = {"participant": {"id": "w", "name": "Ann"}}
    assert emit(page, "waiting-participant-added", someone) == [["knocking", [{"id": "w", "name": "Ann"}]]]
    assert emit(page, "waiting-participant-removed", someone) == [["knocking", []]]
    ((kind, camera, words),) = emit(page, "camera-error", {"error": {"type": "permissions"}})
    assert (kind, camera) == ("problem", "camera")
    assert "camera" in words


def test_daily_guests_are_not_told_who_knocks(browser: Any) -> None:
    page = daily(browser)
    assert emit(page, "waiting-participant-added", {"participant": {"id": "w", "name": "Ann"}}) == []
    assert emit(page, "access-state-updated", {"access": {"level": "lobby"}}) == [["waiting"]]


@pytest.mark.parametrize(
    ("error", "outside", "inside"),
    [
        ("ejected", "removed", "removed"),
        ("exp-room", "ended", "ended"),
        ("meeting-full", "full", "full"),
        ("not-allowed", "declined", "declined"),
        ("connection-error", "connection", "connection"),
        ("something-new", "connection", "connection"),
    ],
)
def test_daily_fatal_errors(browser: Any, error: str, outside: str, inside: str) -> None:
    page = daily(browser)
    event = {"error": {"type": error}, "errorMsg": "words"}
    assert emit(page, "error", event) == [["problem", outside, "words"]]
    emit(page, "joined-meeting", {})
    assert emit(page, "error", event) == [["left", inside]]
    assert emit(page, "left-meeting") == []  # said once
    assert page.locator("iframe").count() == 0


def test_daily_leaving_is_said_once(browser: Any) -> None:
    page = daily(browser)
    page.evaluate("window.controls.leave()")
    assert heard(page) == [["left", "left"]]


def whereby(browser: Any, *, is_host: bool = False) -> tuple[Page, list[str]]:
    page = opened(browser, "whereby", WHEREBY)
    attributes = {"displayName": "Zoë", "video": "off"}
    data = {"room": "https://x.whereby.com/r", "attributes": attributes, "isHost": is_host}
    return page, page.evaluate(f"window.begin({json.dumps(data)})")


def test_whereby_element_gets_room_attributes_and_title(browser: Any) -> None:
    page, controls = whereby(browser)
    found = page.evaluate(
        "Object.fromEntries([...document.querySelector('whereby-embed').attributes].map((a) => [a.name, a.value]))"
    )
    assert {name: value for name, value in found.items() if name != "style"} == {
        "room": "https://x.whereby.com/r",
        "title": "Call in Weekly sync",
        "displayname": "Zoë",
        "video": "off",
    }
    assert controls == ["leave"]


def test_whereby_hosts_command_the_recording(browser: Any) -> None:
    page, controls = whereby(browser, is_host=True)
    assert controls == ["leave", "startRecording", "stopRecording", "endMeeting"]
    page.evaluate("(async () => { for (const name of Object.keys(controls).slice(1)) await controls[name](); })()")
    assert page.evaluate("window.commands") == ["startRecording", "stopRecording", "endMeeting"]


def test_whereby_events_in_our_words(browser: Any) -> None:
    page, _ = whereby(browser)
    assert emit(page, "knock") == [["waiting"]]
    assert emit(page, "join") == [["joined", {"sessionId": "", "name": "Zoë"}]]
    assert emit(page, "participantupdate", {"count": 2}) == [["count", 2]]
    assert emit(page, "recording_status_change", {"status": "starting"}) == []
    assert emit(page, "recording_status_change", {"status": "started"}) == [["recording", True]]
    assert emit(page, "recording_status_change", {"status": "error"}) == []  # of an order too many
    assert emit(page, "recording_status_change", {"status": "stopped"}) == [["recording", False]]
    failed = emit(page, "recording_status_change", {"status": "error"})
    assert [said[:2] for said in failed] == [["problem", "recording"], ["recording", False]]
    assert [said[:2] for said in emit(page, "deny_device_permission", {"denied": True})] == [["problem", "camera"]]
    assert [said[:2] for said in emit(page, "connection_status_change", {"status": "unstable"})] == [
        ["problem", "connection"]
    ]
    assert emit(page, "meeting_end") == [["left", "ended"]]
    assert emit(page, "leave", {"removed": False}) == []
    assert page.locator("whereby-embed").count() == 0


@pytest.mark.parametrize(
    ("before", "detail", "reason"),
    [
        (["join"], {"removed": True}, "removed"),
        (["join"], {"removed": False}, "left"),
        (["knock"], {"removed": False}, "declined"),
        (["knock", "cancel_knock"], {}, "left"),
    ],
)
def test_whereby_reasons_for_leaving(browser: Any, before: list[str], detail: dict[str, Any], reason: str) -> None:
    page, _ = whereby(browser)
    for name in before:
        emit(page, name)
    assert emit(page, "leave", detail) == [["left", reason]]
