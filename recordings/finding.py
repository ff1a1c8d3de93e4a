"""Recordings are found: by webhook, or by the poller when the webhook never came.

Both ends meet in :func:`found`, which is keyed by the provider's recording id, so that it does not matter which is
first or how often either comes. A recording of a room that is not ours is not ours: nothing is written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q

from meetings.models import Capture, Meeting
from platforms.base import ProviderRecording
from recordings.models import Recording

logger = logging.getLogger(__name__)

#: what this version fetches and transcribes; other kinds are shown to staff and left where they are
PROCESSED_KINDS = frozenset({"cloud", "cloud-audio-only"})


def meeting_of(*, platform: str, item: ProviderRecording) -> Meeting | None:
    """The meeting that was recorded: by the order that started it, else by the provider's room name.

    Each meeting has a provider room of its own, so the name is unambiguous.
    """
    captured = Meeting.objects.filter(platform=platform, captures__provider_recording_id=item.recording_id).first()
    if captured is not None:
        return captured
    if not item.room_name:
        return None
    return Meeting.objects.filter(platform=platform, provider_room_name=item.room_name).first()


def found(*, platform: str, item: ProviderRecording, found_by: str) -> Recording | None:
    """Make or complete the row of a finished recording and have it processed. Idempotent.

    Returns None when the recording is nobody's here. What is known already is kept: a webhook and the API describe
    the same recording with different gaps.
    """
    row = Recording.objects.filter(platform=platform, provider_recording_id=item.recording_id).first()
    if row is None:
        meeting = meeting_of(platform=platform, item=item)
        if meeting is None:
            return None
        row, made = Recording.objects.get_or_create(
            platform=platform,
            provider_recording_id=item.recording_id,
            defaults={
                "meeting": meeting,
                "provider_room_name": item.room_name or meeting.provider_room_name,
                "kind": item.kind,
                "found_by": found_by,
                "started_at": item.started_at,
                "duration_s": item.duration_s,
                "provider_key": item.key,
            },
        )
        if made:
            logger.info("recording %s of meeting %s found by %s", row.pk, meeting.pk, found_by)
            row.wake_after_commit()
            return row
    _complete(row, item)
    return row


def _complete(row: Recording, item: ProviderRecording) -> None:
    """Fill the gaps of a row that exists; the first to say something is believed."""
    learnt = {
        "provider_room_name": row.provider_room_name or item.room_name,
        "started_at": row.started_at or item.started_at,
        "duration_s": row.duration_s if row.duration_s is not None else item.duration_s,
        "provider_key": row.provider_key or item.key,
    }
    changed = {name: value for name, value in learnt.items() if getattr(row, name) != value}
    if changed:
        Recording.objects.filter(pk=row.pk).update(**changed)


def known_ids(*, platform: str, items: Iterable[ProviderRecording]) -> set[str]:
    """Which of these have a row already. One query for a page."""
    wanted = [item.recording_id for item in items]
    return set(
        Recording.objects.filter(platform=platform, provider_recording_id__in=wanted).values_list(
            "provider_recording_id", flat=True
        )
    )


def ours(*, platform: str, items: Iterable[ProviderRecording]) -> list[ProviderRecording]:
    """Those recorded in a meeting of ours. Accounts are shared between installations: others' are normal."""
    items = list(items)
    names = {item.room_name for item in items if item.room_name}
    ids = {item.recording_id for item in items}
    rooms = set(
        Meeting.objects.filter(platform=platform, provider_room_name__in=names).values_list(
            "provider_room_name", flat=True
        )
    )
    captured = set(
        Capture.objects.filter(meeting__platform=platform, provider_recording_id__in=ids).values_list(
            "provider_recording_id", flat=True
        )
    )
    return [item for item in items if item.room_name in rooms or item.recording_id in captured]


def oldest_meeting_at(*, platform: str) -> datetime | None:
    """Nothing of ours can have been recorded before this."""
    first = (
        Meeting.objects.filter(platform=platform)
        .filter(~Q(provider_room_name=""))
        .order_by("created_at")
        .values_list("created_at", flat=True)
        .first()
    )
    return first
