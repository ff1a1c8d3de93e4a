"""Who sees which pages, home, the form before the call, and accounts."""

import json
import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from meetings.models import Capture, Consent, Meeting, Participant
from meetings.visits import may_read, participant_for
from rooms.models import Room
from rooms.services import move_room
from tests.factories import make_meeting, make_participant, make_room, make_stay, make_user
from tests.meetings.hosted import host, page_room, room
from tests.meetings.visitors import come_in, heading, send, words_on

__all__ = ["host", "page_room", "room"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_platforms")]


# -- who


def test_a_shared_room_opens_for_anybody_with_its_link(client, room):
    response = client.get("/rooms/standup/")
    assert response.status_code == 200
    assert heading(response) == "Stand-up"


@pytest.mark.parametrize("role", ["owner", "hosts", "members"])
def test_a_private_room_opens_for_its_people(client, role):
    room = make_room(slug="board", platform="fake")
    user = make_user()
    if role == "owner":
        room.owner = user
        room.save()
    else:
        getattr(room, role).add(user)
    client.force_login(user)
    assert client.get("/rooms/board/").status_code == 200


@pytest.mark.parametrize(
    "path", ["", "kept/", "state", "state/", "call/", "call/state", "out/ended/"], ids=lambda path: path or "room"
)
@pytest.mark.parametrize("signed_in", [True, False])
def test_a_private_room_is_like_no_room_to_others(client, path, signed_in):
    make_room(slug="board", platform="fake")
    if signed_in:
        client.force_login(make_user())
    private, nowhere = (client.get(f"/rooms/{slug}/{path}") for slug in ("board", "nowhere"))
    assert (private.status_code, nowhere.status_code) == (404, 404)
    same = [re.sub(r'value="\w{64}"', "", text) for text in (private.content.decode(), nowhere.content.decode())]
    assert same[0].replace("board", "nowhere") == same[1]


def test_nobody_posts_into_a_private_room(client, provider):
    room = make_room(slug="board", platform="fake")
    assert client.post("/rooms/board/", {"name": "Eve", "answer": "yes"}).status_code == 404
    assert provider.calls == []
    assert not room.meetings.exists()


def test_old_bookmarks_lead_to_a_room_that_the_visitor_may_see(client, room):
    make_room(slug="board", platform="fake")
    for address in ("/standup", "/standup/"):
        assert client.get(address)["Location"] == "/rooms/standup/"
    assert client.get("/board").status_code == 404
    assert client.get("/nowhere").status_code == 404


def test_bookmarks_leave_our_own_addresses_alone(client):
    assert client.get("/admin")["Location"] == "/admin/"
    assert client.get("/metrics").status_code == 404


# -- home


def test_home_lists_the_rooms_of_the_visitor_with_what_goes_on(client, django_assert_max_num_queries):
    user = make_user()
    for number in range(3):
        room = make_room(name=f"Mine {number}", platform="fake")
        room.members.add(user)
        meeting = make_meeting(room)
        for _ in range(number):
            make_stay(make_participant(meeting))
    make_room(name="Not mine", platform="fake", is_shared=True)
    client.force_login(user)
    with django_assert_max_num_queries(8):
        text = client.get("/").content.decode()
    assert "Not mine" not in text
    assert [word in text for word in ("Mine 0", "1 person inside now", "2 people inside now", "Empty")] == [True] * 4


def test_home_shows_fifty_rooms_at_a_time(client, django_assert_max_num_queries):
    owner = make_user("owner")
    Room.objects.bulk_create(Room(name=f"Room {n:03}", slug=f"room-{n:03}", owner=owner) for n in range(120))
    client.force_login(owner)
    with django_assert_max_num_queries(10):
        html = client.get("/").content.decode()
    assert html.count("<h2>") == 50
    assert "Rooms 1 to 50 of 120" in html
    last = client.get("/?page=3&q=room").content.decode()
    assert last.count("<h2>") == 20
    assert "q=room&amp;page=2" in last


def test_home_has_three_different_empty_states(client, room):
    assert "No rooms to show" in client.get("/").content.decode()
    client.force_login(make_user())
    assert "You are not in any room yet" in client.get("/").content.decode()
    client.get("/rooms/standup/")
    assert "By a link you used" in client.get("/").content.decode()
    assert "No room matches “xyz”" in client.get("/", {"q": "xyz"}).content.decode()


def test_home_takes_any_query(client):
    assert client.get("/?q=%00").status_code == 200


# -- the form


def test_looking_opens_nothing(client, room, provider):
    for path in ("", "kept/", "state", "call/", "out/full/"):
        client.get(f"/rooms/standup/{path}")
        client.head(f"/rooms/standup/{path}")
    assert provider.calls == []
    assert not Meeting.objects.exists()


def test_form_comes_in_the_order_of_reading_with_nothing_chosen(client, room):
    text = client.get("/rooms/standup/").content.decode()
    marks = ["<h1>", 'id="name"', "<legend>", 'value="yes"', 'value="no"', "kept/", 'id="join-button"']
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "checked" not in text


@pytest.mark.parametrize("fields", [{"recording_type": "none"}, {"consent_policy": "not_asked"}])
def test_nobody_is_asked_where_there_is_nothing_to_ask(client, fields):
    room = make_room(slug="plain", platform="fake", is_shared=True, **fields)
    response = client.get("/rooms/plain/")
    assert "fieldset" not in response.content.decode()
    participant = come_in(client, room, answer="")
    assert participant.answer == Participant.Answer.NONE
    assert not participant.consents.exists()


def test_joining_opens_the_meeting_and_shows_the_call(client, room, provider):
    response = send(client, room, name="  Gil   Guest ", answer="no")
    assert (response.status_code, response["Location"]) == (303, "/rooms/standup/call/")
    participant = Participant.objects.get()
    assert (participant.name, participant.answer, participant.is_host) == ("Gil Guest", "no", False)
    call = client.get("/rooms/standup/call/")
    assert call.status_code == 200
    data = json.loads(re.search(r'id="call-data" type="application/json">(.*?)</script>', call.content.decode())[1])
    assert data["page"] == {"url": participant.meeting.url}
    assert data["title"] == "Video meeting: Stand-up"
    assert data["frameUrl"] == f"{participant.meeting.url}?t={participant.pk}"
    noscript = re.search(r"<noscript>(.*?)</noscript>", call.content.decode())[1]
    assert 'title="Video meeting: Stand-up"' in noscript
    assert 'allow="camera"' in noscript
    assert "no-store" in call["Cache-Control"]
    assert provider.entered[-1][1].name == "Gil Guest"


def test_a_reload_of_the_call_enters_again_as_the_same_person(client, room, provider):
    come_in(client, room)
    for _ in range(2):
        assert client.get("/rooms/standup/call/").status_code == 200
    assert Participant.objects.count() == 1
    assert provider.calls.count("entry") == 2


def test_two_browsers_are_two_people(room):
    come_in(Client(), room, name="Ann")
    come_in(Client(), room, name="Ann")
    assert Participant.objects.count() == 2


def test_a_bare_visit_to_the_call_leads_to_the_form(client, room):
    make_meeting(room)
    assert client.get("/rooms/standup/call/")["Location"] == "/rooms/standup/"


def test_the_name_is_kept_for_next_time(client, room):
    send(client, room, name="Zoë O’Hara <3")
    assert 'value="Zoë O’Hara &lt;3"' in client.get("/rooms/standup/").content.decode()


def test_the_name_of_an_account_is_filled_in(client, room, host):
    assert 'value="Hanna Host"' in client.get("/rooms/standup/").content.decode()


def test_a_forged_cookie_is_nobody(client, room):
    participant = come_in(Client(), room)
    client.cookies["rooms_visits"] = json.dumps({str(participant.meeting_id): str(participant.pk)})
    client.cookies["rooms_name"] = "not:signed"
    assert client.get("/rooms/standup/call/")["Location"] == "/rooms/standup/"
    assert client.get("/rooms/standup/").status_code == 200


@pytest.mark.parametrize(
    ("data", "link", "sentence"),
    [
        ({"name": " ", "answer": "yes"}, "#name", "Enter your name."),
        ({"name": "Gil"}, "#answer-yes", "Choose yes or no."),
        ({"name": "Gil", "answer": "maybe"}, "#answer-yes", "Choose yes or no."),
        ({"name": "G\0", "answer": "yes"}, "#name", "Null characters"),
        ({"name": "G" * 101, "answer": "yes"}, "#name", "at most 100"),
    ],
)
def test_mistakes_are_told_at_the_top_and_at_the_field(client, room, provider, data, link, sentence):
    shown = client.get("/rooms/standup/")
    response = client.post("/rooms/standup/", {**data, "words": words_on(shown)})
    text = response.content.decode()
    assert response.status_code == 422
    assert "<title>Error: Stand-up" in text
    assert re.search(rf'role="alert".*href="{link}">[^<]*{sentence}', text, re.DOTALL)
    field = "name" if link == "#name" else "answer"
    assert f'id="{field}-error"' in text
    assert re.search(rf'aria-describedby="[^"]*{field}-error', text)
    assert f'value="{data["name"]}"' in text
    assert provider.calls == []


def test_new_words_are_asked_anew(client, room, provider):
    """What was answered is worth nothing for other words: here the room moved while the form was open."""
    shown = client.get("/rooms/standup/")
    move_room(room_id=room.pk, platform="fake-page", reason="a test", source="command")
    response = client.post("/rooms/standup/", {"name": "Gil", "answer": "yes", "words": words_on(shown)})
    assert response.status_code == 422
    assert "has changed" in response.content.decode()
    assert "checked" not in response.content.decode()
    assert words_on(response) != words_on(shown)
    assert not Consent.objects.exists()
    assert provider.calls == []


def test_no_form_is_taken_without_a_csrf_token(room, provider):
    strict = Client(enforce_csrf_checks=True)
    response = strict.post("/rooms/standup/", {"name": "Gil", "answer": "yes"})
    assert response.status_code == 403
    assert "The form has expired" in response.content.decode()
    assert provider.calls == []


def test_who_declines_where_all_have_to_agree_stays_out(client, provider):
    room = make_room(slug="strict", platform="fake", is_shared=True, consent_policy="required")
    response = send(client, room, answer="no")
    assert heading(response) == "You are not in the meeting"
    assert provider.calls == []
    assert come_in(client, room, answer="yes").answer == "yes"


def test_consent_keeps_the_exact_words_of_the_form(client, room):
    shown = client.get("/rooms/standup/").content.decode()
    consent = come_in(client, room).consents.get()
    question, yes, no = consent.text.body.split("\n")
    assert question in shown
    for line, name in ((yes, "yes"), (no, "no")):
        label, _, meaning = line.partition(": ")
        assert f'<label for="answer-{name}">{label}</label>' in shown
        assert f'<p id="{name}-means">{meaning}</p>' in shown


def test_a_room_that_moved_says_so_once(client, room):
    make_meeting(room, platform="fake-page", status="ended")
    assert "Same link, new video service" in client.get("/rooms/standup/").content.decode()
    make_meeting(room, opened_at=timezone.now(), status="ended")
    assert "Same link, new video service" not in client.get("/rooms/standup/").content.decode()


def test_a_running_recording_is_told_before_joining(client, room):
    Capture.objects.create(meeting=make_meeting(room), state="on")
    assert "Being recorded now" in client.get("/rooms/standup/").content.decode()


def test_browsers_inside_apps_are_told_so(client, room):
    agent = "Mozilla/5.0 (iPhone) AppleWebKit/605 Mobile/15E148 Instagram 300.0"
    assert "browser of another app" in client.get("/rooms/standup/", headers={"user-agent": agent}).content.decode()
    assert "browser of another app" not in client.get("/rooms/standup/").content.decode()


# -- who took part


def test_who_took_part_may_read_the_meeting(rf, client, room):
    participant = come_in(client, room)
    meeting = participant.meeting

    def asks(path="/", *, cookies=None, user=None):
        request = rf.get(path)
        request.COOKIES.update(cookies or {})
        from django.contrib.auth.models import AnonymousUser

        request.user = user or AnonymousUser()
        return request

    ours = {"rooms_visits": client.cookies["rooms_visits"].value}
    assert may_read(asks(cookies=ours), meeting)
    assert may_read(asks(f"/?receipt={participant.receipt_token}"), meeting)
    assert not may_read(asks(), meeting)
    assert not may_read(asks("/?receipt=x"), meeting)
    assert not may_read(asks("/?receipt=%00"), meeting)
    assert not may_read(asks(cookies=ours), make_meeting(make_room(platform="fake")))
    assert participant_for(asks(cookies=ours), meeting) == participant


def test_a_cookie_left_behind_by_an_account_is_nobody_else(client, room, host):
    come_in(client, room)
    cookie = client.cookies["rooms_visits"].value
    other = Client()
    other.cookies["rooms_visits"] = cookie
    assert other.get("/rooms/standup/call/")["Location"] == "/rooms/standup/"


# -- accounts


def test_sign_in_leads_back_to_the_room(client, room):
    make_user("gil", password="a good password")
    page = client.get("/accounts/login/", {"next": "/rooms/standup/"})
    assert heading(page) == "Sign in"
    wrong = client.post("/accounts/login/", {"username": "gil", "password": "wrong"})
    assert "<title>Error: Sign in" in wrong.content.decode()
    right = {"username": "gil", "password": "a good password", "next": "/rooms/standup/"}
    assert client.post("/accounts/login/", right)["Location"] == "/rooms/standup/"


def test_a_forgotten_password_is_reset_by_mail(client):
    make_user("gil", email="gil@example.org", password="a good password")
    assert heading(client.get(reverse("password_reset"))) == "Reset your password"
    done = client.post(reverse("password_reset"), {"email": "gil@example.org"}, follow=True)
    assert heading(done) == "Check your e-mail"
    path = re.search(r"https?://[^/]+(/accounts/reset/\S+)", mail.outbox[0].body)[1]
    form = client.get(path, follow=True)
    assert heading(form) == "Choose a new password"
    new = {"new_password1": "an even better one", "new_password2": "an even better one"}
    assert heading(client.post(form.redirect_chain[-1][0], new, follow=True)) == "Your password is changed"
    assert heading(client.get(path, follow=True)) == "The link has expired"
    assert client.login(username="gil", password="an even better one")


def test_staff_find_the_admin_in_the_footer(client):
    client.force_login(make_user("staff", is_staff=True))
    assert 'href="/admin/"' in client.get("/").content.decode()
    assert 'href="/admin/"' not in Client().get("/").content.decode()
