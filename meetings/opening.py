"""Opening a room's next meeting: one at a time, on the platform that the room says, whoever asks and however many."""

from __future__ import annotations

import logging
import time
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from meetings.models import Meeting
from platforms import registry
from platforms.base import Adapter, PlatformError, PlatformRefused, PlatformUnavailable, ProviderRoom, RoomOptions
from rooms.models import Room
from rooms.services import NoPlatform, choose_platform

logger = logging.getLogger(__name__)

#: others wait this long for whoever is opening, then tell their visitor to try again
PATIENCE_S = 8.0
LOOK_EVERY_S = 0.2
#: whoever has not opened it by then is taken for dead; longer than a provider call with its time-outs takes
OPENING_FOR = timedelta(seconds=30)
#: the provider's own end of a room comes this long after ours
PROVIDER_OUTLIVES = timedelta(hours=1)


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


def open_meeting(*, room: Room, now: datetime | None = None) -> Meeting:
    """The room's open meeting, opened if there is none. Idempotent; any number may ask at once.

    Calls the provider, so never inside a transaction. Raises ``OpeningFailed``, ``NotYet``, ``RoomArchived``.
    """
    give_up_at = time.monotonic() + PATIENCE_S
    awaited: uuid.UUID | None = None
    while True:
        moment = now or timezone.now()
        meeting = _live(room, moment)
        if meeting is None:
            if awaited is not None:
                _raise_if_failed(awaited)
            meeting, is_ours = _claim(room, moment)
            if is_ours:
                return _open(meeting, moment)
        if meeting.status == Meeting.Status.OPEN:
            return meeting
        if meeting.opening_until is None or meeting.opening_until <= moment:
            taken_over = _take_over(meeting, moment)
            if taken_over is not None:
                return _open(taken_over, moment, is_second_try=True)
        awaited = meeting.pk
        if time.monotonic() >= give_up_at:
            raise OpeningFailed("The meeting is taking long to open.", retry_after_s=3)
        time.sleep(LOOK_EVERY_S)


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


def _claim(room: Room, now: datetime) -> tuple[Meeting, bool]:
    """The room's one live place: taken by us (True), or by somebody who was quicker."""
    try:
        with transaction.atomic():
            # the lock puts openings and moves of a room in one order
            room = Room.objects.select_for_update().get(pk=room.pk)
            if room.archived_at is not None:
                raise RoomArchived(room.slug)
            if room.opens_at is not None and room.opens_at > now:
                raise NotYet(room.opens_at)
            platform, reason = choose_platform(room)
            meeting = Meeting.objects.live().filter(room=room).first()
            if meeting is not None:
                return meeting, False
            return (
                Meeting.objects.create(
                    room=room,
                    platform=platform,
                    platform_reason=reason,
                    created_at=now,
                    opening_token=uuid.uuid4(),
                    opening_until=now + OPENING_FOR,
                    expires_at=now + timedelta(hours=settings.MEETING_HOURS),
                    is_locked=room.is_locked,
                    language=room.language,
                    recording_type=room.recording_type,
                    recording_trigger=room.recording_trigger,
                    consent_policy=room.consent_policy,
                ),
                True,
            )
    except NoPlatform as error:
        logger.error("room %s: its platform is not configured", room.pk)
        raise OpeningFailed("The video service of this room is not set up.", retry_after_s=60) from error
    except IntegrityError:
        meeting = Meeting.objects.live().filter(room=room).first()
        if meeting is None:
            raise
        return meeting, False


def _take_over(meeting: Meeting, now: datetime) -> Meeting | None:
    """Go on where a dead opener stopped; None when somebody else does already."""
    taken = Meeting.objects.filter(
        pk=meeting.pk, status=Meeting.Status.OPENING, opening_token=meeting.opening_token
    ).update(opening_token=uuid.uuid4(), opening_until=now + OPENING_FOR)
    return Meeting.objects.get(pk=meeting.pk) if taken else None


def _open(meeting: Meeting, now: datetime, *, is_second_try: bool = False) -> Meeting:
    """Have the provider make the room and store it, if the place is still ours.

    A dead opener may have made the room already, and not every provider refuses a second one of the same key: so a
    second try looks before it makes.
    """
    adapter = registry.get(meeting.platform)
    room = meeting.room
    options = options_for(meeting, room)
    try:
        made = adapter.find_room(options) if is_second_try else None
        if made is None:
            made = adapter.create_room(options)
    except PlatformError as error:
        return _fail(meeting, adapter, error, now)
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
        opened_at=now,
    )
    if not stored:
        return _settle_late(meeting, adapter, made)
    logger.info("meeting %s opened on %s", meeting.pk, meeting.platform)
    _set_logo(adapter, made, room)
    return Meeting.objects.get(pk=meeting.pk)


def _fail(meeting: Meeting, adapter: Adapter, error: PlatformError, now: datetime) -> Meeting:
    """Close the place as failed, so that the next try starts anew, and have the provider searched for a room that a
    lost call may have left behind."""
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
    logger.warning("meeting %s could not be opened on %s: %s", meeting.pk, meeting.platform, type(error).__name__)
    if not failed:
        current = Meeting.objects.filter(pk=meeting.pk).first()
        if current is not None and current.status == Meeting.Status.OPEN:
            return current
    raise _sentence(adapter, error) from error


def _sentence(adapter: Adapter, error: PlatformError) -> OpeningFailed:
    if isinstance(error, PlatformUnavailable):
        wait = error.retry_after_s if error.retry_after_s is not None else 5
        return OpeningFailed(f"{adapter.label} does not answer right now.", retry_after_s=max(1, int(wait)))
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
