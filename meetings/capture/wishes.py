"""What is wanted of a meeting's recording: by hosts, and by the room's trigger as far as everybody inside allows it.

Whether a recording is wanted says the trigger, whether it is allowed says ``consent.recording_allowed``; ``reconcile``
compares the two with what runs.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from meetings.capture.rows import (
    host_is_inside,
    last_order,
    locked,
    running_in,
    server_records,
    store,
)
from meetings.consent import recording_allowed
from meetings.models import Capture, Meeting, ParticipantSession
from meetings.opening import provider_starts_recording
from rooms.models import Room

logger = logging.getLogger(__name__)


class CaptureRefused(Exception):
    """This recording cannot be started now. The text is one sentence for the host."""


def wish_start(*, meeting: Meeting, by: Any, now: datetime | None = None) -> Capture | None:
    """A host wants a recording. The one that runs already, if one does. Raises ``CaptureRefused``."""
    now = now or timezone.now()
    with transaction.atomic():
        meeting = locked(meeting)
        if meeting.status != Meeting.Status.OPEN:
            raise CaptureRefused("The meeting is over.")
        running = running_in(meeting)
        if running is not None:
            if running.state == Capture.State.STOPPING:
                raise CaptureRefused("The last recording is still being stopped. Try again in a moment.")
            return running
        allowed, reason = recording_allowed(meeting, now=now)
        if not allowed:
            raise CaptureRefused(reason)
        if server_records(meeting):
            if not meeting.people_inside().exists():
                raise CaptureRefused("Nobody is in the meeting yet.")
        elif not host_is_inside(meeting, now):
            raise CaptureRefused("A host has to be in the meeting to record it.")
        return _start(
            meeting,
            reason=f"started by {by}" if getattr(by, "is_authenticated", False) else "started by a host",
            is_automatic=False,
            now=now,
        )


def wish_stop(*, meeting: Meeting, reason: str, now: datetime | None = None) -> None:
    """Stop what runs, for good: an automatic recording does not start again by itself. Idempotent."""
    now = now or timezone.now()
    with transaction.atomic():
        running = running_in(locked(meeting))
        if running is not None:
            _stop(running, reason=reason, may_resume=False, now=now, for_good=True)


def reconcile(meeting: Meeting, *, now: datetime | None = None) -> Capture | None:
    """Start or stop as trigger, consent and presence demand. Idempotent; no network. Returns what runs after."""
    now = now or timezone.now()
    with transaction.atomic():
        meeting = locked(meeting)
        running = running_in(meeting)
        if running is not None:
            _stop_if_unwanted(meeting, running, now)
            return meeting.captures.live().first()
        if not is_wanted(meeting, now=now):
            return None
        return _start(meeting, reason=meeting.recording_trigger, is_automatic=True, now=now)


def reconcile_all(now: datetime) -> None:
    """What changes by time alone: somebody who was about to come in did not."""
    recordable = Meeting.objects.filter(status=Meeting.Status.OPEN, recording_type=Room.RecordingType.CLOUD)
    for meeting in recordable.filter(
        Exists(ParticipantSession.objects.filter(meeting=OuterRef("pk"), left_at__isnull=True))
    ):
        reconcile(meeting, now=now)


def is_wanted(meeting: Meeting, *, now: datetime) -> bool:
    """Whether a recording is to run now by itself: demanded by the trigger, allowed by everybody inside, and possible.
    It follows from who is inside and from what hosts decided, whatever was started and stopped on the way there."""
    if not is_demanded(meeting) or not recording_allowed(meeting, now=now)[0]:
        return False
    return server_records(meeting) or host_is_inside(meeting, now)


def _stop_if_unwanted(meeting: Meeting, running: Capture, now: datetime) -> None:
    if running.state == Capture.State.STOPPING:
        return
    if meeting.status != Meeting.Status.OPEN:
        _stop(running, reason="the meeting ended", may_resume=False, now=now)
        return
    allowed, reason = recording_allowed(meeting, now=now)
    if not allowed:
        _stop(running, reason=reason, may_resume=True, now=now)
    elif running.state == Capture.State.WANTED and running.is_automatic and not _enough_people(meeting):
        _stop(running, reason="everybody left before it began", may_resume=True, now=now)


def is_demanded(meeting: Meeting) -> bool:
    """Whether the trigger asks for a recording."""
    if (
        meeting.status != Meeting.Status.OPEN
        or meeting.recording_type != Room.RecordingType.CLOUD
        or provider_starts_recording(meeting)
    ):
        return False
    last = last_order(meeting.captures.all())
    if last is not None and not last.may_resume and (last.stop_wanted_at or last.state not in Capture.LIVE):
        return False  # a host stopped it, or it failed: starting again is for a host to say
    return _enough_people(meeting)


def _enough_people(meeting: Meeting) -> bool:
    """Whether as many people are inside as the room's trigger waits for; never where it waits for a host."""
    needed = {
        Room.RecordingTrigger.AUTOMATIC.value: 1,
        Room.RecordingTrigger.AUTOMATIC_2ND.value: 2,
    }.get(meeting.recording_trigger)
    return needed is not None and meeting.count_people() >= needed


def _start(meeting: Meeting, *, reason: str, is_automatic: bool, now: datetime) -> Capture:
    by_server = server_records(meeting)
    capture = Capture.objects.create(
        meeting=meeting,
        reason=reason[:200],
        is_automatic=is_automatic,
        wanted_at=now,
        due_at=now,
        woken_at=now,
        # the page's recordings are not worked on by us
        status=Capture.Status.PENDING if by_server else Capture.Status.DONE,
    )
    if by_server:
        capture.wake_after_commit()
    logger.info("capture %s of meeting %s is wanted", capture.pk, meeting.pk)
    return capture


def _stop(capture: Capture, *, reason: str, may_resume: bool, now: datetime, for_good: bool = False) -> None:
    """Order the stop of a live capture. One that was never ordered is over at once, and where no host wished for it
    it leaves no trace: what happened does not depend on the order in which joins and leaves were told. A host's stop
    always does: the trigger must not start the next one at once."""
    never_ordered = capture.ordered_at is None and capture.started_at is None
    if never_ordered and capture.is_automatic and not for_good:
        capture.delete()
        return
    if capture.stop_wanted_at is None:
        capture.stop_wanted_at = now
        capture.reason = reason[:200]
        capture.may_resume = may_resume
    else:
        capture.may_resume = capture.may_resume and may_resume
    if never_ordered:
        capture.stopped_at = now
    store(capture)
    if capture.state == Capture.State.STOPPING and server_records(capture.meeting):
        capture.run_again(now=now)
    logger.info("capture %s is to stop, now %s", capture.pk, capture.state)
