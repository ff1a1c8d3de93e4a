"""Opening a room's next meeting: one at a time, on the platform that the room says, whoever asks and however many."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from meetings.models import Meeting
from meetings.places import (
    OPENING_FOR,
    NotYet,
    OpeningFailed,
    RoomArchived,
    claim,
    failed_ones,
    fall_back,
    keep_place,
    take_over,
)
from platforms import registry
from platforms.base import Adapter, PlatformError, PlatformRefused, PlatformUnavailable, ProviderRoom, RoomOptions
from rooms import switching
from rooms.models import Room

__all__ = [
    "OPENING_FOR",
    "PATIENCE_S",
    "PROVIDER_OUTLIVES",
    "NotYet",
    "OpeningFailed",
    "Place",
    "RoomArchived",
    "open_meeting",
    "open_place",
    "options_for",
    "provider_starts_recording",
    "take_place",
]

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]

#: others wait this long for whoever is opening, then tell their visitor to try again
PATIENCE_S = 8.0
LOOK_EVERY_S = 0.2
#: why we did not even ask the provider
CLOSED = "closed"
#: the provider's own end of a room comes this long after ours
PROVIDER_OUTLIVES = timedelta(hours=1)


def open_meeting(*, room: Room, now: datetime | None = None) -> Meeting:
    """The room's open meeting, opened if there is none. Idempotent; any number may ask at once.

    Where one platform fails, the room may fall back to another, in another meeting. Calls the provider, so never
    inside a transaction. Raises ``OpeningFailed``, ``NotYet``, ``RoomArchived``.
    """
    clock: Clock = (lambda: now) if now else timezone.now
    give_up_at = time.monotonic() + PATIENCE_S
    awaited: uuid.UUID | None = None
    while True:
        place = take_place(room=room, now=clock(), awaited=awaited)
        if place.is_ours:
            return open_place(place, clock)
        if place.meeting.status == Meeting.Status.OPEN:
            return place.meeting
        awaited = place.meeting.pk
        if time.monotonic() >= give_up_at:
            raise OpeningFailed("The meeting is taking long to open.", retry_after_s=3)
        time.sleep(LOOK_EVERY_S)


@dataclass(frozen=True)
class Place:
    """A room's live place. ``is_ours``: nobody else opens the meeting, the caller has to (``open_place``)."""

    meeting: Meeting
    is_ours: bool = False
    is_second_try: bool = False  #: somebody died opening it


def take_place(*, room: Room, now: datetime | None = None, awaited: uuid.UUID | None = None) -> Place:
    """The room's live meeting as it is, else the place for the next one, taken by the caller. Waits for nobody and asks
    no provider. Raises ``OpeningFailed`` (also where the meeting that the caller has ``awaited`` failed), ``NotYet``,
    ``RoomArchived``.
    """
    now = now or timezone.now()
    meeting = _live(room, now)
    if meeting is None:
        if awaited is not None:
            _raise_if_failed(awaited)
        meeting, is_ours = claim(room, now)
        if is_ours:
            return Place(meeting, is_ours=True)
    if meeting.status == Meeting.Status.OPENING and (meeting.opening_until is None or meeting.opening_until <= now):
        taken_over = take_over(meeting, now)
        if taken_over is not None:
            return Place(taken_over, is_ours=True, is_second_try=True)
    return Place(meeting)


def open_place(place: Place, clock: Clock = timezone.now) -> Meeting:
    """Open the meeting of a place that ``take_place`` took for the caller. Raises ``OpeningFailed``.

    Whoever had to wait for a thread may have been taken for dead meanwhile; the time to open it begins now.
    """
    meeting = place.meeting
    if not keep_place(meeting, clock()):
        raise OpeningFailed("The meeting is taking long to open.", retry_after_s=2)
    return _open(meeting, clock, is_second_try=place.is_second_try)


def options_for(meeting: Meeting, room: Room) -> RoomOptions:
    """What the provider is asked for. The same for each try, so that a room made by a lost try is found again."""
    expires_at = meeting.expires_at or meeting.created_at
    return RoomOptions(
        key=meeting.key,
        name_prefix=room.slug,
        expires_at=expires_at + PROVIDER_OUTLIVES,
        locked=meeting.is_locked,
        mode=room.mode,
        knocking=room.enable_knocking,
        chat=room.enable_chat,
        screen_share=room.enable_screen_share,
        camera_on=room.camera_on,
        microphone_on=room.microphone_on,
        language=meeting.language,
        max_participants=room.max_participants,
        recording_type=meeting.recording_type,
        recording_trigger=meeting.recording_trigger if provider_starts_recording(meeting) else "none",
    )


def provider_starts_recording(meeting: Meeting) -> bool:
    """Only where nobody is asked, and our server cannot do it, may the provider start a recording by itself."""
    return (
        meeting.recording_type == Room.RecordingType.CLOUD
        and meeting.recording_trigger != Room.RecordingTrigger.NONE
        and meeting.consent_policy == Room.ConsentPolicy.NOT_ASKED
        and not registry.get(meeting.platform).capabilities.server_recording
    )


def _live(room: Room, now: datetime) -> Meeting | None:
    meeting = Meeting.objects.live().filter(room=room).first()
    if meeting is not None and meeting.status == Meeting.Status.OPEN and meeting.is_over(now):
        from meetings.lifecycle import end_meeting  # lifecycle closes failed openings, and so imports this module

        end_meeting(meeting=meeting, reason=Meeting.EndReason.LIMIT, now=now)
        return None
    return meeting


def _open(meeting: Meeting, clock: Clock, *, is_second_try: bool = False) -> Meeting:
    """Have the provider make the room and store it, if the place is still ours; where it cannot, fall back.

    A dead opener may have made the room already, and not every provider refuses a second one of the same key: so a
    second try looks before it makes.
    """
    adapter = registry.get(meeting.platform)
    room = meeting.room
    options = options_for(meeting, room)
    try:
        if is_second_try and switching.is_closed(meeting.platform):  # while nobody was opening it
            raise PlatformRefused(f"{adapter.label} is closed for new meetings.", code=CLOSED)
        made = adapter.find_room(options) if is_second_try else None
        if made is None:
            made = adapter.create_room(options)
    except PlatformError as error:
        current = _fail(meeting, adapter, error, clock())
        return current if current.status == Meeting.Status.OPEN else _open(current, clock)
    stored = Meeting.objects.filter(
        pk=meeting.pk, status=Meeting.Status.OPENING, opening_token=meeting.opening_token
    ).update(
        status=Meeting.Status.OPEN,
        opening_token=None,
        opening_until=None,
        provider_room_name=made.name,
        provider_room_id=made.provider_id,
        url=made.url,
        host_url=made.host_url,
        opened_at=clock(),
    )
    if not stored:
        return _settle_late(meeting, adapter, made)
    logger.info("meeting %s opened on %s", meeting.pk, meeting.platform)
    _set_logo(adapter, made, room)
    return Meeting.objects.get(pk=meeting.pk)


def _fail(meeting: Meeting, adapter: Adapter, error: PlatformError, now: datetime) -> Meeting:
    """Close the place as failed, and have the provider searched for a room that a lost call may have left behind.

    Where the room falls back, the place is taken again in the same transaction, so that whoever waits sees no gap: the
    meeting that is to be opened instead. Raises ``OpeningFailed`` when there is none.
    """
    with transaction.atomic():
        room = Room.objects.select_for_update().get(pk=meeting.room_id)
        failed = Meeting.objects.filter(
            pk=meeting.pk, status=Meeting.Status.OPENING, opening_token=meeting.opening_token
        ).update(
            status=Meeting.Status.FAILED,
            failure=str(error),
            end_reason=Meeting.EndReason.FAILED,
            ended_at=now,
            opening_token=None,
            opening_until=None,
            close_due_at=now + timedelta(seconds=60),
        )
        replacement = fall_back(room, meeting, now) if failed else None
    logger.warning("meeting %s could not be opened on %s: %s", meeting.pk, meeting.platform, type(error).__name__)
    if replacement is not None:
        logger.info("meeting %s is opened on %s instead", replacement.pk, replacement.platform)
        return replacement
    if not failed:
        current = Meeting.objects.filter(pk=meeting.pk).first()
        if current is not None and current.status == Meeting.Status.OPEN:
            return current
    if meeting.fell_back_from_id is not None:
        raise _all_failed(meeting) from error
    raise _sentence(adapter, error) from error


def _all_failed(latest: Meeting) -> OpeningFailed:
    names = [registry.get(meeting.platform).label for meeting in failed_ones(latest)]
    return OpeningFailed(
        f"{', '.join(names[:-1])} and {names[-1]} could not open the meeting: none of them works right now.",
        retry_after_s=10,
    )


def _sentence(adapter: Adapter, error: PlatformError) -> OpeningFailed:
    if isinstance(error, PlatformUnavailable):
        wait = error.retry_after_s if error.retry_after_s is not None else 5
        return OpeningFailed(f"{adapter.label} does not answer right now.", retry_after_s=max(1, int(wait)))
    if isinstance(error, PlatformRefused) and error.code == CLOSED:
        return OpeningFailed("No new meetings can be started in this room right now.", retry_after_s=60)
    return OpeningFailed(f"{adapter.label} refused to open the meeting.", retry_after_s=60)


def _raise_if_failed(meeting_id: uuid.UUID) -> None:
    """Whoever waited for a failed opening is told so; a hundred waiting people are not a hundred new tries."""
    failed = Meeting.objects.filter(pk=meeting_id, status=Meeting.Status.FAILED).first()
    if failed is not None:
        adapter = registry.get(failed.platform)
        raise OpeningFailed(f"{adapter.label} could not open the meeting.", retry_after_s=5)


def _settle_late(meeting: Meeting, adapter: Adapter, made: ProviderRoom) -> Meeting:
    """We were taken for dead. Nobody may be left with a room at the provider that no row knows."""
    current = Meeting.objects.filter(pk=meeting.pk).first()
    if current is not None:
        if current.status == Meeting.Status.OPEN and current.provider_room_name == made.name:
            return current
        if current.status == Meeting.Status.OPENING:
            # whoever took over finds this room by its key, or closes it
            raise OpeningFailed("The meeting is taking long to open.", retry_after_s=2)
    _end_orphan(meeting, adapter, made)
    if current is not None and current.status == Meeting.Status.OPEN:
        return current
    raise OpeningFailed("The meeting could not be opened.", retry_after_s=2)


def _end_orphan(meeting: Meeting, adapter: Adapter, made: ProviderRoom) -> None:
    try:
        adapter.end_room(made)
    except PlatformError as error:
        # the row, if there is one, remembers it; else the provider's own expiry ends it
        Meeting.objects.filter(pk=meeting.pk, provider_room_name="").update(
            provider_room_name=made.name,
            provider_room_id=made.provider_id,
            url=made.url,
            closed_at_provider_at=None,
            close_due_at=timezone.now(),
        )
        logger.warning("late room of meeting %s not closed: %s", meeting.pk, type(error).__name__)


def _set_logo(adapter: Adapter, made: ProviderRoom, room: Room) -> None:
    if not (room.logo and adapter.capabilities.logo):
        return
    try:
        with room.logo.open("rb") as file:
            adapter.set_logo(made, file.read())
    except (PlatformUnavailable, PlatformRefused, OSError) as error:
        logger.warning("logo of room %s not set: %s", room.pk, type(error).__name__)
