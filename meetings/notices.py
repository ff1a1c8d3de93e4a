"""The states of a room that are a page of their own: a heading, one sentence, one action, the right status."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from meetings.models import Meeting
from meetings.pages import Notice
from rooms.models import Room


def room_archived(room: Room) -> Notice:
    return Notice(
        title="This room is closed",
        sentence=f"“{room.name}” has been archived, so no meeting can start here.",
        action="See your rooms",
        url=reverse("home"),
        status=410,
        shape="stop",
    )


def not_yet(room: Room, opens_at: datetime) -> Notice:
    moment = date_format(timezone.localtime(opens_at), "l j F Y, H:i")
    return Notice(
        title="Not open yet",
        sentence=f"“{room.name}” opens on {moment} ({timezone.get_current_timezone_name()}).",
        action="Check again",
        url=room.get_absolute_url(),
        shape="wait",
    )


def rate_limited(room: Room, wait_s: int) -> Notice:
    return Notice(
        title="Too many tries",
        sentence=f"From your network, people have pressed Join very often. Try again in {wait_s} seconds.",
        action="Back to the room",
        url=room.get_absolute_url(),
        status=429,
        retry_after_s=wait_s,
        shape="wait",
    )


def failed(
    room: Room,
    sentence: str,
    retry_after_s: float | None,
    fields: tuple[tuple[str, str], ...] = (),
    *,
    url: str = "",
) -> Notice:
    """The provider is down. With ``fields`` the form is sent once more by one press; ``url``: try again there."""
    return Notice(
        title="The call could not be opened",
        sentence=sentence,
        action="Try again",
        url=url or room.get_absolute_url(),
        status=503,
        retry_after_s=max(1, round(retry_after_s or 10)),
        detail="If it fails again, agree on another way to talk for now; this link stays the same.",
        fields=fields,
        shape="stop",
    )


def too_slow(room: Room, fields: tuple[tuple[str, str], ...] = ()) -> Notice:
    return failed(room, "The video service has not answered for ten seconds.", 10, fields)


def declined(room: Room) -> Notice:
    """The room lets in only people who agree to be recorded."""
    return Notice(
        title="You are not in the meeting",
        sentence=f"In “{room.name}” everybody has to agree to be recorded, and you chose not to. Nothing was recorded.",
        action="Choose again",
        url=room.get_absolute_url(),
        shape="done",
    )


def _over(
    title: str,
    sentence: str,
    *,
    action: str = "Try again",
    status: int = 200,
    retry_after_s: int | None = None,
    shape: str = "stop",
    detail: str = "",
    straight_in: bool = False,
) -> Callable[[Room, Meeting | None], Notice]:
    def notice(room: Room, meeting: Meeting | None) -> Notice:
        return Notice(
            title=title,
            sentence=sentence,
            action=action,
            url=reverse("call", args=[room.slug]) if straight_in else room.get_absolute_url(),
            status=status,
            retry_after_s=retry_after_s,
            shape=shape,
            detail=detail,
        )

    return notice


def _ended(room: Room, meeting: Meeting | None) -> Notice:
    return Notice(
        title="The meeting has ended",
        sentence=f"The meeting in “{room.name}” is over for everybody.",
        action="See what is kept of it" if meeting else "Back to the room",
        url=meeting.get_absolute_url() if meeting else room.get_absolute_url(),
        shape="done",
    )


#: last part of ``/rooms/<slug>/out/…/`` → its page. The words are those of the page scripts' ``left``.
OUT: dict[str, Callable[[Room, Meeting | None], Notice]] = {
    "declined": _over("You were not let in", "The host answered your knock with no.", action="Knock again", status=403),
    "no-answer": _over("Nobody answered", "No host has answered your knock.", action="Knock again", shape="wait"),
    "full": _over(
        "The meeting is full",
        "As many people are inside as this room allows.",
        status=503,
        retry_after_s=60,
    ),
    "removed": _over(
        "You were removed", "A host has taken you out of the meeting.", action="Back to the room", status=403
    ),
    "expired": _over(
        "Your place has expired",
        "You were away too long; come in again to go on.",
        action="Come in again",
        status=410,
        straight_in=True,
    ),
    "connection": _over(
        "The connection was lost",
        "The meeting goes on without you until you are back.",
        action="Come in again",
        shape="wait",
        straight_in=True,
    ),
    "elsewhere": _over(
        "You are in this meeting in another tab",
        "The meeting goes on in the other tab or on the other device.",
        action="Use it here instead",
        status=409,
        straight_in=True,
        shape="info",
    ),
    "browser": _over(
        "This browser cannot take part",
        "Open the link in a current Chrome, Edge, Firefox or Safari; browsers inside other apps have no camera.",
        action="Back to the room",
        shape="stop",
    ),
    "camera": _over(
        "Your camera and microphone are blocked",
        "You can join and listen all the same.",
        action="Join without them",
        straight_in=True,
        shape="info",
        detail="To be heard and seen, choose “allow” at the camera sign in the address bar, then reload the page.",
    ),
    "ended": _ended,
}
