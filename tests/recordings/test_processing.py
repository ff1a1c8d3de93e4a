"""From the provider's bucket to words: real S3, real media, the real engine."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from meetings.models import Consent, ConsentText, Participant
from meetings.signals import consent_withdrawn
from platforms.work import Work, claim
from recordings.filestore import filestore
from recordings.models import Recording, Transcript
from recordings.processing import process
from recordings.tasks import process_recording, transcribe_recording
from tests.recordings.conftest import API, BUCKET, KEY, STARTED, listed, person
from tests.speech import ANN, text_of, word_error_rate

pytestmark = pytest.mark.django_db


@pytest.fixture
def recording(meeting, bucket, spoken_mp4):
    bucket.put_object(Bucket=BUCKET, Key=KEY, Body=spoken_mp4.read_bytes())
    return Recording.objects.create(
        platform="daily",
        provider_recording_id="rec-1",
        meeting=meeting,
        provider_room_name="standup-abc",
        started_at=STARTED,
        duration_s=17,
        provider_key=KEY,
        found_by="webhook",
    )


@pytest.fixture
def known_to_daily(api):
    api.add("GET", f"{API}/recordings/rec-1", json=listed())
    return api


def test_recording_is_fetched_probed_and_transcribed(recording, known_to_daily, spoken_mp4):
    ann = person(recording.meeting, "Ann")
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert recording.status == Work.Status.DONE
    assert recording.sha256 == hashlib.sha256(spoken_mp4.read_bytes()).hexdigest()
    assert recording.size_bytes == spoken_mp4.stat().st_size
    assert recording.probe["audio_codec"] == "aac"
    assert recording.probe["video_codec"] == "h264"
    assert b"".join(filestore().read(recording.file_key)) == spoken_mp4.read_bytes()

    transcribe_recording(str(recording.transcript.pk))
    transcript = Transcript.objects.get()
    assert transcript.status == Work.Status.DONE
    words = " ".join(transcript.segments.values_list("text", flat=True))
    assert word_error_rate(text_of(ANN), words) <= 0.25
    assert set(transcript.segments.values_list("participant", flat=True)) == {ann.pk}


def test_running_each_step_again_changes_nothing(recording, known_to_daily):
    for _ in range(2):
        process_recording(str(recording.pk))
        transcribe_recording(str(Transcript.objects.get().pk))
    before = list(Transcript.objects.get().segments.values_list("start_ms", "end_ms", "text"))
    recording.refresh_from_db()
    recording.run_again()
    process_recording(str(recording.pk))
    transcribe_recording(str(Transcript.objects.get().pk))
    assert list(Transcript.objects.get().segments.values_list("start_ms", "end_ms", "text")) == before
    assert Recording.objects.count() == Transcript.objects.count() == 1


def test_two_people_in_a_mixed_recording_leave_the_words_without_a_name(recording, known_to_daily):
    person(recording.meeting, "Ann")
    person(recording.meeting, "Ben")
    process_recording(str(recording.pk))
    transcribe_recording(str(Transcript.objects.get().pk))
    assert set(Transcript.objects.get().segments.values_list("participant", flat=True)) == {None}


def test_what_the_provider_has_no_more_is_processed_again_from_the_file_that_we_keep(recording, api, bucket):
    api.add("GET", f"{API}/recordings/rec-1", json=listed())
    process_recording(str(recording.pk))
    transcribe_recording(str(Transcript.objects.get().pk))
    recording.refresh_from_db()
    before = (recording.sha256, recording.size_bytes, recording.fetched_at, recording.probe)
    words = list(Transcript.objects.get().segments.values_list("start_ms", "end_ms", "text"))
    Transcript.objects.get().segments.all().delete()
    Recording.objects.update(probe={}, media_duration_s=None)

    api.reset()
    api.add("GET", f"{API}/recordings/rec-1", status=404, json={"error": "not-found"})
    api.add("GET", f"{API}/recordings/rec-1/access-link", status=404, json={"error": "not-found"})
    bucket.delete_object(Bucket=BUCKET, Key=KEY)
    recording.run_again()
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert (recording.status, recording.attempts, recording.last_error) == (Work.Status.DONE, 1, "")
    assert (recording.sha256, recording.size_bytes, recording.fetched_at, recording.probe) == before
    assert filestore().exists(recording.file_key)
    transcribe_recording(str(Transcript.objects.get().pk))
    assert list(Transcript.objects.get().segments.values_list("start_ms", "end_ms", "text")) == words


def test_what_neither_the_provider_nor_we_have_is_shown_to_staff(recording, api, bucket):
    api.add("GET", f"{API}/recordings/rec-1", status=404, json={"error": "not-found"})
    api.add("GET", f"{API}/recordings/rec-1/access-link", status=404, json={"error": "not-found"})
    bucket.delete_object(Bucket=BUCKET, Key=KEY)
    Recording.objects.update(file_key=recording.media_key, attempts=7)
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert recording.status == Work.Status.QUARANTINED
    assert "PlatformRefused" in recording.last_error


def test_a_recording_that_is_still_running_is_waited_for_without_using_up_tries(recording, api):
    api.add("GET", f"{API}/recordings/rec-1", json=listed(status="in-progress"))
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert (recording.status, recording.attempts) == (Work.Status.PENDING, 0)
    assert recording.due_at > timezone.now() + timedelta(seconds=20)


def test_a_provider_that_is_down_is_asked_again(recording, api):
    api.add("GET", f"{API}/recordings/rec-1", status=503)
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert (recording.status, recording.attempts) == (Work.Status.PENDING, 1)
    assert "503" in recording.last_error


def test_a_file_that_is_no_media_is_shown_to_staff(recording, known_to_daily, bucket):
    bucket.put_object(Bucket=BUCKET, Key=KEY, Body=b"not a film" * 1000)
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert recording.status == Work.Status.QUARANTINED
    assert "cannot be read" in recording.last_error


def test_a_language_that_the_engine_cannot_do_is_said(recording, known_to_daily):
    recording.meeting.language = "de"
    recording.meeting.save()
    process_recording(str(recording.pk))
    transcribe_recording(str(Transcript.objects.get().pk))
    transcript = Transcript.objects.get()
    assert transcript.status == Work.Status.QUARANTINED
    assert "German" in transcript.last_error
    assert not transcript.segments.exists()


def test_an_engine_that_does_not_exist_is_said_and_not_tried_again(recording, known_to_daily, settings):
    process_recording(str(recording.pk))
    settings.TRANSCRIBER = "parrot"
    transcribe_recording(str(Transcript.objects.get().pk))
    transcript = Transcript.objects.get()
    assert (transcript.status, transcript.attempts) == (Work.Status.QUARANTINED, 1)
    assert "TRANSCRIBER is 'parrot'" in transcript.last_error


def test_other_kinds_of_recording_are_shown_and_left_where_they_are(recording, known_to_daily):
    Recording.objects.update(kind="raw-tracks")
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert recording.status == Work.Status.DONE
    assert "raw-tracks" in recording.probe["note"]
    assert not Transcript.objects.exists()


def versions(bucket):
    answer = bucket.list_object_versions(Bucket=BUCKET, Prefix=KEY)
    return [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]


def daily_forgets_on_delete(api):
    there = [True]

    def delete(request):
        there[0] = False
        return 200, {}, '{"deleted": true}'

    def get(request):
        return (200, {}, json.dumps(listed())) if there[0] else (404, {}, '{"error": "not-found"}')

    api.add_callback("DELETE", f"{API}/recordings/rec-1", callback=delete)
    api.add_callback("GET", f"{API}/recordings/rec-1", callback=get)


def test_withdrawing_removes_file_versions_and_words_and_nothing_brings_them_back(recording, api, bucket):
    ann = person(recording.meeting, "Ann")
    daily_forgets_on_delete(api)
    bucket.put_object(Bucket=BUCKET, Key=KEY, Body=b"an older version")
    bucket.put_object(Bucket=BUCKET, Key=KEY, Body=versions(bucket)[0]["VersionId"].encode())
    bucket.delete_object(Bucket=BUCKET, Key=KEY)
    Recording.objects.update(file_key=recording.media_key)
    filestore().put(recording.media_key, [b"our copy"])
    Transcript.objects.create(recording=recording)

    Participant.objects.filter(pk=ann.pk).update(answer="withdrawn")
    consent_withdrawn.send(sender=None, meeting=recording.meeting, participant=ann)
    process_recording(str(recording.pk))

    recording.refresh_from_db()
    assert recording.deleted_at is not None
    assert recording.delete_reason == "consent was withdrawn"
    assert versions(bucket) == []
    assert not filestore().exists(recording.media_key)
    assert not Transcript.objects.exists()
    recording.run_again()
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert recording.file_key == ""
    assert not Transcript.objects.exists()


@pytest.mark.parametrize(
    ("answer", "joined_s", "left_s", "kept"),
    [
        ("no", 5, 300, False),
        ("withdrawn", 5, 300, False),
        ("no", 17.5, 300, True),
        ("no", -60, 0.5, True),
        ("yes", 0, 300, True),
    ],
)
def test_what_somebody_who_refused_can_be_heard_in_is_not_kept(recording, api, answer, joined_s, left_s, kept):
    daily_forgets_on_delete(api)
    person(recording.meeting, "Ann")
    person(recording.meeting, "Ben", answer, joined_s=joined_s, left_s=left_s)
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert (recording.deleted_at is None) == kept
    assert bool(recording.file_key) == kept


def test_a_refusal_late_in_a_recording_of_untold_length_is_carried_out_before_it_is_shown(recording, api):
    """Only the file tells how long it ran; no engine has to understand it first."""
    daily_forgets_on_delete(api)
    Recording.objects.filter(pk=recording.pk).update(duration_s=None)
    recording.meeting.language = "de"
    recording.meeting.save()
    person(recording.meeting, "Ben", "no", joined_s=10)
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert recording.deleted_at is not None
    assert not filestore().exists(recording.media_key)
    assert not Transcript.objects.exists()


@pytest.mark.parametrize(("withdrawn_after_s", "kept"), [(10, False), (-10, True)])
def test_saying_yes_again_does_not_bring_back_what_was_recorded_before(recording, api, withdrawn_after_s, kept):
    daily_forgets_on_delete(api)
    ann = person(recording.meeting, "Ann", "yes")
    text = ConsentText.version_of("the words")
    at = STARTED + timedelta(seconds=withdrawn_after_s)
    for answer, answered_at in (("withdrawn", at), ("yes", at + timedelta(seconds=5))):
        Consent.objects.create(participant=ann, text=text, policy="choice", answer=answer, answered_at=answered_at)
    process_recording(str(recording.pk))
    recording.refresh_from_db()
    assert (recording.deleted_at is None) == kept


def test_a_worker_that_froze_while_the_recording_was_removed_leaves_nothing(recording, known_to_daily):
    """It fetched, froze before it could say so, and wakes up after the removal."""
    lease = claim(Recording, recording.pk)
    put = filestore().put

    def removed_meanwhile(*args, **kwargs):
        stored = put(*args, **kwargs)
        Recording.objects.update(delete_wanted_at=timezone.now(), lease_token=None)
        return stored

    with pytest.MonkeyPatch.context() as patch, lease:
        patch.setattr("recordings.filestore.FolderStore.put", lambda self, *a, **k: removed_meanwhile(*a, **k))
        with pytest.raises(Exception, match=str(recording.pk)):
            process(lease)
    assert not filestore().exists(recording.media_key)
