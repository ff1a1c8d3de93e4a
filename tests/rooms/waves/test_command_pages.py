"""The page that confirms each command of a wave, through the client: what it says first, and that it does just that."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from platforms.alerts import alert
from platforms.models import Alert, ReadinessResult
from rooms import switching
from rooms.models import Room, Wave, WaveRoom
from rooms.services import move_room
from rooms.waves.commands import Command, preview
from rooms.waves.engine import bucket_of
from rooms.waves.tick import alert_key, tick
from rooms.words import minute_of
from tests.factories import make_meeting, make_participant, make_stay
from tests.rooms.waves.conftest import START, STEPS, WAVES, Told, checked, looked, make_wave, on, outcome, said, seen

pytestmark = pytest.mark.django_db


def test_start_shows_what_would_happen_and_does_exactly_that(staff, rooms, ann):
    Room.objects.filter(pk=rooms[0].pk).update(pinned_at=timezone.now(), pin_reason="board")
    move_room(room_id=rooms[1].pk, platform="daily", reason="r", source="admin")
    wave = make_wave(selection={"filter": {}})
    page = staff.get(f"{WAVES}{wave.pk}/start/")
    words = page.context["plan"].words
    assert words[0].startswith("39 rooms will move to Daily in 3 steps.")
    assert "1 room is on Daily already and stays as it is." in words
    assert "1 room is pinned and left alone; follows when the pin ends." in words
    done = staff.post(f"{WAVES}{wave.pk}/start/", {"reason": "go", "seen_hash": seen(page)}, follow=True)
    assert said(done) == ["Started with 40 rooms, 39 of them to move: go"]
    assert Wave.objects.get().status == "running"
    assert LogEntry.objects.get().change_message == "Started with 40 rooms, 39 of them to move: go"
    assert wave.entries.get().actor == ann


def test_a_stale_page_says_what_changed_since_it_was_made(staff, running, ann):
    before = min(on("daily"))
    move_room(room_id=before, platform="whereby", reason="before the look", source="admin", actor=ann)
    url = f"{WAVES}{running.pk}/rollback/"
    page = staff.get(url)
    moved = Room.objects.filter(platform="daily").order_by("pk")[0]
    move_room(room_id=moved.pk, platform="whereby", reason="sound.", source="admin", actor=ann)
    stranger = Room.objects.create(name="Not in it", slug="not-in-it", platform="daily")
    move_room(room_id=stranger.pk, platform="whereby", reason="r", source="admin", actor=ann)
    running.now = timezone.now()
    running.do("pause", "lunch")
    switching.close(platform="whereby", reason="outage", actor=ann)
    stale = staff.post(url, {"reason": "r", **looked(page)})
    assert stale.status_code == 409
    assert stale.context["changes"][:2] == [
        f"“{moved}” was moved to Whereby by Ann Archer: sound.",
        "Paused: lunch",
    ]
    assert stale.context["changes"][2].startswith("Whereby is closed for new meetings by Ann Archer")
    assert len(stale.context["changes"]) == 3
    assert "<li>Paused: lunch</li>" in stale.content.decode()
    assert running.wave.status == "held"
    assert staff.post(url, {"reason": "r", **looked(stale)}).status_code == 302


def test_a_stale_page_counts_what_it_does_not_list(staff, running, ann):
    url = f"{WAVES}{running.pk}/shrink/?percent=0"
    page = staff.get(url)
    Wave.objects.update(step_started_at=timezone.now() - timedelta(hours=2))
    before = len(on("daily"))
    tick(timezone.now())
    own = len(on("daily")) - before
    for pk in sorted(on("daily"))[:7]:
        move_room(room_id=pk, platform="whereby", reason="sound", source="admin", actor=ann)
    changes = staff.post(url, {"reason": "r", **looked(page)}).context["changes"]
    assert len([words for words in changes if "was moved to Whereby by Ann Archer" in words]) == 5
    assert changes[5:7] == ["2 more moves of its rooms.", f"The wave itself moved {own} rooms."]
    assert any(words.startswith("Step 2 of 3: up to 50 %") for words in changes[7:])


def test_start_says_who_is_meeting_in_the_rooms_of_the_first_step(staff, rooms):
    wave = make_wave()
    first, later = ([room for room in rooms if (bucket_of(wave.salt, room.uuid) < 1_000) is it] for it in (True, False))
    assert not any("live" in words for words in staff.get(f"{WAVES}{wave.pk}/start/").context["plan"].words)
    make_meeting(later[0])
    for room in first[:2]:
        make_stay(make_participant(make_meeting(room)))
    assert staff.get(f"{WAVES}{wave.pk}/start/").context["plan"].words[-1] == (
        "2 meetings are live in the rooms of the first step, with 2 people inside: they stay where they are until they "
        "end."
    )


def test_start_says_when_the_first_step_is_taken(rooms):
    def words(**hours):
        wave = make_wave(name=f"{hours}", blackouts=[{"days": [1], **hours}] if hours else [])
        return preview(wave, Command.START, now=START).words[1]

    moving = sum(bucket_of("0" * 32, room.uuid) < 1_000 for room in rooms)
    first = f"The first step, 10 %, moves {moving} rooms"
    assert words() == words(**{"from": "18:00", "to": "06:00"}) == f"{first} within a minute."
    assert words(**{"from": "08:00", "to": "18:00"}) == f"{first} after its blackout hours, on 3 March at 18:00 UTC."


def test_a_stale_page_does_nothing_and_shows_how_it_would_be_now(staff, rooms):
    wave = make_wave()
    page = staff.get(f"{WAVES}{wave.pk}/start/")
    move_room(room_id=rooms[1].pk, platform="daily", reason="r", source="admin")
    answer = staff.post(f"{WAVES}{wave.pk}/start/", {"reason": "go", "seen_hash": seen(page)})
    assert answer.status_code == 409
    assert "Something changed since you looked, so nothing was done." in answer.content.decode()
    assert answer.context["plan"].words[0].startswith("39 rooms")
    assert Wave.objects.get().status == "draft"
    staff.post(f"{WAVES}{wave.pk}/start/", {"reason": "go", "seen_hash": seen(answer)})
    assert Wave.objects.get().status == "running"


@pytest.mark.parametrize("command", ["start", "pause", "resume", "next", "rollback"])
def test_no_command_without_a_reason(staff, running, command):
    Wave.objects.update(status={"start": "draft", "resume": "held"}.get(command, "running"))
    WaveRoom.objects.filter(wave=running.wave).exclude(state="moved").delete()
    if command == "start":
        WaveRoom.objects.all().delete()
    before = Wave.objects.values().get()
    url = f"{WAVES}{running.pk}/{command}/"
    answer = staff.post(url, {"reason": "  ", "seen_hash": seen(staff.get(url))})
    assert "Say why" in answer.content.decode()
    assert Wave.objects.values().get() == before


def test_pause_resume_next_shrink_and_roll_back(staff, running):
    def order(command, query=""):
        url = f"{WAVES}{running.pk}/{command}/{query}"
        page = staff.get(url)
        done = staff.post(url, {"reason": "because", "seen_hash": seen(page)}, follow=True)
        return page.context["button"], said(done)

    assert order("pause") == ("Pause the wave", ["Paused: because"])
    assert running.wave.status == "held"
    assert order("resume") == ("Resume the wave", ["Resumed: because"])
    before = on("daily")
    button, words = order("next")
    assert words == ["Step 2 of 3: up to 50 % of the rooms. Taken ahead of its time: because"]
    assert button == f"Move {len(on('daily') - before)} rooms now"
    assert on("daily") == running.within
    running.tick()
    grown = on("daily")
    button, words = order("shrink", "?percent=20")
    assert words == ["Shrunk to 20 %: because"]
    assert button == f"Shrink to 20 %: {len(grown - on('daily'))} rooms back"
    assert before <= on("daily") == running.within < grown
    assert (running.wave.status, running.wave.reached, running.wave.step) == ("held", 2_000, 0)
    moved = len(on("daily"))
    button, words = order("rollback")
    assert (button, words) == (f"Roll back {moved} rooms", ["Rolled back: because"])
    assert (running.wave.status, on("daily")) == ("rolled_back", set())
    assert order("resume")[1] == ["Resumed: because"]
    running.now = timezone.now()
    tick(running.now)
    assert on("daily") == before


def test_a_wave_that_was_stopped_again_meanwhile_is_not_resumed_by_a_page_from_before(staff, running, ann):
    url = f"{WAVES}{running.pk}/resume/"
    running.do("pause", "lunch")
    page = staff.get(url)
    running.do("resume")
    running.now = timezone.now()
    for minute in (1, 2, 3):
        outcome(min(on("daily")), "failure", at=running.now + timedelta(minutes=minute))
    tick(running.now + timedelta(minutes=5))
    assert running.wave.held_reason.startswith("Held by the guard: 3 failures in a row")
    stale = staff.post(url, {"reason": "lunch is over", **looked(page)})
    assert stale.status_code == 409
    assert stale.context["changes"][0].startswith("Held by the guard: 3 failures in a row")
    assert running.wave.status == "held"
    assert Alert.objects.get().settled_at is None


def test_a_wave_that_the_guard_rolled_back_is_closed_and_its_alert_with_it(staff, running):
    running.do("rollback")
    alert(alert_key(running.wave), title="t", words="w", evidence={}, inverse="i")
    url = f"{WAVES}{running.pk}/close/"
    staff.post(url, {"reason": "another way", "seen_hash": seen(staff.get(url))})
    entry = running.wave.entries.first()
    assert (running.wave.status, entry.words) == ("completed", "Closed after it was rolled back: another way")
    assert Alert.objects.get().settled_words == "Closed: another way"
    page = staff.get(f"{WAVES}{running.pk}/change/")
    assert page.context["commands"] == []
    assert staff.get(f"{WAVES}{running.pk}/resume/").status_code == 409


def test_a_wave_is_not_closed_while_rooms_are_still_to_be_moved_back(staff, running):
    Wave.objects.update(status="rolled_back", reached=0)
    answer = staff.get(f"{WAVES}{running.pk}/close/")
    assert answer.status_code == 409
    assert "still to be moved back" in answer.content.decode()


def test_shrinking_asks_how_far_and_refuses_what_is_no_less(staff, running):
    url = f"{WAVES}{running.pk}/shrink/"
    assert "Show what would happen" in staff.get(url).content.decode()
    for percent in ("", "x", "-1", "101"):
        assert "Show what would happen" in staff.get(url, {"percent": percent}).content.decode()
    answer = staff.get(url, {"percent": "10"})
    assert answer.status_code == 409
    assert "is no less" in answer.content.decode()


@pytest.mark.parametrize(
    ("rights", "looks", "commands"), [((), 403, 403), (("view_wave",), 200, 403), (("change_wave",), 200, 200)]
)
def test_who_may_do_what(client, running, rights, looks, commands):
    ben = User.objects.create_user("ben", is_staff=True)
    ben.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(ben)
    assert client.get(f"{WAVES}{running.pk}/change/").status_code == looks
    assert client.get(f"/admin/rooms/waveroom/?wave__id__exact={running.pk}").status_code == looks
    assert client.get(f"{WAVES}{running.pk}/pause/").status_code == commands
    assert client.post(f"{WAVES}{running.pk}/pause/", {"reason": "r"}).status_code == commands
    assert client.get(f"{WAVES}add/").status_code == 403
    assert running.wave.status == "running"
    shown = client.get(f"{WAVES}{running.pk}/change/")
    assert looks == 403 or bool(shown.context["commands"]) == (commands == 200)


def test_a_wave_that_is_not_there(staff, db):
    for path in ("999/pause/", "999/edit/", "999/change/"):
        assert staff.get(f"{WAVES}{path}").status_code == 302


def test_an_hour_of_dwell_shows_as_the_time_before_which_nothing_comes(staff, running):
    facts = dict(staff.get(f"{WAVES}{running.pk}/change/").context["sections"][0].facts)
    assert f"{timezone.localtime(running.now + timedelta(hours=1)):%H:%M:%S}" in facts["Not before"]


def test_what_is_left_alone_and_who_is_meeting_is_said_before(staff, running, ann):
    rows = list(running.wave.rooms.filter(state="moved").select_related("room"))
    pinned, touched, live = rows[0].room, rows[1].room, rows[2].room
    Room.objects.filter(pk=pinned.pk).update(pinned_at=timezone.now(), pin_reason="board")
    for platform in ("whereby", "daily"):
        move_room(room_id=touched.pk, platform=platform, reason="r", source="admin", actor=ann)
    meeting = make_meeting(live, platform="daily", opened_at=timezone.now())
    make_stay(make_participant(meeting))
    url = f"{WAVES}{running.pk}/rollback/"
    page = staff.get(url)
    going = len(rows) - 2
    assert page.context["plan"].words[:3] == [
        f"{going} rooms that this wave moved go back to where they came from, at once for new meetings.",
        "1 meeting is live in them, with 1 person inside: they stay where they are until they end.",
        "2 rooms are left alone: pinned, archived, or moved by hand since.",
    ]
    staff.post(url, {"reason": "sound", "seen_hash": seen(page)})
    assert running.states == {"waiting": 40 - len(rows), "left": 2, "returned": going}
    assert on("daily") == {pinned.pk, touched.pk}


# -- next step now


@pytest.fixture
def next_words(staff, running):
    """What the page of "Next step now" says: its sentences, or why there is none."""

    def words():
        page = staff.get(f"{WAVES}{running.pk}/next/")
        plan = page.context["plan"]
        return page.context["problem"] if plan is None else plan.words

    return words


def test_next_says_which_rooms_move_and_what_is_not_waited_for(next_words, running, monkeypatch):
    Wave.objects.update(steps=[{**STEPS[0], "min_meetings": 5}, *STEPS[1:]])
    moving = running.wave.rooms.filter(state="waiting", bucket__lt=5_000).count()
    until = minute_of(running.wave.step_started_at + timedelta(hours=1))
    assert next_words() == [
        f"{moving} rooms move to Daily now: step 2 of 3, up to 50 %.",
        f"The wave would wait for the time of this step to pass, until {until}; and for meetings in rooms that it "
        "moved: 0 of 5 judged since this step. That is not waited for.",
    ]
    monkeypatch.setattr("rooms.waves.commands.MOST_FORTH", moving - 1)
    assert next_words()[1] == f"The first {moving - 1} move at once, the others within the next minutes."
    Wave.objects.update(steps=STEPS, step_started_at=timezone.now() - timedelta(hours=2))
    assert next_words()[2:] == [
        "The wave would take this step by itself within a minute: there is nothing left that it waits for."
    ]


def test_next_says_that_rooms_of_earlier_steps_follow(next_words, running):
    row = running.wave.rooms.filter(state="moved").first()
    moving = running.wave.rooms.filter(state="waiting", bucket__lt=5_000).count()
    Room.objects.filter(pk=row.room_id).write_platform("whereby")
    WaveRoom.objects.filter(pk=row.pk).update(state="left", words="pinned")
    assert next_words()[:2] == [
        f"{moving + 1} rooms move to Daily now: step 2 of 3, up to 50 %.",
        "1 of them was left alone before and follows now: what kept it has ended.",
    ]


def test_next_of_a_step_without_rooms_says_so(staff, next_words, running):
    running.wave.rooms.filter(state="waiting").delete()
    assert next_words()[0] == (
        "No room moves: the wave has none to move in step 2 of 3, up to 50 %. The time of that step begins at once."
    )
    assert staff.get(f"{WAVES}{running.pk}/next/").context["button"] == "Take the next step"


def test_next_is_refused_until_the_guard_has_seen_what_happened(staff, next_words, running):
    moved = running.wave.rooms.filter(state="moved").first().room_id
    seen_before = seen(staff.get(f"{WAVES}{running.pk}/next/"))
    overdue = outcome(moved, "pending", at=timezone.now() - timedelta(minutes=5))
    before = (on("daily"), running.log)
    not_yet = "The guard has not seen yet what happened on the target, so nothing more is moved there. "
    assert next_words() == (
        f"{not_yet}The wave waits for outcomes of the last meetings, which are still being looked at. The sweeper sees "
        "to that within minutes; try again then."
    )
    answer = staff.post(f"{WAVES}{running.pk}/next/", {"reason": "hurry", "seen_hash": seen_before})
    assert answer.status_code == 409
    assert (on("daily"), running.log) == before
    overdue.delete()
    check = checked("credentials", "ok")
    assert next_words().startswith(f"{not_yet}The wave waits for Daily to be checked again: it was last on 3 March")
    ReadinessResult.objects.filter(pk=check.pk).update(checked_at=timezone.now())
    assert next_words()[0].endswith("rooms move to Daily now: step 2 of 3, up to 50 %.")


@pytest.mark.parametrize(("on_trip", "then"), [("hold", "hold this wave"), ("roll_back", "roll this wave back")])
def test_next_is_refused_when_the_guard_is_about_to_act(next_words, running, on_trip, then):
    Wave.objects.update(on_trip=on_trip)
    moved = running.wave.rooms.filter(state="moved").first().room_id
    for minute in (1, 2, 3):
        outcome(moved, "failure", at=timezone.now() + timedelta(minutes=minute))
    assert next_words().startswith(f"The guard is about to {then}: 3 failures in a row of ")


def test_next_while_a_step_is_being_carried_out_says_what_that_waits_for(next_words, running):
    Wave.objects.update(step_started_at=None)
    assert next_words() == ("Step 1 is still being carried out: its last rooms were just moved. Try again in a minute.")
    Wave.objects.update(reached=5_000)
    left = running.wave.rooms.filter(state="waiting", bucket__lt=5_000).count()
    assert next_words() == f"Step 1 is still being carried out: {left} rooms to go. Try again in a minute."
    Wave.objects.update(blackouts=[{"days": list(range(7)), "from": "00:00", "to": "00:00"}])
    assert next_words() == (
        f"Step 1 is still being carried out: {left} rooms to go. It waits for an hour that is not blacked out: there "
        "is none."
    )


def test_next_is_refused_while_something_stands_in_the_way(staff, running):
    url = f"{WAVES}{running.pk}/next/"
    check = ReadinessResult.objects.create(
        platform="daily", key="bucket", title="Bucket", status="failed", words="cannot be read"
    )
    answer = staff.get(url)
    assert answer.status_code == 409
    assert "Rooms cannot go to Daily: Bucket: cannot be read." in answer.content.decode()
    check.delete()
    Wave.objects.update(blackouts=[{"days": list(range(7)), "from": "00:00", "to": "00:00"}])
    assert "blackout hours" in staff.get(url).content.decode()
    Wave.objects.update(blackouts=[], step_started_at=None)
    assert "is still being carried out" in staff.get(url).content.decode()


def test_a_wave_that_is_rolled_back_resumes_only_when_no_other_holds_its_rooms(staff, running, ann):
    running.do("rollback")
    other = Told(make_wave(name="Other"), ann)
    other.do("start")
    answer = staff.get(f"{WAVES}{running.pk}/resume/")
    assert answer.status_code == 409
    assert "40 rooms of “To the new one” are in another wave now (“Other”)" in answer.content.decode()
    other.do("rollback")
    assert staff.get(f"{WAVES}{running.pk}/resume/").status_code == 200


def test_rooms_of_another_wave_are_named_and_left_out(staff, running, rooms):
    extra = Room.objects.create(name="Extra", slug="extra", platform="whereby")
    wave = make_wave(name="Other", selection={"rooms": [extra.pk, *(room.pk for room in rooms[:2])]})
    words = staff.get(f"{WAVES}{wave.pk}/start/").context["plan"].words
    assert words[0].startswith("1 room will move to Daily")
    assert words[-1].startswith("2 rooms are left out because another wave that is not over holds them: “Room 0” in ")
    nothing = make_wave(name="None", selection={"rooms": [rooms[0].pk]})
    answer = staff.get(f"{WAVES}{nothing.pk}/start/")
    assert "There is no room to move: another wave holds the rooms that you chose." in answer.content.decode()
