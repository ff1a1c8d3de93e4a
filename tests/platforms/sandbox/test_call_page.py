"""The call pages in a real Chromium, with the unmodified SDK files and without any."""

from __future__ import annotations

import functools
import hashlib
import io
import threading
import wave
from base64 import b64encode
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import av
import numpy as np
import pytest
import requests
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.platforms.sandbox.process import ROOT, Process

pytestmark = pytest.mark.browser

#: as told in tooling/sdk.sh
SDKS = {
    "daily": (
        "platforms/daily/static/vendor/daily-js/daily.js",
        "qkOcWks7O6ZM0W8bDQRvE2Zigs/pWm7ioqYeangGqWoaqMEFUNeAKYLp8J+qWiUS",
    ),
    "whereby": (
        "platforms/whereby/static/vendor/whereby/v3-embed.js",
        "WLJmlhDUPp2Gh+nqaAhiw92dUCZHNR3MKSNldqi2YD/aWvYYOszLVXZB3uKkVWVZ",
    ),
}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]  # noqa: E501
DEVICES = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
DAILY_PAGE = """<!doctype html><title>t</title><div id="call"></div><script src="daily.js"></script><script>
const query = new URLSearchParams(location.search);
window.events = [];
const style = {iframeStyle: {width: "900px", height: "500px"}};
window.frame_ = DailyIframe.createFrame(document.getElementById("call"), style);
for (const name of ["joined-meeting", "left-meeting", "participant-joined", "participant-left", "recording-started",
  "recording-stopped", "participant-counts-updated", "waiting-participant-added", "error"])
  frame_.on(name, (event) => events.push(event));
const wish = {url: query.get("url")};
if (query.has("token")) wish.token = query.get("token");
if (query.has("name")) wish.userName = query.get("name");
frame_.join(wish)
  .then((people) => { window.people = people; }, (error) => { window.failed = String(error.errorMsg ?? error); });
</script>"""
WHEREBY_PAGE = """<!doctype html><title>t</title><body><script src="v3-embed.js"></script><script>
const query = new URLSearchParams(location.search);
window.events = [];
window.call = document.createElement("whereby-embed");
for (const name of ["room", "displayname", "externalid"]) call.setAttribute(name, query.get(name) ?? "");
call.style.height = "500px";
for (const name of ["ready", "knock", "join", "leave", "participantupdate", "recording_status_change", "meeting_end"])
  call.addEventListener(name, (event) => events.push({name, detail: event.detail}));
document.body.append(call);
</script>"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process.start(tmp_path_factory.mktemp("sandbox"), 0, "--gone-after", "3").ready()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Another origin, which serves pages that embed the calls."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "daily.html").write_text(DAILY_PAGE)
    (folder / "whereby.html").write_text(WHEREBY_PAGE)
    for path, expected in SDKS.values():
        file = ROOT / path
        if not file.exists():
            pytest.skip(f"no {path}: run tooling/sdk.sh")
        assert b64encode(hashlib.sha384(file.read_bytes()).digest()).decode() == expected
        (folder / file.name).write_bytes(file.read_bytes())

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture
def browser(playwright: Playwright, chromium: str, tmp_path: Path) -> Iterator[Browser]:
    """With a microphone that hums from the start."""
    voice = tmp_path / "voice.wav"
    with wave.open(str(voice), "wb") as file:
        file.setparams((1, 2, 48000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(48000 * 60) * 2 * np.pi * 440 / 48000) * 12000).astype("<i2").tobytes())
    flags = [*FLAGS, *DEVICES, f"--use-file-for-fake-audio-capture={voice}%noloop"]
    running = playwright.chromium.launch(executable_path=chromium, args=flags)
    yield running
    running.close()


def daily_room(sandbox: Process, name: str, **properties: Any) -> dict[str, Any]:
    room = {"name": name, "privacy": "private", "properties": {"enable_knocking": True, **properties}}
    made: dict[str, Any] = sandbox.api("POST", "daily", "/rooms", room)
    return made


def token(sandbox: Process, room: str, **properties: Any) -> str:
    asked = {"properties": {"room_name": room, **properties}}
    return str(sandbox.api("POST", "daily", "/meeting-tokens", asked)["token"])


def actions(page: Page) -> list[str]:
    return list(page.evaluate("events.map((event) => event.action)"))


def wait_finished(sandbox: Process, page: Page, room: str) -> dict[str, Any]:
    for _ in range(100):
        found = sandbox.control("GET", "recordings", room=room)
        if found and found[0]["state"] == "finished":
            return dict(found[0])
        page.wait_for_timeout(200)
    raise AssertionError(f"no finished recording: {found}")


def sound_of(sandbox: Process, recording: dict[str, Any]) -> np.ndarray:
    path = f"/recordings/{recording['id']}/access-link"
    answer = requests.get(sandbox.api("GET", "daily", path)["download_link"], timeout=10)
    with av.open(io.BytesIO(answer.content)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(file.streams.audio[0])])


def test_daily_sdk_joins_records_and_is_put_out(sandbox: Process, site: str, browser: Browser) -> None:
    room = daily_room(sandbox, "with-sdk")
    page = browser.new_page()
    mine = token(sandbox, "with-sdk", user_id="u-1", user_name="Ann", is_owner=True)
    page.goto(f"{site}/daily.html?{urlencode({'url': room['url'], 'token': mine})}")
    page.wait_for_function("window.people || window.failed")
    local = page.evaluate("people.local")
    assert (local["user_id"], local["user_name"], local["owner"]) == ("u-1", "Ann", True)
    assert actions(page)[0] == "joined-meeting"

    guest = browser.new_page()
    guest.goto(f"{room['url']}?{urlencode({'userName': 'Ben'})}")
    expect(guest.get_by_text("Waiting for a host")).to_be_visible()
    page.wait_for_function("events.some((event) => event.action === 'waiting-participant-added')")
    inside = page.frames[1]
    inside.get_by_role("button", name="Let in: Ben").click()
    expect(guest.get_by_text("You are in the call as Ben.")).to_be_visible()
    guest.get_by_role("button", name="Mute").click()

    page.evaluate("frame_.startRecording()")
    page.wait_for_function("events.some((event) => event.action === 'recording-started')")
    expect(inside.get_by_text("Recording", exact=False).first).to_be_visible()
    page.wait_for_timeout(4000)
    page.evaluate("frame_.stopRecording()")
    page.wait_for_function("events.some((event) => event.action === 'recording-stopped')")
    sound = sound_of(sandbox, wait_finished(sandbox, page, "with-sdk"))
    assert float(np.sqrt(np.mean(sound[48000 * 2 : 48000 * 3] ** 2))) > 0.05

    sandbox.api("POST", "daily", "/rooms/with-sdk/eject", {"user_ids": ["u-1"]})
    page.wait_for_function("events.some((event) => event.action === 'left-meeting')")
    assert page.evaluate("events.find((event) => event.action === 'error').error.type") == "ejected"


def test_daily_sdk_hears_why_it_may_not_join(sandbox: Process, site: str, browser: Browser) -> None:
    room = daily_room(sandbox, "closed", enable_knocking=False)
    page = browser.new_page()
    page.goto(f"{site}/daily.html?{urlencode({'url': room['url'], 'name': 'Ann'})}")
    page.wait_for_function("window.failed")
    assert page.evaluate("events.find((event) => event.action === 'error').error.type") == "not-allowed"


def test_muted_microphone_is_silent(sandbox: Process, browser: Browser) -> None:
    room = daily_room(sandbox, "muted")
    page = browser.new_page()
    mine = token(sandbox, "muted", user_name="Ann", is_owner=True, start_audio_off=True)
    page.goto(f"{room['url']}?{urlencode({'t': mine})}")
    expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    page.get_by_role("button", name="Start recording").click()
    page.wait_for_timeout(3000)
    page.get_by_role("button", name="Stop recording").click()
    sound = sound_of(sandbox, wait_finished(sandbox, page, "muted"))
    assert len(sound) > 48000
    assert float(np.abs(sound).max()) < 0.01


def test_record_button_is_hidden_where_the_page_around_has_its_own(sandbox: Process, browser: Browser) -> None:
    room = daily_room(sandbox, "quiet")
    page = browser.new_page()
    for wishes, query, shown in (
        ({}, {}, True),
        ({"enable_recording_ui": False}, {}, False),
        ({}, {"recording": "off"}, False),
    ):
        mine = token(sandbox, "quiet", user_name="Ann", is_owner=True, **wishes)
        page.goto(f"{room['url']}?{urlencode({'t': mine} | query)}")
        expect(page.get_by_role("button", name="Leave")).to_be_visible()
        expect(page.locator("#record")).to_be_visible(visible=shown)


def test_recording_on_a_hosts_own_computer_is_shown_and_leaves_nothing(sandbox: Process, browser: Browser) -> None:
    daily = daily_room(sandbox, "own")
    asked = {"endDate": "2099-01-01T00:00:00Z", "fields": ["hostRoomUrl"], "recording": {"type": "local"}}
    whereby = sandbox.api("POST", "whereby", "/meetings", asked)
    mine = token(sandbox, "own", user_name="Ann", is_owner=True, enable_recording="local")
    other = token(sandbox, "own", user_name="Ben")
    for host, guest in (
        (f"{daily['url']}?{urlencode({'t': mine})}", f"{daily['url']}?{urlencode({'t': other})}"),
        (whereby["hostRoomUrl"], whereby["roomUrl"]),
    ):
        ann, ben = browser.new_page(), browser.new_page()
        ann.goto(host)
        ben.goto(guest)
        ann.get_by_role("button", name="Start recording").click()
        for page in (ann, ben):
            expect(page.locator("#recording")).to_be_visible()
        ann.get_by_role("button", name="Stop recording").click()
        for page in (ann, ben):
            expect(page.locator("#recording")).to_be_hidden()
    made = [recording["room_name"] for recording in sandbox.control("GET", "recordings")]
    assert not {"own", whereby["roomName"]} & set(made)


def test_page_without_a_microphone_is_in_the_call_and_vanishes_when_closed(
    sandbox: Process, playwright: Playwright, chromium: str
) -> None:
    room = daily_room(sandbox, "silent")
    running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    page = running.new_page()
    page.goto(f"{room['url']}?{urlencode({'t': token(sandbox, 'silent', user_name='Ann')})}")
    expect(page.get_by_text("No microphone")).to_be_visible()
    expect(page.get_by_text("In this call (1)")).to_be_visible()
    assert sandbox.control("GET", "people", room="silent")[0]["state"] == "in"
    running.close()
    end = 50
    while sandbox.control("GET", "people", room="silent")[0]["state"] == "in" and end:
        threading.Event().wait(0.2)
        end -= 1
    assert sandbox.control("GET", "people", room="silent")[0]["state"] == "left"


def test_leave_by_keyboard(sandbox: Process, browser: Browser) -> None:
    room = daily_room(sandbox, "keys")
    page = browser.new_page()
    page.goto(f"{room['url']}?{urlencode({'t': token(sandbox, 'keys', user_name='Ann')})}")
    expect(page.get_by_role("button", name="Leave")).to_be_visible()
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Leave")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("You left the call.")).to_be_visible()
    assert sandbox.control("GET", "people", room="keys")[0]["state"] == "left"


def test_whereby_element_joins_knocks_records_and_ends(sandbox: Process, site: str, browser: Browser) -> None:
    asked = {"endDate": "2099-01-01T00:00:00Z", "isLocked": True, "fields": ["hostRoomUrl"]}
    room = sandbox.api("POST", "whereby", "/meetings", asked | {"recording": {"type": "cloud"}})
    page, other = browser.new_page(), browser.new_page()
    host = {"room": room["hostRoomUrl"], "displayname": "Ann", "externalid": "u-1"}
    page.goto(f"{site}/whereby.html?{urlencode(host)}")
    page.wait_for_function("events.some((event) => event.name === 'join')")
    guest = {"room": room["roomUrl"], "displayname": "Ben", "externalid": "u-2"}
    other.goto(f"{site}/whereby.html?{urlencode(guest)}")
    other.wait_for_function("events.some((event) => event.name === 'knock')")
    page.frames[1].get_by_role("button", name="Let in: Ben").click()
    other.wait_for_function("events.some((event) => event.name === 'join')")
    page.wait_for_function("events.some((event) => event.name === 'participantupdate' && event.detail.count === 2)")
    page.evaluate("call.startRecording()")
    page.wait_for_function("events.some((event) => event.detail?.status === 'started')")
    page.wait_for_timeout(2000)
    page.evaluate("call.stopRecording()")
    page.wait_for_function("events.some((event) => event.detail?.status === 'stopped')")
    page.evaluate("call.endMeeting()")
    other.wait_for_function("events.some((event) => event.name === 'leave')")
    people = sandbox.control("GET", "people", platform="whereby")
    assert {person["external_id"]: person["state"] for person in people if person.get("external_id")} == {
        "u-1": "left",
        "u-2": "left",
    }
    wait_finished(sandbox, page, room["roomName"])
