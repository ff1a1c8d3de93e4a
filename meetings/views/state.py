"""What is going on, as JSON: for dashboards (``state``) and for the page of a call (``call_state``)."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST, require_safe

from meetings import capture
from meetings.entering import still_here
from meetings.models import Meeting
from meetings.state import meeting_state, room_state
from meetings.views.call import inside
from meetings.views.room import visible_room
from platforms import registry


def _json(body: dict[str, Any], status: int = 200) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})


@require_safe
def state(request: HttpRequest, slug: str) -> HttpResponse:
    """``{"platform", "phase", "meeting", "people", "recording", "waiting"}``, and ``names`` for the room's members."""
    room = visible_room(request, slug)
    if room is None:
        return _json({"error": "not found"}, status=404)
    return _json(room_state(room=room, with_names=room.has_member(request.user)))


@require_safe
def call_state(request: HttpRequest, slug: str) -> HttpResponse:
    """The state of the visitor's own call: what ``state`` says, and what the page should ask or do now.

    404 as soon as the visitor's meeting is over: the room may already be in the next one.
    """
    participant = inside(request, slug)
    if participant is None or participant.meeting.status != Meeting.Status.OPEN:
        return _json({"error": "not in a meeting"}, status=404)
    meeting = participant.meeting
    still_here(participant=participant)
    body: dict[str, Any] = room_state(room=meeting.room, with_names=False)
    body["answer"] = participant.answer
    body["instruction"] = None
    body |= meeting_state(meeting=meeting, for_host=participant.is_host)
    if participant.is_host and not registry.get(meeting.platform).capabilities.server_recording:
        body["instruction"] = capture.instruction_for(participant=participant)
    return _json(body)


@require_POST
def report(request: HttpRequest, slug: str) -> HttpResponse:
    """The host's page says whether it records now (platforms whose recording only a page can start), and with
    ``"failed": true`` that it could not be started."""
    participant = inside(request, slug)
    if participant is None or not participant.is_host:
        return _json({"error": "not found"}, status=404)
    try:
        told = json.loads(request.body)
        recording, failed = told["recording"], told.get("failed", False)
    except (ValueError, TypeError, KeyError, AttributeError):
        recording = failed = None
    if not (isinstance(recording, bool) and isinstance(failed, bool)):
        return _json({"error": '{"recording": true} or {"recording": false, "failed": false}'}, status=400)
    if not registry.get(participant.meeting.platform).capabilities.server_recording:
        capture.report_from_page(meeting=participant.meeting, recording=recording, failed=failed)
    return _json({"ok": True})
