"""The page of a meeting: who may see it, what it says, and media that a player can seek in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from meetings import capture
from meetings.models import Capture
from platforms.work import Work
from recordings.filestore import filestore
from recordings.models import Recording, Transcript, TranscriptSegment
from tests.recordings.conftest import STARTED, person

pytestmark = pytest.mark.django_db
BODY = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def media_folder(settings, tmp_path):
    settings.MEDIA_STORAGE = f"file://{tmp_path}"


@pytest.fixture
def recording(meeting):
    row = Recording.objects.create(
        platform="daily",
        provider_recording_id="rec-1",
        meeting=meeting,
        started_at=STARTED,
        media_duration_s=44.0,
        found_by="webhook",
        status=Work.Status.DONE,
        sha256="0" * 64,
        content_type="video/mp4",
        size_bytes=len(BODY),
    )
    row.file_key = filestore().put(row.media_key, [BODY]).key
    row.save()
    return row


@pytest.fixture
def transcript(recording):
    row = Transcript.objects.create(recording=recording, status=Work.Status.DONE, engine="moonshine")
    for at, text in ((2000, "First words."), (30000, "Later words.")):
        TranscriptSegment.objects.create(transcript=row, start_ms=at, end_ms=at + 1000, text=text)
    return row


@pytest.fixture
def owner(meeting):
    meeting.room.owner = User.objects.create_user("owner")
    meeting.room.save()
    return meeting.room.owner


def page(client, meeting, query=""):
    return client.get(reverse("meeting", args=[meeting.pk]) + query)


def test_nobody_else_learns_that_there_was_a_meeting(client, meeting, recording):
    assert page(client, meeting).status_code == 404
    client.force_login(User.objects.create_user("stranger"))
    assert page(client, meeting).status_code == 404
    assert client.get(reverse("recording-media", args=[meeting.pk, recording.pk])).status_code == 404
    assert client.get(reverse("recording-captions", args=[meeting.pk, recording.pk])).status_code == 404


@pytest.mark.parametrize("role", ["owner", "host", "member", "staff", "took part"])
def test_those_who_may_see_it_do(client, meeting, role):
    user = User.objects.create_user("somebody")
    if role == "owner":
        meeting.room.owner = user
        meeting.room.save()
    elif role == "host":
        meeting.room.hosts.add(user)
    elif role == "member":
        meeting.room.members.add(user)
    elif role == "staff":
        user.user_permissions.add(Permission.objects.get(codename="view_meeting"))
    else:
        participant = person(meeting, "Somebody")
        participant.user = user
        participant.save()
    client.force_login(user)
    assert page(client, meeting).status_code == 200


def test_a_receipt_link_opens_it_and_leaves_the_address_bar(client, meeting, recording):
    ann = person(meeting, "Ann")
    answer = page(client, meeting, f"?receipt={ann.receipt_token}")
    assert (answer.status_code, answer.url) == (302, meeting.get_absolute_url())
    assert page(client, meeting).status_code == 200
    assert client.get(reverse("recording-media", args=[meeting.pk, recording.pk])).getvalue() == BODY
    assert page(client, meeting, "?receipt=made-up").status_code in (302, 404)


def test_a_made_up_receipt_opens_nothing(client, meeting):
    assert page(client, meeting, "?receipt=made-up").status_code == 404


def test_it_says_who_was_there_and_what_was_said(client, meeting, transcript, owner):
    person(meeting, "Ann Archer", joined_s=0, left_s=60)
    person(meeting, "Ben Baker", joined_s=10, left_s=70)
    client.force_login(owner)
    html = page(client, meeting).content.decode()
    assert html.index("Ann Archer") < html.index("Ben Baker")
    assert html.index("First words.") < html.index("Later words.")
    # ten seconds into the meeting the recording began
    assert 'id="t12"' in html
    assert 'id="t40"' in html


@pytest.mark.parametrize("is_live", [True, False])
def test_somebody_who_has_just_left_reads_why_they_are_still_shown_as_inside(client, meeting, owner, is_live):
    person(meeting, "Ann Archer", joined_s=0, left_s=60)
    type(meeting).objects.update(status="open" if is_live else "ended", ended_at=None if is_live else STARTED)
    client.force_login(owner)
    assert ("until the video service says so" in page(client, meeting).content.decode()) is is_live


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file_key": "", "status": "pending"}, "Being fetched"),
        ({"file_key": "", "status": "quarantined", "last_error": "secret detail"}, "could not be fetched"),
        ({"delete_wanted_at": STARTED, "delete_reason": "consent was withdrawn"}, "Being removed"),
        ({"deleted_at": STARTED, "delete_wanted_at": STARTED, "delete_reason": "consent was withdrawn"}, "Removed on"),
        ({"probe": {"note": "Recordings of kind “raw-tracks” are left."}}, "raw-tracks"),
    ],
)
def test_it_says_what_became_of_a_recording(client, meeting, recording, owner, changes, said):
    Recording.objects.update(**changes)
    client.force_login(owner)
    html = page(client, meeting).content.decode()
    assert said in html
    assert "secret detail" not in html
    assert html.count("<video") == (1 if "probe" in changes else 0)
    assert ("words went with the recording" in html) == ("delete_wanted_at" in changes)


def test_a_kept_file_whose_fetching_anew_failed_is_not_said_to_be_missing(client, meeting, transcript, owner):
    Recording.objects.update(status="quarantined", last_error="404")
    client.force_login(owner)
    html = page(client, meeting).content.decode()
    assert "could not be fetched" not in html
    assert "<video" in html
    assert "First words." in html


@pytest.fixture
def failed_capture(meeting):
    """The provider told of it when the meeting had been over for a while."""
    row = Capture.objects.create(meeting=meeting, started_at=STARTED, stop_wanted_at=STARTED, status=Work.Status.DONE)
    capture.note_failed(row, message="No room left in <the bucket>.", at=meeting.ended_at + timedelta(minutes=5))
    return row


@pytest.mark.parametrize("role", ["owner", "host", "staff"])
def test_hosts_and_staff_read_why_the_recording_failed(client, meeting, failed_capture, role):
    user = User.objects.create_user("somebody")
    if role == "owner":
        meeting.room.owner = user
        meeting.room.save()
    elif role == "host":
        meeting.room.hosts.add(user)
    else:
        user.user_permissions.set(Permission.objects.filter(codename__in=["view_meeting", "view_capture"]))
    client.force_login(user)
    assert "The recording failed: No room left in &lt;the bucket&gt;." in page(client, meeting).content.decode()


@pytest.mark.parametrize("role", ["member", "took part", "staff of meetings only"])
def test_others_read_that_the_recording_failed(client, meeting, failed_capture, role):
    user = User.objects.create_user("somebody")
    if role == "member":
        meeting.room.members.add(user)
    elif role == "took part":
        participant = person(meeting, "Somebody")
        participant.user = user
        participant.save()
    else:
        user.user_permissions.add(Permission.objects.get(codename="view_meeting"))
    client.force_login(user)
    html = page(client, meeting).content.decode()
    assert "The recording failed.</p>" in html
    assert "No room left" not in html


def test_a_failure_is_not_told_of_a_recording_that_was_started_again(client, meeting, failed_capture, owner):
    client.force_login(owner)
    Capture.objects.create(meeting=meeting, started_at=STARTED, ready_at=STARTED, state="off")
    assert "The recording failed" not in page(client, meeting).content.decode()


def test_no_recording_is_awaited_that_has_failed(client, meeting, failed_capture, owner):
    client.force_login(owner)
    type(meeting).objects.update(ended_at=timezone.now())
    assert "on its way" not in page(client, meeting).content.decode()
    Capture.objects.update(state="off")
    assert "on its way" in page(client, meeting).content.decode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "pending"}, "Waiting to be transcribed"),
        ({"status": "running", "progress": 0.4}, "40% done"),
        ({"status": "quarantined", "last_error": "moonshine cannot transcribe German"}, "cannot transcribe German"),
        ({"status": "done"}, "No words were heard"),
    ],
)
def test_it_says_how_far_the_transcript_is(client, meeting, recording, owner, changes, said):
    Transcript.objects.create(recording=recording, **changes)
    client.force_login(owner)
    assert said in page(client, meeting).content.decode()


def test_more_people_and_words_cost_no_more_queries(client, meeting, transcript, owner, django_assert_num_queries):
    client.force_login(owner)
    person(meeting, "Ann")
    counts = []
    for _ in range(2):
        with django_assert_num_queries(30, exact=False) as queries:
            page(client, meeting)
        counts.append(len(queries))
        for name in ("Ben", "Cem"):
            person(meeting, name)
            TranscriptSegment.objects.create(transcript=transcript, start_ms=1, end_ms=2, text=name)
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("asked", "status", "content_range", "body"),
    [
        (None, 200, None, BODY),
        ("bytes=0-9", 206, f"bytes 0-9/{len(BODY)}", BODY[:10]),
        ("bytes=10000-", 206, f"bytes 10000-{len(BODY) - 1}/{len(BODY)}", BODY[10000:]),
        ("bytes=-5", 206, f"bytes {len(BODY) - 5}-{len(BODY) - 1}/{len(BODY)}", BODY[-5:]),
        ("bytes=99999999-", 416, f"bytes */{len(BODY)}", b""),
    ],
)
def test_media_come_in_ranges(client, meeting, recording, owner, asked, status, content_range, body):
    client.force_login(owner)
    headers = {"Range": asked} if asked else {}
    answer = client.get(reverse("recording-media", args=[meeting.pk, recording.pk]), headers=headers)
    assert answer.status_code == status
    assert answer.get("Content-Range") == content_range
    assert answer.getvalue() == body
    if status < 400:
        assert answer["Accept-Ranges"] == "bytes"
        assert answer["Content-Length"] == str(len(body))


def test_media_of_a_removed_recording_are_gone_at_once(client, meeting, recording, owner):
    client.force_login(owner)
    Recording.objects.update(delete_wanted_at=timezone.now())
    assert client.get(reverse("recording-media", args=[meeting.pk, recording.pk])).status_code == 404


def test_captions_are_webvtt(client, meeting, transcript, owner):
    client.force_login(owner)
    answer = client.get(reverse("recording-captions", args=[meeting.pk, transcript.recording.pk]))
    assert answer["Content-Type"].startswith("text/vtt")
    assert "00:00:30.000 --> 00:00:31.000\nLater words." in answer.content.decode()


def test_a_recording_in_our_bucket_may_be_played_by_the_page(client, meeting, recording, admin_user, settings):
    settings.MEDIA_STORAGE = "s3://media/prefix"
    settings.MEDIA_S3_ENDPOINT_URL = "http://localhost:9999"
    settings.AWS_ACCESS_KEY_ID, settings.AWS_SECRET_ACCESS_KEY = "key", "made-up"
    client.force_login(admin_user)
    address = client.get(reverse("recording-media", args=[meeting.pk, recording.pk]))
    assert address.status_code == 302
    origin = "/".join(address.url.split("/")[:3])
    for where in (meeting.get_absolute_url(), reverse("admin:recordings_recording_change", args=[recording.pk])):
        policy = client.get(where)["Content-Security-Policy"]
        assert f"media-src 'self' {origin}" in policy


def test_a_recording_in_our_folder_needs_nothing_of_elsewhere(client, meeting, recording, owner):
    client.force_login(owner)
    assert "media-src" not in page(client, meeting)["Content-Security-Policy"]
