"""Telling one meeting's facts in many orders: deliveries of both providers through their adapters, looks at the
presence, and everything that is stored afterwards."""

import itertools
import json
import uuid
from datetime import timedelta
from functools import partial

from django.db import transaction
from hypothesis import HealthCheck, Phase, settings

from meetings import presence
from meetings.models import Capture, Meeting, NamelessSession, Participant, ParticipantSession, Waiting
from platforms import registry
from platforms.base import PresentPerson, RoomPresence
from platforms.signals import platform_event
from tests.factories import NOW, make_meeting, make_participant, make_room

ANN, BOB, CAPTURE = (uuid.UUID(int=number) for number in (1, 2, 3))
#: made anew by each run
GENERATED = {"id", "receipt_token"}
WORK = {"attempts", "due_at", "woken_at", "lease_token", "lease_until", "finished_at", "last_error", "wanted_at"}
#: without looking for the smallest example: each takes a second, and a test has two minutes
shuffled = partial(
    settings,
    deadline=None,
    database=None,
    max_examples=15,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def make(platform, **fields):
    """A meeting with two people who came by our page, and nothing told of them yet."""
    room = make_room(platform=platform, recording_trigger="none", consent_policy="not_asked")
    meeting = make_meeting(room, provider_room_name=f"{platform}-room", **fields)
    for pk, name in ((ANN, "Ann"), (BOB, "Bob")):
        make_participant(meeting, name, pk=pk)
    return meeting


def tell(meeting, event_type, seconds, number=0, **fields):
    """One delivery, as the provider words it. ``number`` makes the same fact come under another id."""
    delivery = f"{event_type}-{seconds}-{number}"
    at = later(seconds).timestamp()
    if meeting.platform == "daily":
        room = {} if event_type == "recording.started" else {"room": meeting.provider_room_name}
        body = {"version": "1.0.0", "type": event_type, "id": delivery, "payload": room | fields, "event_ts": at}
    else:
        body = {
            "id": delivery,
            "apiVersion": "1.0",
            "createdAt": later(seconds).isoformat(),
            "type": event_type,
            "data": {"meetingId": "1", "roomName": f"/{meeting.provider_room_name}", **fields},
        }
    for event in registry.get(meeting.platform).interpret(json.dumps(body).encode()):
        platform_event.send(sender=None, event=event)


def show(meeting, seconds, *people):
    """One look at the presence: ``(session, user, joined)`` of each, and a name where one is shown."""
    seen = tuple(
        PresentPerson(
            session_id=session,
            user_id=str(user),
            name="".join(name),
            joined_at=None if joined is None else later(joined),
        )
        for session, user, joined, *name in people
    )
    presence.note_presence(
        meeting,
        RoomPresence(room_name=meeting.provider_room_name, people=seen, observed_at=later(seconds)),
        now=later(seconds),
    )


def rows(meeting):
    """Everything that is stored of a meeting, without what is made anew by each run."""
    people = dict(Participant.objects.filter(meeting=meeting).values_list("pk", "provider_user_id"))

    def dump(query, left_out=frozenset()):
        found = []
        for row in query:
            values = {
                field.name: getattr(row, field.attname)
                for field in row._meta.concrete_fields
                if field.name not in GENERATED | left_out
            }
            if "participant" in values:
                values["participant"] = people[values["participant"]]
            found.append(values)
        return sorted(found, key=repr)

    return {
        "meeting": dump(Meeting.objects.filter(pk=meeting.pk)),
        "people": dump(Participant.objects.filter(meeting=meeting)),
        "stays": dump(ParticipantSession.objects.filter(meeting=meeting)),
        "nameless": dump(NamelessSession.objects.filter(meeting=meeting)),
        "waiting": dump(Waiting.objects.filter(meeting=meeting)),
        "captures": dump(Capture.objects.filter(meeting=meeting), WORK),
        "capture ids": sorted(str(row.pk) for row in meeting.captures.filter(pk=CAPTURE)),
    }


def after(meeting, facts):
    """The rows after these facts, which are then undone."""
    with transaction.atomic():
        for fact in facts:
            fact(meeting)
        found = rows(meeting)
        transaction.set_rollback(True)
    return found


def same_in_all_orders(meeting, facts):
    expected = after(meeting, facts)
    for order in itertools.permutations(facts):
        assert after(meeting, [*order, order[0]]) == expected
    return expected
