"""From a finished recording at the provider to a file of ours and a transcript.

Each step is one row's work (see ``platforms.work``): fetching belongs to the ``Recording``, listening to its
``Transcript``. A step that is repeated writes the same thing
again under the same name.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from meetings.models import ParticipantSession
from platforms import registry
from platforms.base import PlatformRefused
from platforms.work import Defer, Hopeless, Lease, LeaseLost
from recordings import media, scratch
from recordings.filestore import StoredFile, filestore
from recordings.finding import PROCESSED_KINDS
from recordings.models import Recording, Transcript, TranscriptSegment
from recordings.removing import reason_to_remove, remove, want_removal
from recordings.transcribers import Segment, TranscriberRefused, transcriber

logger = logging.getLogger(__name__)

STILL_RUNNING = timedelta(seconds=30)
MP4 = "video/mp4"
CHUNK = 1024 * 1024


def process(lease: Lease[Recording]) -> None:
    """Fetch the file, look at it, keep it, and have it transcribed; or remove it where it may not be kept.

    What we keep already is looked at again where the provider does not have it any more. Raises ``PlatformUnavailable``
    (tried again), ``Hopeless`` (an unreadable file).
    """
    recording = lease.row
    if recording.deleted_at:
        with lease.finishing():
            return
    if _has_to_go(recording):
        remove(lease)
        return
    if recording.kind not in PROCESSED_KINDS:
        with lease.finishing():
            Recording.objects.filter(pk=recording.pk).update(
                probe={"note": f"Recordings of kind “{recording.kind}” are left at the provider."}
            )
        return
    scratch.clear(str(recording.pk))
    with scratch.folder(str(recording.pk)) as folder, _file(lease, folder / "recording") as (path, promised):
        probe = _probe(path)
        lease.check()
        # where the provider does not tell how long it ran, only now can be said who was inside until its end
        recording.media_duration_s = probe.duration_ms / 1000
        if _has_to_go(recording):
            remove(lease)
            return
        if promised is None:
            stored = StoredFile(key=recording.file_key, size=path.stat().st_size, sha256=recording.sha256)
        else:
            chunks = _chunks(lease, path)
            stored = filestore().put(recording.media_key, chunks, content_type=MP4, expected_size=promised)
    try:
        with lease.finishing():
            keep(recording, stored, probe, is_new=promised is not None)
    except LeaseLost:
        if Recording.objects.filter(pk=recording.pk, delete_wanted_at__isnull=False).exists():
            filestore().delete(recording.media_key)  # it was removed while we were frozen; we put it back
        raise


def _has_to_go(recording: Recording) -> bool:
    """Whether it may not be kept; then that is written down."""
    reason = reason_to_remove(recording)
    if reason and not recording.delete_wanted_at:
        recording.delete_wanted_at, recording.delete_reason = timezone.now(), reason
        recording.save(update_fields=["delete_wanted_at", "delete_reason"])
    return bool(recording.delete_wanted_at)


def keep(recording: Recording, stored: StoredFile, probe: media.Probe, *, is_new: bool = True) -> None:
    Recording.objects.filter(pk=recording.pk).update(
        file_key=stored.key,
        sha256=stored.sha256,
        size_bytes=stored.size,
        content_type=MP4,
        media_duration_s=probe.duration_ms / 1000,
        probe=asdict(probe),
        fetched_at=timezone.now() if is_new else recording.fetched_at,
    )
    language = recording.meeting.language if recording.meeting else "en"
    transcript, made = Transcript.objects.get_or_create(recording=recording, defaults={"language": language})
    if made:
        transcript.wake_after_commit()
    else:
        transcript.run_again()


@contextmanager
def _file(lease: Lease[Recording], path: Path) -> Iterator[tuple[Path, int | None]]:
    """The provider's file, streamed to ``path``, and its size. Where the provider refuses for good, the file that we
    keep from an earlier time, and None."""
    recording = lease.row
    try:
        size = _fetch(lease, path)
    except PlatformRefused as refused:
        if not (recording.file_key and filestore().exists(recording.file_key)):
            raise
        logger.warning("recording %s: %s; going on from the file that we keep", recording.pk, refused)
    else:
        yield path, size
        return
    with filestore().local_copy(recording.file_key) as kept:
        yield kept, None


def _fetch(lease: Lease[Recording], path: Path) -> int:
    """Stream the provider's file to ``path`` in constant memory; returns its size in bytes."""
    recording = lease.row
    adapter = registry.get(recording.platform)
    item = adapter.get_recording(recording.provider_recording_id) or recording.as_listed()
    if item.state == "in-progress":
        raise Defer("the provider is still recording", after=STILL_RUNNING)
    size = 0
    with adapter.download(item) as download, path.open("wb") as file:
        for chunk in download.chunks:
            lease.check()
            size += file.write(chunk)
    if download.size is not None and size != download.size:
        raise OSError(f"the file ended after {size} of {download.size} bytes")
    if not size:
        raise Hopeless("The provider delivered an empty file.")
    return size


def _chunks(lease: Lease[Recording], path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            lease.check()
            yield chunk


def _probe(path: Path) -> media.Probe:
    try:
        return media.probe(path)
    except media.MediaUnreadable as error:
        raise Hopeless(f"The file cannot be read as sound or video: {error}") from error


def transcribe(lease: Lease[Transcript]) -> None:
    """Listen to a recording and replace its segments by what was heard. Silence is an empty transcript.

    Raises ``TranscriberUnavailable`` (tried again), ``Hopeless`` (a language the engine does not know, no engine of
    the name that is set).
    """
    transcript = lease.row
    recording = transcript.recording
    if not recording.file_key:
        raise Hopeless("There is no file to listen to.")
    segments: list[Segment] = []
    with filestore().local_copy(recording.file_key) as path:
        try:
            engine = transcriber()
            for segment in _heard(engine.transcribe(path, language=transcript.language), transcript, recording):
                lease.check()
                segments.append(segment)
        except (TranscriberRefused, media.MediaUnreadable) as error:
            raise Hopeless(str(error)) from error
    speaker = only_speaker(recording)
    with lease.finishing():
        if reason := reason_to_remove(Recording.objects.get(pk=recording.pk)):
            want_removal(recording, reason=reason)
            segments = []
        TranscriptSegment.objects.filter(transcript=transcript).delete()
        TranscriptSegment.objects.bulk_create(
            TranscriptSegment(
                transcript=transcript,
                start_ms=segment.start_ms,
                end_ms=max(segment.start_ms, segment.end_ms),
                text=segment.text,
                confidence=segment.confidence,
                participant_id=speaker,
            )
            for segment in segments
        )
        Transcript.objects.filter(pk=transcript.pk).update(engine=engine.name, model=engine.model, progress=1)


def _heard(segments: Iterator[Segment], transcript: Transcript, recording: Recording) -> Iterator[Segment]:
    """Pass segments on, telling now and then how far the engine is."""
    told = 0.0
    length_ms = (recording.media_duration_s or 0) * 1000
    for segment in segments:
        yield segment
        share = min(segment.end_ms / length_ms, 1) if length_ms else 0
        if share - told >= 0.05:
            Transcript.objects.filter(pk=transcript.pk).update(progress=share)
            told = share


def only_speaker(recording: Recording) -> uuid.UUID | None:
    """The one person who can have spoken in a mixed recording, by who was inside while it ran; else None."""
    if recording.meeting is None or recording.started_at is None:
        return None
    end = recording.started_at + timedelta(seconds=recording.media_duration_s or recording.duration_s or 0)
    inside = (
        ParticipantSession.objects.filter(meeting=recording.meeting, participant__is_person=True)
        .filter(joined_at__lt=end)
        .exclude(left_at__lt=recording.started_at)
        .order_by()
        .values_list("participant_id", flat=True)
        .distinct()
    )
    people = list(inside[:2])
    return people[0] if len(people) == 1 else None
