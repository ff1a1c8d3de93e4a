"""A room's history: everything in one list, in pages that miss nothing, and in the reader's time zone."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from meetings.models import Capture, Consent, ConsentText, Meeting
from platforms.models import Touched, WebhookEvent
from recordings.models import Recording, Transcript
from rooms.models import Move, Outcome
from rooms.rights import GROUPS, VIEWERS
from rooms.services import move_room
from rooms.staff import timeline
from rooms.staff.timeline import Cursor
from tests.factories import make_meeting, make_participant

pytestmark = pytest.mark.django_db

THEN = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def address(room, query=""):
    return f"/admin/rooms/room/{room.pk}/change/{query}"


def history(client, room, query=""):
    """What the page lists: (kind, words) pairs, newest first."""
    answer = client.get(address(room, query))
    assert answer.status_code == 200
    section = next(section for section in answer.context["sections"] if section.title == "History")
    shown = [one for _, entries in section.extra["days"] for one in entries]
    return [(one.kind, _text(f"{one.entry.what} {one.entry.by} {one.entry.words}")) for one in shown]


def _text(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def at(minute):
    return THEN + timedelta(minutes=minute)


def deliver(room, *, at, body=b"{}", **more):
    number = WebhookEvent.objects.count()
    event = WebhookEvent.objects.create(
        platform="whereby",
        body=body,
        body_sha256=f"{number:064}",
        signed_at=at,
        received_at=at,
        status="done",
        **{"event_type": "room.client.joined", "outcome": "joined: meeting", **more},
    )
    Touched.objects.create(event=event, label="rooms.Room", key=str(room.pk), received_at=at)
    return event


@pytest.fixture
def eventful(room, ann):
    """One of everything, a minute apart."""
    failed = make_meeting(
        room, status="failed", failure="503 from the <API>", opened_at=at(0), ended_at=at(1), end_reason="failed"
    )
    meeting = make_meeting(
        room,
        platform="daily",
        opened_at=at(2),
        status="ended",
        ended_at=at(6),
        end_reason="host",
        ended_by=ann,
        fell_back_from=failed,
        platform_reason="the other could not open it",
    )
    cleo = make_participant(meeting, "Cleo")
    words = ConsentText.version_of("May it?")
    Consent.objects.create(participant=cleo, text=words, policy="choice", answer="yes", answered_at=at(3))
    Capture.objects.create(meeting=meeting, state="off", reason="two people inside", wanted_at=at(4))
    deliver(room, at=at(5))
    recording = Recording.objects.create(
        platform="daily",
        provider_recording_id="r7",
        meeting=meeting,
        found_by="webhook",
        found_at=at(7),
        deleted_at=at(10),
        delete_reason="consent was withdrawn",
        status="done",
    )
    Transcript.objects.create(recording=recording, status="done", engine="moonshine", finished_at=at(8))
    Consent.objects.create(participant=cleo, text=words, policy="choice", answer="withdrawn", answered_at=at(9))
    Outcome.objects.create(
        meeting_id=meeting.pk,
        room=room,
        platform="daily",
        kind="recording",
        status="failure",
        words="none came",
        met_at=at(2),
        mature_at=at(11),
        decided_at=at(11),
    )
    move_room(room_id=room.pk, platform="daily", reason="pilot", source="admin", actor=ann, now=at(12))
    pinned = f"“{room}” is pinned to Daily: hearing aids"
    LogEntry.objects.log_actions(ann.pk, [room], CHANGE, pinned, single_object=True)
    moved = f"{Move.objects.get()}: pilot"
    LogEntry.objects.log_actions(ann.pk, [room], CHANGE, moved, single_object=True)
    LogEntry.objects.update(action_time=at(13))
    return room


def test_everything_that_happened_is_in_one_list_newest_first(staff, eventful):
    assert history(staff, eventful) == [
        ("staff", "“Standup” is pinned to Daily: hearing aids by Ann Archer"),
        ("moves", "Moved from ● Whereby to ◆ Daily by Ann Archer (staff in the admin) pilot"),
        ("outcomes", "Recording delivered ✕ failure meeting on ◆ Daily none came"),
        ("recordings", "Recording ○ deleted everywhere meeting consent was withdrawn"),
        ("consent", "Answer about recording ✕ withdrawn by Cleo in this meeting"),
        ("recordings", "Transcript ✓ done moonshine of this recording"),
        ("recordings", "Recording found ◆ Daily ✓ done by webhook, meeting"),
        ("meetings", "Meeting ended ◆ Daily by Ann Archer Ended by a host, after 4 min 00 s"),
        ("events", "room.client.joined ✓ done ● Whereby joined: meeting"),
        ("recordings", "Recording ordered ○ stopped meeting two people inside"),
        ("consent", "Answer about recording ✓ yes by Cleo in this meeting"),
        ("meetings", "Meeting opened in place of the one that failed ◆ Daily the other could not open it"),
        ("meetings", "Meeting ✕ failed to open ● Whereby 503 from the &lt;API&gt; Another opened on ◆ Daily instead."),
    ]


def test_every_entry_leads_to_its_row(staff, eventful):
    page = staff.get(address(eventful)).content.decode()
    rows = [
        *Meeting.objects.all(),
        *Consent.objects.all(),
        Capture.objects.get(),
        WebhookEvent.objects.get(),
        Recording.objects.get(),
        Transcript.objects.get(),
        Outcome.objects.get(),
        Move.objects.get(),
    ]
    for row in rows:
        link = f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"
        assert f'href="{link}"' in page
        assert staff.get(link).status_code == 200


def test_kinds_are_chosen_by_a_plain_form(staff, eventful):
    assert {kind for kind, _ in history(staff, eventful, "?type=consent&type=moves")} == {"consent", "moves"}
    page = staff.get(address(eventful, "?type=consent")).content.decode()
    assert '<input type="checkbox" name="type" value="consent" checked>' in page
    assert '<input type="checkbox" name="type" value="moves">' in page
    assert history(staff, eventful, "?type=nonsense") == history(staff, eventful)


def test_each_sees_only_what_they_may_look_at(client, eventful):
    user = User.objects.create_user("vic", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=["view_room", "view_move", "view_recording"]))
    client.force_login(user)
    assert {kind for kind, _ in history(client, eventful)} == {"staff", "moves", "recordings"}
    assert history(client, eventful, "?type=meetings") == history(client, eventful)
    assert 'name="type" value="consent"' not in client.get(address(eventful)).content.decode()


def test_viewers_see_all_of_it(client, eventful):
    user = User.objects.create_user("vic", is_staff=True)
    user.groups.add(Group.objects.get(name=VIEWERS))
    client.force_login(user)
    assert len(history(client, eventful)) == 13


def test_pages_miss_nothing_and_repeat_nothing_though_times_are_equal_and_more_happens(staff, room, monkeypatch):
    monkeypatch.setattr(timeline, "PAGE", 7)
    for number in range(10):
        for same in range(2):
            deliver(room, at=at(number), event_type=f"event {number} {same}")
            meeting = make_meeting(room, opened_at=at(number), status="ended", ended_at=at(number))
            meeting.platform_reason = f"meeting {number} {same}"
            meeting.save()
    everything = timeline.page(room.pk, list(timeline._strands.values()), size=1000)[0]
    assert len(everything) == 60
    seen, query = [], ""
    while query is not None:
        page = staff.get(address(room, query))
        section = page.context["sections"][0]
        seen += [one for _, entries in section.extra["days"] for one in entries]
        deliver(room, at=at(100), event_type="later")
        older = section.extra["older"]
        assert older == "" or f'href="{older.replace("&", "&amp;")}"' in page.content.decode()
        query = older.partition("#")[0] or None
    assert [one.entry for one in seen] == [one.entry for one in everything]


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "~~",
        "2026-11-22T08:00:00+00:00",
        "2026-11-22T08:00:00~move~1",
        "2026-11-22T08:00:00+00:00~nonsense~1",
        "2026-11-22T08:00:00+00:00~move~x",
        "2026-11-22T08:00:00+00:00~meeting-opened~7",
        "2026-13-22T08:00:00+00:00~move~1",
        "0001-01-01T00:00:00+14:00~move~1",
        "9999-12-31T23:59:59-14:00~move~1",
        "2026-11-22T08:00:00+00:00~move~\x00",
    ],
)
def test_an_address_that_names_no_place_shows_the_newest_and_says_so(staff, eventful, cursor):
    page = staff.get(address(eventful), {"before": cursor})
    assert page.status_code == 200
    assert "names no place in the history" in page.content.decode()
    assert Cursor.read(cursor) is None


@pytest.mark.parametrize("number", ["9" * 30, "-1"])
def test_keys_that_no_row_has_are_no_error(staff, eventful, number):
    assert staff.get(address(eventful), {"before": f"2026-11-22T08:12:00+00:00~move~{number}"}).status_code == 200


def test_a_page_takes_the_same_queries_however_long_the_history(staff, eventful, django_assert_num_queries):
    staff.get(address(eventful))  # content types are remembered
    with CaptureQueriesContext(connection) as few:
        staff.get(address(eventful))
    for number in range(60):
        deliver(eventful, at=at(number))
        meeting = make_meeting(eventful, opened_at=at(number), status="ended", ended_at=at(number + 1))
        Consent.objects.create(
            participant=make_participant(meeting), text=ConsentText.objects.get(), policy="choice", answer="yes"
        )
    with django_assert_num_queries(len(few)):
        staff.get(address(eventful))
    assert len([query for query in few if "LIMIT 41" in query["sql"]]) == 1
    assert len(few) <= 12


@pytest.mark.parametrize("group", GROUPS)
def test_a_rooms_page_takes_few_queries_whoever_looks_and_whoever_belongs_to_it(client, eventful, group):
    user = User.objects.create_user("vic", is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    eventful.owner = user
    eventful.save()
    bob = User.objects.create_user("bob")
    eventful.hosts.add(user, bob)
    eventful.members.add(bob)
    client.force_login(user)
    client.get(address(eventful))  # content types are remembered
    with CaptureQueriesContext(connection) as queries:
        page = client.get(address(eventful)).content.decode()
    assert len(queries) <= 12, [query["sql"] for query in queries]
    assert page.count("vic") >= 3
    assert page.count("bob") >= 2


def test_nothing_yet(staff, room):
    page = staff.get(address(room)).content.decode()
    assert "Nothing has happened in this room yet." in page
    assert "Nothing of this kind" in staff.get(address(room, "?type=moves")).content.decode()


# -- time zones --------------------------------------------------------------------------------------------------------


def test_times_are_shown_in_the_zone_that_their_reader_chose(staff, eventful):
    page = staff.get(address(eventful)).content.decode()
    assert "08:12:00 UTC</time>" in page
    assert "Times in UTC</a>" in page
    answer = staff.post("/admin/zone/", {"zone": "Asia/Tokyo", "next": address(eventful)}, follow=True)
    assert answer.redirect_chain == [(address(eventful), 302)]
    page = answer.content.decode()
    assert "17:12:00 JST</time>" in page
    assert "Times in Asia/Tokyo</a>" in page
    assert "Times are shown in Asia/Tokyo from now on, to you." in page
    staff.post("/admin/zone/", {"other": " UTC "})
    assert "08:12:00 UTC</time>" in staff.get(address(eventful)).content.decode()


def test_a_day_ends_when_it_ends_there(staff, room):
    deliver(room, at=datetime(2026, 11, 21, 20, 0, tzinfo=UTC))
    assert "<h3>21 November 2026</h3>" in staff.get(address(room)).content.decode()
    staff.post("/admin/zone/", {"zone": "Asia/Tokyo"})
    assert "<h3>22 November 2026</h3>" in staff.get(address(room)).content.decode()


@pytest.mark.parametrize("name", ["", "Middle-earth/Bree", "../../etc/passwd", "x" * 500, "\x00"])
def test_a_zone_that_does_not_exist_is_refused_with_a_sentence(staff, name):
    answer = staff.post("/admin/zone/", {"other": name})
    assert answer.status_code == 400
    words = answer.content.decode()
    assert (
        "No time zone is called" in words
        if name.strip("\x00")
        else "Choose a time zone." in words or "No time" in words
    )
    assert timezone.get_current_timezone_name() == "UTC"


def test_a_zone_is_one_readers_and_of_staff_pages_alone(staff, room, client):
    staff.post("/admin/zone/", {"zone": "Asia/Tokyo"})
    staff.get(address(room))
    assert timezone.get_current_timezone_name() == "UTC"
    staff.get("/")
    assert timezone.get_current_timezone_name() == "UTC"


def test_choosing_leads_nowhere_else(staff):
    answer = staff.post("/admin/zone/", {"zone": "UTC", "next": "https://evil.example/"})
    assert answer["Location"] == "/admin/rooms/room/"
    assert staff.get("/admin/zone/").status_code == 200
    assert staff.delete("/admin/zone/").status_code == 405


def test_who_is_not_staff_chooses_no_zone(client):
    assert client.get("/admin/zone/").status_code == 302
