"""What the pages say about consent is what happens: words with versions, and the stated effect of a no."""

from __future__ import annotations

import hashlib
import re

import pytest
from django.utils import timezone

from meetings import capture, consent
from meetings.consent import recording_allowed
from meetings.models import Capture, Consent, ConsentText, Participant
from tests.factories import make_meeting, make_participant, make_room, make_stay, make_user
from tests.meetings.visitors import come_in, heading, send, words_on

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_platforms")]

CALL = "/rooms/standup/call/"


@pytest.fixture
def room():
    return make_room(slug="standup", name="Stand-up", platform="fake", is_shared=True)


@pytest.fixture
def edit_words(monkeypatch):
    """As an upgrade of this software would: one character of the words is another."""

    def edit():
        old = consent.text_for
        for module in ("meetings.consent", "meetings.forms"):
            monkeypatch.setattr(f"{module}.text_for", lambda subject: old(subject).replace("Yes:", "Yes :", 1))

    monkeypatch.setattr("meetings.forms._label_and_meaning", lambda line: re.split(" ?: ", line, maxsplit=1))
    return edit


# -- words have versions


def test_one_changed_character_is_another_version(client, room, edit_words):
    before = words_on(client.get("/rooms/standup/"))
    first = come_in(client, room).consents.get()
    edit_words()
    assert words_on(client.get("/rooms/standup/")) != before
    ben = send_again(client, room)
    last = ben.consents.last()
    assert last.text_id != first.text_id
    assert last.text.sha256 != first.text.sha256
    for row in (first, last):
        text = ConsentText.objects.get(pk=row.text_id)
        assert text.sha256 == hashlib.sha256(f"en\n{text.body}".encode()).hexdigest()
    assert "Yes :" not in ConsentText.objects.get(pk=first.text_id).body
    assert "Yes :" in last.text.body


def send_again(client, room):
    assert send(client, room).status_code == 303
    return Participant.objects.get()


def test_an_answer_to_the_old_words_is_not_reused(client, room, edit_words, provider):
    participant = come_in(client, room)
    assert client.get(CALL).status_code == 200
    edit_words()
    provider.calls.clear()
    response = client.get(CALL)
    assert response.status_code == 422
    assert "has changed" in response.content.decode()
    assert "checked" not in response.content.decode()
    assert provider.calls == []
    assert participant.consents.count() == 1
    send_again(client, room)
    assert client.get(CALL).status_code == 200
    assert participant.consents.count() == 2


def test_the_receipt_shows_the_old_words_and_the_new(client, room, edit_words):
    participant = come_in(client, room)
    edit_words()
    send_again(client, room)
    text = client.get(f"/receipts/{participant.receipt_token}/").content.decode()
    assert re.search(r"<blockquote[^>]*>.*Yes: .*</blockquote>.*<blockquote[^>]*>.*Yes : ", text, re.DOTALL)


def test_a_yes_in_the_call_is_one_to_the_words_on_its_page(client, room, edit_words):
    participant = come_in(client, room)
    Participant.objects.update(answer="none")
    Consent.objects.all().delete()
    shown = words_on(client.get(CALL))
    edit_words()
    response = client.post(f"{CALL}answer", {"answer": "yes", "words": shown}, headers={"accept": "application/json"})
    assert (response.status_code, "has changed" in response.json()["message"]) == (409, True)
    participant.refresh_from_db()
    assert participant.answer == "none"
    assert client.post(f"{CALL}answer", {"answer": "no", "words": shown}).status_code == 303
    participant.refresh_from_db()
    assert participant.answer == "no"


def test_pages_of_a_call_carry_the_version_they_show(client, room):
    come_in(client, room)
    shown = client.get(CALL).content.decode()
    forms = re.findall(r'name="words" value="(\w{64})"', shown)
    assert forms == [words_on(client.get("/rooms/standup/"))] * 2  # the panel's and the dialog's


# -- no recording, no question


def test_a_room_that_does_not_record_asks_nothing_anywhere(client):
    room = make_room(slug="plain", platform="fake", is_shared=True, recording_type="none", consent_policy="required")
    gil = come_in(client, room, answer="")
    for address in ("/rooms/plain/", "/rooms/plain/kept/", "/rooms/plain/call/", f"/receipts/{gil.receipt_token}/"):
        text = client.get(address).content.decode()
        assert not re.search(r'type="radio"|<fieldset|<legend|<dialog|name="answer"|name="words"|withdraw/', text), (
            address
        )
        assert not re.search(r"\bYes\b|agree to be", text), address


# -- what a no does is what the page says


@pytest.mark.parametrize("platform", ["fake", "fake-page"])
@pytest.mark.parametrize("kind", ["cloud", "local"])
def test_required_no_cannot_join(client, provider, platform, kind):
    room = make_room(platform=platform, is_shared=True, consent_policy="required", recording_type=kind)
    assert "you cannot join" in client.get(room.get_absolute_url()).content.decode()
    assert heading(send(client, room, answer="no")) == "You are not in the meeting"
    assert not Participant.objects.exists()


@pytest.fixture
def recorded(room, request):
    """On either platform: a host is inside and a recording of everybody runs."""
    room = make_room(slug="recorded", platform=request.param, is_shared=True, owner=make_user("hanna"))
    meeting = make_meeting(room, opened_at=timezone.now())
    host = make_participant(meeting, answer="yes", user=room.owner, is_host=True)
    make_stay(host, joined_at=timezone.now())
    Capture.objects.create(meeting=meeting, state="on", started_at=timezone.now(), ordered_at=timezone.now())
    return meeting


@pytest.mark.parametrize(
    ("recorded", "says"),
    [("fake", "it is stopped before you come in"), ("fake-page", "a host’s page stops it first")],
    indirect=["recorded"],
)
def test_choice_no_comes_in_when_the_recording_is_stopped_and_then_none_is_made(client, recorded, says):
    room = recorded.room
    shown = client.get(room.get_absolute_url()).content.decode().replace("&#x27;", "’")
    assert "you join all the same" in shown
    assert says in shown
    assert send(client, room, answer="no").status_code == 303
    call = f"{room.get_absolute_url()}call/"
    assert heading(client.get(call)) == "Stopping the recording"
    running = Capture.objects.get()
    assert running.state == "stopping"
    host = recorded.participants.get(is_host=True)
    if says.startswith("a host"):
        assert capture.instruction_for(participant=host) == "stop"
        capture.report_from_page(meeting=recorded, recording=False)
    else:
        Capture.objects.update(state="off", stopped_at=timezone.now())
    assert client.get(call).status_code == 200
    guest = recorded.participants.get(is_host=False)
    make_stay(guest, joined_at=timezone.now())
    assert recording_allowed(recorded)[0] is False
    capture.reconcile(recorded)
    with pytest.raises(capture.CaptureRefused):
        capture.wish_start(meeting=recorded, by=room.owner)
    assert not Capture.objects.live().exists()


@pytest.mark.parametrize("platform", ["fake", "fake-page"])
def test_local_no_comes_in_at_once_and_nothing_is_promised(client, platform):
    room = make_room(platform=platform, is_shared=True, recording_type="local")
    assert "A host may record even so" in client.get(room.get_absolute_url()).content.decode()
    meeting = make_meeting(room, opened_at=timezone.now())
    capture.report_from_page(meeting=meeting, recording=True)  # it runs already
    assert come_in(client, room, answer="no").held_until_stopped is False
    assert client.get(f"{room.get_absolute_url()}call/").status_code == 200
