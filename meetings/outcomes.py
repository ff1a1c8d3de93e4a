"""Outcomes of meetings, asked for and answered from the rows that there are: nothing is added to what events cost."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db import transaction

from meetings.beacons import JoinBeacon
from meetings.judging import Delivery, Facts, met_at, ripe_at
from meetings.judging import judge as judge_one
from meetings.models import Capture, Meeting, Participant, ParticipantSession, Waiting
from platforms import registry
from platforms.models import WebhookEvent
from rooms import outcomes
from rooms.models import Outcome
from rooms.outcomes import Kind, Verdict

#: what is judged here; the other kinds in ``recordings.outcomes``
KINDS = (Kind.JOINED, Kind.PRESENCE, Kind.ERRORS, Kind.DELAY)
MOST_NEW = 500
MOST_AT_ONCE = 1500
#: clocks differ: an event may be older than the meeting that it tells of
CLOCKS_DIFFER = timedelta(minutes=2)
READ_TOGETHER = timedelta(hours=12)


def judge(now: datetime) -> None:
    """Ask what can be asked of new meetings, and look at what is unanswered. A few queries, however many meetings."""
    expect_new(now)
    rows = outcomes.due(KINDS, now=now, most=MOST_AT_ONCE)
    ripe = [row.meeting_id for row in rows if row.kind == Kind.DELAY]
    facts = facts_of({row.meeting_id for row in rows}, now=now, webhooks_of=ripe)
    verdicts: dict[int, Verdict] = {}
    for row in rows:
        known = facts.get(row.meeting_id)
        # a meeting that was deleted answers nothing any more
        verdicts[row.pk] = (
            judge_one(known, row.kind, now) if known else outcomes.excluded("the meeting is not there any more")
        )
    if verdicts:
        outcomes.record(verdicts, now=now)


def expect_new(now: datetime) -> int:
    """Write down the questions about meetings that have opened, or failed to, since the last time."""
    with transaction.atomic():
        new = (
            Meeting.objects.filter(outcomes_expected_at__isnull=True)
            .exclude(status=Meeting.Status.OPENING)
            .order_by("created_at")[:MOST_NEW]
        )
        meetings = list(new)
        outcomes.expect(
            Outcome(
                meeting_id=meeting.pk,
                room_id=meeting.room_id,
                platform=meeting.platform,
                kind=kind,
                met_at=met_at(meeting),
                mature_at=ripe_at(meeting, kind),
                look_at=now,
            )
            for meeting in meetings
            for kind in Kind
        )
        Meeting.objects.filter(pk__in=[meeting.pk for meeting in meetings]).update(outcomes_expected_at=now)
    return len(meetings)


def facts_of(
    meeting_ids: Collection[uuid.UUID], *, now: datetime, webhooks_of: Collection[uuid.UUID] = ()
) -> dict[uuid.UUID, Facts]:
    """Everything that the verdicts are made of, in seven queries. Webhooks are read only of meetings whose time has
    come."""
    wanted = list(meeting_ids)
    facts = {
        meeting.pk: Facts(meeting=meeting, has_presence=registry.get(meeting.platform).capabilities.presence)
        for meeting in Meeting.objects.filter(pk__in=wanted)
    }
    for person in Participant.objects.filter(meeting__in=wanted, came_by_page=True, is_person=True):
        facts[person.meeting_id].people.append(person)
    for stay in ParticipantSession.objects.filter(meeting__in=wanted).people():
        facts[stay.meeting_id].stays.append(stay)
    for beacon in JoinBeacon.objects.filter(participant__meeting__in=wanted).select_related("participant"):
        facts[beacon.participant.meeting_id].beacons[beacon.participant_id] = beacon
    for capture in Capture.objects.filter(meeting__in=wanted):
        facts[capture.meeting_id].captures.append(capture)
    for meeting_id, user_id in Waiting.objects.filter(meeting__in=wanted).values_list("meeting", "user_id"):
        facts[meeting_id].knocked.add(user_id)
    ripe = [facts[pk].meeting for pk in webhooks_of if pk in facts and now >= ripe_at(facts[pk].meeting, Kind.DELAY)]
    for meeting_id, deliveries in _deliveries(ripe).items():
        facts[meeting_id].deliveries = deliveries
    return facts


def _deliveries(meetings: Iterable[Meeting]) -> dict[uuid.UUID, list[Delivery]]:
    """The webhooks that touched these meetings. One query per half day: what was long ago is not read with today's."""
    found: dict[uuid.UUID, list[Delivery]] = defaultdict(list)
    half_day: list[Meeting] = []
    for meeting in sorted(meetings, key=met_at):
        if half_day and met_at(meeting) - met_at(half_day[0]) > READ_TOGETHER:
            _read(half_day, found)
            half_day = []
        half_day.append(meeting)
    if half_day:
        _read(half_day, found)
    return found


def _read(meetings: Collection[Meeting], found: dict[uuid.UUID, list[Delivery]]) -> None:
    wanted = {str(meeting.pk): meeting.pk for meeting in meetings}
    events = WebhookEvent.objects.filter(
        platform__in={meeting.platform for meeting in meetings},
        received_at__gte=min(met_at(meeting) for meeting in meetings) - CLOCKS_DIFFER,
        received_at__lte=max(ripe_at(meeting, Kind.DELAY) for meeting in meetings),
    )
    told = events.order_by().values_list("touched", "occurred_at", "received_at", "is_stale")
    for touched, occurred_at, received_at, is_stale in told.iterator(chunk_size=2000):
        for label, pk in touched:
            if label == Meeting._meta.label and pk in wanted:
                lag = None if occurred_at is None else max(0.0, (received_at - occurred_at).total_seconds())
                found[wanted[pk]].append(Delivery(lag_s=lag, is_stale=is_stale))
