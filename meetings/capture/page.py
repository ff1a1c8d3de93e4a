"""Orders carried out where the page of a host starts and stops the recording: what it is to do, and what it saw."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from django.db import transaction
from django.utils import timezone

from meetings.capture.rows import locked, may_begin_yet, running_in, server_records, store
from meetings.capture.wishes import reconcile
from meetings.models import Capture, Meeting, Participant
from rooms.models import Room

#: a page is told that it failed, and no more
FAILED_IN_THE_CALL = "The video service could not start it."


def instruction_for(*, participant: Participant, now: datetime | None = None) -> Literal["start", "stop"] | None:
    """What the page of this host is to do with the recording now. Ask every few seconds; idempotent."""
    now = now or timezone.now()
    meeting = participant.meeting
    if not participant.is_host or server_records(meeting):
        return None
    with transaction.atomic():
        reconcile(meeting, now=now)
        running = running_in(locked(meeting))
        if running is None:
            return None
        if running.state == Capture.State.STOPPING:
            return "stop"
        if running.state == Capture.State.WANTED:
            running.ordered_at = running.ordered_at or now
            running.save(update_fields=["ordered_at"])
            return "start"
    return None


def report_from_page(*, meeting: Meeting, recording: bool, failed: bool = False, now: datetime | None = None) -> None:
    """A host's page saw the provider start or stop recording, or fail to start it (``failed``). Idempotent.

    Only changes are to be reported, not how a page starts out: a page that has just joined knows nothing.
    """
    now = now or timezone.now()
    if server_records(meeting) or meeting.recording_type == Room.RecordingType.LOCAL:
        return  # nothing that we could order, or wait for
    with transaction.atomic():
        meeting = locked(meeting)
        running = running_in(meeting)
        if running is None:
            if not recording or meeting.status != Meeting.Status.OPEN:
                return
            # the provider started by itself, or by a door that is not ours
            running = Capture(
                meeting=meeting, wanted_at=now, reason="started by the provider", status=Capture.Status.DONE
            )
        elif failed:
            if running.started_at is not None:
                return  # the answer to an order too many, of two hosts: what runs goes on
            if running.stop_wanted_at is not None and may_begin_yet(running, now):
                return  # another host's order may yet succeed
        elif not recording:
            if running.started_at is None and running.stop_wanted_at is None:
                return  # not yet
            if may_begin_yet(running, now):
                return
        if recording:
            running.started_at = running.started_at or now
        elif failed:
            running.failed_at = running.failed_at or now
            running.error = running.error or FAILED_IN_THE_CALL
        else:
            running.stopped_at = now
        store(running)
        reconcile(meeting, now=now)
