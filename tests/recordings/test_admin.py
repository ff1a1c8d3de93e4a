"""Staff look at recordings and transcripts, play them, and have them processed again."""

import re

import pytest
from django.contrib.auth.models import Permission, User

from meetings.models import Meeting
from recordings.filestore import filestore
from recordings.models import Recording, Transcript, TranscriptSegment
from tests.accounts_for_platforms import BOTH
from tests.factories import NOW, make_meeting, make_participant, make_room, make_user

pytestmark = pytest.mark.django_db

LIST = "/admin/recordings/recording/"


@pytest.fixture(autouse=True)
def both_platforms(settings, tmp_path):
    settings.PLATFORM_ENVIRON = BOTH
    settings.MEDIA_STORAGE = f"file://{tmp_path}"


@pytest.fixture
def staff(client):
    client.force_login(make_user("ann", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def recording(db):
    meeting = make_meeting(make_room(slug="standup", platform="daily"), status=Meeting.Status.ENDED)
    recording = Recording.objects.create(
        platform="daily",
        provider_recording_id="rec-1",
        provider_room_name="standup-abc",
        meeting=meeting,
        found_by="webhook",
        found_at=NOW,
        started_at=NOW,
        duration_s=61,
        status="done",
        attempts=2,
        content_type="video/mp4",
        media_duration_s=60.5,
        probe={"audio_codec": "aac", "width": 640, "complete": True},
    )
    stored = filestore().put(recording.media_key, [b"0123456789"])
    recording.file_key, recording.size_bytes, recording.sha256 = stored.key, stored.size, stored.sha256
    recording.save()
    transcript = Transcript.objects.create(recording=recording, status="done", engine="moonshine", model="tiny-en")
    who = make_participant(meeting, "Cleo")
    TranscriptSegment.objects.create(
        transcript=transcript, start_ms=1000, end_ms=4000, text="It was the best of times", participant=who
    )
    return recording


def page(client, row):
    return client.get(f"/admin/recordings/{row._meta.model_name}/{row.pk}/change/")


def words(response):
    assert response.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_a_recording_tells_all_that_is_known(staff, recording):
    text = words(page(staff, recording))
    for told in ("Standup", "rec-1", "standup-abc", recording.sha256, "aac", "640", "1 min 00 s", "10 B", "by webhook"):
        assert told in text, told
    assert "0:01 0:04 Cleo It was the best of times" in text
    html = page(staff, recording).content.decode()
    assert f"/admin/meetings/meeting/{recording.meeting.pk}/change/" in html
    assert f"/admin/rooms/room/{recording.meeting.room.pk}/change/" in html


def test_a_recording_plays_with_ranges(staff, recording):
    src = re.search(r'<video[^>]*src="([^"]+)"', page(staff, recording).content.decode())[1]
    whole = staff.get(src)
    assert (whole.status_code, b"".join(whole.streaming_content)) == (200, b"0123456789")
    part = staff.get(src, headers={"Range": "bytes=2-4"})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"234")


def test_what_cannot_be_played_offers_no_player(staff, recording):
    address = f"{LIST}{recording.pk}/media/"
    Recording.objects.update(delete_wanted_at=NOW)
    assert "<video" not in page(staff, recording).content.decode()
    assert staff.get(address).status_code == 404
    Recording.objects.update(delete_wanted_at=None, file_key="recordings/gone.mp4")
    assert staff.get(address).status_code == 404
    Recording.objects.update(file_key="")
    assert "<video" not in page(staff, recording).content.decode()


def test_media_is_for_those_who_may_look(client, recording):
    client.force_login(User.objects.create_user("new", is_staff=True))
    assert client.get(f"{LIST}{recording.pk}/media/").status_code == 404
    client.logout()
    assert client.get(f"{LIST}{recording.pk}/media/").status_code == 302


def test_a_recording_of_nobody_we_know_is_shown_too(staff, recording):
    stray = Recording.objects.create(
        platform="whereby", provider_recording_id="stray", found_by="poller", provider_room_name="elsewhere"
    )
    assert "stray" in words(page(staff, stray))
    assert "no room of ours (elsewhere)" in words(staff.get(LIST))


def test_processing_again_makes_it_due_with_fresh_tries(staff, recording):
    Recording.objects.update(status="quarantined", last_error="PlatformUnavailable: 503", attempts=8)
    address = f"{LIST}{recording.pk}/again/"
    text = page(staff, recording)
    assert "PlatformUnavailable: 503" in words(text)
    assert address in text.content.decode()
    done = staff.post(address, follow=True)
    assert [str(message) for message in done.context["messages"]] == [
        "Daily recording of 3 Mar 2026 09:00 UTC: started again."
    ]
    recording.refresh_from_db()
    assert (recording.status, recording.attempts, recording.last_error) == ("pending", 0, "")


def test_many_are_processed_again_by_the_action_and_deleted_ones_are_skipped(staff, recording):
    gone = Recording.objects.create(
        platform="daily", provider_recording_id="gone", found_by="poller", status="done", deleted_at=NOW
    )
    chosen = {"action": "run_selected_again", "_selected_action": [recording.pk, gone.pk]}
    done = staff.post(LIST, chosen, follow=True)
    assert [str(message) for message in done.context["messages"]] == ["Started 1 again, skipped 1."]
    assert set(Recording.objects.values_list("provider_recording_id", "status")) == {
        ("rec-1", "pending"),
        ("gone", "done"),
    }


def test_who_may_only_look_processes_nothing(client, recording):
    viewer = make_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_recording"))
    client.force_login(viewer)
    assert "/again/" not in page(client, recording).content.decode()
    assert client.post(f"{LIST}{recording.pk}/again/").status_code == 403
    client.post(LIST, {"action": "run_selected_again", "_selected_action": [recording.pk]})
    recording.refresh_from_db()
    assert recording.status == "done"


def test_a_transcript_shows_its_lines_and_can_be_made_again(staff, recording):
    transcript = recording.transcript
    text = words(page(staff, transcript))
    for told in ("moonshine", "tiny-en", "It was the best of times", "Cleo"):
        assert told in text
    staff.post(f"/admin/recordings/transcript/{transcript.pk}/again/")
    transcript.refresh_from_db()
    assert transcript.status == "pending"
    Recording.objects.update(deleted_at=NOW)
    Transcript.objects.update(status="done")
    staff.post(f"/admin/recordings/transcript/{transcript.pk}/again/")
    transcript.refresh_from_db()
    assert transcript.status == "done"


@pytest.mark.parametrize("search", ["rec-1", "standup-abc", "standup", "cleo"])
def test_recordings_are_found_by_id_room_and_person(staff, recording, search):
    Recording.objects.create(platform="daily", provider_recording_id="other", found_by="poller")
    assert list(staff.get(LIST, {"q": search}).context["cl"].result_list) == [recording]


def test_transcripts_are_found_by_what_was_said(staff, recording):
    found = staff.get("/admin/recordings/transcript/", {"q": '"best of times"'}).context["cl"].result_list
    assert list(found) == [recording.transcript]
    assert list(staff.get("/admin/recordings/transcript/", {"q": "worst"}).context["cl"].result_list) == []


def test_lists_narrow_to_a_room_and_to_a_meeting(staff, recording):
    Recording.objects.create(platform="daily", provider_recording_id="other", found_by="poller")
    meeting = recording.meeting
    for lookup in (f"meeting__room__id__exact={meeting.room.pk}", f"meeting__id__exact={meeting.pk}"):
        answer = staff.get(f"{LIST}?{lookup}")
        assert list(answer.context["cl"].result_list) == [recording]
        assert "Only those of" in answer.content.decode()


@pytest.mark.parametrize("model", ["recording", "transcript"])
def test_lists_need_the_same_few_queries_for_one_row_and_for_many(staff, model, django_assert_max_num_queries):
    counts = []
    for many in (1, 3):
        while Recording.objects.count() < many:
            meeting = make_meeting(make_room(), status=Meeting.Status.ENDED)
            row = Recording.objects.create(
                platform="daily", provider_recording_id=str(meeting.pk), meeting=meeting, found_by="poller"
            )
            Transcript.objects.create(recording=row)
        with django_assert_max_num_queries(12) as queries:
            assert staff.get(f"/admin/recordings/{model}/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
