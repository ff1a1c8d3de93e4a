"""What happened in a meeting, for those who may know: the page, its media and captions."""

from __future__ import annotations

from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from meetings.models import Capture, Meeting
from meetings.visits import may_read, participant_for, remember_visit
from recordings.captions import webvtt
from recordings.deeplink import seconds
from recordings.models import Recording, Transcript, TranscriptSegment
from recordings.playing import admit_media, send_file
from recordings.reading import people_of, state_of, turns_of


def meeting_for(request: HttpRequest, pk: object) -> Meeting:
    """The meeting, for those who may see it; 404 to everybody else, as if there were none."""
    found = get_object_or_404(Meeting.objects.select_related("room"), pk=pk)
    if not may_read(request, found):
        raise Http404
    return found


@require_safe
def meeting(request: HttpRequest, pk: str) -> HttpResponseBase:
    """``/meetings/<uuid>/``: people, recordings, transcript. ``?receipt=<token>`` opens it to who took part."""
    found = meeting_for(request, pk)
    if token := request.GET.get("receipt", ""):
        participant = found.participants.filter(receipt_token=token).first()
        response = redirect("meeting", pk)  # the token leaves the address bar; a signed cookie takes its place
        if participant is not None:
            remember_visit(request, response, participant)
        return response
    recordings = _recordings(found)
    rows = [(recording, state_of(recording)) for recording in recordings]
    start = _start(request)
    turns = turns_of(found, recordings)
    context = {
        "meeting": found,
        "room": found.room,
        "people": people_of(found, now=timezone.now()),
        "recordings": rows,
        "turns": turns,
        "pending": any(state.pending for _, state in rows) or _recording_expected(found, recordings),
        "capture_problem": _capture_problem(request, found),
        "removed": bool(recordings) and all(recording.delete_wanted_at for recording in recordings),
        "start_s": start,
        "my_receipt": _my_receipt(request, found),
        "several_recordings": len(recordings) > 1,
    }
    return admit_media(render(request, "recordings/meeting.html", context))


def _recordings(found: Meeting) -> list[Recording]:
    words = Transcript.objects.annotate(has_words=Exists(TranscriptSegment.objects.filter(transcript=OuterRef("pk"))))
    rows = list(found.recordings.order_by("started_at", "found_at"))
    transcripts = {transcript.recording_id: transcript for transcript in words.filter(recording__in=rows)}
    for row in rows:
        if row.pk in transcripts:
            row.transcript = transcripts[row.pk]
    return rows


def _recording_expected(found: Meeting, recordings: list[Recording]) -> bool:
    """Something was recorded in the last hour and has not arrived yet."""
    if recordings or found.ended_at is None:
        return False
    recent = (timezone.now() - found.ended_at).total_seconds() < 3600
    if not recent:
        return False
    # ordered by us, or by a recorder that the provider sent in by itself
    recorder = found.sessions.filter(participant__is_person=False)
    ordered = found.captures.filter(started_at__isnull=False).exclude(state=Capture.State.FAILED)
    return ordered.exists() or recorder.exists()


def _capture_problem(request: HttpRequest, found: Meeting) -> str:
    """Why the last run of its recording failed: what the provider said, for hosts and staff; that it did, for others.
    Looked up whenever the page is, as providers may tell of it after the meeting."""
    last = found.captures.order_by("wanted_at").last()
    if last is None or last.state != Capture.State.FAILED:
        return ""
    if found.room.has_host(request.user) or request.user.has_perm("meetings.view_capture"):
        return f"The recording failed: {last.error or 'the provider gave no reason.'}"
    return "The recording failed."


def _start(request: HttpRequest) -> int | None:
    """``?t=754`` or ``?t=12m34s`` as seconds on the recording's clock."""
    return seconds(request.GET.get("t", ""))


def _my_receipt(request: HttpRequest, found: Meeting) -> str:
    who = participant_for(request, found)
    return who.receipt_token if who else ""


def _playable(request: HttpRequest, pk: str, recording_id: str) -> Recording:
    found = meeting_for(request, pk)
    recording = get_object_or_404(found.recordings, pk=recording_id, deleted_at=None, delete_wanted_at=None)
    if not recording.file_key:
        raise Http404
    return recording


@require_safe
def media(request: HttpRequest, pk: str, recording_id: str) -> HttpResponseBase:
    """The recording itself, with ranges; from S3 by a redirect to an address that lives five minutes."""
    return send_file(request, _playable(request, pk, recording_id))


@require_safe
def captions(request: HttpRequest, pk: str, recording_id: str) -> HttpResponse:
    """The transcript as WebVTT, for the player."""
    recording = _playable(request, pk, recording_id)
    segments = TranscriptSegment.objects.filter(transcript__recording=recording).select_related("participant")
    return HttpResponse(webvtt(segments), content_type="text/vtt; charset=utf-8")
