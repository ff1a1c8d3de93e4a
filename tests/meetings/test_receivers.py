from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser

from meetings import capture, lifecycle, presence
from meetings.entering import enter, entry_for
from meetings.models import Capture, Meeting, Participant
from meetings.opening import open_meeting
from meetings.state import room_state
from meetings.tasks import close_meeting, drive_capture
from platforms.base import RoomPresence
from platforms.events import ParticipantJoined, ParticipantLeft, RecordingReady, RecordingStarted
from platforms.signals import platform_event
from tests.factories import make_room

pytestmark = pytest.mark.django_db


def test_a_meeting_from_opening_to_its_end(provider, django_capture_on_commit_callbacks):
    room = make_room(slug="standup", platform="fake")
    meeting = open_meeting(room=room)
    assert open_meeting(room=room) == meeting
    people = [
        enter(meeting=meeting, user=AnonymousUser(), name=name, answer=Participant.Answer.YES)
        for name in ("Ann", "Bob")
    ]
    for person in people:
        assert str(person.pk) in entry_for(participant=person).frame_url
        at = meeting.opened_at + timedelta(seconds=1)
        event = ParticipantJoined(
            platform="fake",
            room_name=meeting.provider_room_name,
            occurred_at=at,
            session_id=f"s-{person.name}",
            user_id=str(person.pk),
        )
        (_, touched), *_ = platform_event.send(sender=None, event=event)
        assert ("meetings.Meeting", str(meeting.pk)) in touched
    state = room_state(room=room, with_names=True)
    assert state == {
        "platform": "fake",
        "phase": "open",
        "meeting": str(meeting.pk),
        "people": 2,
        "recording": False,
        "waiting": 0,
        "names": ["Ann", "Bob"],
    }
    wanted = meeting.captures.get()
    drive_capture(str(wanted.pk))
    assert provider.recording == {meeting.provider_room_name: str(wanted.pk)}
    platform_event.send(
        sender=None,
        event=RecordingStarted(platform="fake", occurred_at=at, recording_id="r1", instance_id=str(wanted.pk)),
    )
    assert room_state(room=room, with_names=False)["recording"] is True
    for person in people:
        platform_event.send(
            sender=None,
            event=ParticipantLeft(
                platform="fake",
                room_name=meeting.provider_room_name,
                occurred_at=at + timedelta(minutes=10),
                session_id=f"s-{person.name}",
                user_id=str(person.pk),
            ),
        )
    gone = at + timedelta(minutes=10)
    presence.look(gone + timedelta(seconds=100))
    presence.look(gone + timedelta(seconds=120))
    meeting.refresh_from_db()
    lifecycle.end_what_is_over(gone + timedelta(seconds=125))
    meeting.refresh_from_db()
    assert (meeting.status, meeting.end_reason) == (Meeting.Status.ENDED, Meeting.EndReason.EMPTY)
    lifecycle.close_at_provider(meeting.pk, now=gone + timedelta(seconds=126))
    assert provider.closed == [meeting.provider_room_name]
    wanted.refresh_from_db()
    assert wanted.state == Capture.State.OFF
