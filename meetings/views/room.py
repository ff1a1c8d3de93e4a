"""The room: who may look, the form before the call, and the ways in which a visit can end."""

from __future__ import annotations

import logging
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from meetings import visits
from meetings.background import StillBusy, wait_for
from meetings.browsers import is_in_app
from meetings.consent import ConsentNeeded
from meetings.entering import MeetingOver, enter
from meetings.forms import JoinForm, Question
from meetings.limits import guest_must_wait_s
from meetings.models import Meeting, Participant
from meetings.notices import OUT, declined, failed, not_yet, rate_limited, room_archived
from meetings.opening import NotYet, OpeningFailed, RoomArchived, open_place, take_place
from meetings.pages import not_found, show
from meetings.presence import stop_waiting
from meetings.state import room_state
from rooms.models import Room

logger = logging.getLogger(__name__)

#: how long a sent form waits for its meeting before it shows that something is going on
PATIENCE_S = 1.0


#: how a platform may call it when a meeting ends for all
PUT_OUT = {"removed", "connection", "expired"}
NOT_LET_IN = {"declined", "no-answer"}


def visible_room(request: HttpRequest, slug: str) -> Room | None:
    room = Room.objects.filter(slug=slug).first()
    return room if room and room.is_visible_to(request.user) else None


def live_meeting(room: Room) -> Meeting | None:
    return Meeting.objects.live().filter(room=room).first()


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def room(request: HttpRequest, slug: str) -> HttpResponse:
    found = visible_room(request, slug)
    if found is None:
        return not_found(request)
    if found.archived_at:
        return show(request, room_archived(found))
    meeting = live_meeting(found)
    if meeting is None and found.opens_at and found.opens_at > timezone.now():
        return show(request, not_yet(found, found.opens_at))
    if request.method == "POST":
        return _join(request, found, meeting)
    form = JoinForm(initial={"name": visits.remembered_name(request)}, question=Question.of(meeting or found))
    response = _form_page(request, found, meeting, form)
    visits.remember_room(request, response, found)
    return response


def _join(request: HttpRequest, room: Room, meeting: Meeting | None) -> HttpResponse:
    """Everything that opening needs is asked first; nothing is opened for a form that is not complete."""
    pressed_at = timezone.now()
    question = Question.of(meeting or room)
    form = JoinForm(request.POST, question=question)
    if not form.is_valid():
        return _form_page(request, room, meeting, form)
    if not request.user.is_authenticated and (wait_s := guest_must_wait_s(request, now=timezone.now())):
        return show(request, rate_limited(room, wait_s))
    name, answer = form.cleaned_data["name"], form.cleaned_data["answer"]
    if question and question.required and answer != Participant.Answer.YES:
        response = show(request, declined(room))
        visits.remember_name(response, name)
        return response
    pending = visits.Pending(name, answer, question.sha256 if question else "", pressed=pressed_at.timestamp())
    response = come_in_when_open(request, room, pending, fields=_again(request)) or _to_progress(room, pending)
    visits.remember_name(response, name)
    return response


def _to_progress(room: Room, pending: visits.Pending) -> HttpResponse:
    response = see_other(f"{reverse('call', args=[room.slug])}?since={int(timezone.now().timestamp())}")
    visits.remember_pending(response, room, pending)
    return response


def come_in_when_open(
    request: HttpRequest, room: Room, pending: visits.Pending, *, fields: tuple[tuple[str, str], ...]
) -> HttpResponse | None:
    """Enter with a form that was answered, and see to it that somebody opens the meeting; None while they do."""
    try:
        meeting = opened(room)
    except StillBusy:
        return None
    except OpeningFailed as error:
        return show(request, failed(room, str(error), error.retry_after_s, fields=fields))
    except NotYet as error:
        return show(request, not_yet(room, error.opens_at))
    except RoomArchived:
        return show(request, room_archived(room))
    return come_in(request, meeting, pending)


def opened(room: Room) -> Meeting:
    """The room's open meeting. Only whoever has to open it takes a thread. Raises ``StillBusy`` where it is not
    open soon or somebody else is opening it, and what ``take_place`` and ``open_place`` raise."""
    place = take_place(room=room)
    if place.is_ours:
        return wait_for(lambda: open_place(place), whose=place.meeting.platform, patience_s=PATIENCE_S)
    if place.meeting.status != Meeting.Status.OPEN:
        raise StillBusy
    return place.meeting


def come_in(request: HttpRequest, meeting: Meeting, pending: visits.Pending) -> HttpResponse:
    """Enter an open meeting with a form that was answered, and go on to the call."""
    question = Question.of(meeting)
    if question and question.sha256 != pending.words:
        # it opened elsewhere than the form said: what was answered is not what happens here
        data = {"name": pending.name, "answer": "", "words": pending.words}
        return _form_page(request, meeting.room, meeting, JoinForm(data, question=question))
    try:
        participant = enter(
            meeting=meeting,
            user=request.user,
            name=pending.name,
            answer=Participant.Answer(pending.answer),
            participant_id=visits.participant_id_for(request, meeting),
            pressed_at=pending.pressed_at,
        )
    except ConsentNeeded:
        return show(request, declined(meeting.room))
    except MeetingOver:
        # it ended between the look and the entry; the next press opens the next one
        return redirect(meeting.room)
    response = see_other(reverse("call", args=[meeting.room.slug]))
    visits.remember_visit(request, response, participant)
    visits.forget_pending(response, meeting.room)
    return response


def _form_page(request: HttpRequest, room: Room, meeting: Meeting | None, form: JoinForm) -> HttpResponse:
    last = Meeting.objects.filter(room=room, status=Meeting.Status.ENDED).first()
    context: dict[str, Any] = {
        "room": room,
        "form": form,
        "question": form.question,
        "state": room_state(room=room, with_names=room.has_member(request.user)),
        "is_host": room.has_host(request.user),
        "was_moved": last is not None and last.platform != (meeting or room).platform,
        "is_in_app": is_in_app(request),
    }
    return render(request, "meetings/room.html", context, status=422 if form.errors else 200)


def _again(request: HttpRequest) -> tuple[tuple[str, str], ...]:
    """The form's fields, to be sent once more by one press."""
    return tuple((field, request.POST.get(field, "")) for field in ("name", "answer", "words"))


@require_safe
def kept(request: HttpRequest, slug: str) -> HttpResponse:
    """What is kept of a meeting here, for how long, and who sees it."""
    found = visible_room(request, slug)
    if found is None:
        return not_found(request)
    context = {"room": found, "question": Question.of(live_meeting(found) or found)}
    return render(request, "meetings/kept.html", context)


@require_safe
def out(request: HttpRequest, slug: str, what: str) -> HttpResponse:
    """Where the call page goes when the platform says that it is over for this person."""
    found = visible_room(request, slug)
    if found is None or what not in OUT:
        return not_found(request)
    last = Meeting.objects.filter(room=found).exclude(status=Meeting.Status.FAILED).first()
    readable = last if last and visits.may_read(request, last) else None
    participant = visits.participant_for(request, last) if last else None
    if participant and last and last.status == Meeting.Status.ENDED and what in PUT_OUT:
        what = "ended"  # everybody was put out: the platform's page calls that what it likes
    elif participant and what in NOT_LET_IN:
        stop_waiting(participant, at=timezone.now())
    return show(request, OUT[what](found, readable))


def see_other(url: str) -> HttpResponse:
    """303: the answer to this POST is another page, to be fetched by GET."""
    response = redirect(url)
    response.status_code = 303
    return response
