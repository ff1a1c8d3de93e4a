from datetime import timedelta

import pytest
from django.db import Error, IntegrityError, connection, transaction
from django.utils import timezone

from meetings.apps import MeetingsConfig, keep_platform_fixed
from meetings.models import Capture, ConsentText, Meeting, ParticipantSession, PlatformIsFixed, Waiting
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay, make_user

pytestmark = pytest.mark.django_db


def at(seconds):
    return NOW + timedelta(seconds=seconds)


# -- a meeting's platform never changes


@pytest.fixture
def meeting():
    return make_meeting(make_room(platform="whereby"))


def test_platform_is_refused_by_the_model(meeting):
    meeting.platform = "daily"
    with pytest.raises(PlatformIsFixed, match="is on whereby"):
        meeting.save()
    again = Meeting.objects.get(pk=meeting.pk)
    again.platform = "daily"
    with pytest.raises(PlatformIsFixed):
        again.save(update_fields=["platform"])


@pytest.mark.parametrize(
    "change",
    [
        lambda pk: Meeting.objects.filter(pk=pk).update(platform="daily"),
        lambda pk: Meeting.objects.bulk_update([Meeting(pk=pk, platform="daily")], ["platform"]),
        lambda pk: Meeting(pk=pk, platform="daily", room=Meeting.objects.get(pk=pk).room).save(force_update=True),
        lambda pk: connection.cursor().execute("UPDATE meetings_meeting SET platform = 'daily'"),
    ],
    ids=["queryset.update", "bulk_update", "a row made by hand", "raw SQL"],
)
def test_platform_is_refused_by_the_database(meeting, change):
    with pytest.raises(IntegrityError, match="never changes platform"), transaction.atomic():
        change(meeting.pk)
    assert Meeting.objects.get(pk=meeting.pk).platform == "whereby"


def test_other_columns_change_freely(meeting):
    Meeting.objects.filter(pk=meeting.pk).update(platform="whereby", language="de")
    meeting.refresh_from_db()
    assert (meeting.platform, meeting.language) == ("whereby", "de")


def test_a_rebuilt_sqlite_table_gets_its_guard_back(meeting):
    if connection.vendor != "sqlite":
        keep_platform_fixed(using="default", sender=MeetingsConfig)  # PostgreSQL keeps its trigger; nothing to do
    else:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER meetings_meeting_platform_fixed")
        for _ in range(2):
            keep_platform_fixed(using="default", sender=MeetingsConfig)
    with pytest.raises(Error), transaction.atomic():
        Meeting.objects.filter(pk=meeting.pk).update(platform="daily")


def test_participant_is_on_the_platform_of_the_meeting(meeting):
    person = make_participant(meeting)
    assert (person.platform, person.provider_user_id) == ("whereby", str(person.pk))


# -- what the database keeps


def test_one_live_meeting_per_room(meeting):
    with pytest.raises(IntegrityError), transaction.atomic():
        make_meeting(meeting.room, status=Meeting.Status.OPENING)
    make_meeting(meeting.room, status=Meeting.Status.ENDED)
    make_meeting(meeting.room, status=Meeting.Status.FAILED)


def test_one_live_capture_per_meeting(meeting):
    Capture.objects.create(meeting=meeting)
    with pytest.raises(IntegrityError), transaction.atomic():
        Capture.objects.create(meeting=meeting, state=Capture.State.ON)
    Capture.objects.create(meeting=meeting, state=Capture.State.OFF)


def test_an_account_is_one_person_in_a_meeting(meeting):
    ann = make_user("ann")
    make_participant(meeting, user=ann)
    make_participant(make_meeting(), user=ann)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_participant(meeting, user=ann)


# -- stays


@pytest.mark.parametrize(
    ("facts", "left_at"),
    [
        ({}, None),
        ({"reported_left_at": at(60)}, at(60)),
        ({"last_joined_at": at(70), "reported_left_at": at(60)}, None),
        ({"joined_at": None, "last_joined_at": None, "reported_left_at": at(60)}, at(60)),
        ({"reported_left_at": at(60), "last_seen_at": at(80)}, at(60)),  # a ghost
    ],
    ids=["inside", "left", "came back", "only the leave is known", "ghost"],
)
def test_stay_ends_with_what_was_reported(meeting, facts, left_at):
    stay = make_stay(make_participant(meeting), **facts)
    stay.settle(meeting)
    assert stay.left_at == left_at


@pytest.mark.parametrize(
    ("looks", "gone"),
    [
        ([], False),
        ([100], False),
        ([100, 110], False),
        ([100, 120], True),
        ([60, 100], False),
        ([120, 100], True),
        ([10, 100, 120], True),
        ([100, 100], False),
    ],
)
def test_presence_needs_two_looks_after_the_last_sign(meeting, looks, gone):
    """Joined at 40 s: looks before 65 s may not know of it yet."""
    for look in looks:
        meeting.note_presence(at(look))
    stay = make_stay(make_participant(meeting), joined_at=at(40))
    stay.settle(meeting)
    assert (stay.left_at, stay.presumed_left_at) == ((at(40), at(40)) if gone else (None, None))


def test_whoever_is_seen_is_not_gone(meeting):
    meeting.note_presence(at(100))
    meeting.note_presence(at(120))
    stay = make_stay(make_participant(meeting), last_seen_at=at(100))
    stay.settle(meeting)
    assert stay.left_at is None


def test_end_of_a_meeting_ends_its_stays(meeting):
    meeting.ended_at = at(300)
    stay = make_stay(make_participant(meeting))
    stay.settle(meeting)
    assert stay.left_at == at(300)
    stay.fold_leave(at(304))  # the provider tells more exactly
    stay.settle(meeting)
    assert stay.left_at == at(304)


# -- captures


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "wanted"),
        ({"started_at": at(1)}, "on"),
        ({"started_at": at(1), "stop_wanted_at": at(2)}, "stopping"),
        ({"started_at": at(1), "stop_wanted_at": at(2), "stopped_at": at(3)}, "off"),
        ({"stop_wanted_at": at(2), "stopped_at": at(3), "started_at": at(4)}, "stopping"),
        ({"failed_at": at(3)}, "failed"),
        ({"failed_at": at(3), "started_at": at(4)}, "stopping"),
        ({"failed_at": at(3), "started_at": at(1), "ready_at": at(5)}, "off"),
    ],
)
def test_capture_state_follows_from_facts(facts, state):
    capture = Capture(**facts)
    capture.settle()
    assert capture.state == state


# -- knocking


def test_whoever_got_in_knocks_no_more(meeting):
    inside = make_stay(make_participant(meeting), joined_at=at(50))
    rows = {
        name: Waiting.objects.create(meeting=meeting, session_id=name, started_at=at(10), **fields)
        for name, fields in {
            "knocks": {},
            "gave up": {"ended_at": at(20)},
            "knocks again": {"ended_at": at(5)},
            "got in": {"user_id": inside.participant.provider_user_id},
            inside.session_id: {},
        }.items()
    }
    Waiting.objects.create(meeting=meeting, session_id="only the end is known", ended_at=at(20))
    assert set(meeting.waiting.open()) == {rows["knocks"], rows["knocks again"]}


def test_people_are_counted_once_however_many_stays_they_have(meeting):
    ann = make_participant(meeting)
    make_stay(ann)
    make_stay(ann)
    make_stay(make_participant(meeting, is_person=False))
    make_stay(make_participant(meeting), left_at=at(5))
    assert meeting.count_people() == 1
    assert ParticipantSession.objects.open().count() == 3


def test_new_words_are_a_new_version():
    first = ConsentText.version_of("May we?")
    assert ConsentText.version_of("May we?") == first
    assert ConsentText.version_of("May we!") != first
    assert ConsentText.version_of("May we?", language="de") != first
    assert first.created_at <= timezone.now()
