"""Orders carried out where our server starts and stops the recording: given, repeated, and seen to have worked."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from meetings.capture.rows import locked, may_begin_yet, store
from meetings.capture.wishes import reconcile
from meetings.models import Capture, latest
from platforms import registry
from platforms.base import Adapter, PlatformRefused, PlatformUnavailable
from platforms.work import Defer, Lease

logger = logging.getLogger(__name__)

#: a provider that does not know of the call yet, or does not answer, is asked again for this long
START_PATIENCE = timedelta(minutes=5)
ASK_AGAIN = timedelta(seconds=2)
#: an accepted order that nothing came of is repeated after this long
CONFIRMED_WITHIN = timedelta(seconds=30)
#: a stop that nobody confirms is watched this closely, and less closely after ten minutes
WATCH_STOP = timedelta(seconds=1)
WATCH_LONG = timedelta(seconds=30)


def drive(lease: Lease[Capture], *, now: datetime | None = None) -> None:
    """One step towards what is wanted of a capture: give the order, or see whether it was carried out."""
    now = now or timezone.now()
    capture = Capture.objects.select_related("meeting").filter(pk=lease.row.pk).first()
    if capture is None:
        return  # never ordered and not wanted any more
    adapter = registry.get(capture.meeting.platform)
    if not adapter.capabilities.server_recording:
        _conclude(lease)
    elif capture.state == Capture.State.WANTED:
        _drive_start(lease, capture, adapter, now)
    elif capture.state == Capture.State.STOPPING or capture.runs_late:
        _drive_stop(lease, capture, adapter, now)
    else:
        _conclude(lease)


def _drive_start(lease: Lease[Capture], capture: Capture, adapter: Adapter, now: datetime) -> None:
    if capture.accepted_at is not None and now < capture.accepted_at + CONFIRMED_WITHIN:
        try:
            running = adapter.recording_running(capture.meeting.provider_room)
        except (PlatformUnavailable, PlatformRefused) as error:
            raise Defer(str(error), after=2 * ASK_AGAIN) from error
        if running:
            _conclude(lease, started_at=now)
            return
        raise Defer("the start is not confirmed yet", after=2 * ASK_AGAIN)
    if capture.accepted_at is not None and now > capture.wanted_at + START_PATIENCE:
        _conclude(lease, failed_at=now, error="The provider took the order to record and never began.")
        return
    if not _may_still_start(lease, capture, now):
        return
    try:
        adapter.start_recording(
            capture.meeting.provider_room,
            instance_id=str(capture.pk),
            # longer than any meeting, or the provider's default would cut long ones
            max_duration_s=int(settings.MEETING_HOURS * 3600) + 3600,
        )
    except PlatformUnavailable as error:
        if now > capture.wanted_at + START_PATIENCE:
            _conclude(lease, failed_at=now, error=str(error))
            return
        raise Defer(str(error), after=ASK_AGAIN) from error
    except PlatformRefused as error:
        _conclude(lease, failed_at=now, error=str(error))
        return
    Capture.objects.filter(pk=capture.pk).update(accepted_at=now)
    raise Defer("the start is not confirmed yet", after=2 * ASK_AGAIN)


def _may_still_start(lease: Lease[Capture], capture: Capture, now: datetime) -> bool:
    """Write the order down before it is given, if it still stands: who asks later knows that it may be running."""
    with transaction.atomic():
        meeting = locked(capture.meeting)
        reconcile(meeting, now=now)
        current = Capture.objects.select_for_update().filter(pk=capture.pk).first()
        if current is None:
            return False  # it was never ordered and nobody wants it any more
        if current.state != Capture.State.WANTED or current.lease_token != lease.token:
            stands = False
        else:
            current.ordered_at = now
            current.save(update_fields=["ordered_at"])
            stands = True
    if not stands:
        _conclude(lease)
    return stands


def _drive_stop(lease: Lease[Capture], capture: Capture, adapter: Adapter, now: datetime) -> None:
    room = capture.meeting.provider_room
    wanted = latest(capture.stop_wanted_at, capture.stopped_at, capture.failed_at) or now
    if capture.meeting.closed_at_provider_at is not None:
        _conclude(lease, stopped_at=now)
        return
    again = WATCH_STOP if now < wanted + START_PATIENCE else WATCH_LONG
    try:
        adapter.stop_recording(room, instance_id=str(capture.pk))
    except PlatformUnavailable as error:
        raise Defer(str(error), after=again) from error
    except PlatformRefused as error:
        logger.warning("stop of capture %s refused: %s", capture.pk, type(error).__name__)
    try:
        running = adapter.recording_running(room)
    except (PlatformUnavailable, PlatformRefused) as error:
        raise Defer(str(error), after=again) from error
    if running is False and not may_begin_yet(capture, now):
        _conclude(lease, stopped_at=now)
        return
    raise Defer("the stop is not confirmed yet", after=again)


def _conclude(
    lease: Lease[Capture],
    *,
    started_at: datetime | None = None,
    stopped_at: datetime | None = None,
    failed_at: datetime | None = None,
    error: str = "",
) -> None:
    """Write what became certain, and be done for now."""
    with transaction.atomic():
        locked(lease.row.meeting)
        with lease.finishing():
            capture = Capture.objects.select_for_update().get(pk=lease.row.pk)
            if started_at is not None and capture.started_at is None:
                capture.started_at = started_at
            # a stop that was confirmed after a late start overrules the earlier one
            capture.stopped_at = latest(capture.stopped_at, stopped_at)
            capture.failed_at = capture.failed_at or failed_at
            capture.error = capture.error or error
            store(capture)
    if capture.state == Capture.State.FAILED:
        logger.warning("capture %s of meeting %s failed", capture.pk, capture.meeting_id)
