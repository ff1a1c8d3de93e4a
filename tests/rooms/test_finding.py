"""One search over every list: few queries whatever it finds, and nothing that the lists would not find."""

import html
import re
import uuid
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse
from django.utils import timezone
from rest_framework.authtoken.models import Token

from meetings.models import Capture, Consent, ConsentText
from platforms.models import Alert, AlertDelivery, Heartbeat, WebhookEvent
from recordings.models import Recording, Transcript, TranscriptSegment
from rooms.models import Assignment, Experiment, Move, MoveOrder, Outcome, Waiver, Wave, WaveRoom
from rooms.staff import finding, search
from tests.factories import make_meeting, make_participant, make_room, make_stay

pytestmark = pytest.mark.django_db

FIND = "/admin/rooms/room/find/"
MOST_QUERIES = 12
SHOWN, MANY = 2, 4


def make_one_of_each_called(word: str, number: int) -> None:
    """A row of every kind that can be searched, all of them found by the word."""
    now = timezone.now() + timedelta(minutes=number)
    name = f"{word} {number}"
    user = User.objects.create_user(f"{word}{number}")
    Group.objects.create(name=name)
    Token.objects.create(user=user)
    room = make_room(name=name, slug=f"{word}-{number}", platform="whereby", owner=user)
    meeting = make_meeting(room)
    person = make_participant(meeting, name)
    make_stay(person)
    text = ConsentText.version_of(f"May {name} be recorded?")
    Consent.objects.create(participant=person, text=text, policy="choice", answer="yes")
    Capture.objects.create(meeting=meeting, state="failed", status="quarantined", error="no bucket")
    recording = Recording.objects.create(
        platform="whereby", provider_recording_id=f"{word}{number}", meeting=meeting, found_by="webhook"
    )
    TranscriptSegment.objects.create(
        transcript=Transcript.objects.create(recording=recording), start_ms=0, end_ms=1, text=name
    )
    WebhookEvent.objects.create(
        platform="whereby", body=b"{}", body_sha256=f"{number:064}", signed_at=now, event_id=name, received_at=now
    )
    Heartbeat.objects.create(name=f"job:{name}")
    alert = Alert.objects.create(key=name, title=name, words="w", inverse="i", opened_at=now)
    AlertDelivery.objects.create(alert=alert, kind="raised", channel="email", recipient=f"{word}@example.org")
    reasons = {"reason": name}
    Waiver.objects.create(platform="daily", check_key="clock", expires_at=now + timedelta(days=1), **reasons)
    MoveOrder.objects.create(platform="daily", due_at=now, **reasons)
    Move.objects.create(room=room, from_platform="whereby", to_platform="daily", source="admin", actor=user, **reasons)
    wave = Wave.objects.create(name=name, platform="daily", **reasons)
    WaveRoom.objects.create(wave=wave, room=room, bucket=1, from_platform="whereby")
    pilot = Experiment.objects.create(name=name, platform_a="whereby", platform_b="daily", **reasons)
    served = {"room": room, "platform": "whereby"}
    Assignment.objects.create(experiment=pilot, meeting_id=uuid.uuid4(), number=0, arm="A", **served)
    Outcome.objects.create(meeting_id=meeting.pk, kind="joined", met_at=now, mature_at=now, **served)


@pytest.fixture(autouse=True)
def _few_are_shown(monkeypatch):
    monkeypatch.setattr(finding, "MOST_FOUND", SHOWN)


@pytest.fixture
def viewer(client):
    """Sees every list and is no superuser: some rights are their own, some are their group's."""
    user = User.objects.create_user("viewer", is_staff=True)
    views = Permission.objects.filter(codename__startswith="view_").order_by("pk")
    group = Group.objects.create(name="viewers")
    group.permissions.set(views[::2])
    user.user_permissions.set(views[1::2])
    user.groups.add(group)
    client.force_login(user)
    return client


def searched_lists():
    return [one for one in admin.site._registry.values() if one.search_fields]


def links_by_section(page):
    """Title → (address, words) of its rows, and the address of the list's own search, if the section leads there."""
    found = {}
    sections = r'<section class="module looked-at"[^>]*>\s*<h2[^>]*>([^<]+)</h2>(.*?)</section>'
    for title, section in re.findall(sections, page.content.decode(), re.DOTALL):
        rows = re.findall(r'<td><a href="([^"]+)">([^<]*)</a></td>', section)
        more = re.search(r'<li><a href="([^"]+)">Show all</a>', section)
        found[title] = ([(address, html.unescape(words)) for address, words in rows], more and html.unescape(more[1]))
    return found


def as_each_list_finds(request, words):
    """The same, by asking every list alone."""
    found = {}
    for one in searched_lists():
        rows = one.get_search_results(request, one.get_queryset(request), words)[0]
        rows = rows.order_by(*(rows.query.order_by or one.opts.ordering), "-pk")
        address = f"admin:{one.opts.app_label}_{one.opts.model_name}_change"
        if links := [(reverse(address, args=[row.pk]), str(row)) for row in rows]:
            found[str(one.opts.verbose_name_plural).capitalize()] = links
    return found


@pytest.mark.parametrize(("rows", "looked_up"), [(0, 2000), (1, 2000), (MANY, 0), (MANY, SHOWN), (MANY, 2000)])
@pytest.mark.parametrize("who", ["viewer", "admin_client"])
@pytest.mark.parametrize("words", ["board", "board 1 e"])
def test_a_search_of_everything_takes_few_queries_and_finds_what_each_list_finds(
    request, rf, who, rows, words, looked_up, monkeypatch, django_assert_max_num_queries
):
    for number in range(rows):
        make_one_of_each_called("board", number)
    client = request.getfixturevalue(who)
    monkeypatch.setattr(search, "MOST_LOOKED_UP", looked_up)  # 0: as if every word were common
    with django_assert_max_num_queries(MOST_QUERIES):
        page = client.get(FIND, {"q": words})
    asks = rf.get(FIND)
    asks.user = User.objects.get(pk=client.session["_auth_user_id"])
    wanted, found = as_each_list_finds(asks, words), links_by_section(page)
    assert {title: links for title, (links, _) in found.items()} == {
        title: links[:SHOWN] for title, links in wanted.items()
    }
    assert {title for title, (_, more) in found.items() if more} == {
        title for title, links in wanted.items() if len(links) > SHOWN
    }


def test_every_kind_is_found_and_its_link_leads_to_the_list_s_own_search(admin_client):
    for number in range(MANY):
        make_one_of_each_called("board", number)
    found = links_by_section(admin_client.get(FIND, {"q": "board"}))
    assert list(found)[:3] == ["Rooms", "Meetings", "Participants"]
    assert set(found) == {str(one.model._meta.verbose_name_plural).capitalize() for one in searched_lists()}
    for title, (links, more) in found.items():
        assert len(links) == SHOWN, title
        assert more.endswith("?q=board"), title
        listed = admin_client.get(more)
        assert listed.status_code == 200
        assert listed.context["cl"].result_count == MANY, title


def test_lists_that_somebody_may_not_see_are_not_searched(client):
    make_one_of_each_called("board", 1)
    user = User.objects.create_user("bo", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_room"))
    client.force_login(user)
    assert set(links_by_section(client.get(FIND, {"q": "board"}))) == {"Rooms"}
