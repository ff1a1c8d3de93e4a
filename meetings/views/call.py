"""The call: the platform's frame, what surrounds it, and what can be done from there."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import messages
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from meetings import beacons, capture, visits
from meetings.admission import admit
from meetings.consent import TELL_THE_HOST, ConsentNeeded, answered_other_words, withdraw
from meetings.entering import MeetingOver, MustWait, enter, entry_for
from meetings.forms import WORDS_CHANGED, Question
from meetings.lifecycle import end_meeting
from meetings.models import Meeting, Participant
from meetings.notices import OUT, failed, room_archived, too_slow
from meetings.pages import not_found, show
from meetings.state import meeting_state, room_state
from meetings.views.room import come_in, come_in_when_open, live_meeting, see_other, visible_room
from platforms import registry
from platforms.base import Adapter, Entry, PlatformRefused, PlatformUnavailable
from rooms.models import Room

logger = logging.getLogger(__name__)

#: a meeting that takes longer to open is given up by the page (the opening itself may still succeed)
GIVE_UP_S = 10
#: somebody who refuses and waits for a recording to stop is then asked whether to wait or to leave
ASK_TO_LEAVE_S = 10


@never_cache
@require_safe
def call(request: HttpRequest, slug: str) -> HttpResponse:
    """The call of somebody whose form was sent. A reload enters again; a bare visit leads to the form."""
    room = visible_room(request, slug)
    if room is None:
        return not_found(request)
    if room.archived_at:
        return show(request, room_archived(room))
    meeting = live_meeting(room)
    pending = visits.pending_for(request)
    if meeting is None or meeting.status == Meeting.Status.OPENING:
        return _not_open(request, room, meeting, pending)
    participant = visits.participant_for(request, meeting)
    if pending:
        return come_in(request, meeting, pending)
    if participant is None:
        return redirect(room)
    if answered_other_words(participant):
        return come_in(request, meeting, visits.Pending(name=participant.name, answer="", words=""))
    try:
        entry = entry_for(participant=participant)
    except MustWait:
        return _hold(request, room, meeting)
    except MeetingOver:
        return redirect("room-out", room.slug, "ended")
    except PlatformUnavailable as error:
        sentence = "The video service does not answer just now."
        return show(request, failed(room, sentence, error.retry_after_s, url=request.path))
    except PlatformRefused:
        logger.warning("meeting %s: the platform refused participant %s", meeting.pk, participant.pk)
        return show(request, failed(room, "The video service has refused to let you in.", None))
    return _call_page(request, participant, entry)


def _not_open(
    request: HttpRequest, room: Room, meeting: Meeting | None, pending: visits.Pending | None
) -> HttpResponse:
    if pending is None:
        last = Meeting.objects.filter(room=room, status=Meeting.Status.ENDED).first()
        if last and visits.participant_for(request, last) and last.ended_at:
            # a reload after the end
            return redirect("room-out", room.slug, "ended")
        return redirect(room)
    fields = (("name", pending.name), ("answer", pending.answer), ("words", pending.words))
    if meeting is None and _failed_since(room, pending):
        failure = "The video service could not open the meeting."
        return show(request, failed(room, failure, 10, fields))
    if _waited_s(request) > GIVE_UP_S:
        # the form is not forgotten: a script has fetched this to look, and its page fetches it once more to show it
        return show(request, too_slow(room, fields))
    # whoever was opening it may have died, or the meeting be over already: this form still stands
    response = come_in_when_open(request, room, pending, fields=fields)
    return response or _progress(request, room, title="Opening the meeting", since=_since(request))


def _failed_since(room: Room, pending: visits.Pending) -> bool:
    """Whether an opening of this room's has failed since they pressed *Join*. No meeting there yet is no failure."""
    pressed_at = pending.pressed_at or timezone.now() - visits.PENDING_AGE
    return Meeting.objects.filter(room=room, status=Meeting.Status.FAILED, ended_at__gte=pressed_at).exists()


def _hold(request: HttpRequest, room: Room, meeting: Meeting) -> HttpResponse:
    """A recording is running that this person has refused; it is being stopped before they get in."""
    if _waited_s(request) > ASK_TO_LEAVE_S:
        return _progress(
            request,
            room,
            title="The recording is still running",
            since=_since(request),
            sentence="You asked not to be recorded, and the recording could not yet be confirmed stopped. "
            "You are not in the meeting. You may wait, or leave.",
            meeting=meeting,
        )
    return _progress(
        request,
        room,
        title="Stopping the recording",
        since=_since(request),
        sentence="You asked not to be recorded. You get in as soon as the recording is confirmed stopped.",
        meeting=meeting,
    )


def _since(request: HttpRequest) -> int:
    """When this wait began, in seconds; told by the address, so that it works without scripts and cookies."""
    now = int(timezone.now().timestamp())
    given = request.GET.get("since", "")
    since = int(given) if given.isascii() and given.isdigit() and len(given) < 12 else now
    return since if 0 <= now - since < 3600 else now


def _waited_s(request: HttpRequest) -> int:
    return int(timezone.now().timestamp()) - _since(request)


def _progress(
    request: HttpRequest, room: Room, *, title: str, since: int, sentence: str = "", meeting: Meeting | None = None
) -> HttpResponse:
    url = f"{reverse('call', args=[room.slug])}?since={since}"
    context = {"room": room, "title": title, "sentence": sentence, "meeting": meeting, "url": url}
    return render(request, "meetings/progress.html", context)


def _call_page(request: HttpRequest, participant: Participant, entry: Entry) -> HttpResponse:
    meeting, room = participant.meeting, participant.meeting.room
    adapter = registry.get(meeting.platform)
    title = f"Video meeting: {room.name}"
    is_local = meeting.recording_type == Room.RecordingType.LOCAL
    question = Question.of(meeting)
    sdk_url = _sdk_url(adapter)
    context: dict[str, Any] = {
        "room": room,
        "meeting": meeting,
        "participant": participant,
        "title": title,
        "entry": entry,
        "question": question,
        "state": room_state(room=room, with_names=False),
        "sdk_url": sdk_url,
        "sdk_integrity": adapter.sdk.integrity if sdk_url.startswith("https:") else "",
        "can_record": meeting.recording_type == Room.RecordingType.CLOUD,
        "is_local": is_local,
        "told": meeting_state(meeting=meeting, for_host=participant.is_host),
        "unanswered": question is not None and participant.answer == Participant.Answer.NONE,
        "data": {
            "page": dict(entry.page),
            "title": title,
            "frameUrl": entry.frame_url,
            "allow": entry.allow,
            "script": static(adapter.page_script),
            "lock": f"call-{participant.pk}",
            "beacon": {"url": reverse("call-beacon", args=[room.slug]), "token": beacons.token_for(participant)},
            "isHost": participant.is_host,
            "canRecord": meeting.recording_type == Room.RecordingType.CLOUD,
            # of a recording on a host's computer only the call itself knows
            "serverRecords": adapter.capabilities.server_recording and not is_local,
            "pageRecords": participant.is_host and not adapter.capabilities.server_recording and not is_local,
            "urls": {
                "state": reverse("call-state", args=[room.slug]),
                "report": reverse("call-report", args=[room.slug]),
                "after": meeting.get_absolute_url(),
                "out": {what: reverse("room-out", args=[room.slug, what]) for what in OUT},
            },
        },
    }
    response = render(request, "meetings/call.html", context)
    admit(response, adapter.origins(meeting.url), sdk_url=sdk_url if sdk_url.startswith("https:") else "")
    response.headers["Cache-Control"] = "no-store"
    return response


def _sdk_url(adapter: Adapter) -> str:
    """Our own copy where the set-up could fetch one, else the CDN's."""
    if adapter.sdk.static_path and finders.find(adapter.sdk.static_path):
        return static(adapter.sdk.static_path)
    return adapter.sdk.cdn_url


def inside(request: HttpRequest, slug: str) -> Participant | None:
    """Who posts from a call page: somebody of the room's live meeting."""
    room = visible_room(request, slug)
    meeting = live_meeting(room) if room else None
    return visits.participant_for(request, meeting) if meeting else None


@require_POST
def answer(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer, or change one's mind, during the call."""
    participant = inside(request, slug)
    if participant is None:
        return not_found(request)
    given = request.POST.get("answer", "")
    if given not in (Participant.Answer.YES, Participant.Answer.NO):
        return _done(request, slug, "Choose yes or no.", status=422)
    question = Question.of(participant.meeting)
    if given == Participant.Answer.YES and question and request.POST.get("words") != question.sha256:
        # a no counts whatever it answers
        return _done(request, slug, f"{WORDS_CHANGED} Reload this page, read it and choose again.", status=409)
    if given == Participant.Answer.NO and participant.answer == Participant.Answer.YES:
        withdraw(participant=participant)
        if participant.meeting.consent_policy == Room.ConsentPolicy.REQUIRED:
            return _leave(request, participant, "In this room everybody has to agree to be recorded.")
        if participant.meeting.recording_type == Room.RecordingType.LOCAL:
            return _done(request, slug, f"Your choice is saved. {TELL_THE_HOST}")
        return _done(request, slug, "You are no longer recorded, and what was recorded of you is being deleted.")
    try:
        enter(
            meeting=participant.meeting,
            user=request.user,
            name=participant.name,
            answer=Participant.Answer(given),
            participant_id=participant.pk,
        )
    except ConsentNeeded:
        return _leave(request, participant, "In this room everybody has to agree to be recorded.")
    except MeetingOver:
        return _leave(request, participant, "The meeting has ended.")
    return _done(request, slug, "Your choice is saved.")


@require_POST
def record(request: HttpRequest, slug: str) -> HttpResponse:
    """A host starts or stops the recording."""
    participant = inside(request, slug)
    if participant is None or not participant.is_host:
        return not_found(request)
    if request.POST.get("action") == "stop":
        capture.wish_stop(meeting=participant.meeting, reason=f"stopped by {participant.name}")
        return _done(request, slug, "The recording is being stopped.")
    try:
        capture.wish_start(meeting=participant.meeting, by=request.user)
    except capture.CaptureRefused as error:
        return _done(request, slug, str(error), status=409)
    return _done(request, slug, "The recording is being started.")


@require_POST
def end(request: HttpRequest, slug: str) -> HttpResponse:
    """A host ends the meeting for everybody."""
    participant = inside(request, slug)
    if participant is None or not participant.is_host:
        return not_found(request)
    meeting = participant.meeting
    end_meeting(
        meeting=meeting,
        reason=Meeting.EndReason.HOST,
        by=request.user if request.user.is_authenticated else None,
    )
    return _leave(request, participant, "The meeting has ended.")


def _leave(request: HttpRequest, participant: Participant, message: str) -> HttpResponse:
    """Out of the call, to the meeting's page."""
    url = participant.meeting.get_absolute_url()
    if _wants_json(request):
        return JsonResponse({"message": message, "url": url})
    messages.warning(request, message)
    return see_other(url)


def _wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "").startswith("application/json")


def _done(request: HttpRequest, slug: str, message: str, *, status: int = 200) -> HttpResponse:
    """To the script: the sentence. Without scripts: back to the call, which shows it."""
    if _wants_json(request):
        return JsonResponse({"message": message}, status=status)
    messages.add_message(request, messages.SUCCESS if status == 200 else messages.WARNING, message)
    return see_other(reverse("call", args=[slug]))
