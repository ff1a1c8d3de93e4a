"""The front page: what is wrong, what is under way, where rooms are. In a few queries, for whom may see it."""

import re
import uuid
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from platforms import registry
from platforms.alerts import alert, settle
from platforms.models import Heartbeat, ReadinessResult, WebhookEvent
from recordings.models import Recording
from rooms import switching
from rooms.models import Experiment, Move, MoveOrder, MoveOrderRoom, Outcome, Room, Waiver, Wave, WaveRoom
from rooms.pinning import pin_room
from rooms.readiness import results_of_all
from rooms.rights import VIEWERS
from rooms.services import move_room
from rooms.staff import readiness as readiness_pages
from tests.factories import make_meeting, make_participant, make_room, make_stay

pytestmark = pytest.mark.django_db

FRONT = "/admin/"


@pytest.fixture(autouse=True)
def sweeper(db):
    return Heartbeat.objects.create(name="sweeper", beat_at=timezone.now())


def text(page):
    assert page.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).split())


def section(page, title):
    """What the section says, without its tags; fails when there is none."""
    html = page.content.decode()
    found = re.search(rf"<section[^>]*>\s*<h2[^>]*>{title}</h2>(.*?)</section>", html, re.S)
    assert found, f"no section {title}"
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def links(page):
    return set(re.findall(r'href="([^"]+)"', page.content.decode()))


def make_wave(rooms, *, moved=0, now, **fields):
    wave = Wave.objects.create(
        **{
            "name": "To the new one",
            "platform": "daily",
            "reason": "pilot",
            "status": "running",
            "steps": [
                {"percent": 10, "dwell_minutes": 60, "min_meetings": 3},
                {"percent": 100, "dwell_minutes": 60, "min_meetings": 0},
            ],
            "step": 0,
            "reached": 1000,
            "started_at": now - timedelta(hours=2),
            "step_started_at": now - timedelta(minutes=10),
            **fields,
        }
    )
    WaveRoom.objects.bulk_create(
        WaveRoom(
            wave=wave,
            room=room,
            bucket=number * 10_000 // len(rooms),
            from_platform="whereby",
            state="moved" if number < moved else "waiting",
        )
        for number, room in enumerate(rooms)
    )
    return wave


def fill(ann, now):
    """Something in every section."""
    room = make_room(slug="board", name="Board", platform="whereby")
    make_room(slug="old", platform="whereby", archived_at=now)
    make_stay(make_participant(make_meeting(make_room(slug="live", platform="daily"), opened_at=now)), joined_at=now)
    move_room(room_id=room.pk, platform="daily", reason="trouble with sound", source="admin", actor=ann)
    pin_room(room_id=room.pk, reason="hearing aids", actor=ann)
    alert(
        "webhook:daily",
        title="The webhook has failed",
        words="It does not deliver.",
        evidence={"failures in a row": 7},
        inverse="Start it again",
        inverse_url="/admin/platform/daily/",
        severity="critical",
    )
    switching.close(platform="whereby", reason="outage", actor=ann)
    Recording.objects.create(
        platform="daily", provider_recording_id="r", found_by="poller", status=Recording.Status.QUARANTINED
    )
    order = MoveOrder.objects.create(
        kind="scheduled",
        platform="whereby",
        reason="back in the evening",
        actor=ann,
        scheduled_for=now + timedelta(hours=3),
        due_at=now + timedelta(hours=3),
    )
    MoveOrderRoom.objects.create(order=order, room=room, seen_on="daily")
    trial = Experiment.objects.create(
        name="Sound", reason="is it better", platform_a="whereby", platform_b="daily", status="running", started_at=now
    )
    trial.rooms.add(room)
    make_wave([room], moved=1, now=now)


def test_an_empty_installation_says_so_in_every_section(staff):
    page = staff.get(FRONT)
    assert section(page, "Alerts").startswith("Nothing is wrong, as far as we can see.")
    assert section(page, "Under way and to come").startswith("No wave, no experiment and no move is under way.")
    assert section(page, "Fleet").startswith("0 rooms on Whereby, 0 rooms on Daily, 0 rooms archived.")
    assert "<svg viewBox" not in page.content.decode().partition('class="fleet"')[2].partition("</figure>")[0]
    assert section(page, "Live now").startswith("Nobody is meeting now.")
    assert section(page, "Stuck work") == "Nothing is stuck."
    assert section(page, "Pinned without an end").startswith("Every pin has an end")
    assert section(page, "Latest moves").startswith("No room was moved yet.")


def test_everything_that_matters_is_there_and_leads_on(staff, ann):
    now = timezone.now()
    fill(ann, now)
    page = staff.get(FRONT)
    alerts = section(page, "Alerts")
    assert "✕ critical" in alerts
    assert "The webhook has failed It does not deliver. failures in a row 7 Start it again" in alerts
    under_way = section(page, "Under way and to come")
    assert "Wave To the new one to ◆ Daily" in under_way
    assert "Step 1 of 2: up to 10 % of 1 room Step 2 of 2, up to 100 %" in under_way
    assert "the time of this step to pass" in under_way
    assert "meetings in rooms that it moved: 0 of 3 judged since this step" in under_way
    assert "Experiment Sound ● Whereby against ◆ Daily ◔ running in 1 room" in under_way
    assert "Move to ● Whereby ○ to come back in the evening, ordered by Ann Archer 1 room to Whereby" in under_way
    fleet = section(page, "Fleet")
    assert "0 rooms on Whereby, 2 rooms on Daily, 1 room archived." in fleet
    assert "✕ closed Closed for new meetings by Ann Archer" in fleet
    assert "outage" in fleet
    assert "2 rooms 1 meeting ✓ open" in fleet
    assert section(page, "Live now").startswith("Room On Inside Since Live ◆ Daily 1 person")
    assert "✕ 1 recording" in section(page, "Stuck work")
    assert "Board ◆ Daily hearing aids Ann Archer" in section(page, "Pinned without an end")
    assert re.search(r"Board ◆ Daily .* Ann Archer trouble with sound", section(page, "Latest moves"))
    for link in sorted(links(page)):
        if link.startswith(("/admin/", "?")):
            assert staff.get(link.replace("&amp;", "&")).status_code in (200, 302), link


def test_counts_lead_to_lists_of_just_those(staff, ann):
    fill(ann, timezone.now())
    make_room(slug="pinned-for-a-while", platform="daily")
    pin_room(
        room_id=Room.objects.get(slug="pinned-for-a-while").pk, reason="x", until=timezone.now() + timedelta(days=1)
    )

    def listed(query):
        return sorted(staff.get(f"/admin/rooms/room/{query}").context["cl"].result_list.values_list("slug", flat=True))

    front = links(staff.get(FRONT))
    assert {"/admin/rooms/room/?platform__exact=daily", "/admin/rooms/room/?pinned=yes"} <= front
    assert listed("?platform__exact=daily") == ["board", "live", "pinned-for-a-while"]
    assert listed("?pinned=yes") == ["board", "pinned-for-a-while"]
    assert listed("?pinned=for-good") == ["board"]
    assert listed("?pinned=no") == ["live"]
    assert listed("?archived=yes") == ["old"]


def test_what_is_over_is_gone(staff, ann):
    now = timezone.now()
    fill(ann, now)
    settle("webhook:daily")
    switching.open(platform="whereby", reason="it is over", actor=ann)
    Wave.objects.update(status="completed")
    Experiment.objects.update(status="ended")
    MoveOrder.objects.update(status="done")
    Room.objects.exclude(pk=None).update(pin_until=now + timedelta(days=1))
    page = staff.get(FRONT)
    assert "Nothing is wrong" in section(page, "Alerts")
    assert "No wave, no experiment" in section(page, "Under way and to come")
    assert "Every pin has an end" in section(page, "Pinned without an end")


def test_a_held_wave_says_whom_it_waits_for_and_a_blocked_one_for_what(staff, ann):
    now = timezone.now()
    rooms = [make_room(platform="whereby") for _ in range(3)]
    make_wave(rooms, now=now, status="held", held_at=now, held_reason="three failures in a row")
    make_wave(rooms, now=now, name="Blocked")
    failed_check("credentials")
    words = section(staff.get(FRONT), "Under way and to come")
    assert "✕ held" in words
    assert "somebody to resume it or roll it back (three failures in a row)" in words
    assert "Daily to be ready: Rooms cannot go to Daily: Credentials: the key is refused" in words


def failed_check(key, **more):
    return ReadinessResult.objects.create(
        **{
            "platform": "daily",
            "key": key,
            "title": key.capitalize(),
            "status": "failed",
            "words": "the key is refused",
        }
        | more
    )


def test_a_platforms_readiness_agrees_with_its_own_page(staff, ann):
    def both_say():
        now = timezone.now()
        results, waived = results_of_all(now=now)
        own = str(readiness_pages.verdict(registry.get("daily"), results.get("daily", []), now, waived))
        front = section(staff.get(FRONT), "Fleet").partition("Daily 0 rooms 0 meetings ✓ open ")[2]
        return " ".join(re.sub(r"<[^>]+>", " ", own).split()), front.partition(" Health")[0]

    assert both_say() == ("◔ yes: never checked",) * 2
    failed_check("bucket", status="ok")
    assert both_say() == ("✓ yes: all checks ok",) * 2
    failed_check("clock", status="unproven")
    assert both_say() == ("✓ yes: 1 unproven",) * 2
    failed_check("credentials")
    assert both_say() == ("✕ no: 1 failed check",) * 2
    until = timezone.now() + timedelta(days=1)
    Waiver.objects.create(platform="daily", check_key="credentials", reason="x", expires_at=until, actor=ann)
    own, front = both_say()
    assert (own, front) == ("◔ yes: 1 failed check waived", "◔ yes: what fails is waived or stops no moves")


def test_where_nobody_sweeps_the_page_says_so_and_calls_nothing_fine(staff, sweeper):
    assert section(staff.get(FRONT), "Alerts").startswith("Nothing is wrong, as far as we can see.")
    then = timezone.now() - timedelta(days=3)
    Heartbeat.objects.filter(pk=sweeper.pk).update(beat_at=then)
    failed_check("sweeper", status="ok", checked_at=then)
    page = staff.get(FRONT)
    alerts = unescape(section(page, "Alerts"))
    assert f"✕ critical The sweeper's last sign of life is from {then:%Y-%m-%d %H:%M:%S} UTC." in alerts
    assert "No alert, check, wave or scheduled move is worked on meanwhile" in alerts
    assert "manage.py sweep --loop" in alerts
    assert "Nothing is wrong" not in alerts
    assert "◔ yes: last checked 3 days ago" in section(page, "Fleet")
    assert "◔ yes: last checked 3 days ago" in text(staff.get("/admin/platform/daily/readiness/"))
    room = make_room(platform="whereby")
    words = "Daily was last checked 3 days ago; does the sweeper run?"
    assert words in text(staff.get(f"/admin/rooms/room/move/?to=daily&rooms={room.pk}"))
    ReadinessResult.objects.update(checked_at=timezone.now())
    assert words not in text(staff.get(f"/admin/rooms/room/move/?to=daily&rooms={room.pk}"))


def test_only_what_somebody_may_look_at_is_shown(client, ann):
    fill(ann, timezone.now())
    user = User.objects.create_user("vic", is_staff=True)
    client.force_login(user)
    assert "Board" not in text(client.get(FRONT))
    user.user_permissions.set(Permission.objects.filter(codename="view_alert"))
    page = client.get(FRONT)
    assert "The webhook has failed" in section(page, "Alerts")
    assert "Board" not in text(page)
    user.user_permissions.set(Permission.objects.filter(codename="view_room"))
    page = client.get(FRONT)
    assert "Board" in section(page, "Pinned without an end")
    for hidden in (
        "The webhook has failed",
        "To the new one",
        "Experiment Sound",
        "back in the evening",
        "trouble with",
    ):
        assert hidden not in text(page)
    assert section(page, "Stuck work") == "Nothing is stuck."


@pytest.mark.parametrize("is_superuser", [True, False])
def test_the_page_takes_the_same_few_queries_for_no_room_and_for_ten_thousand(client, ann, is_superuser):
    user = User.objects.create_user("vic", is_staff=True, is_superuser=is_superuser)
    user.groups.add(Group.objects.get(name=VIEWERS))
    client.force_login(user)

    def queries():
        with CaptureQueriesContext(connection) as seen:
            assert client.get(FRONT).status_code == 200
        return len(seen)

    counts = [queries()]
    now = timezone.now()
    fill(ann, now)
    counts.append(queries())
    many = Room.objects.bulk_create(
        Room(
            name=f"Room {number}", slug=f"r-{number}", platform="daily" if number % 3 else "whereby", uuid=uuid.uuid4()
        )
        for number in range(10_000)
    )
    for number in range(5):
        make_wave(many[number * 100 : number * 100 + 100], moved=50, now=now, name=f"Wave {number}")
        make_meeting(many[number], opened_at=now)
        pin_room(room_id=many[number].pk, reason="x")
        move_room(room_id=many[number + 7].pk, platform="daily", reason="x", source="admin", actor=ann) if (
            many[number + 7].platform == "whereby"
        ) else None
        alert(f"key {number}", title=f"Alert {number}", words="w", evidence={}, inverse="i")
    counts.append(queries())
    assert max(counts) <= 12
    assert counts[1] == counts[2]


def test_a_wave_waits_for_meetings_that_were_judged_since_its_step(staff, ann):
    now = timezone.now()
    rooms = [make_room(platform="daily") for _ in range(2)]
    make_wave(rooms, moved=1, now=now)
    for room, kind, status in [
        (rooms[0], "joined", "success"),
        (rooms[0], "recording", "failure"),
        (rooms[1], "joined", "success"),
    ]:
        Outcome.objects.create(
            meeting_id=uuid.UUID(int=room.pk),
            room=room,
            platform="daily",
            kind=kind,
            status=status,
            met_at=now,
            mature_at=now,
            decided_at=now,
        )
    assert "1 of 3 judged since this step" in section(staff.get(FRONT), "Under way and to come")


def test_the_bar_says_the_same_in_words(staff):
    for number in range(30):
        make_room(slug=f"a-{number}", platform="whereby")
    make_room(slug="b", platform="daily")
    html = staff.get(FRONT).content.decode()
    assert 'aria-label="30 rooms on Whereby, 1 room on Daily, 0 rooms archived."' in html
    assert ">● 30</text>" in html
    widths = [
        float(width) for width in re.findall(r'<rect class="platform-\d" x="[\d.]+" y="1" width="([\d.]+)"', html)
    ]
    assert widths == [pytest.approx(580.6, abs=0.1), pytest.approx(19.4, abs=0.1)]


def test_names_are_shown_as_they_are(staff, ann):
    room = make_room(slug="odd", name="<b>Bold</b>", platform="whereby")
    pin_room(room_id=room.pk, reason="<script>alert(1)</script>")
    alert(
        "k", title="<i>x</i>", words="<i>y</i>", evidence={"<u>": "<u>"}, inverse="z", inverse_url="javascript:alert(1)"
    )
    html = staff.get(FRONT).content.decode()
    for bad in ("<b>Bold", "<script>alert", "<i>x", "<i>y", "<u>", "javascript:"):
        assert bad not in html


def test_events_that_wait_are_not_stuck(staff):
    WebhookEvent.objects.create(platform="daily", body=b"{}", body_sha256="a", signed_at=timezone.now())
    assert Move.objects.count() == 0
    assert section(staff.get(FRONT), "Stuck work") == "Nothing is stuck."
