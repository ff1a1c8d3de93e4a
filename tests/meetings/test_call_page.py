"""The page of a call: what everybody there can do, and what only hosts can."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from meetings import capture
from meetings.models import Capture, Meeting, Participant
from tests.factories import make_room, make_stay, make_user
from tests.meetings.hosted import host, page_room, room
from tests.meetings.visitors import come_in, words_on

__all__ = ["host", "page_room", "room"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_platforms")]


# -- the call


def test_the_platforms_differ_in_nothing_that_a_visitor_walks_through(room, page_room):
    def outline(address, who):
        text = who.get(address).content.decode()
        stops = re.findall(r"<(a|button|input|summary|select|textarea)\b[^>]*?(?:id=\"([^\"]*)\")?[^>]*>", text)
        return re.findall(r"<h(\d)", text), [stop for stop in stops if "hidden" not in stop]

    for path in ("", "call/"):
        seen = []
        for each in (room, page_room):
            visitor = Client()
            if path:
                come_in(visitor, each)
            seen.append(outline(f"{each.get_absolute_url()}{path}", visitor))
        assert seen[0] == seen[1]


def test_few_stops_before_the_frame(client, room):
    before_join = client.get("/rooms/standup/").content.decode()
    before_join = before_join[: before_join.index('id="join-button"') + 1]
    come_in(client, room)
    before_frame = client.get("/rooms/standup/call/").content.decode()
    before_frame = before_frame[before_frame.index("<body") : before_frame.index('id="frame"')]
    visible = re.sub(r"<p [^>]*hidden>.*?</p>", "", before_frame)
    stops = re.findall(r"<(?:a|button|input)\b(?![^>]*type=\"hidden\")", before_join + visible)
    assert len(stops) - 1 <= 8  # the two radio buttons are one stop
    assert visible.index('href="#leave"') < visible.index('href="#recording-choice"')


def test_hosts_start_and_stop_the_recording(client, room, host):
    make_stay(come_in(client, room))
    response = client.post("/rooms/standup/call/record", {"action": "start"})
    assert (response.status_code, response["Location"]) == (303, "/rooms/standup/call/")
    assert Capture.objects.get().state == "wanted"
    assert "The recording is being started." in client.get("/rooms/standup/call/").content.decode()
    told = client.post("/rooms/standup/call/record", {"action": "stop"}, headers={"accept": "application/json"})
    assert told.json() == {"message": "The recording is being stopped."}
    assert not Capture.objects.live().filter(state="wanted").exists()


def test_a_recording_that_may_not_start_says_why(client, room, host):
    make_stay(come_in(client, room, answer="no"))
    told = client.post("/rooms/standup/call/record", {"action": "start"}, headers={"accept": "application/json"})
    assert told.status_code == 409
    assert "did not agree" in told.json()["message"]


def test_hosts_end_the_meeting_for_all(client, room, host, provider):
    meeting = come_in(client, room).meeting
    response = client.post("/rooms/standup/call/end")
    assert (response.status_code, response["Location"]) == (303, f"/meetings/{meeting.pk}/")
    meeting.refresh_from_db()
    assert (meeting.status, meeting.end_reason, meeting.ended_by) == ("ended", "host", host)
    assert client.get("/rooms/standup/call/")["Location"] == "/rooms/standup/out/ended/"
    assert client.get("/rooms/standup/call/state").status_code == 404


@pytest.mark.parametrize("path", ["record", "end", "report"])
def test_guests_command_nothing(client, room, path):
    meeting = come_in(client, room).meeting
    assert client.post(f"/rooms/standup/call/{path}", {"action": "start"}).status_code == 404
    assert Client().post(f"/rooms/standup/call/{path}").status_code == 404
    assert client.get(f"/rooms/standup/call/{path}").status_code == 405
    meeting.refresh_from_db()
    assert meeting.status == "open"
    assert not Capture.objects.exists()


def test_guests_do_not_see_the_tools_of_hosts(client, room):
    come_in(client, room)
    text = client.get("/rooms/standup/call/").content.decode()
    assert "End for all" not in text
    assert "Start recording" not in text


def test_the_page_of_a_host_records_where_the_server_cannot(client, page_room):
    user = make_user()
    page_room.owner = user
    page_room.save()
    client.force_login(user)
    participant = come_in(client, page_room)
    make_stay(participant)
    capture.wish_start(meeting=participant.meeting, by=user)
    state = client.get("/rooms/page-room/call/state").json()
    assert (state["instruction"], state["recording"], state["answer"]) == ("start", False, "yes")
    for body, status in (
        ('{"recording": true}', 200),
        ('{"recording": "yes"}', 400),
        ('{"recording": true, "failed": 1}', 400),
        ("[]", 400),
        ('"recording"', 400),
        ("{", 400),
    ):
        posted = client.post("/rooms/page-room/call/report", body, content_type="application/json")
        assert posted.status_code == status
    state = client.get("/rooms/page-room/call/state").json()
    assert (state["instruction"], state["recording"]) == (None, True)


def test_the_page_of_a_host_tells_that_it_could_not_be_started(client, page_room):
    user = make_user()
    page_room.owner = user
    page_room.save()
    client.force_login(user)
    participant = come_in(client, page_room)
    make_stay(participant)
    capture.wish_start(meeting=participant.meeting, by=user)
    client.post("/rooms/page-room/call/report", '{"recording": false, "failed": true}', content_type="application/json")
    state = client.get("/rooms/page-room/call/state").json()
    assert (state["instruction"], state["recording"]) == (None, False)
    assert "could not start it" in state["capture_problem"]


def test_call_state_is_only_for_who_is_in_the_meeting(client, room):
    come_in(client, room)
    response = client.get("/rooms/standup/call/state")
    assert response["Cache-Control"] == "no-store"
    assert set(response.json()) == {
        "platform", "phase", "meeting", "people", "recording", "waiting", "answer", "instruction", "ends_at",
    }  # fmt: skip
    assert Client().get("/rooms/standup/call/state").status_code == 404


def test_an_answer_can_be_changed_during_the_call(client, room):
    participant = come_in(client, room, answer="no")
    for given, in_force in (("yes", "yes"), ("no", "withdrawn"), ("maybe", "withdrawn")):
        words = words_on(client.get("/rooms/standup/call/"))
        client.post("/rooms/standup/call/answer", {"answer": given, "words": words})
        participant.refresh_from_db()
        assert participant.answer == in_force
    assert [consent.answer for consent in participant.consents.all()] == ["no", "yes", "withdrawn"]


def test_who_withdraws_where_all_have_to_agree_is_sent_out(client):
    room = make_room(slug="strict", platform="fake", is_shared=True, consent_policy="required")
    participant = come_in(client, room)
    told = client.post("/rooms/strict/call/answer", {"answer": "no"}, headers={"accept": "application/json"}).json()
    assert told["url"] == participant.meeting.get_absolute_url()
    participant.refresh_from_db()
    assert participant.answer == "withdrawn"


def test_no_answer_yet_is_asked_in_the_call(client, room):
    participant = come_in(client, room)
    assert "data-unanswered" not in client.get("/rooms/standup/call/").content.decode()
    Participant.objects.filter(pk=participant.pk).update(answer="none")
    text = client.get("/rooms/standup/call/").content.decode()
    assert '<dialog id="ask"' in text
    assert "data-unanswered" in text


def test_hosts_get_the_hosts_entry_and_guests_do_not(client, room, host, provider):
    come_in(client, room)
    client.get("/rooms/standup/call/")
    guest = Client()
    come_in(guest, room)
    text = guest.get("/rooms/standup/call/").content.decode()
    assert [person.is_host for _, person in provider.entered] == [True, False]
    assert "role=host" not in text


def test_the_end_is_told_before_it_comes(client, room):
    meeting = come_in(client, room).meeting
    soon = timezone.now() + timedelta(minutes=9)
    Meeting.objects.filter(pk=meeting.pk).update(expires_at=soon, warned_at=timezone.now())
    assert client.get("/rooms/standup/call/state").json()["ends_at"] == soon.isoformat()


# -- recordings on a host's own computer


@pytest.mark.parametrize("policy", ["choice", "not_asked"])
def test_pages_of_a_room_recorded_locally_promise_nothing(client, policy):
    room = make_room(slug="local", platform="fake-page", is_shared=True, recording_type="local", consent_policy=policy)
    gil = come_in(client, room, answer="" if policy == "not_asked" else "yes")
    for address in ("/rooms/local/", "/rooms/local/kept/", "/rooms/local/call/", f"/receipts/{gil.receipt_token}/"):
        text = client.get(address).content.decode()
        assert address == "/rooms/local/" or "on their own computer" in text, address
        assert not any(
            claim in text for claim in ("is stopped", "recording stops", "is being deleted", "is not recorded")
        )
    assert 'id="record-start"' not in client.get("/rooms/local/call/").content.decode()
    if policy == "choice":
        said = client.post("/rooms/local/call/answer", {"answer": "no"}, follow=True).content.decode()
        assert "We can neither stop nor delete" in said
        assert "is being deleted" not in said
