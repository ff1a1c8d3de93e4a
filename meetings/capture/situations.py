"""What hosts and staff are told of a meeting's recording: whether it runs, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from meetings.capture.rows import START_TAKES, host_is_inside, last_order, server_records
from meetings.capture.server import CONFIRMED_WITHIN
from meetings.capture.wishes import is_demanded
from meetings.consent import recording_allowed
from meetings.models import Capture, Meeting
from rooms.models import Room

PAGE_PATIENCE = timedelta(seconds=45)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What hosts and staff see of a meeting's recording. ``problem`` is a sentence or empty."""

    recording: bool
    problem: str
    prompt: bool  #: ask the host whether to record
    can_start: bool
    can_stop: bool


def situation(meeting: Meeting, *, now: datetime | None = None) -> Situation:
    """For hosts and staff: why there is no recording, or what went wrong with it."""
    now = now or timezone.now()
    captures = list(meeting.captures.all())
    running = next((capture for capture in captures if capture.state in Capture.LIVE), None)
    last = captures[-1] if captures else None
    order = last_order(captures)
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
        elif is_demanded(meeting):
            if not server_records(meeting):
                problem = "Not recorded: a host has to be in the meeting to record it."
        elif order is not None and order.may_resume and not order.is_automatic:
            problem = "The recording was stopped for somebody who did not agree. A host may start it again now."
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
    by_server = server_records(meeting)
    if running.state == Capture.State.STOPPING and now > (running.stop_wanted_at or now) + START_TAKES:
        return "The recording is to stop, and the provider has not confirmed it yet."
    if running.state != Capture.State.WANTED:
        return ""
    if not by_server and not host_is_inside(meeting, now):
        return "Not recorded: a host has to be in the meeting to record it."
    if not by_server and now > running.wanted_at + PAGE_PATIENCE:
        return "Not recorded: the host's page has not started the recording. Loading the page again may help."
    if by_server and now > running.wanted_at + CONFIRMED_WITHIN:
        return f"The recording has not started yet. {running.last_error}".strip()
    return ""


def _somebody_is_inside(meeting: Meeting, now: datetime) -> bool:
    return meeting.people_inside().exists() or host_is_inside(meeting, now)
