"""Staff look at meetings and people: all is told, no secret, nothing can be changed, and it stays quick."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User

from meetings.models import Capture, Consent, ConsentText, Meeting, Participant, ParticipantSession, Waiting
from platforms.models import Touched, WebhookEvent
from recordings.models import Recording, Transcript, TranscriptSegment
from rooms.models import Move
from rooms.services import move_room
from tests.accounts_for_platforms import BOTH
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay, make_user

pytestmark = pytest.mark.django_db

HOST_URL = "https://x.whereby.com/r?roomKey=s3cret-host-key"


@pytest.fixture(autouse=True)
def both_platforms(settings):
    settings.PLATFORM_ENVIRON = BOTH
    settings.DEFAULT_PLATFORM = "whereby"


@pytest.fixture
def staff(client):
    client.force_login(make_user("ann", first_name="Ann", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def meeting(db):
    """A meeting in which something of every kind happened."""
    room = make_room(slug="standup", platform="whereby")
    meeting = make_meeting(
        room,
        status=Meeting.Status.ENDED,
        end_reason=Meeting.EndReason.EMPTY,
        ended_at=NOW + timedelta(minutes=30),
        platform_reason="room is set to Whereby since it was made",
        host_url=HOST_URL,
        provider_room_name="/standup-77",
    )
    cleo = make_participant(meeting, "Cleo", answer="yes", is_host=True)
    make_stay(cleo, session_id="s2", joined_at=NOW + timedelta(minutes=11), left_at=NOW + timedelta(minutes=30))
    make_stay(cleo, session_id="s1", joined_at=NOW, left_at=NOW + timedelta(minutes=10))
    make_stay(cleo, session_id="tab", joined_at=NOW, left_at=NOW + timedelta(minutes=5))
    Waiting.objects.create(meeting=meeting, session_id="w", name="Dan knocks", started_at=NOW)
    text = ConsentText.version_of("May it be recorded?")
    Consent.objects.create(participant=cleo, text=text, policy="choice", answer="yes", answered_at=NOW)
    Capture.objects.create(
        meeting=meeting, state="failed", status="quarantined", reason="the first person joined", error="no bucket"
    )
    recording = Recording.objects.create(
        platform="whereby",
        provider_recording_id="rec-77",
        meeting=meeting,
        found_by="webhook",
        started_at=NOW,
        status="done",
    )
    transcript = Transcript.objects.create(recording=recording, status="done")
    TranscriptSegment.objects.create(
        transcript=transcript, start_ms=67_000, end_ms=70_000, text="It was the best of times", participant=cleo
    )
    event = WebhookEvent.objects.create(
        platform="whereby",
        body=b"{}",
        body_sha256="a" * 64,
        event_type="room.client.joined",
        signed_at=NOW,
        received_at=NOW,
        status="done",
        outcome="joined: meeting, participant",
        touched=[["meetings.Meeting", str(meeting.pk)], ["meetings.Participant", str(cleo.pk)]],
    )
    for label, key in event.touched:
        Touched.objects.create(event=event, label=label, key=key, received_at=event.received_at)
    move_room(
        room_id=room.pk, platform="daily", reason="pilot", source=Move.Source.COMMAND, now=NOW + timedelta(hours=1)
    )
    return meeting


def words(response):
    assert response.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def page(client, row):
    return client.get(f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/")


def all_rows():
    for model in (Meeting, Participant, ParticipantSession, Consent, ConsentText, Capture, Recording, Transcript):
        yield from model.objects.all()


def test_a_meeting_tells_all_that_is_known(staff, meeting):
    text = words(page(staff, meeting))
    for told in (
        "room is set to Whereby since it was made",
        "everybody left",
        "30 min 00 s",
        "/standup-77",
        "Cleo",
        "09:00:00–09:10:00 UTC (10 min 00 s)",
        "09:11:00–09:30:00 UTC (19 min 00 s)",
        "29 min 00 s",
        "Dan knocks",
        "✓ yes",
        "the first person joined",
        "no bucket",
        "rec-77",
        "1:07 Cleo It was the best of times",
        "after it ended ● Whereby ◆ Daily",
        "pilot",
        "room.client.joined",
        "joined: meeting, participant",
    ):
        assert told in text, told


def test_stays_are_in_order_and_time_in_two_tabs_counts_once(staff, meeting):
    text = words(page(staff, meeting.participants.get()))
    assert text.index("09:00:00") < text.index("09:11:00")
    assert "29 min 00 s" in text


def test_somebody_inside_now_is_said_to_be_inside(staff, meeting, time_machine):
    make_stay(meeting.participants.get(), session_id="now", joined_at=NOW + timedelta(minutes=40))
    assert "inside now" in words(page(staff, meeting))
    assert "inside now" in words(page(staff, meeting.participants.get()))


def test_every_row_has_a_page_without_secrets(staff, meeting):
    secrets = {meeting.key, "s3cret-host-key", "receipt"} | {p.receipt_token for p in meeting.participants.all()}
    for row in all_rows():
        answer = page(staff, row)
        assert answer.status_code == 200, row._meta.label
        for secret in secrets:
            assert secret not in answer.content.decode(), (row._meta.label, secret)
        listed = staff.get(f"/admin/{row._meta.app_label}/{row._meta.model_name}/")
        assert str(row.pk) in listed.content.decode()
        for secret in secrets:
            assert secret not in listed.content.decode(), (row._meta.label, secret)


def test_nothing_can_be_added_changed_or_deleted(staff, meeting):
    for row in all_rows():
        base = f"/admin/{row._meta.app_label}/{row._meta.model_name}/"
        assert staff.get(f"{base}add/").status_code == 403
        assert staff.post(f"{base}{row.pk}/change/", {"name": "x"}).status_code == 405
        assert staff.post(f"{base}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        staff.post(base, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
        assert type(row).objects.filter(pk=row.pk).exists()


def test_who_may_not_look_does_not(client, meeting):
    client.force_login(User.objects.create_user("new", is_staff=True))
    assert page(client, meeting).status_code == 403
    assert client.get("/admin/meetings/meeting/").status_code == 403


def test_every_link_on_these_pages_leads_somewhere(staff, meeting):
    """From anything to anything near it: crawl two steps from the room."""
    seen, todo = set(), [f"/admin/rooms/room/{meeting.room_id}/change/"]
    for _ in range(3):
        found = set()
        for address in todo:
            if address in seen:
                continue
            seen.add(address)
            answer = staff.get(address)
            assert answer.status_code in (200, 302), address
            if answer.status_code == 200:
                main = answer.content.decode().partition('id="content-start"')[2]
                links = re.findall(r'href="(/admin/(?:rooms|meetings|recordings|platforms)/[^"#]*)"', main)
                found |= {link.replace("&amp;", "&") for link in links}
        todo = sorted(found - seen)
    for part in ("meeting/", "participant/", "consenttext/", "capture/", "recording/", "transcript/", "webhookevent/"):
        assert any(f"/{part}" in address and "/change/" in address for address in seen), part


def test_from_a_meeting_everything_is_one_click_away(staff, meeting):
    text = page(staff, meeting).content.decode()
    event = WebhookEvent.objects.get()
    for row in (meeting.room, meeting.participants.get(), Recording.objects.get(), Transcript.objects.get(), event):
        assert f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/" in text
    assert meeting.get_absolute_url() in text


@pytest.mark.parametrize("model", ["meeting", "participant", "participantsession", "consent", "consenttext", "capture"])
def test_lists_need_the_same_few_queries_for_one_row_and_for_many(staff, model, django_assert_max_num_queries):
    counts = []
    for many in (1, 3):
        while Meeting.objects.count() < many:
            meeting = make_meeting(status=Meeting.Status.ENDED)
            who = make_participant(meeting, user=make_user())
            make_stay(who)
            text = ConsentText.version_of(f"words {meeting.pk}")
            Consent.objects.create(participant=who, text=text, policy="choice", answer="yes")
            Capture.objects.create(meeting=meeting)
        with django_assert_max_num_queries(12) as queries:
            assert staff.get(f"/admin/meetings/{model}/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_meetings_page_needs_the_same_queries_for_one_person_and_for_many(
    staff, meeting, django_assert_max_num_queries
):
    counts = []
    for many in (1, 3, 9):
        while meeting.participants.count() < many:
            who = make_participant(meeting, user=make_user())
            make_stay(who)
            Consent.objects.create(participant=who, text=ConsentText.objects.first(), policy="choice", answer="yes")
            Recording.objects.create(
                platform="whereby", provider_recording_id=str(who.pk), meeting=meeting, found_by="poller"
            )
        with django_assert_max_num_queries(12) as queries:
            page(staff, meeting)
        counts.append(len(queries))
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize(
    "search",
    ["cleo", "standup", "/standup-77", "s1", "rec-77", "cleo@example.org", "https://testserver/rooms/standup/"],
)
def test_meetings_are_found_by_person_room_and_provider_ids(staff, meeting, search):
    who = meeting.participants.get()
    who.user = make_user("cleo", email="cleo@example.org")
    who.save()
    make_meeting()
    found = staff.get("/admin/meetings/meeting/", {"q": search}).context["cl"].result_list
    assert list(found) == [meeting]


def test_lists_show_the_newest_first(staff, meeting):
    for number in (2, 1, 3):
        later = meeting.created_at + timedelta(days=number)
        person = make_participant(meeting, created_at=later)
        make_stay(person, joined_at=later)
        Consent.objects.create(participant=person, text=ConsentText.objects.first(), answer="yes", answered_at=later)
    for model, field in [
        ("participant", "created_at"),
        ("participantsession", "joined_at"),
        ("consent", "answered_at"),
    ]:
        page = staff.get(f"/admin/meetings/{model}/")
        times = [getattr(row, field) for row in page.context["cl"].result_list]
        assert times[:3] == [meeting.created_at + timedelta(days=number) for number in (3, 2, 1)], model


def test_meetings_are_found_by_our_id_and_by_date(staff, meeting):
    other = make_meeting(opened_at=NOW + timedelta(days=40))
    found = staff.get("/admin/meetings/meeting/", {"q": str(meeting.pk)}).context["cl"].result_list
    assert list(found) == [meeting]
    found = staff.get("/admin/meetings/meeting/", {"created_at__year": 2026, "created_at__month": 4}).context["cl"]
    assert list(found.result_list) == [other]


def test_people_are_found_by_name_and_session(staff, meeting):
    make_participant(meeting, "Eve")
    for search in ("cleo", "s2", "cleo standup"):
        found = staff.get("/admin/meetings/participant/", {"q": search}).context["cl"].result_list
        assert [who.name for who in found] == ["Cleo"]


def test_a_stuck_recording_order_is_tried_again_by_staff_only(staff, client, meeting):
    capture = Capture.objects.get()
    address = f"/admin/meetings/capture/{capture.pk}/again/"
    assert address in page(staff, capture).content.decode()
    assert staff.get(address).status_code == 405
    assert staff.post(address).status_code == 302
    capture.refresh_from_db()
    assert (capture.status, capture.attempts) == ("pending", 0)
    assert address not in page(staff, capture).content.decode()
    staff.post(address)
    viewer = make_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_capture"))
    client.force_login(viewer)
    assert client.post(address).status_code == 403
    assert page(client, capture).status_code == 200


def test_events_touching_another_meeting_are_not_shown(staff, meeting):
    other = make_meeting(make_room(platform="whereby"))
    assert "None touched it." in words(page(staff, other))
