"""One person on the way in: who they are, what they agreed to, and what their page needs."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from meetings import beacons, capture
from meetings.consent import ABOUT_TO_BE_IN, Answer, ConsentNeeded, Policy, is_asked, record_answer
from meetings.models import Meeting, Participant, ParticipantSession
from meetings.signals import consent_withdrawn
from platforms import registry
from platforms.base import Entry, Person
from rooms.models import Room

__all__ = ["ConsentNeeded", "MeetingOver", "MustWait", "enter", "entry_for", "page_is_gone", "still_here"]


class MeetingOver(Exception):
    """The meeting ended in the meantime; the room's next one has to be opened."""


class MustWait(Exception):
    """They refused, and a recording of everybody is not confirmed stopped yet. The text is a sentence for them."""


def enter(
    *,
    meeting: Meeting,
    user: Any,
    name: str,
    answer: str,
    participant_id: uuid.UUID | str | None = None,
    pressed_at: datetime | None = None,
    now: datetime | None = None,
) -> Participant:
    """The person's row in this meeting, made or found again by account or by our signed cookie.

    ``pressed_at`` is when they pressed *Join*, where that was before ``now``: the meeting had to be opened first.

    ``answer`` is one of ``Participant.Answer``; it counts only where the meeting asks. A refusal stops a running
    recording at once. Raises ``ConsentNeeded`` and ``MeetingOver``.
    """
    now = now or timezone.now()
    with transaction.atomic():
        meeting = Meeting.objects.select_for_update(no_key=True).get(pk=meeting.pk)
        if meeting.status != Meeting.Status.OPEN:
            raise MeetingOver(str(meeting.pk))
        if is_asked(meeting) and meeting.consent_policy == Policy.REQUIRED and answer != Answer.YES:
            raise ConsentNeeded(str(meeting.pk))
        user = user if getattr(user, "is_authenticated", False) else None
        participant = _known(meeting, user, participant_id) or Participant(meeting=meeting, created_at=now)
        participant.user = participant.user or user
        participant.name = name[:120]
        participant.is_host = user is not None and meeting.room.has_host(user)
        participant.came_by_page = True
        participant.entered_at = now
        participant.save()
        beacons.note_pressed(participant, at=pressed_at or now)
        taken_back = record_answer(participant, answer, now=now)
        capture.reconcile(meeting, now=now)
        participant.held_until_stopped = _is_held(participant)
        participant.save(update_fields=["held_until_stopped"])
        if taken_back:
            consent_withdrawn.send(sender=Meeting, meeting=meeting, participant=participant)
    return participant


def entry_for(*, participant: Participant, now: datetime | None = None) -> Entry:
    """What this person's page needs to let them in. Asks the provider, so never inside a transaction.

    Raises ``MustWait``, ``MeetingOver``, ``PlatformUnavailable``, ``PlatformRefused``.
    """
    now = now or timezone.now()
    with transaction.atomic():
        meeting = Meeting.objects.select_for_update(no_key=True).select_related("room").get(pk=participant.meeting_id)
        if meeting.status != Meeting.Status.OPEN:
            raise MeetingOver(str(meeting.pk))
        participant.entered_at = now
        # from here on no recording starts without this person's yes
        participant.held_until_stopped = _is_held(participant)
        participant.save(update_fields=["entered_at", "held_until_stopped"])
        if participant.held_until_stopped:
            capture.reconcile(meeting, now=now)
    if participant.held_until_stopped:
        raise MustWait("You said no to being recorded. The recording is being stopped before you come in.")
    room = meeting.room
    return registry.get(meeting.platform).entry(
        meeting.provider_room_for(host=participant.is_host),
        Person(
            participant_id=participant.provider_user_id,
            name=participant.name,
            is_host=participant.is_host,
            records_locally=participant.is_host and meeting.recording_type == Room.RecordingType.LOCAL,
            language=meeting.language,
            camera_on=room.camera_on,
            microphone_on=room.microphone_on,
            screen_share=room.enable_screen_share,
            admitted=not meeting.is_locked
            or participant.is_host
            or (participant.user is not None and room.has_member(participant.user)),
            expires_at=meeting.expires_at,
        ),
    )


def still_here(*, participant: Participant, now: datetime | None = None) -> None:
    """The page of their call is open. Without their yes no recording starts until it is gone: a frame that is slow, or
    that lost its connection, gets in by itself at any time.

    Where the provider cannot be asked who is inside, and none of its events has told of this person, they go on
    counting as about to be in, and the meeting is not taken for unused.
    """
    now = now or timezone.now()
    if participant.held_until_stopped:
        return
    before = now - ABOUT_TO_BE_IN / 3
    me, seen_at = Participant.objects.filter(pk=participant.pk), participant.page_seen_at
    if _may_not_be_recorded(participant) and (seen_at is None or seen_at < before):
        me.update(page_seen_at=now)
        if seen_at is None or seen_at <= now - ABOUT_TO_BE_IN:
            _look_at_recording(participant.meeting, now)
    if not registry.get(participant.platform).capabilities.presence:
        untold = ~Exists(ParticipantSession.objects.filter(participant=OuterRef("pk")))
        me.filter(untold, entered_at__lt=before).update(entered_at=now)


def page_is_gone(participant_id: uuid.UUID) -> None:
    """The page of their call was closed or left. What waited for that is looked at again. Idempotent."""
    row = Participant.objects.filter(pk=participant_id, page_seen_at__isnull=False).select_related("meeting").first()
    if row is not None:
        Participant.objects.filter(pk=row.pk).update(page_seen_at=None)
        _look_at_recording(row.meeting, timezone.now())


def _look_at_recording(meeting: Meeting, now: datetime) -> None:
    with transaction.atomic():
        capture.reconcile(capture.locked(meeting), now=now)


def _known(meeting: Meeting, user: Any, participant_id: uuid.UUID | str | None) -> Participant | None:
    mine = meeting.participants.filter(came_by_page=True)
    if user is not None:
        found = mine.filter(user=user).first()
        if found is not None:
            return found
    if participant_id is None:
        return None
    # an account's row is found by the account only: a cookie may have been left on a shared computer
    return mine.filter(pk=participant_id, user__isnull=True).first()


def _is_held(participant: Participant) -> bool:
    return _may_not_be_recorded(participant) and participant.meeting.captures.live().exists()


def _may_not_be_recorded(participant: Participant) -> bool:
    return is_asked(participant.meeting) and participant.answer != Answer.YES
