"""Wake-up calls of the recordings app."""

from __future__ import annotations

import dramatiq

from platforms.work import work_on
from recordings.models import Recording, Transcript
from recordings.processing import process, transcribe

HOURS_MS = 3_600_000

# told to stop, they stop where they are: the row is put back and taken up again at once


@dramatiq.actor(max_retries=0, time_limit=4 * HOURS_MS, notify_shutdown=True)
def process_recording(recording_id: str) -> None:
    work_on(Recording, recording_id, process)


@dramatiq.actor(max_retries=0, time_limit=4 * HOURS_MS, queue_name="speech", notify_shutdown=True)
def transcribe_recording(transcript_id: str) -> None:
    work_on(Transcript, transcript_id, transcribe)
