"""What the facts of one meeting say about how it went: pure functions of facts and time, asked as often as one likes.

``joined``, ``presence``, ``errors`` and ``delay`` are judged here; what became of recordings in
``recordings.outcomes``. A meeting that could not be opened is a failure of ``joined`` and ``errors`` on the platform
that failed; one that opened elsewhere instead is a meeting like any other there.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings

from meetings.beacons import JoinBeacon
from meetings.lifecycle import OPENER_LOST
from meetings.models import PRESENCE_LAG, Capture, Meeting, Participant, ParticipantSession
from rooms.outcomes import Kind, Verdict, excluded, failure, in_words, pending, success
from rooms.words import count_of

IN_TIME = timedelta(seconds=60)
#: after this long without a sign of somebody, none is on its way: presence lags, webhooks are repeated
SIGNS_TAKE = timedelta(seconds=90)
#: a stay that presence must have seen: two looks and the lag
SEEN_AFTER = timedelta(seconds=75)
WEBHOOKS_WITHIN_S = 60.0
#: tries to close the provider's room that are nobody's mistake
FAIR_TRIES = 2

#: how long after a meeting's end each question is given up, by what the pipeline promises
RIPE_AFTER: dict[str, timedelta] = {
    Kind.JOINED: timedelta(minutes=5),
    Kind.PRESENCE: timedelta(minutes=5),
    Kind.DELAY: timedelta(minutes=15),
    Kind.ERRORS: timedelta(minutes=45),
    Kind.RECORDING: timedelta(hours=2),
    Kind.TRANSCRIPT: timedelta(hours=4),
}
#: webhooks are read for all meetings of so many seconds at once: it is the one question that reads many rows
TOGETHER_S = 300
NOT_OPENED = "the meeting could not be opened"


@dataclass(frozen=True)
class Delivery:
    """One webhook of a meeting: seconds between the fact and its arrival, as far as it says when the fact was."""

    lag_s: float | None
    is_stale: bool


@dataclass(kw_only=True)
class Facts:
    meeting: Meeting
    people: list[Participant] = field(default_factory=list)  #: those who came by our page
    stays: list[ParticipantSession] = field(default_factory=list)  #: of people, whoever they are
    beacons: dict[uuid.UUID, JoinBeacon] = field(default_factory=dict)  #: by participant
    knocked: set[str] = field(default_factory=set)  #: provider user ids of those who had to be let in
    captures: list[Capture] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    has_presence: bool = False  #: the platform can be asked who is inside


def ripe_at(meeting: Meeting, kind: str) -> datetime:
    """When a question about this meeting is given up; while it is live, counted from its latest possible end."""
    latest_end = meeting.expires_at or met_at(meeting) + timedelta(hours=settings.MEETING_HOURS)
    ripe = (meeting.ended_at or latest_end) + RIPE_AFTER[kind] * settings.OUTCOME_PATIENCE
    together_s = TOGETHER_S * settings.OUTCOME_PATIENCE
    if kind == Kind.DELAY and together_s:
        ripe += timedelta(seconds=-ripe.timestamp() % together_s)
    return ripe


def met_at(meeting: Meeting) -> datetime:
    return meeting.opened_at or meeting.ended_at or meeting.created_at


def failed_to_open(meeting: Meeting) -> bool:
    return bool(meeting.status == Meeting.Status.FAILED)


def judge(facts: Facts, kind: str, now: datetime) -> Verdict:
    """The verdict on one question. Kinds: joined, presence, errors, delay."""
    ripe = ripe_at(facts.meeting, kind)
    if failed_to_open(facts.meeting):
        return _not_opened(facts.meeting, kind)
    verdict = {
        Kind.JOINED.value: _joined,
        Kind.PRESENCE.value: _presence,
        Kind.ERRORS.value: _errors,
        Kind.DELAY.value: _delay,
    }[kind](facts, now, now >= ripe)
    return verdict if verdict.mature_at else _ripening(verdict, ripe)


def _ripening(verdict: Verdict, ripe: datetime) -> Verdict:
    return Verdict(
        status=verdict.status,
        words=verdict.words,
        value=verdict.value,
        mature_at=ripe,
        answered_at=verdict.answered_at,
    )


def _not_opened(meeting: Meeting, kind: str) -> Verdict:
    if meeting.failure == OPENER_LOST:
        return excluded("our own server stopped while it opened the meeting")
    if kind in (Kind.JOINED, Kind.ERRORS):
        return failure(f"{NOT_OPENED}: {meeting.failure or 'no reason given'}")
    return excluded(NOT_OPENED)


# -- joined ---------------------------------------------------------------------


@dataclass
class Joins:
    """Everybody who pressed *Join*, sorted by what came of it."""

    took_s: list[float] = field(default_factory=list)
    never: list[str] = field(default_factory=list)  #: why each of them was not inside in time, where known
    awaited: int = 0
    unconfirmed: int = 0
    left_out: list[str] = field(default_factory=list)
    by_beacon: int = 0


def _joined(facts: Facts, now: datetime, is_ripe: bool) -> Verdict:
    """Whether everybody who pressed *Join* was inside within 60 s; the value is the slowest, in seconds.

    Left out are those who had to be let in, who closed the page before their minute was over, and those whose page
    says that they were inside while the provider never told of them: that is no join to count, in either way.
    """
    joins = _sort(facts, now, is_ripe)
    late = [took for took in joins.took_s if took > IN_TIME.total_seconds()]
    slowest = max(joins.took_s, default=None)
    if joins.never:
        return failure(_sentence(f"{len(joins.never)} of {_pressed(joins)} never got in: {joins.never[0]}", joins))
    if late:
        words = f"{len(late)} of {_pressed(joins)} took longer than {IN_TIME.seconds} s, the slowest {slowest:.1f} s"
        return failure(_sentence(words, joins), value=slowest)
    if facts.meeting.is_live or joins.awaited or (joins.unconfirmed and not is_ripe):
        return pending(f"{_pressed(joins)} pressed Join, {count_of(len(joins.took_s), 'person', 'people')} got in")
    if slowest is None:
        return excluded(_sentence("nobody’s join could be measured", joins))
    return success(_sentence(f"{_pressed(joins)} pressed Join, the slowest took {slowest:.1f} s", joins), value=slowest)


def _sort(facts: Facts, now: datetime, is_ripe: bool) -> Joins:
    joins = Joins()
    first_seen: dict[uuid.UUID, datetime] = {}
    for stay in facts.stays:
        if stay.joined_at is not None:
            known = first_seen.get(stay.participant_id, stay.joined_at)
            first_seen[stay.participant_id] = min(known, stay.joined_at)
    for person in facts.people:
        _sort_one(joins, facts, person, first_seen.get(person.pk), now, is_ripe)
    return joins


def _sort_one(
    joins: Joins, facts: Facts, person: Participant, seen_at: datetime | None, now: datetime, is_ripe: bool
) -> None:
    beacon = facts.beacons.get(person.pk)
    pressed_at = beacon.pressed_at if beacon else person.created_at
    told_at = beacon.joined_at if beacon else None
    ended_at = facts.meeting.ended_at
    if person.held_until_stopped or person.provider_user_id in facts.knocked:
        joins.left_out.append("had to be let in")
    elif seen_at is not None:
        # presence shows a join late, a beacon may be under way for long: the first sign is nearest to the truth
        first_sign = min(told_at, seen_at) if told_at else seen_at
        joins.took_s.append(max(0.0, (first_sign - pressed_at).total_seconds()))
        joins.by_beacon += told_at is not None
    elif told_at is not None:
        joins.unconfirmed += 1
    elif beacon and beacon.left_at and beacon.left_at < pressed_at + IN_TIME:
        joins.left_out.append("closed the page at once")
    elif ended_at is not None and ended_at < pressed_at + IN_TIME:
        joins.left_out.append("came when the meeting was ending")
    elif now < pressed_at + IN_TIME + SIGNS_TAKE and not is_ripe:
        joins.awaited += 1
    else:
        joins.never.append(beacon.get_failure_display() if beacon and beacon.failure else "no sign of them inside")


def _pressed(joins: Joins) -> str:
    return count_of(len(joins.took_s) + len(joins.never) + joins.awaited, "person", "people")


def _sentence(words: str, joins: Joins) -> str:
    if joins.unconfirmed:
        words += f"; {joins.unconfirmed} by their page inside, but the provider never told of them"
    if joins.left_out:
        words += f"; {len(joins.left_out)} left out ({', '.join(sorted(set(joins.left_out)))})"
    return words


# -- presence ---------------------------------------------------------------------


def _presence(facts: Facts, now: datetime, is_ripe: bool) -> Verdict:
    """Whether the provider's presence showed everybody whom its events, or the page of their call, say were inside."""
    meeting = facts.meeting
    if not facts.has_presence:
        return excluded("this platform cannot be asked who is inside")
    if meeting.is_live:
        return pending("the meeting goes on")
    long_stays = [stay for stay in facts.stays if _length(stay, meeting) >= SEEN_AFTER]
    inside = {stay.participant_id for stay in facts.stays}
    ghosts = sum(
        1
        for person, beacon in facts.beacons.items()
        if beacon.joined_at and person not in inside and _outlasts(beacon, meeting)
    )
    if not long_stays and not ghosts:
        return excluded(f"nobody stayed {in_words(SEEN_AFTER)}")
    if meeting.presence_checked_at is None and not ghosts:
        return excluded("nobody asked for the presence")
    missed = sum(1 for stay in long_stays if stay.last_seen_at is None)
    if missed or ghosts:
        if not is_ripe:
            return pending(f"{missed + ghosts} not seen so far")
        words = f"presence never showed {missed} of {count_of(len(long_stays), 'stay')}"
        return failure(words + (f"; {ghosts} inside by their page only" if ghosts else ""))
    return success(f"presence showed all of {count_of(len(long_stays), 'stay')}")


def _length(stay: ParticipantSession, meeting: Meeting) -> timedelta:
    end = stay.left_at or meeting.ended_at
    return timedelta(0) if stay.joined_at is None or end is None else end - stay.joined_at


def _outlasts(beacon: JoinBeacon, meeting: Meeting) -> bool:
    """They were inside long enough to be told of, unless they left at once, which nobody would have told us."""
    end = beacon.left_at or meeting.ended_at
    return bool(end and beacon.joined_at and end - beacon.joined_at >= SEEN_AFTER + PRESENCE_LAG)


# -- errors and delay ---------------------------------------------------------------------


def _errors(facts: Facts, now: datetime, is_ripe: bool) -> Verdict:
    """Whether the provider did what it was asked: nothing failed, and its room could be closed."""
    meeting = facts.meeting
    troubled = [capture for capture in facts.captures if capture.state == Capture.State.FAILED or capture.error]
    if troubled:
        return failure(f"recording: {troubled[0].error or 'it failed'}")
    if meeting.is_live:
        return pending("no error so far")
    if meeting.closed_at_provider_at is None:
        words = f"its room could not be closed in {count_of(meeting.close_attempts, 'try', 'tries')}"
        return pending(words)
    if meeting.close_attempts > FAIR_TRIES:
        return failure(f"closing its room took {meeting.close_attempts} tries")
    return success("no error")


def _delay(facts: Facts, now: datetime, is_ripe: bool) -> Verdict:
    """Whether 95 of 100 webhooks came within 60 s of what they tell; the value is that percentile, in seconds."""
    if not is_ripe:
        return pending("webhooks are still awaited")
    if not facts.deliveries:
        if any(stay.last_seen_at for stay in facts.stays):
            return failure("people were inside, and no webhook told of them")
        return excluded("there was nothing to tell")
    stale = sum(delivery.is_stale for delivery in facts.deliveries)
    lags = sorted(delivery.lag_s for delivery in facts.deliveries if delivery.lag_s is not None)
    slow = lags[math.ceil(0.95 * len(lags)) - 1] if lags else None
    words = count_of(len(facts.deliveries), "webhook")
    words += f", 95 % of them within {slow:.1f} s" if slow is not None else ""
    words += f", {stale} signed long before they came" if stale else ""
    if stale or (slow is not None and slow > WEBHOOKS_WITHIN_S):
        return failure(words, value=slow)
    return success(words, value=slow)
