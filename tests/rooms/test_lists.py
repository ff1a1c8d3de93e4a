"""Lists at scale: counted no further than anybody looks, searched by index, with the same answers as plainly."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Q
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meetings.models import Meeting, Participant, ParticipantSession
from platforms.paging import CappedPaginator
from recordings.models import Recording
from rooms.models import Move, Room
from rooms.staff import search
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db

ROOMS = "/admin/rooms/room/"
WORDS = [
    "an",
    "anna",
    "room",
    "room-1",
    "room-12",
    "provider-3",
    "session-1",
    "rec-4",
    "bo@example.org",
    "e",
    "1",
    "xyz",
]


@pytest.fixture
def fleet(db):
    """Fifteen rooms with a meeting each, in which some words are rare and some are everywhere."""
    names = ["Anna", "Bo", "Joanna", "Dan", "Eve"]
    for number in range(15):
        owner = User.objects.create_user(f"owner{number}", email=f"{'bo' if number % 3 else 'di'}@example.org")
        room = Room.objects.create(name=f"Room {number}", slug=f"room-{number}", platform="whereby", owner=owner)
        room.members.add(owner)
        meeting = Meeting.objects.create(
            room=room, platform="whereby", status="ended", provider_room_name=f"/provider-{number}"
        )
        for name in names[: number % 6]:
            who = Participant.objects.create(meeting=meeting, platform="whereby", provider_user_id=name, name=name)
            ParticipantSession.objects.create(meeting=meeting, participant=who, session_id=f"session-{number}")
        if number % 2:
            Recording.objects.create(
                platform="whereby", provider_recording_id=f"rec-{number}", meeting=meeting, found_by="poller"
            )


def plainly(model, fields, words):
    """What the list should find, by joining everything to everything."""
    rows = model.objects.all()
    for word in words:
        found = Q()
        for field in fields:
            if field.endswith("id") and "provider" not in field and "session" not in field:
                continue  # keys, which are asked for whole
            if field.startswith("^"):
                found |= Q((f"{field[1:]}__istartswith", word)) | Q((f"{field[1:]}__istartswith", f"/{word}"))
            else:
                found |= Q((f"{field}__icontains", word))
        rows = rows.filter(pk__in=model.objects.filter(found).values("pk"))
    return set(rows.values_list("pk", flat=True))


@pytest.mark.parametrize("model", [Room, Meeting, Participant, ParticipantSession, Recording], ids=lambda m: m.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.sampled_from([*WORDS, "e", "1", "xyz"]), min_size=1, max_size=5),
    looked_up=st.sampled_from([0, 1, 3, 8, 2000]),
    tried=st.sampled_from([0, 1, 3]),
)
def test_a_search_finds_what_a_plain_one_does(fleet, model, words, looked_up, tried):
    fields = admin.site._registry[model].search_fields
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "MOST_LOOKED_UP", looked_up)  # as if there were more rows than are looked up by key
        patch.setattr(search, "MOST_TRIED", tried)
        found = list(search.matching(model.objects.all(), fields, " ".join(words)).values_list("pk", flat=True))
    assert len(found) == len(set(found))
    assert set(found) == plainly(model, fields, words)


def test_a_search_for_rare_words_asks_once_for_their_keys(fleet, django_assert_num_queries):
    fields = admin.site._registry[Room].search_fields
    with django_assert_num_queries(2):
        found = list(search.matching(Room.objects.all(), fields, "room-12 room joanna bo e"))
    assert [room.name for room in found] == []
    with django_assert_num_queries(2):
        found = list(search.matching(Room.objects.all(), fields, "provider-11 room anna"))
    assert [room.name for room in found] == ["Room 11"]


def test_a_copied_name_is_found_with_and_without_its_slash(fleet):
    fields = admin.site._registry[Meeting].search_fields
    for words in ("/provider-7", "provider-7", "https://x.example/provider-7?key=1"):
        assert [meeting.room.name for meeting in search.matching(Meeting.objects.all(), fields, words)] == ["Room 7"]


def test_no_more_is_counted_than_said(fleet, django_assert_num_queries):
    with django_assert_num_queries(1):
        few = CappedPaginator(Room.objects.all(), 4, most=10)
        assert (few.count, few.num_pages, few.has_more, few.counted) == (10, 3, True, "more than 10")
    assert len(few.page(3).object_list) == 2
    every = CappedPaginator(Room.objects.all(), 4, most=15)
    assert (every.count, every.has_more, every.counted) == (15, False, "15")
    with connection.execute_wrapper(lambda run, sql, *rest: _is_cut_off(sql) and run(sql, *rest)):
        assert CappedPaginator(Room.objects.all(), 4, most=3).count == 3


def _is_cut_off(sql):
    assert "LIMIT 4" in sql
    assert "ORDER BY" not in sql
    return True


def test_a_list_says_that_there_is_more(staff, fleet, monkeypatch):
    model_admin = admin.site._registry[Room]
    for limit in ("most_counted", "most_found"):
        monkeypatch.setattr(model_admin, limit, 12, raising=False)
    monkeypatch.setattr(model_admin, "list_per_page", 5)
    page = staff.get(ROOMS, {"p": 3})
    assert len(page.context["cl"].result_list) == 2
    text = page.content.decode()
    assert "more than 12 rooms" in text
    assert "Select all, more than 12 rooms" in text
    assert "more than 12 results" in staff.get(ROOMS, {"q": "room"}).content.decode()
    text = staff.get(ROOMS, {"q": "room-12"}).content.decode()
    assert "1 room\n" in text
    assert "more than" not in text


def test_all_rooms_are_chosen_however_few_were_counted(staff, fleet, monkeypatch):
    monkeypatch.setattr(admin.site._registry[Room], "most_counted", 12, raising=False)
    chosen = {"action": "move_to_daily", "select_across": "1", "_selected_action": [Room.objects.first().pk]}
    page = staff.post(ROOMS, chosen, follow=True)
    assert "Move 15 rooms to Daily" in page.content.decode()


def _move(room, at):
    return Move.objects.create(
        room=room, from_platform="whereby", to_platform="daily", reason="pilot", source="command", moved_at=at
    )


def test_dates_lead_down_to_a_day_without_reading_every_row(staff, room, django_assert_max_num_queries):
    _move(room, NOW.replace(year=2025, month=11, day=30))
    _move(room, NOW.replace(year=2026, month=2, day=3))

    def dates(**chosen):
        page = staff.get("/admin/rooms/move/", {f"moved_at__{part}": number for part, number in chosen.items()})
        assert page.status_code == 200
        nav = page.content.decode().partition('<nav class="toplinks">')[2].partition("</nav>")[0]
        return re.findall(r">(?:&lsaquo; )?([^<>]+)</a>", nav) or nav.split()

    with django_assert_max_num_queries(12):
        assert dates() == ["2025", "2026"]
    assert dates(year=2025) == ["All dates", "November 2025", "December 2025"]
    assert dates(year=2026, month=2) == ["2026", "1 February 2026", "2 February 2026", "3 February 2026"]
    assert dates(year=2026, month=2, day=3) == ["February 2026"]
    wrong = {"moved_at__year": 2026, "moved_at__month": 2, "moved_at__day": 31}
    assert staff.get("/admin/rooms/move/", wrong)["Location"] == "/admin/rooms/move/?e=1"
