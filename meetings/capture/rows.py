"""The rows of runs of recording: found, locked after their meeting, and stored with the states that follow.

A ``Capture`` is one run. Its ``state`` is derived from facts (``Capture.settle``) that come from our orders, from the
provider's events and, where the host's page records, from that page.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from meetings.consent import ABOUT_TO_BE_IN
from meetings.models import Capture, Meeting
from platforms import registry

FACTS = [
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
#: a start that was ordered may take effect this much later; until then "nothing is recording" proves nothing
START_TAKES = timedelta(seconds=10)


def locked(meeting: Meeting) -> Meeting:
    """The row as it is now, ours until the end of the transaction: what decides about one meeting runs in order."""
    return Meeting.objects.select_for_update(no_key=True).get(pk=meeting.pk)


def running_in(meeting: Meeting) -> Capture | None:
    """The live capture, locked after its meeting: orders, events and pages write to the same row."""
    return meeting.captures.live().select_for_update().first()


def of_meeting_locked(capture: Capture) -> Capture:
    """The row as it is now, locked after its meeting."""
    locked(capture.meeting)
    return Capture.objects.select_for_update(of=("self",)).select_related("meeting").get(pk=capture.pk)


def by_instance(platform: str, instance_id: str) -> Capture | None:
    """Our order that an event speaks of."""
    try:
        wanted = uuid.UUID(instance_id)
    except ValueError:
        return None
    return Capture.objects.filter(meeting__platform=platform, pk=wanted).first()


def save_settled(capture: Capture) -> None:
    """Store facts that came from outside. A run that began after we had given it up is ordered to stop."""
    store(capture)
    if capture.runs_late and server_records(capture.meeting):
        capture.run_again()


def store(capture: Capture) -> None:
    """Store the facts of one capture, and the states that follow for all of its meeting."""
    if capture._state.adding:
        capture.state = Capture.State.OFF
        capture.save()
    else:
        capture.save(update_fields=FACTS)
    settle_all(capture.meeting)
    capture.refresh_from_db(fields=["state"])


def settle_all(meeting: Meeting) -> None:
    """Derive the states of all captures. Only one is shown as live; the others are shown as over until it is, and
    which one it is does not depend on what was told first. Call with the meeting locked."""
    captures = list(meeting.captures.select_for_update())
    shown = {capture.pk: capture.state for capture in captures}
    for capture in captures:
        capture.settle()
    live = [capture for capture in captures if capture.state in Capture.LIVE]
    live.sort(key=lambda one: (one.runs_late, is_the_providers(one), one.started_at or one.wanted_at, one.pk))
    for capture in live[1:]:
        capture.state = Capture.State.OFF
    # the database holds one live capture at a time
    for capture in sorted(captures, key=lambda one: one.state in Capture.LIVE):
        if capture.state != shown[capture.pk]:
            capture.save(update_fields=["state"])
            if capture.state == Capture.State.STOPPING and server_records(meeting):
                capture.run_again()  # whoever worked on it took it for over


def is_the_providers(capture: Capture) -> bool:
    """Told by the provider, and ordered by nobody here."""
    told = capture.started_at or capture.failed_at or capture.ready_at
    return bool(told) and capture.ordered_at is None and not capture.is_automatic


def last_order(captures: Iterable[Capture]) -> Capture | None:
    """The latest that somebody here started or stopped: what a provider did by itself decides nothing."""
    ours = [capture for capture in captures if not is_the_providers(capture) or capture.stop_wanted_at]
    return ours[-1] if ours else None


def may_begin_yet(capture: Capture, now: datetime) -> bool:
    """Ordered a moment ago and not seen running: that nothing runs now does not mean that it will not."""
    return capture.started_at is None and capture.ordered_at is not None and now < capture.ordered_at + START_TAKES


def server_records(meeting: Meeting) -> bool:
    return registry.get(meeting.platform).capabilities.server_recording


def host_is_inside(meeting: Meeting, now: datetime) -> bool:
    if meeting.people_inside().filter(participant__is_host=True).exists():
        return True
    return meeting.participants.filter(is_host=True, entered_at__gt=now - ABOUT_TO_BE_IN).exists()
