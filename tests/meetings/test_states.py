"""The states of a room that are pages of their own: a heading, one sentence, one action, the right status."""

import re
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from meetings.models import Capture, Meeting, Waiting
from meetings.notices import OUT
from platforms.base import PlatformRefused, PlatformUnavailable
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay, make_user
from tests.meetings.visitors import come_in, heading, send, words_on

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_platforms")]


@pytest.fixture
def room():
    return make_room(slug="standup", name="Stand-up", platform="fake", is_shared=True)


def says(response, title, status=200):
    """One heading, at least one sentence, exactly one action."""
    assert (heading(response), response.status_code) == (title, status)
    main = re.search(r"<main.*?</main>", response.content.decode(), re.DOTALL)[0]
    assert len(re.findall(r'class="button[ "]', main)) == 1
    assert re.search(r"<p[^>]*>[^<]{20,}", main)
    return main


def opening(room, *, seconds_ago=0):
    now = timezone.now()
    return Meeting.objects.create(
        room=room,
        platform="fake",
        created_at=now - timedelta(seconds=seconds_ago),
        opening_token=uuid.uuid4(),
        opening_until=now + timedelta(seconds=30),
        recording_type=room.recording_type,
        consent_policy=room.consent_policy,
    )


@pytest.fixture
def waiting(client, room, monkeypatch):
    """A browser whose form was sent and whose meeting takes long to open."""
    from meetings.background import StillBusy

    def busy(work, **_):
        raise StillBusy

    monkeypatch.setattr("meetings.views.room.wait_for", busy)
    response = send(client, room)
    assert response.status_code == 303
    return client, response["Location"]


# -- before the call


def test_archived(client, room):
    room.archived_at = NOW
    room.save()
    for path in ("", "call/"):
        says(client.get(f"/rooms/standup/{path}"), "This room is closed", 410)
    says(client.post("/rooms/standup/", {"name": "Gil"}), "This room is closed", 410)


def test_not_open_yet(client, room, provider):
    room.opens_at = timezone.now() + timedelta(days=1)
    room.save()
    main = says(client.get("/rooms/standup/"), "Not open yet")
    assert f"{room.opens_at:%Y, %H:%M}" in main
    says(client.post("/rooms/standup/", {"name": "Gil", "answer": "yes"}), "Not open yet")
    assert provider.calls == []


def test_a_wrong_link_offers_to_sign_in(client):
    main = says(client.get("/rooms/nowhere/"), "There is nothing at this address", 404)
    assert "/accounts/login/?next=%2Frooms%2Fnowhere%2F" in main
    client.force_login(make_user())
    assert "See your rooms" in says(client.get("/rooms/nowhere/"), "There is nothing at this address", 404)


def test_the_provider_is_down(client, room, provider):
    provider.errors["create_room"] = [PlatformUnavailable("503", retry_after_s=17)]
    response = send(client, room, name="Gil Guest", answer="no")
    main = says(response, "The call could not be opened", 503)
    assert response["Retry-After"] == "17"
    assert "503" not in main
    # one press tries again, with what was filled in
    fields = dict(re.findall(r'name="(name|answer|words)" value="([^"]*)"', main))
    assert (fields["name"], fields["answer"]) == ("Gil Guest", "no")
    assert client.post("/rooms/standup/", fields).status_code == 303


def test_the_provider_is_down_at_the_door(client, room, provider):
    come_in(client, room)
    provider.errors["entry"] = [PlatformUnavailable("time-out", retry_after_s=4), PlatformRefused("no", status=400)]
    response = client.get("/rooms/standup/call/")
    says(response, "The call could not be opened", 503)
    assert response["Retry-After"] == "4"
    says(client.get("/rooms/standup/call/"), "The call could not be opened", 503)
    assert client.get("/rooms/standup/call/").status_code == 200


# -- slow


def test_slow_opening_shows_progress_without_scripts(waiting):
    client, address = waiting
    response = client.get(address)
    text = response.content.decode()
    assert (heading(response), response.status_code) == ("Opening the meeting", 200)
    assert f'<noscript><meta http-equiv="refresh" content="2; url={address}"></noscript>' in text


def test_slow_opening_goes_on_to_the_call_by_itself(waiting, room):
    client, address = waiting
    Meeting.objects.update(status="open", url="https://fake.example/x")
    response = client.get(address)
    assert (response.status_code, response["Location"]) == (303, "/rooms/standup/call/")
    assert client.get("/rooms/standup/call/").status_code == 200
    assert Meeting.objects.get().participants.get().answer == "yes"


def test_slow_opening_is_given_up_after_ten_seconds(waiting):
    client, address = waiting
    with time_machine.travel(timezone.now() + timedelta(seconds=11)):
        response = client.get(address)
        main = says(response, "The call could not be opened", 503)
    assert response["Retry-After"] == "10"
    assert 'name="name" value="Gil Guest"' in main


def test_giving_up_is_said_however_often_it_is_looked_at(waiting):
    """A script looks, and then the page is loaded to be shown."""
    client, _ = waiting
    since = int(timezone.now().timestamp()) - 11
    for _ in range(2):
        says(client.get("/rooms/standup/call/", {"since": since}), "The call could not be opened", 503)


def test_slow_opening_that_fails_says_so(waiting):
    client, address = waiting
    Meeting.objects.update(status="failed", ended_at=timezone.now())
    main = says(client.get(address), "The call could not be opened", 503)
    assert 'name="name" value="Gil Guest"' in main


def test_an_older_failure_is_not_the_failure_of_this_opening(waiting, room):
    """No meeting there yet is no failed one."""
    client, address = waiting
    Meeting.objects.update(status="failed", ended_at=timezone.now() - timedelta(minutes=1))
    assert heading(client.get(address)) == "Opening the meeting"


def test_looking_opens_the_meeting_where_nobody_does(waiting, room, provider, monkeypatch):
    client, address = waiting
    monkeypatch.undo()
    assert heading(client.get(address)) == "Opening the meeting"
    assert provider.calls == []  # somebody does
    Meeting.objects.update(opening_until=timezone.now() - timedelta(seconds=1))
    assert client.get(address)["Location"] == "/rooms/standup/call/"
    assert provider.calls == ["find_room", "create_room"]
    assert Meeting.objects.get().participants.get().name == "Gil Guest"


def test_looking_opens_the_next_meeting_after_one_that_was_over_at_once(waiting, room, provider, monkeypatch):
    client, address = waiting
    monkeypatch.undo()
    Meeting.objects.update(status="ended", ended_at=timezone.now())
    assert client.get(address)["Location"] == "/rooms/standup/call/"
    assert Meeting.objects.live().get().participants.get().name == "Gil Guest"


def test_looking_that_fails_to_open_says_so(waiting, room, provider, monkeypatch):
    client, address = waiting
    monkeypatch.undo()
    Meeting.objects.update(status="ended", ended_at=timezone.now())
    provider.errors["create_room"] = [PlatformUnavailable("503", retry_after_s=17)]
    assert 'name="name" value="Gil Guest"' in says(client.get(address), "The call could not be opened", 503)
    # and it is not tried again by looking
    says(client.get(address), "The call could not be opened", 503)
    assert provider.calls == ["create_room"]


def test_words_of_a_slow_opening_that_changed_are_asked_anew(waiting, room):
    client, address = waiting
    Meeting.objects.all().delete()
    make_meeting(room, platform="fake-page")
    response = client.get(address)
    assert response.status_code == 422
    assert "has changed" in response.content.decode()
    assert words_on(response)


@pytest.mark.parametrize("since", ["", "x", "-5", "99999999999", "1", "٣"])
def test_progress_takes_any_since(waiting, since):
    client, _ = waiting
    assert client.get("/rooms/standup/call/", {"since": since}).status_code == 200


# -- somebody who refuses


@pytest.fixture
def held(client, room):
    """Somebody who said no while a recording of everybody runs."""
    meeting = make_meeting(room, opened_at=timezone.now())
    make_stay(make_participant(meeting, answer="yes"))
    Capture.objects.create(meeting=meeting, state="on", started_at=timezone.now())
    assert send(client, room, answer="no").status_code == 303
    return meeting


def test_who_refuses_waits_until_the_recording_is_stopped(client, held, provider):
    response = client.get("/rooms/standup/call/")
    assert heading(response) == "Stopping the recording"
    assert 'http-equiv="refresh"' in response.content.decode()
    assert "entry" not in provider.calls
    assert Capture.objects.get().stop_wanted_at is not None
    Capture.objects.update(state="off", stopped_at=timezone.now())
    assert client.get("/rooms/standup/call/").status_code == 200
    assert "entry" in provider.calls


def test_who_waits_long_may_wait_or_leave(client, held):
    since = int(timezone.now().timestamp()) - 11
    response = client.get("/rooms/standup/call/", {"since": since})
    text = response.content.decode()
    assert heading(response) == "The recording is still running"
    assert "You may wait, or leave." in text
    assert f'href="/meetings/{held.pk}/"' in text
    assert 'http-equiv="refresh"' in text


# -- ways out


STATUS = {"declined": 403, "removed": 403, "full": 503, "expired": 410, "elsewhere": 409}


@pytest.mark.parametrize("what", sorted(OUT))
def test_each_way_out_is_a_page(client, room, what):
    response = client.get(f"/rooms/standup/out/{what}/")
    says(response, heading(response), STATUS.get(what, 200))


def test_full_says_when_to_try_again(client, room):
    assert client.get("/rooms/standup/out/full/")["Retry-After"] == "60"


def test_the_ended_meeting_leads_to_its_page_for_who_was_there(client, room):
    meeting = come_in(client, room).meeting
    Meeting.objects.update(status="ended", ended_at=timezone.now())
    assert f'href="/meetings/{meeting.pk}/"' in client.get("/rooms/standup/out/ended/").content.decode()
    assert str(meeting.pk) not in Client().get("/rooms/standup/out/ended/").content.decode()


def test_there_is_no_other_way_out(client, room):
    assert client.get("/rooms/standup/out/window/").status_code == 404


# -- state as JSON


def test_state_is_what_dashboards_expect(client, room):
    assert client.get("/rooms/standup/state").json() == {
        "platform": "fake", "phase": "idle", "meeting": None, "people": 0, "recording": False, "waiting": 0,
    }  # fmt: skip
    meeting = make_meeting(room, opened_at=timezone.now())
    make_stay(make_participant(meeting, "Ann"))
    response = client.get("/rooms/standup/state")
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {
        "platform": "fake", "phase": "open", "meeting": str(meeting.pk), "people": 1, "recording": False, "waiting": 0,
    }  # fmt: skip


def test_names_are_for_members(client, room):
    make_stay(make_participant(make_meeting(room), "Ann"))
    client.force_login(make_user())
    assert "names" not in client.get("/rooms/standup/state").json()
    member = make_user()
    room.members.add(member)
    client.force_login(member)
    assert client.get("/rooms/standup/state").json()["names"] == ["Ann"]
    assert "Inside: Ann" in client.get("/rooms/standup/").content.decode()


# -- our own mistakes


def test_a_mistake_of_ours_is_a_page(room, monkeypatch):
    def broken(**kwargs):
        raise RuntimeError("broken")

    monkeypatch.setattr("meetings.views.room.room_state", broken)
    response = Client(raise_request_exception=False).get("/rooms/standup/")
    assert (heading(response), response.status_code) == ("Something went wrong here", 500)


@pytest.mark.parametrize("what", ["removed", "connection", "expired"])
def test_whoever_was_put_out_at_the_end_is_told_of_the_end(client, room, what):
    participant = come_in(client, room)
    page = f"/rooms/standup/out/{what}/"
    assert heading(client.get(page)) != "The meeting has ended"
    Meeting.objects.filter(pk=participant.meeting_id).update(status="ended", ended_at=timezone.now())
    assert heading(client.get(page)) == "The meeting has ended"
    assert heading(Client().get(page)) != "The meeting has ended"


@pytest.mark.parametrize("what", ["declined", "no-answer"])
def test_whoever_was_not_let_in_knocks_no_more(client, room, what):
    """A provider may not say that a knock was refused; the page of that person does."""
    participant = come_in(client, room)
    knock = {"meeting": participant.meeting, "started_at": timezone.now()}
    Waiting.objects.create(session_id="k", user_id=participant.provider_user_id, **knock)
    Waiting.objects.create(session_id="other", user_id="other", **knock)
    client.get(f"/rooms/standup/out/{what}/")
    assert [each.session_id for each in participant.meeting.waiting.open()] == ["other"]
