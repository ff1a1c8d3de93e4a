"""What recordings add to a room's history: found, deleted, and listened to."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.html import format_html

from recordings.models import Recording, Transcript
from rooms.staff.display import length, page_of, platform_badge, status_badge, work_badge
from rooms.staff.timeline import Entry, strand


def _of_room(room_id: int) -> QuerySet[Recording]:
    return Recording.objects.filter(meeting__room=room_id)


def _found(recording: Recording) -> Entry:
    seconds = recording.media_duration_s or recording.duration_s
    return Entry(
        what=format_html(
            "{} {} {}", page_of(recording, "Recording found"), platform_badge(recording.platform), work_badge(recording)
        ),
        by=format_html("by {}, {}", recording.get_found_by_display(), page_of(recording.meeting, "meeting")),
        words=recording.last_error or (length(seconds) if seconds else ""),
    )


def _deleted(recording: Recording) -> Entry:
    return Entry(
        what=format_html("{} {}", page_of(recording, "Recording"), status_badge("deleted everywhere", "off")),
        by=format_html("{}", page_of(recording.meeting, "meeting")),
        words=recording.delete_reason,
    )


def _heard(transcript: Transcript) -> Entry:
    return Entry(
        what=format_html("{} {}", page_of(transcript, "Transcript"), work_badge(transcript)),
        by=transcript.engine,
        words=format_html("{} {}", page_of(transcript.recording, "of this recording"), transcript.last_error),
    )


strand(
    name="recording-found",
    kind="recordings",
    model="recordings.recording",
    rows=_of_room,
    time="found_at",
    fields=(
        "platform",
        "status",
        "found_by",
        "last_error",
        "media_duration_s",
        "duration_s",
        "meeting__id",
        "meeting__platform",
        "meeting__created_at",
    ),
    entry=_found,
    is_far=True,
)
strand(
    name="recording-deleted",
    kind="recordings",
    model="recordings.recording",
    rows=_of_room,
    time="deleted_at",
    fields=("delete_reason", "meeting__id"),
    entry=_deleted,
    is_far=True,
)
strand(
    name="transcript",
    kind="recordings",
    model="recordings.transcript",
    rows=lambda room_id: Transcript.objects.filter(recording__meeting__room=room_id),
    time="finished_at",
    fields=("status", "engine", "last_error", "recording__id"),
    entry=_heard,
    is_far=True,
)
