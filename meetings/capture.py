"""Starting and stopping a meeting's recording: when it is wanted, when it is allowed, and what is known of it.

A ``Capture`` is one run. Its ``state`` is derived from facts (``Capture.settle``) that come from our orders, from the
provider's events and, where the host's page records, from that page. Whether a recording is wanted says the room's
trigger, whether it is allowed says ``consent.recording_allowed``; ``reconcile`` compares the two with what runs.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from meetings.consent import ABOUT_TO_BE_IN, recording_allowed
from meetings.models import Capture, Meeting, Participant, ParticipantSession, earliest, latest
from meetings.opening import provider_starts_recording
from platforms import registry
from platforms.base import Adapter, PlatformRefused, PlatformUnavailable
from platforms.work import Defer, Lease
from rooms.models import Room

logger = logging.getLogger(__name__)

#: a provider that does not know of the call yet, or does not answer, is asked again for this long
START_PATIENCE = timedelta(minutes=5)
ASK_AGAIN = timedelta(seconds=2)
#: an accepted order that nothing came of is repeated after this long
CONFIRMED_WITHIN = timedelta(seconds=30)
#: a start that was ordered may take effect this much later; until then "nothing is recording" proves nothing
START_TAKES = timedelta(seconds=10)
#: a stop that nobody confirms is watched this closely, and less closely after ten minutes
WATCH_STOP = timedelta(seconds=1)
WATCH_LONG = timedelta(seconds=30)
PAGE_PATIENCE = timedelta(seconds=45)

FACTS = [
    "state",
    "reason",
    "error",
    "provider_recording_id",
    "started_at",
    "stop_wanted_at",
    "stopped_at",
    "ordered_at",
    "accepted_at",
    "failed_at",
    "ready_at",
    "may_resume",
]


class CaptureRefused(Exception):
    """This recording cannot be started now. The text is one sentence for the host."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What hosts and staff see of a meeting's recording. ``problem`` is a sentence or empty."""

    recording: bool
    problem: str
    prompt: bool  #: ask the host whether to record
    can_start: bool
    can_stop: bool


# -- wishes ---------------------------------------------------------------------


def wish_start(*, meeting: Meeting, by: Any, now: datetime | None = None) -> Capture | None:
    """A host wants a recording. The one that runs already, if one does. Raises ``CaptureRefused``."""
    now = now or timezone.now()
    with transaction.atomic():
        meeting = locked(meeting)
        if meeting.status != Meeting.Status.OPEN:
            raise CaptureRefused("The meeting is over.")
        running = _running(meeting)
        if running is not None:
            if running.state == Capture.State.STOPPING:
                raise CaptureRefused("The last recording is still being stopped. Try again in a moment.")
            return running
        allowed, reason = recording_allowed(meeting, now=now)
        if not allowed:
            raise CaptureRefused(reason)
        if _server_records(meeting):
            if not meeting.people_inside().exists():
                raise CaptureRefused("Nobody is in the meeting yet.")
        elif not _host_is_inside(meeting, now):
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
        running = _running(locked(meeting))
        if running is not None:
            _stop(running, reason=reason, may_resume=False, now=now)


def reconcile(meeting: Meeting, *, now: datetime | None = None) -> Capture | None:
    """Start or stop as trigger, consent and presence demand. Idempotent; no network. Returns what runs after."""
    now = now or timezone.now()
    with transaction.atomic():
        meeting = locked(meeting)
        running = _running(meeting)
        if running is not None:
            _stop_if_unwanted(meeting, running, now)
            return meeting.captures.live().first()
        if not _is_demanded(meeting) or not recording_allowed(meeting, now=now)[0]:
            return None
        if not _server_records(meeting) and not _host_is_inside(meeting, now):
            return None
        return _start(meeting, reason=meeting.recording_trigger, is_automatic=True, now=now)


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


def reconcile_all(now: datetime) -> None:
    """What changes by time alone: somebody who was about to come in did not."""
    recordable = Meeting.objects.filter(status=Meeting.Status.OPEN, recording_type=Room.RecordingType.CLOUD)
    for meeting in recordable.filter(
        Exists(ParticipantSession.objects.filter(meeting=OuterRef("pk"), left_at__isnull=True))
    ):
        reconcile(meeting, now=now)


def locked(meeting: Meeting) -> Meeting:
    """The row as it is now, ours until the end of the transaction: what decides about one meeting runs in order."""
    return Meeting.objects.select_for_update(no_key=True).get(pk=meeting.pk)


def _running(meeting: Meeting) -> Capture | None:
    """The live capture, locked after its meeting: orders, events and pages write to the same row."""
    return meeting.captures.live().select_for_update().first()


def _settle(capture: Capture) -> None:
    """Derive the state; where another capture is live, this one is shown as over, whatever is still to be stopped."""
    capture.settle()
    if capture.state in Capture.LIVE and capture.meeting.captures.live().exclude(pk=capture.pk).exists():
        capture.state = Capture.State.OFF


def _is_demanded(meeting: Meeting) -> bool:
    """Whether the trigger asks for a recording now that nothing runs."""
    if (
        meeting.status != Meeting.Status.OPEN
        or meeting.recording_type != Room.RecordingType.CLOUD
        or provider_starts_recording(meeting)
    ):
        return False
    last = meeting.captures.last()
    if last is not None and not last.may_resume:
        return False  # a host stopped it, or it failed: starting again is for a host to say
    return _enough_people(meeting)


def _enough_people(meeting: Meeting) -> bool:
    """Whether as many people are inside as the room's trigger waits for; never where it waits for a host."""
    needed = {
        Room.RecordingTrigger.AUTOMATIC.value: 1,
        Room.RecordingTrigger.AUTOMATIC_2ND.value: 2,
    }.get(meeting.recording_trigger)
    return needed is not None and meeting.count_people() >= needed


def _server_records(meeting: Meeting) -> bool:
    return registry.get(meeting.platform).capabilities.server_recording


def _host_is_inside(meeting: Meeting, now: datetime) -> bool:
    if meeting.people_inside().filter(participant__is_host=True).exists():
        return True
    return meeting.participants.filter(is_host=True, entered_at__gt=now - ABOUT_TO_BE_IN).exists()


def _somebody_is_inside(meeting: Meeting, now: datetime) -> bool:
    return meeting.people_inside().exists() or _host_is_inside(meeting, now)


def _start(meeting: Meeting, *, reason: str, is_automatic: bool, now: datetime) -> Capture:
    by_server = _server_records(meeting)
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


def _stop(capture: Capture, *, reason: str, may_resume: bool, now: datetime) -> None:
    """Order the stop of a live capture. One that was never ordered is over at once, and where no host wished for it
    it leaves no trace: what happened does not depend on the order in which joins and leaves were told."""
    if capture.is_automatic and capture.ordered_at is None and capture.started_at is None:
        capture.delete()
        return
    if capture.stop_wanted_at is None:
        capture.stop_wanted_at = now
        capture.reason = reason[:200]
        capture.may_resume = may_resume
    else:
        capture.may_resume = capture.may_resume and may_resume
    if capture.ordered_at is None and capture.started_at is None:
        capture.stopped_at = now
    _settle(capture)
    capture.save(update_fields=FACTS)
    if capture.state == Capture.State.STOPPING and _server_records(capture.meeting):
        capture.run_again(now=now)
    logger.info("capture %s is to stop, now %s", capture.pk, capture.state)


# -- where the server records ---------------------------------------------------------------------


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
    if running is False and not _may_begin_yet(capture, now):
        _conclude(lease, stopped_at=now)
        return
    raise Defer("the stop is not confirmed yet", after=again)


def _may_begin_yet(capture: Capture, now: datetime) -> bool:
    """Ordered a moment ago and not seen running: that nothing runs now does not mean that it will not."""
    return capture.started_at is None and capture.ordered_at is not None and now < capture.ordered_at + START_TAKES


def _conclude(
    lease: Lease[Capture],
    *,
    started_at: datetime | None = None,
    stopped_at: datetime | None = None,
    failed_at: datetime | None = None,
    error: str = "",
) -> None:
    """Write what became certain, and be done for now."""
    with lease.finishing():
        capture = Capture.objects.select_for_update().get(pk=lease.row.pk)
        if started_at is not None and capture.started_at is None:
            capture.started_at = started_at
        # a stop that was confirmed after a late start overrules the earlier one
        capture.stopped_at = latest(capture.stopped_at, stopped_at)
        capture.failed_at = capture.failed_at or failed_at
        capture.error = capture.error or error
        _settle(capture)
        capture.save(update_fields=FACTS)
    if capture.state == Capture.State.FAILED:
        logger.warning("capture %s of meeting %s failed", capture.pk, capture.meeting_id)


# -- where a host's page records ---------------------------------------------------------------------


def instruction_for(*, participant: Participant, now: datetime | None = None) -> Literal["start", "stop"] | None:
    """What the page of this host is to do with the recording now. Ask every few seconds; idempotent."""
    now = now or timezone.now()
    meeting = participant.meeting
    if not participant.is_host or _server_records(meeting):
        return None
    with transaction.atomic():
        reconcile(meeting, now=now)
        running = _running(locked(meeting))
        if running is None:
            return None
        if running.state == Capture.State.STOPPING:
            return "stop"
        if running.state == Capture.State.WANTED:
            running.ordered_at = running.ordered_at or now
            running.save(update_fields=["ordered_at"])
            return "start"
    return None


def report_from_page(*, meeting: Meeting, recording: bool, now: datetime | None = None) -> None:
    """A host's page saw the provider start or stop recording. Idempotent.

    Only changes are to be reported, not how a page starts out: a page that has just joined knows nothing.
    """
    now = now or timezone.now()
    if _server_records(meeting) or meeting.recording_type == Room.RecordingType.LOCAL:
        return  # nothing that we could order, or wait for
    with transaction.atomic():
        meeting = locked(meeting)
        running = _running(meeting)
        if running is None:
            if not recording or meeting.status != Meeting.Status.OPEN:
                return
            # the provider started by itself, or by a door that is not ours
            running = Capture(
                meeting=meeting, wanted_at=now, reason="started by the provider", status=Capture.Status.DONE
            )
        elif not recording and running.started_at is None and running.stop_wanted_at is None:
            return  # not yet
        elif not recording and _may_begin_yet(running, now):
            return
        if recording:
            running.started_at = running.started_at or now
        else:
            running.stopped_at = now
        _settle(running)
        running.save()
        reconcile(meeting, now=now)


# -- what is told ---------------------------------------------------------------------


def situation(meeting: Meeting, *, now: datetime | None = None) -> Situation:
    """For hosts and staff: why there is no recording, or what went wrong with it."""
    now = now or timezone.now()
    captures = list(meeting.captures.all())
    running = next((capture for capture in captures if capture.state in Capture.LIVE), None)
    last = captures[-1] if captures else None
    is_open = meeting.status == Meeting.Status.OPEN
    allowed, reason = recording_allowed(meeting, now=now) if is_open else (False, "")
    problem = ""
    if running is not None:
        problem = _problem_of(running, meeting, now)
    elif last is not None and last.state == Capture.State.FAILED:
        problem = f"The recording failed: {last.error or 'the provider gave no reason'}"
    elif is_open and meeting.recording_type == Room.RecordingType.CLOUD and _somebody_is_inside(meeting, now):
        if not allowed:
            problem = f"Not recorded: {reason}"
        elif _is_demanded(meeting) and not _server_records(meeting):
            problem = "Not recorded: a host has to be in the meeting to record it."
    can_record = is_open and meeting.recording_type == Room.RecordingType.CLOUD
    return Situation(
        recording=running is not None and running.state in (Capture.State.ON, Capture.State.STOPPING),
        problem=problem,
        prompt=can_record
        and allowed
        and meeting.recording_trigger == Room.RecordingTrigger.PROMPT
        and (last is None or (running is None and last.may_resume))
        and meeting.people_inside().exists(),
        can_start=can_record and allowed and running is None,
        can_stop=running is not None and running.state != Capture.State.STOPPING,
    )


def _problem_of(running: Capture, meeting: Meeting, now: datetime) -> str:
    by_server = _server_records(meeting)
    if running.state == Capture.State.STOPPING and now > (running.stop_wanted_at or now) + START_TAKES:
        return "The recording is to stop, and the provider has not confirmed it yet."
    if running.state != Capture.State.WANTED:
        return ""
    if not by_server and not _host_is_inside(meeting, now):
        return "Not recorded: a host has to be in the meeting to record it."
    if not by_server and now > running.wanted_at + PAGE_PATIENCE:
        return "Not recorded: the host's page has not started the recording. Loading the page again may help."
    if by_server and now > running.wanted_at + CONFIRMED_WITHIN:
        return f"The recording has not started yet. {running.last_error}".strip()
    return ""


# -- what the provider tells ---------------------------------------------------------------------


def by_instance(platform: str, instance_id: str) -> Capture | None:
    """Our order that an event speaks of."""
    try:
        wanted = uuid.UUID(instance_id)
    except ValueError:
        return None
    return Capture.objects.filter(meeting__platform=platform, pk=wanted).first()


def of_meeting_locked(capture: Capture) -> Capture:
    """The row as it is now, locked after its meeting."""
    locked(capture.meeting)
    return Capture.objects.select_for_update(of=("self",)).select_related("meeting").get(pk=capture.pk)


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
        if meeting is None or not _server_records(meeting):
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


def save_settled(capture: Capture) -> None:
    """Store facts that came from outside. A run that began after we had given it up is ordered to stop."""
    _settle(capture)
    if capture._state.adding:
        capture.save()
    else:
        capture.save(update_fields=FACTS)
    if capture.runs_late and _server_records(capture.meeting):
        capture.run_again()
