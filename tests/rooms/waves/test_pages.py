"""Waves in the admin, through the client: list, form, page."""

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models.signals import pre_save
from django.test.utils import CaptureQueriesContext

from platforms.models import ReadinessResult
from rooms.models import Room, Wave, WaveRoom
from tests.rooms.waves.conftest import WAVES, Told, looked, make_wave, on, said

pytestmark = pytest.mark.django_db


def typed(page, **more):
    """What a browser would send for the form as it was shown."""
    data = {"seen_hash": page.context["seen_hash"]}
    for form in (page.context["form"], *page.context["steps"], *page.context["blackouts"]):
        for field in form:
            value = field.value()
            if value not in (None, ""):
                data[field.html_name] = value
    for formset in (page.context["steps"], page.context["blackouts"]):
        data |= {field.html_name: field.value() for field in formset.management_form}
    return {name: value for name, value in (data | more).items() if value is not None}


# -- list


def test_the_list_says_what_a_wave_is_when_there_is_none(staff, db):
    page = staff.get(WAVES)
    assert page.status_code == 200
    assert "There is no wave yet" in page.content.decode()


def test_the_list_takes_the_same_queries_for_one_wave_and_for_many(staff, running):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(WAVES).status_code == 200
        return len(captured)

    staff.get(WAVES)
    one = queries()
    for number in range(5):
        make_wave(name=f"Wave {number}")
    assert queries() == one <= 12


# -- form


def test_a_new_wave_needs_a_name_and_a_reason_and_has_sane_steps(staff, rooms):
    page = staff.get(f"{WAVES}add/")
    done = staff.post(f"{WAVES}add/", typed(page, name="Spring", platform="daily", reason="cheaper"), follow=True)
    wave = Wave.objects.get()
    assert done.redirect_chain == [(f"{WAVES}{wave.pk}/change/", 302)]
    assert said(done) == ["Saved. “Spring” is a draft: nothing moves before it is started."]
    assert (wave.platform, wave.reason, wave.status, wave.selection) == ("daily", "cheaper", "draft", {"filter": {}})
    day = 24 * 60
    assert wave.steps == [
        {"percent": 5, "dwell_minutes": day, "min_meetings": 10},
        {"percent": 25, "dwell_minutes": day, "min_meetings": 20},
        {"percent": 50, "dwell_minutes": day, "min_meetings": 20},
        {"percent": 100, "dwell_minutes": day, "min_meetings": 0},
    ]
    assert LogEntry.objects.get().object_id == str(wave.pk)


def test_everything_that_is_typed_comes_back_for_changing(staff, rooms):
    ReadinessResult.objects.create(platform="daily", key="bucket", title="Bucket", status="ok", words="fine")
    first = staff.get(f"{WAVES}add/")
    data = typed(
        first,
        name="Spring",
        platform="daily",
        reason="cheaper",
        on="whereby",
        text="room",
        owner="ann",
        shared="no",
        recording_type="cloud",
        met_within_days=30,
        required_checks=["bucket"],
        trip_after=5,
        on_trip="roll_back",
        **{
            "steps-0-percent": "0.5",
            "steps-0-unit": "hours",
            "steps-3-percent": "",
            "blackouts-0-days": ["0", "4"],
            "blackouts-0-begins": "22:00",
            "blackouts-0-ends": "06:00",
        },
    )
    staff.post(f"{WAVES}add/", data)
    wave = Wave.objects.get()
    assert wave.selection == {
        "filter": {
            "platform": "whereby",
            "text": "room",
            "owner": "ann",
            "shared": False,
            "recording_type": "cloud",
            "met_within_days": 30,
        }
    }
    assert [step["percent"] for step in wave.steps] == [0.5, 25, 50]
    assert wave.steps[0]["dwell_minutes"] == 60
    assert wave.blackouts == [{"days": [0, 4], "from": "22:00", "to": "06:00"}]
    assert (wave.required_checks, wave.trip_after, wave.on_trip) == (["bucket"], 5, "roll_back")
    before = Wave.objects.values().get()
    again = staff.get(f"{WAVES}{wave.pk}/edit/")
    staff.post(f"{WAVES}{wave.pk}/edit/", typed(again))
    assert Wave.objects.values().get() == before


def test_rooms_are_listed_by_short_name_or_address(staff, rooms):
    page = staff.get(f"{WAVES}add/")
    listed = "room-1, Room-2\nhttps://rooms.example/rooms/room-3/ room-1"
    staff.post(f"{WAVES}add/", typed(page, name="Few", platform="daily", reason="r", by="list", rooms=listed))
    assert Wave.objects.get().selection == {"rooms": sorted(room.pk for room in rooms[1:4])}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "Give the wave a name of its own."),
        ({"name": "to the NEW one"}, "Another wave has this name."),
        ({"reason": " "}, "Say why: the reason is kept with every move."),
        ({"reason": "\u200b\u2800"}, "Say why: the reason is kept with every move."),
        ({"on": "daily"}, "Rooms that are there already do not move."),
        ({"by": "list", "rooms": ""}, "List at least one room"),
        ({"by": "list", "rooms": "room-1 nowhere"}, "No room has the short name “nowhere”."),
        ({"steps-1-percent": "5"}, "let the percentages grow"),
        ({"steps-0-percent": "0"}, "Give more than 0"),
        ({"steps-0-percent": "101"}, "less than or equal to 100"),
        ({f"steps-{n}-percent": "" for n in range(4)}, "A wave needs at least one step."),
        ({"blackouts-0-days": ["0"]}, "Say from when until when."),
        ({"blackouts-0-begins": "08:00"}, "Say on which days."),
        (
            {"blackouts-0-days": list("0123456"), "blackouts-0-begins": "08:00", "blackouts-0-ends": "08:00"},
            "These hours cover the whole week",
        ),
        ({"trip_after": "0"}, "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said_beside_it_and_nothing_is_saved(staff, rooms, change, words):
    make_wave()
    page = staff.get(f"{WAVES}add/")
    answer = staff.post(f"{WAVES}add/", typed(page, **{"name": "N", "platform": "daily", "reason": "r", **change}))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert Wave.objects.count() == 1


def test_a_wave_that_has_started_is_not_changed(staff, running):
    answer = staff.get(f"{WAVES}{running.pk}/edit/", follow=True)
    assert "what it does is fixed" in said(answer)[0]


def test_a_draft_that_is_started_while_somebody_changes_it_stays_as_it_was_started(staff, rooms, ann):
    told = Told(make_wave(), ann)
    page = staff.get(f"{WAVES}{told.pk}/edit/")
    told.do("start")
    answer = staff.post(f"{WAVES}{told.pk}/edit/", typed(page, reason="other"), follow=True)
    assert "what it does is fixed" in said(answer)[0]
    assert (told.wave.reason, told.wave.status) == ("pilot", "running")


def test_a_draft_that_somebody_else_changed_meanwhile_is_not_written_over_unseen(staff, rooms, client):
    url = f"{WAVES}{make_wave().pk}/edit/"
    mine = staff.get(url)
    ben = User.objects.create_user("ben", first_name="Ben", is_staff=True, is_superuser=True)
    client.force_login(ben)
    client.post(url, typed(client.get(url), trip_after=9))
    stale = client.post(url, typed(mine, reason="mine"))
    assert stale.status_code == 409
    assert "this draft was changed by Ben since you opened this page" in stale.content.decode()
    assert Wave.objects.values_list("trip_after", "reason").get() == (9, "pilot")
    assert client.post(url, typed(stale)).status_code == 302
    assert Wave.objects.values_list("trip_after", "reason").get() == (3, "mine")


@pytest.mark.parametrize(
    "change",
    [
        {"steps-1-dwell": "0"},
        {"steps-1-percent": "90"},
        {"steps-0-min_meetings": "7"},
        {"reason": "other"},
        {"trip_after": "50"},
        {"on_trip": "roll_back"},
        {"blackouts-0-days": ["0"], "blackouts-0-begins": "08:00", "blackouts-0-ends": "09:00"},
    ],
)
def test_a_draft_that_was_changed_after_the_look_is_not_started(staff, rooms, change):
    url = f"{WAVES}{make_wave().pk}/"
    page = staff.get(f"{url}start/")
    staff.post(f"{url}edit/", typed(staff.get(f"{url}edit/"), **change))
    stale = staff.post(f"{url}start/", {"reason": "go", **looked(page)})
    assert stale.status_code == 409
    assert stale.context["changes"] == ["The draft was changed by Ann Archer."]
    assert Wave.objects.get().status == "draft"
    assert staff.post(f"{url}start/", {"reason": "go", **looked(stale)}).status_code == 302


def test_only_a_draft_can_be_deleted(staff, running):
    draft = make_wave(name="Draft")
    assert staff.get(f"{WAVES}{running.pk}/delete/").status_code == 403
    assert staff.post(f"{WAVES}{draft.pk}/delete/", {"post": "yes"}).status_code == 302
    assert list(Wave.objects.all()) == [running.wave]


def test_a_draft_that_was_started_since_the_page_was_asked_for_is_not_deleted(staff, rf, ann, running):
    request = rf.post("/")
    request.user = ann
    as_it_was = Wave(pk=running.pk, status=Wave.Status.DRAFT)
    assert admin.site.get_model_admin(Wave).has_delete_permission(request, as_it_was)
    with pytest.raises(PermissionDenied):
        admin.site.get_model_admin(Wave).delete_model(request, as_it_was)
    assert Wave.objects.filter(pk=running.pk).exists()


def test_two_waves_of_one_name_saved_at_once_are_told_so(staff, rooms):
    def in_the_same_moment(**signal):
        Wave.objects.bulk_create([Wave(name="Spring", platform="daily", reason="r")], ignore_conflicts=True)

    page = staff.get(f"{WAVES}add/")
    pre_save.connect(in_the_same_moment, sender=Wave)
    try:
        answer = staff.post(f"{WAVES}add/", typed(page, name="Spring", platform="daily", reason="cheaper"))
    finally:
        pre_save.disconnect(in_the_same_moment, sender=Wave)
    assert answer.status_code == 422
    assert "Another wave has this name." in answer.content.decode()
    assert not Wave.objects.filter(reason="cheaper").exists()


# -- page


def test_the_page_says_where_the_wave_is_and_what_comes_next(staff, running):
    page = staff.get(f"{WAVES}{running.pk}/change/").content.decode()
    assert "Step 1 of 3: up to 10 % of 40 rooms" in page
    assert "Step 2 of 3, up to 50 %" in page
    assert "the time of this step to pass, until" in page
    moved = len(on("daily"))
    assert f"{moved} of 40 rooms ({100 * moved / 40:.1f} %)" in page
    assert "So far: 10 % on" in page
    assert f"/admin/rooms/waveroom/?wave__id__exact={running.pk}&amp;state__exact=moved" in page
    listed = staff.get(f"/admin/rooms/waveroom/?wave__id__exact={running.pk}&state__exact=moved")
    assert listed.context["cl"].result_count == moved
    assert staff.get(f"/admin/rooms/move/?wave__id__exact={running.pk}").context["cl"].result_count == moved


@pytest.mark.parametrize("status", ["draft", "running", "held", "rolled_back", "completed"])
def test_every_state_has_a_page_and_the_commands_that_make_sense(staff, running, status):
    Wave.objects.update(status=status, held_at=running.now, held_reason="Paused: lunch.", finished_at=running.now)
    page = staff.get(f"{WAVES}{running.pk}/change/")
    assert page.status_code == 200
    assert [label for _, label in page.context["commands"]] == {
        "draft": ["Start"],
        "running": ["Pause", "Next step now", "Shrink", "Roll back"],
        "held": ["Resume", "Shrink", "Roll back"],
        "rolled_back": ["Resume", "Close"],
        "completed": ["Roll back"],
    }[status]
    for url, _ in page.context["commands"]:
        assert staff.get(url).status_code in (200, 409)


def test_the_page_takes_the_same_queries_for_few_rooms_and_for_many(staff, running):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(f"{WAVES}{running.pk}/change/").status_code == 200
        return len(captured)

    queries()
    few = queries()
    more = Room.objects.bulk_create(Room(name=f"R {n}", slug=f"r-{n}", platform="whereby") for n in range(300))
    WaveRoom.objects.bulk_create(
        WaveRoom(wave=running.wave, room=room, bucket=n * 30, from_platform="whereby") for n, room in enumerate(more)
    )
    assert queries() == few <= 20
