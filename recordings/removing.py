"""Carrying out a refusal: the recording goes at the provider, in its bucket, here, and in all that was made of it.

A removed recording stays as an empty row, so that a late webhook or the poller does not bring it back.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from meetings.models import Participant, ParticipantSession
from platforms import registry
from platforms.work import Lease
from recordings import scratch
from recordings.filestore import filestore
from recordings.models import Recording, Transcript

logger = logging.getLogger(__name__)

#: a stay that touches the recording by less than this is two clocks, not a voice
TOUCH = timedelta(seconds=2)
REFUSALS = (Participant.Answer.NO, Participant.Answer.WITHDRAWN)


def want_removal(recording: Recording, *, reason: str) -> None:
    """Mark the recording for removal and have it done. Idempotent; cannot be taken back."""
    marked = Recording.objects.filter(pk=recording.pk, delete_wanted_at__isnull=True).update(
        delete_wanted_at=timezone.now(), delete_reason=reason
    )
    if marked:
        recording.run_again()


def reason_to_remove(recording: Recording) -> str:
    """Why this recording may not be kept, in words; empty when it may.

    A mixed recording goes as a whole when somebody who refused or withdrew was inside while it ran.
    """
    if recording.delete_wanted_at is not None:
        return recording.delete_reason
    meeting = recording.meeting
    if meeting is None or meeting.consent_policy == "not_asked" or recording.started_at is None:
        return ""
    length = timedelta(seconds=recording.media_duration_s or recording.duration_s or 0)
    heard = ParticipantSession.objects.filter(
        Q(left_at__isnull=True) | Q(left_at__gt=recording.started_at + TOUCH),
        meeting=meeting,
        joined_at__lt=recording.started_at + length - TOUCH,
        participant__is_person=True,
    )
    refused = heard.filter(
        Q(participant__answer__in=REFUSALS)
        # saying yes again counts from then on: what was recorded before stays refused
        | Q(participant__consents__answer__in=REFUSALS, participant__consents__answered_at__gt=recording.started_at)
    )
    return "somebody inside did not agree to be recorded" if refused.exists() else ""


def remove(lease: Lease[Recording]) -> None:
    """Delete everywhere, look that it is gone, and only then say so. Safe to repeat after any interruption.

    Raises ``PlatformUnavailable`` when the provider cannot be asked now; the row is tried again.
    """
    recording = lease.row
    adapter = registry.get(recording.platform)
    item = adapter.get_recording(recording.provider_recording_id) or recording.as_listed()
    adapter.delete_recording(item)
    lease.check()
    filestore().delete(recording.media_key)
    scratch.clear(str(recording.pk))
    if adapter.get_recording(recording.provider_recording_id) is not None:
        raise RuntimeError("the provider still lists the recording after it was told to delete it")
    if filestore().exists(recording.media_key):
        raise RuntimeError("our storage still has the file after it was told to delete it")
    with lease.finishing():
        Transcript.objects.filter(recording=recording).delete()
        Recording.objects.filter(pk=recording.pk).update(
            deleted_at=timezone.now(), file_key="", sha256="", size_bytes=None, probe={}, provider_key=""
        )
    logger.info("recording %s removed: %s", recording.pk, recording.delete_reason)
