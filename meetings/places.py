"""A room's one live place: taken by whoever opens a meeting there, taken over from the dead, and taken again on another
platform where one has failed."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from meetings.models import Meeting
from rooms.choosing import Choice, NoPlatform, choose_platform
from rooms.models import Room

logger = logging.getLogger(__name__)

#: whoever has not opened it by then is taken for dead; longer than a provider call with its time-outs takes
OPENING_FOR = timedelta(seconds=30)


class OpeningFailed(Exception):
    """No meeting could be opened. The text is one sentence for the visitor; what the provider said is on the row."""

    def __init__(self, sentence: str, *, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class NotYet(Exception):
    """Nobody can start a meeting in this room before ``opens_at``."""

    def __init__(self, opens_at: datetime) -> None:
        super().__init__("The room is not open yet.")
        self.opens_at = opens_at


class RoomArchived(Exception):
    """The room is not used any more."""


def claim(room: Room, now: datetime) -> tuple[Meeting, bool]:
    """The room's one live place: taken by us (True), or by somebody who was quicker."""
    try:
        with transaction.atomic():
            # the lock puts openings and moves of a room in one order
            room = Room.objects.select_for_update().get(pk=room.pk)
            if room.archived_at is not None:
                raise RoomArchived(room.slug)
            if room.opens_at is not None and room.opens_at > now:
                raise NotYet(room.opens_at)
            meeting = Meeting.objects.live().filter(room=room).first()
            if meeting is not None:
                return meeting, False
            meeting_id = uuid.uuid4()
            choice = choose_platform(room, meeting_id=meeting_id, now=now)
            return _place(room, meeting_id, choice, now), True
    except NoPlatform as error:
        logger.error("room %s: %s", room.pk, error)
        raise OpeningFailed(error.for_visitors, retry_after_s=60) from error
    except IntegrityError:
        meeting = Meeting.objects.live().filter(room=room).first()
        if meeting is None:
            raise
        return meeting, False


def _place(
    room: Room, meeting_id: uuid.UUID, choice: Choice, now: datetime, *, instead_of: Meeting | None = None
) -> Meeting:
    """Take the room's live place. Raises ``IntegrityError`` when somebody has it."""
    return Meeting.objects.create(
        id=meeting_id,
        room=room,
        platform=choice.platform,
        platform_reason=choice.why,
        fell_back_from=instead_of,
        created_at=now,
        opening_token=uuid.uuid4(),
        opening_until=now + OPENING_FOR,
        expires_at=now + timedelta(hours=settings.MEETING_HOURS),
        is_locked=room.is_locked,
        language=room.language,
        recording_type=room.recording_type,
        recording_trigger=room.recording_trigger,
        consent_policy=room.consent_policy,
    )


def take_over(meeting: Meeting, now: datetime) -> Meeting | None:
    """Go on where a dead opener stopped; None when somebody else does already."""
    taken = Meeting.objects.filter(
        pk=meeting.pk, status=Meeting.Status.OPENING, opening_token=meeting.opening_token
    ).update(opening_token=uuid.uuid4(), opening_until=now + OPENING_FOR)
    return Meeting.objects.get(pk=meeting.pk) if taken else None


def keep_place(meeting: Meeting, now: datetime) -> bool:
    """Have the time to open it begin anew; False when the place is somebody else's by now."""
    mine = Meeting.objects.filter(pk=meeting.pk, status=Meeting.Status.OPENING, opening_token=meeting.opening_token)
    return bool(mine.update(opening_until=now + OPENING_FOR))


def fall_back(room: Room, failed: Meeting, now: datetime) -> Meeting | None:
    """The place of a meeting that has just failed, taken on another platform; None where the room does not fall back
    or no platform is left."""
    if room.archived_at is not None:
        return None
    meeting_id = uuid.uuid4()
    platforms = frozenset(meeting.platform for meeting in failed_ones(failed))
    try:
        choice = choose_platform(room, meeting_id=meeting_id, now=now, failed=platforms)
    except NoPlatform as reason:
        logger.info("room %s does not fall back: %s", room.pk, reason)
        return None
    return _place(room, meeting_id, choice, now, instead_of=failed)


def failed_ones(latest: Meeting) -> list[Meeting]:
    """The meetings that were tried one after the other for the same visitors, first one first."""
    tried = [latest]
    while tried[0].fell_back_from is not None:
        tried.insert(0, tried[0].fell_back_from)
    return tried
