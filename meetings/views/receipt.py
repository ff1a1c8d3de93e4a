"""What somebody agreed to, what happened with it, and the way back. Whoever holds the link is that person."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from meetings.consent import TELL_THE_HOST, withdraw
from meetings.models import Participant
from meetings.pages import not_found
from meetings.views.room import see_other
from rooms.models import Room


def _participant(token: str) -> Participant | None:
    return Participant.objects.select_related("meeting__room").filter(receipt_token=token).first()


@never_cache
@require_safe
def receipt(request: HttpRequest, token: str) -> HttpResponse:
    participant = _participant(token)
    if participant is None:
        return not_found(request)
    meeting = participant.meeting
    recordings: Any = getattr(meeting, "recordings", None)  # a reverse relation from the right
    context = {
        "participant": participant,
        "meeting": meeting,
        "room": meeting.room,
        "consents": participant.consents.select_related("text"),
        "captures": meeting.captures.filter(started_at__isnull=False),
        "recordings": recordings.order_by("found_at") if recordings is not None else [],
        "may_withdraw": participant.answer == Participant.Answer.YES,
        "is_withdrawn": participant.answer == Participant.Answer.WITHDRAWN,
    }
    response = render(request, "meetings/receipt.html", context)
    # the address is a secret; CSRF needs it on our own site
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@require_POST
def withdraw_consent(request: HttpRequest, token: str) -> HttpResponse:
    """Idempotent: withdrawing twice is withdrawing once."""
    participant = _participant(token)
    if participant is None:
        return not_found(request)
    if participant.answer != Participant.Answer.WITHDRAWN:
        withdraw(participant=participant)
        is_local = participant.meeting.recording_type == Room.RecordingType.LOCAL
        consequence = TELL_THE_HOST if is_local else "What was recorded of you is being deleted."
        messages.success(request, f"You have withdrawn. {consequence}")
    return see_other(request.path.removesuffix("withdraw/"))
