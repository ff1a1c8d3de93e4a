"""Who is in a meeting: what events and presence say of it, and looks at the presence, periodically.

Every fact about a stay is kept as an earliest or latest time (``meetings.sessions``), and everything else is derived
from those (``ParticipantSession.settle``), so that events and observations come in any order and any number of times.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from meetings import capture, sessions
from meetings.consent import ABOUT_TO_BE_IN
from meetings.models import TWO_LOOKS, Meeting, Participant, ParticipantSession, SessionFacts, Waiting, latest
from meetings.sessions import settle
from platforms import registry
from platforms.base import PlatformError, PresentPerson, RoomPresence
from platforms.events import ParticipantJoined, ParticipantLeft, WaitingEnded, WaitingStarted
from platforms.models import Heartbeat

logger = logging.getLogger(__name__)

LOOK_EVERY = timedelta(seconds=20)
#: one look in 15 seconds is the most that the strictest provider asks for
LOOK_AGAIN = TWO_LOOKS
#: where a look costs a request per room, rooms are looked at only when it matters
LOOK_DEARLY_AFTER = timedelta(minutes=25)


# -- events ---------------------------------------------------------------------


def note_joined(meeting: Meeting, event: ParticipantJoined) -> list[Participant]:
    return sessions.note(meeting, _who(event), lambda facts: facts.fold_join(event.occurred_at))


def note_left(meeting: Meeting, event: ParticipantLeft) -> list[Participant]:
    def fold(facts: SessionFacts) -> None:
        if event.joined_at is not None:
            facts.fold_join(event.joined_at)
        facts.fold_leave(event.occurred_at)

    return sessions.note(meeting, _who(event), fold)


def note_waiting(meeting: Meeting, event: WaitingStarted | WaitingEnded) -> None:
    row, _ = Waiting.objects.get_or_create(meeting=meeting, session_id=event.session_id)
    # a name is rarely changed while knocking; which of two stays must not depend on the order
    row.name = max(row.name, event.name[:120])
    row.user_id = max(row.user_id, event.user_id[:200])
    if isinstance(event, WaitingStarted):
        row.started_at = latest(row.started_at, event.occurred_at)
    else:
        row.ended_at = latest(row.ended_at, event.occurred_at)
    row.save()


def stop_waiting(participant: Participant, *, at: datetime) -> None:
    """They were not let in, as their page tells: a provider may say nothing of a refused knock. Idempotent."""
    meeting = participant.meeting
    meeting.waiting.open().filter(user_id=participant.provider_user_id).update(ended_at=at)


def forget_knocks(now: datetime) -> None:
    """Whose page is gone knocks no more, though no event said so (where presence cannot tell either)."""
    for meeting in Meeting.objects.filter(status=Meeting.Status.OPEN, waiting__isnull=False).distinct():
        if registry.get(meeting.platform).capabilities.presence:
            continue
        before = now - ABOUT_TO_BE_IN
        gone = meeting.participants.filter(came_by_page=True, entered_at__lt=before)
        waiting = meeting.waiting.open().filter(user_id__in=gone.values("provider_user_id"), started_at__lt=before)
        waiting.update(ended_at=now)


def _who(event: ParticipantJoined | ParticipantLeft) -> sessions.Who:
    return sessions.Who(
        session_id=event.session_id,
        user_id=event.user_id,
        name=event.name,
        at=event.occurred_at,
        is_host=event.is_host,
        is_person=event.is_person,
    )


# -- presence ---------------------------------------------------------------------


def look(now: datetime) -> None:
    """Ask each platform, as often as it likes to be asked, who is in its live meetings."""
    for adapter in registry.configured():
        live: QuerySet[Meeting] = Meeting.objects.filter(platform=adapter.slug, status=Meeting.Status.OPEN).exclude(
            provider_room_name=""
        )
        if not adapter.capabilities.presence:
            live = _worth_a_request(live, now)
        meetings = list(live)
        if meetings and _is_time(adapter.slug, meetings, now):
            reconcile(meetings, now)


def reconcile(meetings: Iterable[Meeting], now: datetime | None = None) -> None:
    """Compare stays with the providers' presence: one request per platform where it can. A provider that does not
    answer changes nothing."""
    now = now or timezone.now()
    by_platform: dict[str, list[Meeting]] = {}
    for meeting in meetings:
        by_platform.setdefault(meeting.platform, []).append(meeting)
    for platform, group in by_platform.items():
        try:
            seen = registry.get(platform).presence([meeting.provider_room_name for meeting in group])
        except PlatformError as error:
            logger.warning("presence on %s is not to be had: %s", platform, type(error).__name__)
            continue
        for meeting in group:
            presence = seen.get(meeting.provider_room_name)
            if presence is not None:
                note_presence(meeting, presence, now=now)


def note_presence(meeting: Meeting, presence: RoomPresence, *, now: datetime | None = None) -> None:
    """Fold one observation into a meeting. Idempotent, blind to order."""
    now = now or timezone.now()
    at = presence.observed_at or now
    with transaction.atomic():
        meeting = capture.locked(meeting)
        if presence.session_open:
            meeting.session_seen_at = latest(meeting.session_seen_at, at)
        if presence.people is not None:
            meeting.note_presence(at)
            if meeting.check_requested_at is not None and meeting.check_requested_at <= at:
                meeting.check_requested_at = None
            for one in presence.people:
                _note_seen(meeting, one, at)
            # what this look says of those whom it does not show
            for stay in ParticipantSession.objects.filter(meeting=meeting).without_reported_end():
                was = stay.left_at, stay.presumed_left_at
                stay.settle(meeting)
                if (stay.left_at, stay.presumed_left_at) != was:
                    stay.save()
        meeting.save(
            update_fields=["session_seen_at", "presence_checked_at", "presence_before_at", "check_requested_at"]
        )
        settle(meeting)
        capture.reconcile(meeting, now=now)


def _note_seen(meeting: Meeting, one: PresentPerson, at: datetime) -> None:
    who = sessions.Who(
        session_id=one.session_id,
        user_id=one.user_id,
        name=one.name,
        at=one.joined_at or at,
        is_person=one.is_person,
    )
    sessions.note(meeting, who, lambda facts: facts.fold_sighting(at, joined_at=one.joined_at))


def _worth_a_request(live: QuerySet[Meeting], now: datetime) -> QuerySet[Meeting]:
    """Where a look costs one request per room and cannot tell who is inside: rooms about to be closed as never used
    although people may be in them whose events did not reach us."""
    people = ParticipantSession.objects.filter(meeting=OuterRef("pk")).people()
    return live.filter(session_seen_at__isnull=True, opened_at__lte=now - LOOK_DEARLY_AFTER).exclude(Exists(people))


def _is_time(platform: str, meetings: list[Meeting], now: datetime) -> bool:
    """Whether this platform may be asked now; if so, the time is taken."""
    wait = LOOK_AGAIN if any(meeting.check_requested_at for meeting in meetings) else LOOK_EVERY
    name = f"presence:{platform}"
    Heartbeat.objects.get_or_create(name=name)
    return bool(
        Heartbeat.objects.filter(name=name)
        .filter(Q(beat_at__isnull=True) | Q(beat_at__lte=now - wait))
        .update(beat_at=now)
    )
