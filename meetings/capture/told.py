"""What the provider tells of a meeting's recordings. Every fact is an earliest or latest time, so that its events come
in any order and any number of times."""

from __future__ import annotations

from datetime import datetime

from meetings.capture.rows import of_meeting_locked, save_settled, server_records, settle_all
from meetings.models import Capture, Meeting, earliest, latest


def note_started(capture: Capture, *, recording_id: str, at: datetime) -> None:
    """The provider says that this order runs as ``recording_id``. Idempotent, blind to order."""
    capture.started_at = earliest(capture.started_at, at)
    if recording_id:
        capture.provider_recording_id = recording_id
        # the finished recording may have been told of first, when nobody knew whose it was
        for stray in Capture.objects.filter(
            meeting=capture.meeting, provider_recording_id=recording_id, ordered_at__isnull=True
        ).exclude(pk=capture.pk):
            capture.ready_at = earliest(capture.ready_at, stray.ready_at)
            capture.stopped_at = earliest(capture.stopped_at, stray.stopped_at)
            capture.started_at = earliest(capture.started_at, stray.started_at)
            stray.delete()
    save_settled(capture)


def note_ready(
    meeting: Meeting | None, platform: str, *, recording_id: str, started_at: datetime | None, ended_at: datetime
) -> Capture | None:
    """The provider has a finished recording. One that nobody here ordered gets a row of its own."""
    capture = Capture.objects.filter(meeting__platform=platform, provider_recording_id=recording_id).first()
    if capture is not None:
        capture = of_meeting_locked(capture)
    else:
        if meeting is None or not server_records(meeting):
            return None  # a page's recording has no id that would lead back to its row
        capture = Capture(
            meeting=meeting,
            provider_recording_id=recording_id,
            reason="started by the provider",
            wanted_at=started_at or ended_at,
            status=Capture.Status.DONE,
        )
    capture.ready_at = earliest(capture.ready_at, ended_at)
    capture.stopped_at = earliest(capture.stopped_at, ended_at)
    capture.started_at = earliest(capture.started_at, started_at)
    save_settled(capture)
    return capture


def note_failed(capture: Capture, *, message: str, at: datetime) -> None:
    capture.failed_at = earliest(capture.failed_at, at)
    capture.error = max(capture.error, message or "The provider gave no reason.")
    save_settled(capture)


def note_closed(meeting: Meeting, *, now: datetime) -> None:
    """The provider's room is gone: nothing records there any more. Call with the meeting locked."""
    for capture in meeting.captures.select_for_update():
        capture.settle()
        if capture.state in Capture.LIVE:
            capture.stopped_at = latest(capture.stopped_at, capture.started_at, now)
            capture.save(update_fields=["stopped_at"])
    settle_all(meeting)
