"""How meetings end: by a host, empty, at their limit, or never used; and the provider's room after them."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from meetings import capture, sessions
from meetings.consent import about_to_be_in
from meetings.models import TWO_LOOKS, Capture, Meeting, ParticipantSession
from meetings.opening import OPENING_FOR, PROVIDER_OUTLIVES, options_for
from platforms import registry
from platforms.base import PlatformError, PlatformRefused, ProviderRoom
from platforms.inbox import receive
from platforms.work import wake

logger = logging.getLogger(__name__)

#: those inside are told this long before the limit
WARN_BEFORE = timedelta(minutes=5)
NEVER_USED_AFTER = timedelta(minutes=30)
#: what presence said longer ago than this confirms nothing
FRESH = timedelta(seconds=60)
#: ``Meeting.failure`` where nothing is known of the provider
OPENER_LOST = "Whoever was opening it never came back."
CLOSE_LEASE = timedelta(seconds=30)
LONGEST_CLOSE_WAIT = timedelta(minutes=15)

Reason = Meeting.EndReason


def end_meeting(*, meeting: Meeting, reason: str, by: Any = None, now: datetime | None = None) -> Meeting:
    """The meeting is over for us at once; the provider puts out whoever is still inside soon after. Idempotent."""
    now = now or timezone.now()
    with transaction.atomic():
        meeting = capture.locked(meeting)
        if meeting.status != Meeting.Status.OPEN:
            return meeting
        meeting.status = Meeting.Status.ENDED
        meeting.end_reason = reason
        meeting.ended_at = now
        meeting.ended_by = by if getattr(by, "is_authenticated", False) else None
        meeting.close_due_at = now
        meeting.check_requested_at = None
        meeting.save()
        for stay in meeting.sessions.filter(left_at__isnull=True):
            stay.settle(meeting)
            stay.save()
        sessions.settle(meeting)
        capture.reconcile(meeting, now=now)
        transaction.on_commit(lambda: wake("close_meeting", meeting.pk), robust=True)
    logger.info("meeting %s ended: %s", meeting.pk, reason)
    return meeting


def end_what_is_over(now: datetime) -> None:
    """Apply the end rules to every live meeting."""
    nearly_over = Q(expires_at__lte=now + WARN_BEFORE)
    empty = Q(empty_since__lte=now - timedelta(seconds=settings.EMPTY_GRACE_S))
    unused = Q(empty_since__isnull=True, opened_at__lte=now - NEVER_USED_AFTER)
    for meeting in Meeting.objects.filter(nearly_over | empty | unused, status=Meeting.Status.OPEN):
        if meeting.is_over(now):
            end_meeting(meeting=meeting, reason=Reason.LIMIT, now=now)
        elif _is_left(meeting, now):
            end_meeting(meeting=meeting, reason=Reason.EMPTY, now=now)
        elif _was_never_used(meeting, now):
            end_meeting(meeting=meeting, reason=Reason.NEVER_USED, now=now)
        elif meeting.warned_at is None and meeting.is_over(now + WARN_BEFORE):
            Meeting.objects.filter(pk=meeting.pk, warned_at__isnull=True).update(warned_at=now)
    Meeting.objects.filter(status=Meeting.Status.OPENING, opening_until__lte=now - OPENING_FOR).update(
        status=Meeting.Status.FAILED,
        failure=OPENER_LOST,
        end_reason=Reason.FAILED,
        ended_at=now,
        opening_token=None,
        opening_until=None,
        close_due_at=now,
    )


def _is_left(meeting: Meeting, now: datetime) -> bool:
    """Everybody has been gone for the grace time, and presence, where there is one, has seen nobody since, twice."""
    since = meeting.empty_since
    if since is None or now - since < timedelta(seconds=settings.EMPTY_GRACE_S):
        return False
    if meeting.people_inside().exists() or _somebody_is_coming(meeting, now):
        return False
    return _presence_agrees(meeting, since, now)


def _was_never_used(meeting: Meeting, now: datetime) -> bool:
    opened_at = meeting.opened_at or meeting.created_at
    if now - opened_at < NEVER_USED_AFTER or meeting.sessions.people().exists():
        return False
    if meeting.session_seen_at is not None:
        return False  # the provider saw people, though their events never reached us
    return not _somebody_is_coming(meeting, now) and _presence_agrees(meeting, opened_at, now)


def _somebody_is_coming(meeting: Meeting, now: datetime) -> bool:
    return meeting.participants.filter(about_to_be_in(now)).exists()


def _presence_agrees(meeting: Meeting, since: datetime, now: datetime) -> bool:
    if not registry.get(meeting.platform).capabilities.presence:
        return True
    first, second = meeting.presence_before_at, meeting.presence_checked_at
    if first is None or second is None:
        return False
    return first > since and second - first >= TWO_LOOKS and now - second <= FRESH


# -- at the provider ---------------------------------------------------------------------


def wake_closing(now: datetime) -> None:
    """Have the provider's rooms closed of meetings that are over."""
    due = Meeting.objects.filter(
        status__in=[Meeting.Status.ENDED, Meeting.Status.FAILED],
        closed_at_provider_at__isnull=True,
        close_due_at__lte=now,
    )
    for pk in due.order_by("close_due_at").values_list("pk", flat=True)[:100]:
        wake("close_meeting", pk)


def close_at_provider(meeting_id: Any, *, now: datetime | None = None) -> None:
    """End the provider's room of a meeting that is over, or try again later. Gone already is done. Idempotent."""
    now = now or timezone.now()
    taken = Meeting.objects.filter(
        pk=meeting_id,
        status__in=[Meeting.Status.ENDED, Meeting.Status.FAILED],
        closed_at_provider_at__isnull=True,
        close_due_at__lte=now,
    ).update(close_attempts=F("close_attempts") + 1, close_due_at=now + CLOSE_LEASE)
    if not taken:
        return
    meeting = Meeting.objects.select_related("room").get(pk=meeting_id)
    adapter = registry.get(meeting.platform)
    try:
        room = meeting.provider_room if meeting.provider_room_name else None
        if room is None and meeting.key:
            room = adapter.find_room(options_for(meeting, meeting.room))
        if room is not None:
            _stop_recording(meeting)
            adapter.end_room(room)
            _look_back(meeting, room)
    except PlatformError as error:
        if meeting.expires_at is not None and now > meeting.expires_at + 2 * PROVIDER_OUTLIVES:
            logger.warning("room of meeting %s left to its own expiry: %s", meeting.pk, type(error).__name__)
            _note_closed(meeting, now)
            return
        wait = min(timedelta(seconds=5) * 2 ** min(meeting.close_attempts, 10), LONGEST_CLOSE_WAIT)
        Meeting.objects.filter(pk=meeting.pk).update(close_due_at=now + wait)
        logger.warning("room of meeting %s not closed: %s", meeting.pk, type(error).__name__)
        return
    _note_closed(meeting, now)
    logger.info("room of meeting %s closed at %s", meeting.pk, meeting.platform)


def _look_back(meeting: Meeting, room: ProviderRoom) -> None:
    """Take in whose coming or going nobody has told us: deliveries are lost, and we may not have been there to look."""
    if meeting.status != Meeting.Status.ENDED:
        return
    try:
        told = list(registry.get(meeting.platform).past_stays(room))
    except PlatformRefused as error:
        logger.warning("who was in meeting %s is not to be had: %s", meeting.pk, type(error).__name__)
        return
    whole = ParticipantSession.objects.filter(meeting=meeting, joined_at__isnull=False)
    whole = whole.exclude(pk__in=whole.without_reported_end().values("pk"))
    known = set(whole.values_list("session_id", flat=True))
    missed = [event for event in told if getattr(event, "session_id", "") not in known]
    if missed:
        with transaction.atomic():
            receive(missed)
        logger.info("meeting %s: %s events of people were found afterwards", meeting.pk, len(missed))


def _note_closed(meeting: Meeting, now: datetime) -> None:
    """Where there is no room, nothing records."""
    with transaction.atomic():
        meeting = capture.locked(meeting)
        meeting.closed_at_provider_at = now
        meeting.close_due_at = None
        meeting.save(update_fields=["closed_at_provider_at", "close_due_at"])
        capture.note_closed(meeting, now=now)


def _stop_recording(meeting: Meeting) -> None:
    """A recording that is stopped before its room goes is finished properly."""
    adapter = registry.get(meeting.platform)
    if not adapter.capabilities.server_recording:
        return
    for running in meeting.captures.filter(state__in=[Capture.State.ON, Capture.State.STOPPING]):
        try:
            adapter.stop_recording(meeting.provider_room, instance_id=str(running.pk))
        except PlatformError as error:
            logger.warning("capture %s not stopped before its room: %s", running.pk, type(error).__name__)
