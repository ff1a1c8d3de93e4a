"""Recordings and transcripts: what was found, fetched and heard, to look at, play and process again."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from meetings.dossier import clock, events_section
from meetings.models import Meeting
from platforms.filters import NamedValues, titled
from platforms.moments import NOTHING, exact, when
from recordings.models import Recording, Transcript
from recordings.playing import admit_media, send_file
from rooms.models import Room
from rooms.staff.again import RunAgain
from rooms.staff.display import length, link, page_of, platform_badge, size, status_badge, work_badge
from rooms.staff.pages import Button, ReadOnlyAdmin, Section, Table

MOST_LINES = 2000


def recording_badge(recording: Recording) -> SafeString:
    if recording.deleted_at:
        return status_badge("deleted", "off")
    if recording.delete_wanted_at:
        return status_badge("being deleted", "busy")
    return work_badge(recording)


@admin.register(Recording)
class RecordingAdmin(RunAgain, ReadOnlyAdmin):
    list_display = ("found", "the_room", "the_meeting", "on", "state", "played", "bytes", "heard", "last_error")
    list_display_links = ("found",)
    list_select_related = ("meeting__room", "transcript")
    list_filter = (
        "platform",
        "status",
        ("transcript__status", titled("status of its transcript")),
        "kind",
        ("found_by", titled("how it was found")),
        ("found_at", titled("when it was found")),
    )
    date_hierarchy = "found_at"
    search_fields = (
        "id",
        "^provider_recording_id",
        "^provider_room_name",
        "^sha256",
        "meeting__id",
        "meeting__room__name",
        "meeting__room__slug",
        "meeting__participants__name",
        "meeting__participants__user__email",
        "^meeting__sessions__session_id",
    )
    search_help_text = "Recording id, provider’s room name, room, person, session id, SHA-256."
    linked = {"meeting__id__exact": Meeting, "meeting__room__id__exact": Room}
    again_words = "Process again"
    actions = ("run_selected_again",)

    def get_urls(self) -> list[URLPattern]:
        play = path("<uuid:pk>/media/", self.admin_site.admin_view(self.media_page), name="recordings_recording_media")
        return [play, self.again_url(), *super().get_urls()]

    def media_page(self, request: HttpRequest, pk: Any) -> HttpResponseBase:
        """The file itself, with ranges, or an address in our bucket that lives five minutes."""
        recording = self.get_object(request, str(pk))
        if recording is None or not self.has_view_permission(request, recording) or not _playable(recording):
            raise Http404("no such file")
        return send_file(request, recording)

    def change_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        return admit_media(super().change_view(*args, **kwargs))

    @admin.display(description="found", ordering="found_at")
    def found(self, recording: Recording) -> str | SafeString:
        return when(recording.found_at)

    @admin.display(description="room", ordering="meeting__room__name")
    def the_room(self, recording: Recording) -> str | SafeString:
        if recording.meeting is None:
            return f"no room of ours ({recording.provider_room_name or 'unnamed'})"
        return page_of(recording.meeting.room)

    @admin.display(description="meeting", ordering="meeting__created_at")
    def the_meeting(self, recording: Recording) -> str | SafeString:
        return page_of(recording.meeting, exact(recording.meeting.created_at)) if recording.meeting else NOTHING

    @admin.display(description="platform", ordering="platform")
    def on(self, recording: Recording) -> SafeString:
        return platform_badge(recording.platform)

    @admin.display(description="state", ordering="status")
    def state(self, recording: Recording) -> SafeString:
        return recording_badge(recording)

    @admin.display(description="length", ordering="media_duration_s")
    def played(self, recording: Recording) -> str:
        return length(recording.media_duration_s or recording.duration_s)

    @admin.display(description="size", ordering="size_bytes")
    def bytes(self, recording: Recording) -> str:
        return size(recording.size_bytes)

    @admin.display(description="transcript", ordering="transcript__status")
    def heard(self, recording: Recording) -> str | SafeString:
        transcript = getattr(recording, "transcript", None)
        return page_of(transcript, work_badge(transcript)) if transcript else NOTHING

    def may_run_again(self, row: Recording) -> bool:
        return row.deleted_at is None

    def sections(self, request: HttpRequest, row: Recording) -> list[Section]:
        transcript = getattr(row, "transcript", None)
        again = Button(url=reverse("admin:recordings_recording_again", args=[row.pk]), text="Process again")
        may_act = self.has_again_permission(request) and self.may_run_again(row)
        shown = [
            _player(row),
            Section(title="The recording", facts=_about(row), links=_links(row), buttons=[again] if may_act else []),
            Section(title="What the file is", facts=_file(row)),
        ]
        if transcript:
            shown.append(_lines(transcript))
        shown.append(events_section([row]))
        return [section for section in shown if section]


def _playable(recording: Recording) -> bool:
    return bool(recording.file_key) and recording.deleted_at is None and recording.delete_wanted_at is None


def _player(recording: Recording) -> Section | None:
    if not _playable(recording):
        return None
    extra = {"src": reverse("admin:recordings_recording_media", args=[recording.pk])}
    if recording.meeting and getattr(recording, "transcript", None):
        extra["captions"] = reverse("recording-captions", args=[recording.meeting.pk, recording.pk])
        extra["language"] = recording.transcript.language
    return Section(title="Play", template="admin/recordings/_player.html", extra=extra)


def _about(recording: Recording) -> list[tuple[str, Any]]:
    meeting = recording.meeting
    facts: list[tuple[str, Any]] = [
        ("Meeting", page_of(meeting)),
        ("Room", page_of(meeting.room) if meeting else NOTHING),
        ("Platform", platform_badge(recording.platform)),
        ("State", recording_badge(recording)),
        ("Tries", recording.attempts),
        ("Error", recording.last_error or NOTHING),
        (
            "Transcript",
            page_of(recording.transcript, work_badge(recording.transcript)) if _heard(recording) else NOTHING,
        ),
        ("Found", format_html("{} by {}", when(recording.found_at), recording.get_found_by_display())),
        ("Started", when(recording.started_at)),
        ("Length, as the provider says", length(recording.duration_s)),
        ("Kind", recording.kind),
        ("Provider’s recording id", recording.provider_recording_id),
        ("Provider’s room name", recording.provider_room_name or NOTHING),
        ("Object key at the provider", recording.provider_key or NOTHING),
    ]
    if recording.delete_wanted_at:
        facts += [
            ("To be deleted since", when(recording.delete_wanted_at)),
            ("Why", recording.delete_reason or NOTHING),
            ("Deleted", when(recording.deleted_at)),
        ]
    return facts


def _heard(recording: Recording) -> bool:
    return hasattr(recording, "transcript")


def _links(recording: Recording) -> list[Any]:
    meeting = recording.meeting
    return [link(meeting.get_absolute_url(), "The meeting’s page, as people see it")] if meeting else []


def _file(recording: Recording) -> list[tuple[str, Any]]:
    return [
        ("Fetched", when(recording.fetched_at)),
        ("Size", size(recording.size_bytes)),
        ("Length, by decoding", length(recording.media_duration_s)),
        ("Type", recording.content_type or NOTHING),
        ("SHA-256", recording.sha256 or NOTHING),
        *((name.replace("_", " ").capitalize(), _plain(value)) for name, value in recording.probe.items()),
    ]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _lines(transcript: Transcript) -> Section:
    segments = list(transcript.segments.select_related("participant")[:MOST_LINES])
    rows = [
        [
            clock(segment.start_ms),
            clock(segment.end_ms),
            page_of(segment.participant),
            segment.text,
            NOTHING if segment.confidence is None else f"{segment.confidence:.0%}",
        ]
        for segment in segments
    ]
    headers = ["From", "To", "Who", "What was said", "Sure"]
    note = f"The first {MOST_LINES} lines." if len(segments) == MOST_LINES else ""
    table = Table(headers=headers, rows=rows, empty="Nothing was heard." if _done(transcript) else "Not yet.")
    return Section(title="What was said", table=table, note=note)


def _done(transcript: Transcript) -> bool:
    return transcript.status == Transcript.Status.DONE


@admin.register(Transcript)
class TranscriptAdmin(RunAgain, ReadOnlyAdmin):
    list_display = ("made", "the_room", "the_recording", "state", "language", "engine", "share", "last_error")
    list_display_links = ("made",)
    list_select_related = ("recording__meeting__room",)
    list_filter = ("status", ("language", NamedValues), ("engine", NamedValues), "recording__platform")
    date_hierarchy = "created_at"
    search_fields = (
        "id",
        "segments__text",
        "^recording__provider_recording_id",
        "^recording__provider_room_name",
        "recording__meeting__room__name",
        "recording__meeting__participants__name",
    )
    search_help_text = "Words that were said, recording id, room or person."
    linked = {"recording__meeting__id__exact": Meeting, "recording__meeting__room__id__exact": Room}
    again_words = "Listen again"
    actions = ("run_selected_again",)

    def get_urls(self) -> list[URLPattern]:
        return [self.again_url(), *super().get_urls()]

    @admin.display(description="made", ordering="created_at")
    def made(self, transcript: Transcript) -> str | SafeString:
        return when(transcript.created_at)

    @admin.display(description="room", ordering="recording__meeting__room__name")
    def the_room(self, transcript: Transcript) -> str | SafeString:
        meeting = transcript.recording.meeting
        return page_of(meeting.room) if meeting else NOTHING

    @admin.display(description="recording", ordering="recording__found_at")
    def the_recording(self, transcript: Transcript) -> str | SafeString:
        return page_of(transcript.recording)

    @admin.display(description="state", ordering="status")
    def state(self, transcript: Transcript) -> SafeString:
        return work_badge(transcript)

    @admin.display(description="listened to", ordering="progress")
    def share(self, transcript: Transcript) -> str:
        return f"{transcript.progress:.0%}"

    def may_run_again(self, row: Transcript) -> bool:
        return _playable(row.recording)

    def sections(self, request: HttpRequest, row: Transcript) -> list[Section]:
        facts = [
            ("Recording", page_of(row.recording)),
            ("Meeting", page_of(row.recording.meeting)),
            ("State", work_badge(row)),
            ("Listened to", self.share(row)),
            ("Tries", row.attempts),
            ("Error", row.last_error or NOTHING),
            ("Language", row.language),
            ("Engine", row.engine or NOTHING),
            ("Model", row.model or NOTHING),
            ("Made", when(row.created_at)),
            ("Finished", when(row.finished_at)),
        ]
        again = Button(url=reverse("admin:recordings_transcript_again", args=[row.pk]), text="Listen again")
        may_act = self.has_again_permission(request) and self.may_run_again(row)
        return [Section(title="The transcript", facts=facts, buttons=[again] if may_act else []), _lines(row)]
