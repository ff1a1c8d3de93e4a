"""Actors of meetings. Messages carry ids; what is to be done is in the rows."""

import dramatiq

from meetings import capture
from meetings.lifecycle import close_at_provider
from meetings.models import Capture
from platforms.work import work_on


@dramatiq.actor(actor_name="drive_capture", max_retries=0, time_limit=120_000)
def drive_capture(capture_id: str) -> None:
    work_on(Capture, capture_id, capture.drive)


@dramatiq.actor(actor_name="close_meeting", max_retries=0, time_limit=120_000)
def close_meeting(meeting_id: str) -> None:
    close_at_provider(meeting_id)
