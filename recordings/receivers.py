"""Provider events, turned into rows of recordings; and withdrawals of consent, turned into removals."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from meetings.models import Meeting, Participant
from meetings.signals import consent_withdrawn
from platforms.base import ProviderRecording
from platforms.events import Event, RecordingReady
from platforms.signals import platform_event
from recordings.finding import found
from recordings.removing import want_removal


@receiver(platform_event, dispatch_uid="recordings.receivers.take_in")
def take_in(sender: object, *, event: Event, **_: Any) -> list[tuple[str, str]]:
    match event:
        case RecordingReady():
            item = ProviderRecording(
                recording_id=event.recording_id,
                room_name=event.room_name,
                kind=event.kind,
                started_at=event.started_at,
                duration_s=event.duration_s,
                key=event.key,
            )
            row = found(platform=event.platform, item=item, found_by="webhook")
            return [] if row is None else [(row._meta.label, str(row.pk))]
        case _:
            return []


@receiver(consent_withdrawn, dispatch_uid="recordings.receivers.remove_recordings")
def remove_recordings(sender: object, *, meeting: Meeting, participant: Participant, **_: Any) -> None:
    for recording in meeting.recordings.filter(deleted_at__isnull=True):
        want_removal(recording, reason="consent was withdrawn")
