"""The pages of one platform: health, readiness, waivers; alerts; a room's options on each platform."""

import re
import uuid
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import responses
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from platforms import alerts, calls
from platforms.metrics import meter
from platforms.models import Alert, AlertDelivery, Heartbeat, ReadinessResult, WebhookEvent, WebhookGap
from rooms import ordering, switching
from rooms.experiments.commands import alert_key as experiment_key
from rooms.guard import watch
from rooms.models import Experiment, MoveOrder, MoveOrderRoom, Waiver, Wave, WaveRoom
from rooms.readiness import blockers
from rooms.rights import KILL_SWITCH
from rooms.staff.health import about_platform
from rooms.waves.tick import alert_key as wave_key
from tests.accounts_for_platforms import BOTH
from tests.factories import make_room

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
HEALTH = "/admin/platform/daily/"
READINESS = "/admin/platform/daily/readiness/"
WAIVE = "/admin/platform/daily/readiness/webhook.active/waive/"


@pytest.fixture(autouse=True)
def _account(settings: Any) -> None:
    settings.PLATFORM_ENVIRON = BOTH


@pytest.fixture
def staff(admin_client: Any) -> Any:
    return admin_client


def somebody_with(client: Any, *rights: str) -> Any:
    user = User.objects.create_user("bo", is_staff=True)
    for right in rights:
        app_label, codename = right.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app_label, codename=codename))
    client.force_login(user)
    return client


def result(key: str = "webhook.active", status: str = "failed", **fields: Any) -> ReadinessResult:
    now = timezone.now()
    return ReadinessResult.objects.create(
        **{
            "platform": "daily",
            "key": key,
            "title": "Webhook active",
            "status": status,
            "words": "the webhook is FAILED",
            "fix": "run the sync",
            "evidence": {"state": "FAILED", "failures in a row": 3},
            "checked_at": now,
            "since": now,
            **fields,
        }
    )


def text_of(page: Any) -> str:

    assert page.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).split())


# -- readiness


def test_readiness_shows_state_evidence_time_and_what_to_do(staff):
    result()
    result("credentials", "ok", title="Credentials accepted", words="Daily accepts the API key", fix="")
    result("bucket.newest", "unproven", title="Recordings arrive", words="nothing was recorded yet", fix="")
    said = text_of(staff.get(READINESS))
    assert "no: 1 failed check" in said
    assert "stops moves" in said
    assert "The webhook is FAILED." in said
    assert "What to do: run the sync" in said
    assert "failures in a row 3" in said
    assert "unproven" in said
    assert "Waive…" in said


def test_readiness_before_anything_was_checked(staff):
    said = text_of(staff.get(READINESS))
    assert "Nothing was checked yet." in said
    assert "Check now" in said


def test_platform_without_account_cannot_be_checked(staff, settings):
    settings.PLATFORM_ENVIRON = {}
    said = text_of(staff.get(READINESS))
    assert "not configured" in said
    assert "Check now" not in said
    assert staff.post("/admin/platform/daily/check/").status_code == 404


def test_unknown_platform_is_not_found(staff):
    assert staff.get("/admin/platform/nosuch/").status_code == 404


def test_number_of_queries_does_not_grow(staff, django_assert_max_num_queries):
    for number in range(20):
        result(f"check-{number}")
        Waiver.objects.create(
            platform="daily", check_key=f"check-{number}", reason="r", expires_at=timezone.now() + timedelta(days=1)
        )
    with django_assert_max_num_queries(8):
        staff.get(READINESS)


def test_check_now_asks_and_says_what_failed(staff):
    with responses.RequestsMock() as http:
        http.get("https://api.daily.co/v1/", status=401, json={"error": "authentication-error"})
        http.post("http://testserver/v1/webhooks/daily", status=502)
        page = staff.post("/admin/platform/daily/check/", follow=True)
    said = text_of(page)
    assert "6 checks of Daily: 4 failed." in said
    assert "Credentials accepted ✕ failed stops moves Daily answered 401 authentication-error (domain)." in said
    assert "answers 502 to a signed delivery" in said
    assert ReadinessResult.objects.filter(status="failed").count() == 4
    assert staff.get("/admin/platform/daily/check/").status_code == 405


# -- waivers


def test_waiving_lets_moves_through_and_says_who_and_why(staff, admin_user):
    result()
    page = staff.get(WAIVE)
    assert "Webhook active" in text_of(page)
    staff.post(WAIVE, {"reason": "Daily is told", "days": "3"})
    waiver = Waiver.objects.get()
    assert (waiver.reason, waiver.actor) == ("Daily is told", admin_user)
    assert timedelta(days=2) < waiver.expires_at - timezone.now() <= timedelta(days=3)
    assert blockers("daily", now=timezone.now()) == []
    said = text_of(staff.get(READINESS))
    assert "Daily is told" in said
    assert "yes: 1 failed check waived" in said


@pytest.mark.parametrize(("status", "is_blocking"), [("unproven", True), ("failed", False)])
def test_a_check_that_only_a_wave_wants_to_have_passed_can_be_waived_for_it(staff, status, is_blocking):
    result(status=status, is_blocking=is_blocking)
    assert "Waive…" not in text_of(staff.get(READINESS))
    wave = Wave.objects.create(
        name="Spring", platform="daily", reason="r", status="running", required_checks=["webhook.active"]
    )
    said = text_of(staff.get(READINESS))
    assert "stops a wave that names it" in said
    assert "Waive…" in said
    staff.post(WAIVE, {"reason": "seen by eye", "days": "3"})
    assert blockers("daily", now=timezone.now(), named=["webhook.active"]) == []
    assert "Waived by admin until" in text_of(staff.get(READINESS))
    Waiver.objects.all().delete()
    Wave.objects.filter(pk=wave.pk).update(status="completed")
    assert "Waive…" not in text_of(staff.get(READINESS))


@pytest.mark.parametrize("sent", [{"reason": " ", "days": "3"}, {"reason": "x", "days": "31"}, {"reason": "x"}])
def test_waiver_needs_a_reason_and_an_end(staff, sent):
    result()
    page = staff.post(WAIVE, sent)
    assert page.status_code == 400
    assert 'role="alert"' in page.content.decode()
    assert not Waiver.objects.exists()


def test_new_waiver_replaces_the_old_one(staff):
    result()
    for reason in ("first", "second"):
        staff.post(WAIVE, {"reason": reason, "days": "3"})
    assert Waiver.objects.filter(withdrawn_at=None).get().reason == "second"


def test_withdrawn_waiver_stops_moves_again(staff):
    result()
    staff.post(WAIVE, {"reason": "for now", "days": "3"})
    waiver = Waiver.objects.get()
    listed = text_of(staff.get("/admin/rooms/waiver/"))
    assert "in force" in listed
    assert "Withdraw this waiver" in text_of(staff.get(f"/admin/rooms/waiver/{waiver.pk}/change/"))
    staff.post(f"/admin/rooms/waiver/{waiver.pk}/withdraw/")
    assert [blocker.key for blocker in blockers("daily", now=timezone.now())] == ["webhook.active"]
    assert "withdrawn" in text_of(staff.get("/admin/rooms/waiver/"))
    again = staff.post(f"/admin/rooms/waiver/{waiver.pk}/withdraw/", follow=True)
    assert "ended already" in text_of(again)


def test_who_may_look_may_not_waive(client):
    row = result()
    waiver = Waiver.objects.create(
        platform="daily", check_key=row.key, reason="r", expires_at=timezone.now() + timedelta(days=1)
    )
    viewer = somebody_with(client, "rooms.view_room", "rooms.view_waiver")
    said = text_of(viewer.get(READINESS))
    assert "Waive…" not in said
    assert "Check now" not in said
    assert viewer.get(WAIVE).status_code == 403
    assert viewer.post(WAIVE, {"reason": "x", "days": "1"}).status_code == 403
    assert viewer.post(f"/admin/rooms/waiver/{waiver.pk}/withdraw/").status_code == 403
    assert viewer.post("/admin/platform/daily/check/").status_code == 403
    assert blockers("daily", now=timezone.now()) == []


def test_pages_are_for_staff_with_the_right_to_look(client):
    room = make_room()
    pages = [HEALTH, READINESS, reverse("room-options", args=[room.pk])]
    for page in pages:
        assert client.get(page).status_code == 302
    nobody = somebody_with(client)
    for page in pages:
        assert nobody.get(page).status_code == 403


# -- health


def test_health_shows_webhook_delays_calls_gaps_and_alerts(staff):
    now = timezone.now()
    Heartbeat.objects.create(
        name="webhook:daily",
        state={
            "points_at": "https://rooms.example/v1/webhooks/daily",
            "is_ours": True,
            "is_active": False,
            "state": "FAILED",
            "failed_count": 3,
            "seen_at": now.isoformat(),
            "ours_at": now.isoformat(),
        },
    )
    for number, late_s in enumerate([1] * 18 + [90, 120]):
        WebhookEvent.objects.create(
            platform="daily",
            body=b"x",
            body_sha256=str(number),
            signed_at=now,
            received_at=now - timedelta(hours=1),
            occurred_at=now - timedelta(hours=1, seconds=late_s),
        )
    meter.take()
    meter.note("daily", "create_room", "failed", seconds=4, error="Daily answered 500 (create_room)")
    meter.note("daily", "create_room", "ok", seconds=0.2)
    calls.write()
    WebhookGap.objects.create(platform="daily", cause="the webhook is FAILED", noticed_at=now)
    alerts.alert("api:daily", title="Daily's API fails", words="w", evidence={}, inverse="i")
    alerts.alert("api:whereby", title="The other one", words="w", evidence={}, inverse="i")

    said = text_of(staff.get(HEALTH))
    assert "✕ FAILED" in said
    assert "Failures in a row 3" in said
    assert "Delay p50, last 24 h ✓ 1.0 s" in said
    assert "Delay p95, last 24 h ✕ 1 min 30 s" in said
    assert "create room 2 ✕ 1 failed p50 ≤ 300 ms, p95 ≤ 10 s, slowest 4.0 s Daily answered 500 (create_room)" in said
    assert "all others 1,200 a minute 2" in said
    assert "the webhook is FAILED no event before" in said
    assert "✕ not mended" in said
    assert "Daily&#x27;s API fails" in said
    assert "The other one" not in said


def test_health_of_a_platform_that_nothing_is_known_of(staff):
    said = text_of(staff.get("/admin/platform/whereby/?hours=24"))
    assert "cannot be asked about its webhook" in said
    assert "No call in the last 24 hours." in said
    assert "No gap so far." in said


def fill(platform: str) -> None:
    """Something in every place that the page of a platform reads."""
    now = timezone.now()
    room = make_room(platform=platform)
    for number in range(30):
        meter.note(platform, f"operation {number}", "failed", error="no")
        alerts.alert(f"check:{platform}:{number}", title="t", words="w", evidence={}, inverse="i")
        WebhookGap.objects.create(platform=platform, cause="c", mended_at=now)
        result(f"check-{number}", platform=platform)
        Waiver.objects.create(platform=platform, check_key=f"check-{number}", reason="r", expires_at=now + HOUR)
        wave = Wave.objects.create(name=f"{platform} {number}", platform=platform, reason="r")
        alerts.alert(wave_key(wave), title="t", words="w", evidence={}, inverse="i")
    calls.write()
    Heartbeat.objects.create(name=f"webhook:{platform}", state={"points_at": "", "failed_count": 0, "seen_at": ""})
    state = {"count": 3, "since": now.isoformat(), "last": now.isoformat(), "reason": "not signed"}
    Heartbeat.objects.create(name=f"refused:{platform}", state=state)
    long_ago = now - timedelta(days=9)
    WebhookEvent.objects.create(
        platform=platform, body=b"{}", body_sha256="a", signed_at=long_ago, received_at=long_ago, occurred_at=long_ago
    )
    switching.close(platform=platform, reason="outage", actor=room.owner)


@pytest.mark.parametrize("platform", ["daily", "whereby"])
@pytest.mark.parametrize("is_superuser", [True, False])
@pytest.mark.parametrize("is_filled", [True, False])
def test_health_asks_no_more_than_twelve_queries(
    client, django_assert_max_num_queries, platform, is_superuser, is_filled
):
    if is_filled:
        fill(platform)
    somebody_with(client, "rooms.view_room", "platforms.view_alert")
    User.objects.filter(username="bo").update(is_superuser=is_superuser)
    with django_assert_max_num_queries(12):
        said = text_of(client.get(f"/admin/platform/{platform}/"))
    assert ("3 or more not signed" in said) is is_filled
    assert ("30 failed checks waived" in said) is is_filled
    assert ("9 days ago" in said or "1 week, 2 days ago" in said) is is_filled


def test_health_tells_of_alerts_about_what_brings_rooms_to_a_platform_or_away(staff):
    room = make_room(platform="whereby")
    there = Wave.objects.create(name="There", platform="daily", reason="r")
    away = Wave.objects.create(name="Away", platform="whereby", reason="r")
    WaveRoom.objects.create(wave=away, room=room, bucket=1, from_platform="daily")
    other = Wave.objects.create(name="Other", platform="whereby", reason="r")
    WaveRoom.objects.create(wave=other, room=room, bucket=1, from_platform="whereby")
    pilot = Experiment.objects.create(name="Pilot", reason="r", platform_a="whereby", platform_b="daily")
    same = Experiment.objects.create(name="Same", reason="r", platform_a="whereby", platform_b="whereby")
    due = {"reason": "r", "kind": "scheduled", "due_at": timezone.now()}
    order = MoveOrder.objects.create(platform="whereby", **due)
    MoveOrderRoom.objects.create(order=order, room=room, seen_on="daily")
    ours = {
        wave_key(there): "wave to it",
        wave_key(away): "wave away",
        experiment_key(pilot): "experiment",
        f"{experiment_key(pilot)}:ratio": "ratio of the experiment",
        f"order:{MoveOrder.objects.create(platform='daily', **due).pk}": "order to it",
        f"order:{order.pk}": "order away",
        "closed:daily": "the switch",
        "check:daily:clock": "a check",
    }
    others = {
        wave_key(other): "other wave",
        experiment_key(same): "other experiment",
        f"order:{MoveOrder.objects.create(platform='whereby', **due).pk}": "other order",
        f"wave {there.pk}0 guard": "no wave",
        "closed:whereby": "other switch",
    }
    for key, title in {**ours, **others}.items():
        alerts.alert(key, title=title, words="w", evidence={}, inverse="i")
    assert sorted(about_platform("daily").values_list("title", flat=True)) == sorted(ours.values())
    said = text_of(staff.get(HEALTH))
    assert "wave away" in said
    assert "no wave" not in said


def test_alerts_that_are_raised_have_the_keys_that_health_looks_for(staff):
    """The keys that no function makes."""
    room = make_room(platform="daily")
    order = MoveOrder.objects.create(platform="whereby", reason="r", kind="scheduled", due_at=timezone.now())
    MoveOrderRoom.objects.create(order=order, room=room, seen_on="daily", state="refused", words="It is pinned.")
    ordering._tell_of_leftovers(order)
    assert about_platform("daily").get().title.startswith("A scheduled move to Whereby")
    experiment = Experiment.objects.create(name="Pilot", reason="r", platform_a="whereby", platform_b="daily")
    found = SimpleNamespace(
        ratio=SimpleNamespace(is_off=True, words="off", chance=0), wrong_draws=0, counted={}, drawn={}
    )
    watch._warn_of_ratio(experiment, found, timezone.now())
    assert "The counts of the experiment “Pilot”" in about_platform("daily").first().title


def test_page_of_the_kill_switches_leads_to_health(client, staff):
    address = '<a href="/admin/platform/daily/">Health'
    assert address in staff.get("/admin/rooms/platformswitch/").content.decode()
    client.logout()
    page = somebody_with(client, KILL_SWITCH).get("/admin/rooms/platformswitch/")
    assert page.status_code == 200
    assert address not in page.content.decode()  # which they may not open


# -- alerts


def test_alerts_open_ones_first_with_evidence_and_what_to_do(staff, settings):
    settings.ALERT_EMAILS = ["ann@example.org"]
    old = alerts.alert("a", title="Was wrong", words="w", evidence={}, inverse="i")
    alerts.settle("a", words="Mended.")
    new = alerts.alert(
        "b",
        title="Is wrong",
        words="Three in a row.",
        evidence={"failed": 3},
        inverse="Open it again.",
        inverse_url=HEALTH,
        severity="critical",
    )
    Alert.objects.filter(pk=old.pk).update(opened_at=timezone.now() + timedelta(hours=1))
    listed = text_of(staff.get("/admin/platforms/alert/"))
    assert listed.index("Is wrong") < listed.index("Was wrong")
    page = staff.get(f"/admin/platforms/alert/{new.pk}/change/")
    said = text_of(page)
    for words in ("Three in a row.", "Open it again.", "failed 3", "critical", "ann@example.org", "waiting"):
        assert words in said
    assert f'href="{HEALTH}"' in page.content.decode()
    assert "Mended." in text_of(staff.get(f"/admin/platforms/alert/{old.pk}/change/"))


def test_evidence_leads_to_the_meetings_and_rooms_it_counts(staff):
    meeting, room = uuid.uuid4(), make_room(slug="board")
    row = alerts.alert(
        "w", title="Held", words="w", evidence={"meetings": [str(meeting)], "rooms": [room.pk], "left": []}, inverse="i"
    )
    for address in ("/admin/", f"/admin/platforms/alert/{row.pk}/change/"):
        page = staff.get(address)
        for led_to in (f"/admin/meetings/meeting/{meeting}/change/", f"/admin/rooms/room/{room.pk}/change/"):
            assert f'href="{led_to}">no. 1</a>' in page.content.decode()
        assert "left none" in text_of(page)


def test_telling_that_got_stuck_can_be_tried_again(staff, settings):
    settings.ALERT_WEBHOOK_URL = "https://example.org/hook"
    alerts.alert("a", title="t", words="w", evidence={}, inverse="i")
    row = AlertDelivery.objects.get()
    AlertDelivery.objects.update(status="quarantined", last_error="NotTaken: answered 500")
    said = text_of(staff.get(f"/admin/platforms/alertdelivery/{row.pk}/change/"))
    assert "Try again" in said
    staff.post(f"/admin/platforms/alertdelivery/{row.pk}/again/")
    row.refresh_from_db()
    assert (row.status, row.last_error) == ("pending", "")


# -- a room's options


def test_options_say_what_works_where(staff):
    room = make_room(max_participants=5, mode="group", enable_knocking=False)
    said = text_of(staff.get(reverse("room-options", args=[room.pk])))
    assert "max participants 5 ✕ without effect ✓ works ◔ differs" in said
    assert "chat on ✓ works ✓ works ✓ the same" in said
    assert "logo none ✓ works ○ not there ○ the same: left at its default" in said
    assert "by our server" in said


def test_options_of_a_room_that_loses_nothing(staff):
    room = make_room(consent_policy="not_asked")
    said = text_of(staff.get(reverse("room-options", args=[room.pk])))
    assert "works on every platform" in said
    assert "by the platform" in said


def test_room_page_links_to_its_options(staff):
    room = make_room()
    page = staff.get(f"/admin/rooms/room/{room.pk}/change/").content.decode()
    assert reverse("room-options", args=[room.pk]) in page
