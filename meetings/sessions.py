"""What is told of a provider's session, and whose stays follow from it.

A session is one connection. What is told of it with a user id is folded into that person's stay. What is told without
one is kept apart (``NamelessSession``) and holds for everybody whom the session is ever told to belong to, or for one
stranger as long as it is told to belong to nobody. So each row is a fold over a set of facts, whatever their order.

Call everything here with the meeting locked.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max

from meetings.models import Meeting, NamelessSession, Participant, ParticipantSession, SessionFacts


@dataclass(frozen=True, kw_only=True)
class Who:
    """Whose session it is said to be, at ``at``. ``user_id`` is our participant's when our page let them in, else the
    provider's own or empty."""

    session_id: str
    user_id: str
    name: str
    at: datetime
    is_host: bool = False
    is_person: bool = True


def note(meeting: Meeting, who: Who, fold: Callable[[SessionFacts], None]) -> list[Participant]:
    """Take in what was told of a session; ``fold`` adds the times to a row. Answers whose stays it is now part of."""
    session_id = who.session_id[:200]
    if not who.user_id:
        nameless, _ = NamelessSession.objects.get_or_create(
            meeting=meeting, session_id=session_id, defaults={"created_at": who.at}
        )
        _fold_who(nameless, who)
        fold(nameless)
        nameless.save()
        return _share(meeting, nameless)
    person = _person(meeting, who.user_id[:200], who)
    stay = _stay(meeting, person, session_id)
    fold(stay)
    _store(meeting, stay)
    nameless_too = NamelessSession.objects.filter(meeting=meeting, session_id=session_id).first()
    if nameless_too is not None:
        _share(meeting, nameless_too)
    return [person]


def settle(meeting: Meeting) -> None:
    """Derive what hangs on the meeting's stays as a whole, after any change of them."""
    people = ParticipantSession.objects.filter(meeting=meeting).people()
    empty_since = None if people.open().exists() else people.aggregate(last=Max("left_at"))["last"]
    Meeting.objects.filter(pk=meeting.pk).update(empty_since=empty_since)
    meeting.empty_since = empty_since


def _share(meeting: Meeting, nameless: NamelessSession) -> list[Participant]:
    """Fold what was told without a name into the stays that it holds for."""
    who = Who(
        session_id=nameless.session_id,
        user_id="",
        name=nameless.name,
        at=nameless.named_at or nameless.created_at,
        is_host=nameless.is_host,
        is_person=nameless.is_person,
    )
    #: no provider's user id looks like this
    key = f"session:{uuid.uuid5(meeting.pk, nameless.session_id)}"
    stays = ParticipantSession.objects.filter(meeting=meeting, session_id=nameless.session_id)
    named = list(stays.exclude(participant__provider_user_id=key).select_related("participant"))
    for stay in named or [_stay(meeting, _person(meeting, key, who), nameless.session_id)]:
        person = stay.participant
        if not person.came_by_page:
            _fold_who(person, who)
            person.created_at = min(person.created_at, nameless.created_at)
            person.save()
        stay.fold_facts(nameless)
        _store(meeting, stay)
    if not named:
        return list(Participant.objects.filter(meeting=meeting, provider_user_id=key))
    for stranger in Participant.objects.filter(meeting=meeting, provider_user_id=key):
        if len(named) == 1:
            stranger.segments.update(participant=named[0].participant)
        stranger.delete()
    return [stay.participant for stay in named]


def _person(meeting: Meeting, key: str, who: Who) -> Participant:
    """The person that a provider speaks of: ours when our page let them in, else somebody with the provider's link."""
    person, _ = Participant.objects.get_or_create(
        meeting=meeting,
        provider_user_id=key,
        defaults={"platform": meeting.platform, "created_at": who.at, "is_person": who.is_person},
    )
    if not person.came_by_page:
        _fold_who(person, who)
        person.save()
    return person


def _fold_who(row: Participant | NamelessSession, who: Who) -> None:
    row.created_at = min(row.created_at, who.at)
    row.is_host = row.is_host or who.is_host
    row.is_person = row.is_person and who.is_person
    name = who.name[:120]
    if name and (row.named_at is None or (who.at, name) > (row.named_at, row.name)):
        row.named_at, row.name = who.at, name


def _stay(meeting: Meeting, person: Participant, session_id: str) -> ParticipantSession:
    known = ParticipantSession.objects.filter(meeting=meeting, participant=person, session_id=session_id).first()
    return known or ParticipantSession(meeting=meeting, participant=person, session_id=session_id)


def _store(meeting: Meeting, stay: ParticipantSession) -> None:
    stay.settle(meeting)
    stay.save()
