import re

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from meetings.models import Meeting, Participant, ParticipantSession
from rooms.models import Move, Room
from rooms.ordering import MOST_ORDERED
from rooms.services import move_room
from tests.accounts_for_platforms import ONLY_WHEREBY
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db

ROOMS = "/admin/rooms/room/"


def make_room(number, **more):
    return Room.objects.create(**{"name": f"Room {number}", "slug": f"room-{number}", "platform": "whereby", **more})


def make_live(room, people=2):
    meeting = Meeting.objects.create(room=room, platform=room.platform, status="open", opened_at=timezone.now())
    for number in range(people):
        who = Participant.objects.create(
            meeting=meeting, platform=room.platform, provider_user_id=f"p{number}", name="P"
        )
        for tab in "ab":
            ParticipantSession.objects.create(
                meeting=meeting, participant=who, session_id=f"{number}{tab}", joined_at=timezone.now()
            )
    return meeting


def hidden(page):
    """What a browser would send besides the reason."""
    text = page.content.decode()
    return {
        "seen": page.context["seen"],
        "seen_hash": re.search(r'name="seen_hash" value="(\w+)"', text)[1],
        "next": re.search(r'name="next" value="([^"]*)"', text)[1],
    }


def messages_of(response):
    return [str(message) for message in response.context["messages"]]


# -- list ---------------------------------------------------------------------------------


def test_list_shows_platform_live_meeting_people_and_a_way_to_move(staff, room):
    meeting = make_live(room)
    ParticipantSession.objects.create(  # a recorder is no person
        meeting=meeting,
        participant=Participant.objects.create(
            meeting=meeting, platform="whereby", provider_user_id="r", is_person=False
        ),
        session_id="r",
        joined_at=timezone.now(),
    )
    page = staff.get(ROOMS).content.decode()
    assert '<span aria-hidden="true">● </span>Whereby' in page
    assert f"/admin/meetings/meeting/{meeting.pk}/change/" in page
    assert '<td class="field-people_inside">2</td>' in page
    assert re.search(r'href="/admin/rooms/room/move/\?to=daily&amp;rooms=\d+&amp;next=[^"]+">Move to Daily…', page)
    assert "Move to Whereby…</option>" in page


def test_list_needs_the_same_few_queries_for_one_room_and_for_many(staff, django_assert_max_num_queries):
    counts = []
    for many in (1, 3, 30):
        for number in range(Room.objects.count(), many):
            make_live(make_room(number))
        with django_assert_max_num_queries(12) as queries:
            assert staff.get(ROOMS).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] == counts[2]


def test_list_hides_archived_rooms_until_asked_for(staff, room):
    make_room(1, archived_at=NOW)
    assert [row.name for row in staff.get(ROOMS).context["cl"].result_list] == ["Standup"]
    assert [row.name for row in staff.get(ROOMS, {"archived": "yes"}).context["cl"].result_list] == ["Room 1"]
    assert len(staff.get(ROOMS, {"archived": "all"}).context["cl"].result_list) == 2


def test_list_can_show_the_live_ones(staff, room):
    make_live(make_room(1))
    names = {answer: staff.get(ROOMS, {"live": answer}).context["cl"].result_list[0].name for answer in ("yes", "no")}
    assert names == {"yes": "Room 1", "no": "Standup"}


@pytest.mark.parametrize(
    "words",
    [
        "standup",
        "STAND",
        "http://testserver/rooms/standup/",
        "ann@example.org",
        "cleo",
        "provider-room-7",
        "https://x.whereby.com/provider-room-7?roomKey=s3cret",
        "recording-7",
        "session-7",
        "Standup cleo",
    ],
)
def test_search_takes_whatever_staff_have_in_hand(staff, room, ann, words):
    from recordings.models import Recording

    User.objects.filter(pk=ann.pk).update(email="ann@example.org")
    room.owner = ann
    room.save()
    room.members.add(User.objects.create_user("bo"), User.objects.create_user("di"))
    meeting = Meeting.objects.create(
        room=room, platform="whereby", status="ended", provider_room_name="provider-room-7"
    )
    for name in ("Cleo", "Cleo B", "Dan"):
        who = Participant.objects.create(meeting=meeting, platform="whereby", provider_user_id=name, name=name)
        ParticipantSession.objects.create(meeting=meeting, participant=who, session_id="session-7")
    Recording.objects.create(
        platform="whereby", provider_recording_id="recording-7", meeting=meeting, found_by="poller"
    )
    make_room(1)
    assert list(staff.get(ROOMS, {"q": words}).context["cl"].result_list) == [room]


def test_search_by_our_meeting_id(staff, room):
    meeting = make_live(room)
    make_room(1)
    assert list(staff.get(ROOMS, {"q": str(meeting.pk)}).context["cl"].result_list) == [room]


# -- moving ---------------------------------------------------------------------------------


def test_one_room_is_moved_with_the_link_a_reason_and_a_button(staff, room, ann):
    page = staff.get(ROOMS).content.decode()
    link = re.search(r'href="(/admin/rooms/room/move/[^"]+)"', page)[1].replace("&amp;", "&")
    page = staff.get(link)
    assert "Move 1 room to Daily" in page.content.decode()
    done = staff.post(link, {**hidden(page), "reason": "pilot"}, follow=True)
    assert done.redirect_chain == [(ROOMS, 302)]
    assert messages_of(done) == ["Moved 1 room to Daily, skipped 0."]
    assert list(Move.objects.values_list("room", "to_platform", "reason", "source", "actor")) == [
        (room.pk, "daily", "pilot", "admin", ann.pk)
    ]


def test_the_page_says_who_is_affected_now_and_who_is_not(staff, room):
    make_live(room, people=3)
    away = make_room(1, archived_at=NOW)
    there = make_room(2, platform="daily")
    rooms = ",".join(str(each.pk) for each in (room, away, there))
    page = re.sub(r"<[^>]+>|\s+", " ", staff.get(f"{ROOMS}move/?to=daily&rooms={rooms}").content.decode())
    page = re.sub(r"\s+", " ", page)
    assert "stays on ● Whereby with 3 people inside" in page
    assert "Room 1 is archived" in page
    assert "Room 2 is already on Daily" in page
    assert Move.objects.count() == 0


def test_a_live_meeting_stays_where_it_is(staff, room):
    meeting = make_live(room)
    address = f"{ROOMS}move/?to=daily&rooms={room.pk}"
    staff.post(address, {**hidden(staff.get(address)), "reason": "pilot"})
    meeting.refresh_from_db()
    assert (meeting.platform, meeting.status) == ("whereby", "open")
    assert Room.objects.get().platform == "daily"


def test_many_rooms_are_moved_by_the_action(staff, room):
    rooms = [room, make_room(1), make_room(2), make_room(3, platform="daily")]
    chosen = {"action": "move_to_daily", "_selected_action": [each.pk for each in rooms]}
    page = staff.post(f"{ROOMS}?is_shared__exact=0", chosen, follow=True)
    address = page.redirect_chain[-1][0]
    done = staff.post(address, {**hidden(page), "reason": "wave one"}, follow=True)
    assert done.redirect_chain == [(f"{ROOMS}?is_shared__exact=0", 302)]
    assert messages_of(done) == ["Moved 3 rooms to Daily, skipped 1 (“Room 3” is already on Daily)."]
    assert Room.objects.filter(platform="daily").count() == 4


def test_without_a_reason_nothing_moves_and_the_page_says_so(staff, room):
    address = f"{ROOMS}move/?to=daily&rooms={room.pk}"
    page = staff.post(address, {**hidden(staff.get(address)), "reason": "  "})
    assert "Say why" in page.content.decode()
    assert Move.objects.count() == 0


def test_when_something_changed_meanwhile_nothing_moves_and_the_page_says_what(staff, room, ann):
    other = make_room(1)
    address = f"{ROOMS}move/?to=daily&rooms={room.pk},{other.pk}"
    page = staff.get(address)
    move_room(room_id=other.pk, platform="daily", reason="was faster", source="admin", actor=ann, now=NOW)
    answer = staff.post(address, {**hidden(page), "reason": "pilot"})
    assert answer.status_code == 409
    assert "Something changed since you looked, so nothing was moved." in answer.content.decode()
    assert "by Ann Archer on 22 November at 14:03 UTC: was faster." in answer.content.decode()
    assert Room.objects.get(pk=room.pk).platform == "whereby"
    again = staff.post(address, {**hidden(answer), "reason": "pilot"})
    assert again.status_code == 302
    assert Room.objects.filter(platform="daily").count() == 2


@pytest.mark.parametrize("seen", ["", "no json", "{}", "[[1]]", '[["1", "whereby", null]]', "[]"])
def test_a_page_that_is_not_ours_moves_nothing(staff, room, seen):
    address = f"{ROOMS}move/?to=daily&rooms={room.pk}"
    answer = staff.post(address, {**hidden(staff.get(address)), "reason": "pilot", "seen": seen})
    assert answer.status_code in (200, 409)
    assert Move.objects.count() == 0


def test_a_platform_without_an_account_is_not_offered(staff, room, settings):
    settings.PLATFORM_ENVIRON = ONLY_WHEREBY
    assert "Daily…" not in staff.get(ROOMS).content.decode()
    page = staff.get(f"{ROOMS}move/?to=daily&rooms={room.pk}").content.decode()
    assert "cannot go to Daily, which is not configured" in page
    assert '<input type="text" name="reason"' not in page


def test_odd_addresses_of_the_page(staff, room):
    assert staff.get(f"{ROOMS}move/?to=zoom&rooms={room.pk}").status_code == 404
    assert staff.get(f"{ROOMS}move/?to=daily&rooms=x,9999999999999999999,-1").status_code == 200
    assert staff.get(f"{ROOMS}move/?to=daily").status_code == 200
    assert staff.get(f"{ROOMS}move/?to=daily&matching=no_such_field%3D1").status_code == 404
    many = ",".join(map(str, range(MOST_ORDERED + 1)))
    assert messages_of(staff.get(f"{ROOMS}move/?to=daily&rooms={many}", follow=True)) == [
        "Choose at most 20,000 rooms at a time."
    ]
    assert staff.put(f"{ROOMS}move/?to=daily").status_code == 405


def test_nobody_is_sent_to_another_site(staff, room):
    address = f"{ROOMS}move/?to=daily&rooms={room.pk}&next=https://evil.example/"
    answer = staff.post(address, {**hidden(staff.get(address)), "reason": "pilot"})
    assert answer["Location"] == ROOMS


def test_who_may_only_look_cannot_move(client, room):
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_room"))
    client.force_login(viewer)
    page = client.get(ROOMS).content.decode()
    assert "Standup" in page
    assert "Move to" not in page
    assert client.get(f"{ROOMS}move/?to=daily&rooms={room.pk}").status_code == 403
    made = move_room(room_id=room.pk, platform="daily", reason="r", source="admin")
    assert client.post(f"{ROOMS}undo/{made.batch}/").status_code == 403
    assert client.post(f"{ROOMS}{room.pk}/archive/").status_code == 403


# -- undo ---------------------------------------------------------------------------------


def test_a_bulk_move_is_taken_back_with_one_button(staff, room):
    rooms = [room, make_room(1)]
    address = f"{ROOMS}move/?to=daily&rooms={','.join(str(each.pk) for each in rooms)}"
    page = staff.post(address, {**hidden(staff.get(address)), "reason": "pilot"}, follow=True).content.decode()
    undo = re.search(r'action="(/admin/rooms/room/undo/[^"]+)"', page)[1]
    assert page.count("/undo/") == 1
    # on a room's own page too the button says that it takes back both
    assert "<span>2 rooms moved to Daily by Ann Archer" in staff.get(f"{ROOMS}{room.pk}/change/").content.decode()
    done = staff.post(undo, follow=True)
    assert messages_of(done) == ["Moved 2 rooms back, skipped 0."]
    assert Room.objects.filter(platform="whereby").count() == 2
    assert "/undo/" not in done.content.decode()


def test_undo_is_offered_for_ten_minutes(staff, room, time_machine):
    time_machine.move_to(NOW)
    move_room(room_id=room.pk, platform="daily", reason="pilot", source="command")
    time_machine.move_to(NOW.replace(minute=12))
    staff.force_login(User.objects.get(username="ann"))
    assert "/undo/" in staff.get(ROOMS).content.decode()
    assert "/undo/" in staff.get(f"{ROOMS}{room.pk}/change/").content.decode()
    time_machine.move_to(NOW.replace(minute=14))
    assert "/undo/" not in staff.get(ROOMS).content.decode()


def test_undo_says_what_it_could_not_take_back(staff, room, ann):
    rooms = [room, make_room(1)]
    address = f"{ROOMS}move/?to=daily&rooms={','.join(str(each.pk) for each in rooms)}"
    staff.post(address, {**hidden(staff.get(address)), "reason": "pilot"})
    batch = Move.objects.first().batch
    move_room(room_id=room.pk, platform="whereby", reason="no sound", source="admin", actor=ann)
    done = messages_of(staff.post(f"{ROOMS}undo/{batch}/", follow=True))
    assert done[-1].startswith("Moved 1 room back, skipped 1 (“Standup” was moved from Daily to Whereby by Ann Archer")
    assert staff.get(f"{ROOMS}undo/{batch}/").status_code == 405


# -- one room ---------------------------------------------------------------------------------


def form_of(room, **changes):
    data = {
        "name": room.name,
        "slug": room.slug,
        "mode": "group",
        "language": "en",
        "recording_type": "cloud",
        "recording_trigger": "automatic",
        "consent_policy": "choice",
        "enable_knocking": "on",
        "enable_chat": "on",
        "on_failure": "default",
    }
    return {**data, **changes}


def test_the_room_page_leads_everywhere_in_one_click(staff, room, ann):
    move_room(room_id=room.pk, platform="daily", reason="pilot", source="admin", actor=ann, now=NOW)
    ended = Meeting.objects.create(room=room, platform="whereby", status="ended")
    live = make_live(room)
    page = staff.get(f"{ROOMS}{room.pk}/change/").content.decode()
    for address in (
        f"/admin/meetings/meeting/{ended.pk}/change/",
        f"/admin/meetings/meeting/{live.pk}/change/",
        f"/admin/meetings/meeting/?room__id__exact={room.pk}",
        f"/admin/meetings/participant/?meeting__room__id__exact={room.pk}",
        f"/admin/recordings/recording/?meeting__room__id__exact={room.pk}",
        "/admin/platforms/webhookevent/?q=",
        f"/admin/rooms/move/{room.moves.get().pk}/change/",
        "/admin/rooms/room/move/?to=whereby",
    ):
        assert address in page
    assert "by Ann Archer: pilot" in page


def test_links_of_the_room_page_lead_to_lists_that_work(staff, room):
    live = make_live(room)
    make_live(make_room(1))
    page = staff.get(f"{ROOMS}{room.pk}/change/").content.decode()
    lists = [link for link in re.findall(r'href="(/admin/\w+/\w+/\?[^"]+)"', page) if "move/?to" not in link]
    assert len(lists) >= 4
    for address in lists:
        answer = staff.get(address.replace("&amp;", "&"))
        assert answer.status_code == 200, address
    shown = staff.get(f"/admin/meetings/meeting/?room__id__exact={room.pk}")
    assert list(shown.context["cl"].result_list) == [live]
    assert "Only those of" in shown.content.decode()


def test_the_room_page_says_what_went_wrong_with_its_recordings(staff, room):
    from meetings.models import Capture

    live = make_live(room)
    Capture.objects.create(meeting=live, state="failed", failed_at=NOW, error="The bucket <refuses> us.")
    Capture.objects.create(meeting=Meeting.objects.create(room=room, platform="whereby", status="ended"), state="off")
    page = staff.get(f"{ROOMS}{room.pk}/change/").content.decode()
    assert page.count('<span class="words">The bucket &lt;refuses&gt; us</span>') == 1


def test_editing_a_room_never_moves_it(staff, room):
    data = form_of(room, name="Daily standup", platform="daily", starts_on="daily")
    answer = staff.post(f"{ROOMS}{room.pk}/change/", data)
    assert answer.status_code == 302
    assert Room.objects.values_list("name", "platform").get() == ("Daily standup", "whereby")


def test_a_new_room_says_where_it_meets(staff):
    blank = Room(name="New", slug="new")
    assert staff.post(f"{ROOMS}add/", form_of(blank)).status_code == 200
    assert staff.post(f"{ROOMS}add/", form_of(blank, starts_on="daily")).status_code == 302
    assert Room.objects.get().platform == "daily"
    assert Move.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"slug": "admin"}, "slug"),
        ({"slug": "Meetings"}, "slug"),
        ({"slug": "OTHER"}, "slug"),
        ({"slug": "two words"}, "slug"),
        ({"language": "English"}, "language"),
        ({"max_participants": "1"}, "max_participants"),
        ({"mode": "normal", "max_participants": "12"}, "max_participants"),
        ({"is_locked": "on", "enable_knocking": ""}, "enable_knocking"),
        ({"name": ""}, "name"),
    ],
)
def test_what_a_room_cannot_be(staff, room, changes, field):
    make_room(1, slug="other")
    answer = staff.post(f"{ROOMS}{room.pk}/change/", form_of(room, **changes))
    assert list(answer.context["adminform"].form.errors) == [field]


@pytest.mark.parametrize("kind", ["none", "local"])
def test_a_room_that_is_not_recorded_by_us_has_no_trigger(staff, room, kind):
    staff.post(f"{ROOMS}{room.pk}/change/", form_of(room, recording_type=kind))
    assert Room.objects.values_list("recording_type", "recording_trigger").get() == (kind, "none")


PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (PNG, None),
        (b"GIF89a", "This is not a PNG picture."),
        (PNG + b"0" * 500_000, "The picture has 500 kB; at most 500 kB go."),
    ],
)
def test_the_logo_is_a_small_png(staff, room, settings, tmp_path, content, error):
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}},
    }
    answer = staff.post(f"{ROOMS}{room.pk}/change/", form_of(room, logo=SimpleUploadedFile("l.png", content)))
    if error:
        assert answer.context["adminform"].form.errors == {"logo": [error]}
        return
    shown = staff.get(f"{ROOMS}{room.pk}/logo/")
    assert (shown["Content-Type"], b"".join(shown.streaming_content)) == ("image/png", PNG)
    assert f"{ROOMS}{room.pk}/logo/" in staff.get(f"{ROOMS}{room.pk}/change/").content.decode()
    cleared = staff.post(f"{ROOMS}{room.pk}/change/", form_of(room, **{"logo-clear": "on"}))
    assert cleared.status_code == 302
    assert staff.get(f"{ROOMS}{room.pk}/logo/").status_code == 404


def test_rooms_are_archived_and_brought_back_not_deleted(staff, room):
    busy = make_room(1)
    make_live(busy)
    chosen = {"action": "archive", "_selected_action": [room.pk, busy.pk]}
    done = staff.post(ROOMS, chosen, follow=True)
    assert messages_of(done) == ["Archived 1, skipped 1 (1 with a live meeting)."]
    assert list(Room.objects.active()) == [busy]
    assert messages_of(staff.post(f"{ROOMS}{room.pk}/archive/", follow=True)) == [
        "Took 1 out of the archive, skipped 0."
    ]
    assert Room.objects.active().count() == 2
    assert staff.get(f"{ROOMS}{room.pk}/delete/").status_code == 403
    chosen = {"action": "restore", "_selected_action": [room.pk]}
    assert messages_of(staff.post(ROOMS, chosen, follow=True)) == ["Took 0 out of the archive, skipped 1."]


# -- moves and front page


def test_moves_can_be_looked_at_and_nothing_else(staff, room, ann):
    made = move_room(room_id=room.pk, platform="daily", reason="pilot", source="admin", actor=ann)
    assert "pilot" in staff.get("/admin/rooms/move/").content.decode()
    page = staff.get(f"/admin/rooms/move/{made.pk}/change/")
    assert reverse("admin:rooms_room_change", args=[room.pk]) in page.content.decode()
    assert staff.post(f"/admin/rooms/move/{made.pk}/change/", {"reason": "x"}).status_code == 405
    assert staff.get("/admin/rooms/move/add/").status_code == 403
    assert staff.post(f"/admin/rooms/move/{made.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_front_page_says_what_is_going_on(staff, room, ann):
    from recordings.models import Recording

    make_live(room, people=1)
    move_room(room_id=room.pk, platform="daily", reason="pilot", source="admin", actor=ann)
    Recording.objects.create(platform="daily", provider_recording_id="r", found_by="poller", status="quarantined")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", staff.get("/admin/").content.decode()))
    assert "Standup ● Whereby 1 person" in page
    assert "✕ 1 recording" in page
    assert "pilot" in page
    assert "◆ Daily 1 room 0 meetings ✓ open ◔ yes: never checked" in page


def test_the_front_page_tells_nothing_to_staff_without_permission(client, room):
    make_live(room)
    client.force_login(User.objects.create_user("new", is_staff=True))
    assert "Standup" not in client.get("/admin/").content.decode()
    assert "Standup" not in client.get(f"{ROOMS}find/?q=standup").content.decode()


def test_one_search_box_finds_everything(staff, room):
    meeting = make_live(room, people=1)
    page = staff.get(f"{ROOMS}find/", {"q": "standup"}).content.decode()
    for address in (
        f"/admin/rooms/room/{room.pk}/change/",
        f"/admin/meetings/meeting/{meeting.pk}/change/",
        f"/admin/meetings/participant/{meeting.participants.get().pk}/change/",
    ):
        assert address in page
    assert "Nothing found" in staff.get(f"{ROOMS}find/", {"q": "nowhere-at-all"}).content.decode()
    assert staff.get(f"{ROOMS}find/", {"q": "\x00 'x"}).status_code == 200


def test_people_are_picked_by_typing(staff, room, ann):
    page = staff.get(f"{ROOMS}{room.pk}/change/").content.decode()
    assert page.count('class="admin-autocomplete"') == 3
    found = staff.get("/admin/autocomplete/?app_label=rooms&model_name=room&field_name=hosts&term=ann").json()
    assert [each["id"] for each in found["results"]] == [str(ann.pk)]
    staff.post(f"{ROOMS}{room.pk}/change/", form_of(room, hosts=[ann.pk]))
    assert list(room.hosts.all()) == [ann]
