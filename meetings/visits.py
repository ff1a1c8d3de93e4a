"""What a browser remembers of its person, in signed cookies: a name, the meetings it took part in, a form that waits
for its meeting to open, and the rooms whose link it has used. No session is opened for guests.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from meetings.models import Meeting, Participant
from rooms.models import Room

NAME_COOKIE = "rooms_name"
VISITS_COOKIE = "rooms_visits"
PENDING_COOKIE = "rooms_pending"
SEEN_COOKIE = "rooms_seen"

NAME_AGE = timedelta(days=365)
VISITS_AGE = timedelta(days=30)
PENDING_AGE = timedelta(minutes=5)

#: a cookie holds about 4 kB; the oldest entries go first
MAX_VISITS = 12
MAX_SEEN = 20


@dataclass(frozen=True)
class Pending:
    """A sent form whose meeting is still being opened."""

    name: str
    answer: str
    words: str  #: SHA-256 of the words that were on the form
    pressed: float | None = None  #: when, in seconds since 1970

    @property
    def pressed_at(self) -> datetime | None:
        return None if self.pressed is None else datetime.fromtimestamp(self.pressed, UTC)


def remembered_name(request: HttpRequest) -> str:
    if request.user.is_authenticated:
        return request.user.get_full_name() or request.user.get_username()
    return str(_read(request, NAME_COOKIE, NAME_AGE) or "")


def remember_name(response: HttpResponse, name: str) -> None:
    _write(response, NAME_COOKIE, name, NAME_AGE)


def remember_visit(request: HttpRequest, response: HttpResponse, participant: Participant) -> None:
    visits = {key: value for key, value in _visits(request).items() if key != str(participant.meeting_id)}
    visits[str(participant.meeting_id)] = str(participant.pk)
    _write(response, VISITS_COOKIE, dict(list(visits.items())[-MAX_VISITS:]), VISITS_AGE)


def participant_id_for(request: HttpRequest, meeting: Meeting) -> uuid.UUID | None:
    """Who this browser is in ``meeting``, by our cookie."""
    value = _visits(request).get(str(meeting.pk))
    return uuid.UUID(value) if value else None


def participant_for(request: HttpRequest, meeting: Meeting) -> Participant | None:
    """Who the visitor is in ``meeting``: by cookie, else by account."""
    known = meeting.participants.filter(came_by_page=True)
    if participant_id := participant_id_for(request, meeting):
        found = known.filter(pk=participant_id).first()
        # somebody else has signed in on this computer since
        if found and (found.user_id is None or found.user_id == request.user.pk):
            return found
    if request.user.is_authenticated:
        return known.filter(user=request.user).first()
    return None


def may_read(request: HttpRequest, meeting: Meeting) -> bool:
    """Whether the visitor may open the meeting's page: by account, as somebody who took part, or by receipt link."""
    if Meeting.objects.seen_by(request.user).filter(pk=meeting.pk).exists():
        return True
    token = request.GET.get("receipt", "")
    if token.isprintable() and token and meeting.participants.filter(receipt_token=token).exists():
        return True
    return participant_for(request, meeting) is not None


def remember_pending(response: HttpResponse, room: Room, pending: Pending) -> None:
    _write(response, PENDING_COOKIE, asdict(pending), PENDING_AGE, path=room.get_absolute_url())


def pending_for(request: HttpRequest) -> Pending | None:
    value = _read(request, PENDING_COOKIE, PENDING_AGE)
    return Pending(**value) if value else None


def forget_pending(response: HttpResponse, room: Room) -> None:
    response.delete_cookie(PENDING_COOKIE, path=room.get_absolute_url())


def seen_rooms(request: HttpRequest) -> list[str]:
    """Slugs of shared rooms whose link this browser has used, latest last."""
    return [str(slug) for slug in _read(request, SEEN_COOKIE, NAME_AGE) or []]


def remember_room(request: HttpRequest, response: HttpResponse, room: Room) -> None:
    seen = seen_rooms(request)
    if room.is_shared and room.slug not in seen[-1:]:
        slugs = [slug for slug in seen if slug != room.slug] + [room.slug]
        _write(response, SEEN_COOKIE, slugs[-MAX_SEEN:], NAME_AGE)


def _visits(request: HttpRequest) -> dict[str, str]:
    return _read(request, VISITS_COOKIE, VISITS_AGE) or {}


def _read(request: HttpRequest, cookie: str, age: timedelta) -> Any:
    try:
        return signing.loads(request.COOKIES.get(cookie, ""), salt=cookie, max_age=age)
    except signing.BadSignature:
        return None


def _write(response: HttpResponse, cookie: str, value: Any, age: timedelta, path: str = "/") -> None:
    response.set_cookie(
        cookie,
        signing.dumps(value, salt=cookie, compress=True),
        max_age=age,
        path=path,
        secure=bool(settings.SESSION_COOKIE_SECURE),
        httponly=True,
        samesite="Lax",
    )
