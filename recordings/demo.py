"""The demo's history: some days of meetings, told as providers tell them.

What a provider would have written comes in as signed webhook bodies through inbox and receivers; what our own pages and
jobs would have written is written by the services that they call. Only the provider's rooms and its bucket are not
there: rooms are named here, and finished recordings are put into our storage as if they had been fetched.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from requests.structures import CaseInsensitiveDict

from meetings import capture
from meetings import outcomes as outcomes_of_meetings
from meetings.entering import enter
from meetings.lifecycle import end_meeting
from meetings.models import Capture, Meeting, Participant
from platforms import inbox, registry
from platforms.base import Adapter
from platforms.events import (
    Event,
    ParticipantJoined,
    ParticipantLeft,
    RecordingFailed,
    RecordingReady,
    RecordingStarted,
    SessionEnded,
    SessionStarted,
    WaitingEnded,
    WaitingStarted,
)
from platforms.models import WebhookEvent
from platforms.work import claim, work_on
from recordings import media, outcomes
from recordings.demo_media import PHRASES, Clip, Phrase, speech, write_mp4
from recordings.filestore import filestore
from recordings.models import Recording, Transcript, TranscriptSegment
from recordings.processing import MP4, keep, only_speaker
from rooms.choosing import choose_platform
from rooms.models import Room

PAUSE_S = 0.4
LEAD_S = 1.5
ENGINE = "demo"


class Clock:
    """A time that stands until it is moved; aware, whole seconds."""

    def __init__(self, at: datetime) -> None:
        self.at = at.replace(microsecond=0)

    def now(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=round(seconds))
        return self.at


@contextmanager
def living_in(clock: Clock) -> Iterator[None]:
    """Everything in this process that asks ``timezone.now()`` is told the clock's time."""
    real = timezone.now
    timezone.now = clock.now
    try:
        yield
    finally:
        timezone.now = real


@dataclass(frozen=True)
class Talk:
    """A recording that plays, and where in it which words are said (seconds from its start)."""

    path: Path
    length_s: float
    lines: tuple[tuple[float, float, str], ...]


def make_talk(folder: Path, name: str, phrases: Sequence[Phrase], colour: tuple[int, int, int]) -> Talk:
    clips, lines, at = [], [], LEAD_S
    for phrase in phrases:
        sound = speech([phrase])
        length = phrase.end_s - phrase.start_s
        clips.append(Clip(at, sound))
        lines.append((at, at + length, phrase.text))
        at += length + PAUSE_S
    path = folder / f"{name}.mp4"
    return Talk(path, write_mp4(path, clips, duration_s=round(at + 1), colour=colour), tuple(lines))


def make_talks(folder: Path) -> dict[str, Talk]:
    """About three seconds of work."""
    return {
        "first": make_talk(folder, "first", PHRASES[:7], (38, 70, 83)),
        "second": make_talk(folder, "second", PHRASES[7:11], (42, 111, 97)),
        "alone": make_talk(folder, "alone", PHRASES[4:9], (94, 60, 108)),
    }


@dataclass
class Person:
    name: str
    user: Any = field(default_factory=AnonymousUser)


@dataclass
class Stage:
    """One meeting as it is played: its room at the provider, and what is told about it."""

    clock: Clock
    adapter: Adapter
    meeting: Meeting
    provider_session_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def open(cls, clock: Clock, room: Room) -> Stage:
        now = clock.now()
        meeting_id = uuid.uuid4()
        choice = choose_platform(room, meeting_id=meeting_id, now=now)
        adapter = registry.adapter_classes()[choice.platform].from_environment(settings.PLATFORM_ENVIRON, clock.now)
        meeting = Meeting(
            id=meeting_id,
            room=room,
            platform=choice.platform,
            platform_reason=choice.why,
            status=Meeting.Status.OPEN,
            created_at=now,
            opened_at=now,
            expires_at=now + timedelta(hours=settings.MEETING_HOURS),
            is_locked=room.is_locked,
            language=room.language,
            recording_type=room.recording_type,
            recording_trigger=room.recording_trigger,
            consent_policy=room.consent_policy,
        )
        meeting.provider_room_name = meeting.provider_room_id = f"{room.slug}-{meeting.key}"
        meeting.save()
        return cls(clock, adapter, meeting)

    # what the provider tells

    def tell(self, kind: type[Event], *, times: int = 1, **facts: Any) -> None:
        """One event as a signed body through the inbox, read at once; nothing where the platform does not tell it."""
        event = kind(
            platform=self.adapter.slug,
            occurred_at=self.clock.now(),
            room_name=self.meeting.provider_room_name,
            **facts,
        )
        body = self.adapter.compose(event)
        if body is None:
            return
        headers = CaseInsensitiveDict({"Content-Type": "application/json", **(self.adapter.sign(body) or {})})
        for _ in range(times):
            signed = self.adapter.verify(headers, body)
            inbox.store(self.adapter, headers=headers, body=body, signed=signed, now=self.clock.now())
        for pk in WebhookEvent.objects.filter(status=WebhookEvent.Status.PENDING).values_list("pk", flat=True):
            work_on(WebhookEvent, pk, inbox.interpret)

    def starts(self) -> None:
        self.tell(SessionStarted, provider_session_id=self.provider_session_id)

    def comes(self, person: Person, *, answer: str = "yes") -> tuple[Participant, str]:
        """By our page, then into the call. Returns the person and the session of this stay."""
        participant = enter(
            meeting=self.meeting, user=person.user, name=person.name, answer=answer, now=self.clock.now()
        )
        self.clock.forward(4)
        return participant, self.connects(participant)

    def connects(self, participant: Participant) -> str:
        session_id = str(uuid.uuid4())
        self.tell(ParticipantJoined, **self._who(participant, session_id))
        return session_id

    def stranger_comes(self, name: str) -> str:
        """By the provider's own link: nobody could ask them anything."""
        session_id = str(uuid.uuid4())
        self.tell(ParticipantJoined, session_id=session_id, user_id=str(uuid.uuid4()), name=name)
        return session_id

    def goes(self, participant: Participant, session_id: str, *, times: int = 1) -> None:
        self.tell(ParticipantLeft, times=times, **self._who(participant, session_id))

    def knocks(self, name: str, for_s: float) -> None:
        session_id = str(uuid.uuid4())
        self.tell(WaitingStarted, session_id=session_id, name=name)
        self.clock.forward(for_s)
        self.tell(WaitingEnded, session_id=session_id, name=name)

    @staticmethod
    def _who(participant: Participant, session_id: str) -> dict[str, Any]:
        return {
            "session_id": session_id,
            "user_id": participant.provider_user_id,
            "name": participant.name,
            "is_host": participant.is_host,
        }

    # recording

    def order(self, *, by: Any = None) -> Capture | None:
        """The order to record that runs or waits, given now by a host where nothing started by itself."""
        running = self.meeting.captures.live().first()
        if running is None and by is not None:
            running = capture.wish_start(meeting=self.meeting, by=by, now=self.clock.now())
        return running

    def records(self, order: Capture, recording_id: str) -> datetime:
        """It runs now: the provider says so, or the host's page where that records."""
        if self.adapter.capabilities.server_recording:
            now = self.clock.now()
            Capture.objects.filter(pk=order.pk).update(ordered_at=now, accepted_at=now)
            self.tell(RecordingStarted, recording_id=recording_id, instance_id=str(order.pk))
        else:
            capture.report_from_page(meeting=self.meeting, recording=True, now=self.clock.now())
        return self.clock.now()

    def stops_recording(self) -> None:
        if not self.adapter.capabilities.server_recording:
            capture.wish_stop(meeting=self.meeting, reason="everybody is leaving", now=self.clock.now())
            self.clock.forward(2)
            capture.report_from_page(meeting=self.meeting, recording=False, now=self.clock.now())

    def is_ready(self, recording_id: str, started_at: datetime, talk: Talk) -> Recording | None:
        """The provider has the file; we fetch and understand it, which here is to put it there."""
        self.tell(RecordingReady, recording_id=recording_id, started_at=started_at, duration_s=talk.length_s)
        row = Recording.objects.filter(provider_recording_id=recording_id).first()
        if row is not None:
            # column defaults know no other time than the real one
            Recording.objects.filter(pk=row.pk).update(found_at=self.clock.now(), due_at=self.clock.now())
            self.clock.forward(20)
            fetched(row, talk)
            Transcript.objects.filter(recording=row).update(created_at=self.clock.now(), due_at=self.clock.now())
            self.clock.forward(30)
            heard(row, talk)
        return row

    def fails_to_record(self, order: Capture, message: str) -> None:
        self.tell(RecordingFailed, recording_id=str(uuid.uuid4()), instance_id=str(order.pk), message=message)

    # end

    def ends(self) -> None:
        self.tell(SessionEnded, provider_session_id=self.provider_session_id)
        now = self.clock.forward(settings.EMPTY_GRACE_S)
        end_meeting(meeting=self.meeting, reason=Meeting.EndReason.EMPTY, now=now)
        # nothing is left to be done at the provider: it never had these rooms
        Meeting.objects.filter(pk=self.meeting.pk).update(closed_at_provider_at=now, close_due_at=None)
        for order in self.meeting.captures.exclude(status=Capture.Status.DONE):
            work_on(Capture, order.pk, _settled)


def _settled(lease: Any) -> None:
    with lease.finishing():
        """A provider would have confirmed by now that nothing runs any more."""


def fetched(row: Recording, talk: Talk) -> None:
    lease = claim(Recording, row.pk)
    if lease is None:
        return
    with lease:
        stored = filestore().put(row.media_key, [talk.path.read_bytes()], content_type=MP4)
        with lease.finishing():
            keep(row, stored, media.probe(talk.path))


def heard(row: Recording, talk: Talk) -> None:
    transcript = Transcript.objects.get(recording=row)
    lease = claim(Transcript, transcript.pk)
    if lease is None:
        return
    row.refresh_from_db()
    speaker = only_speaker(row)
    with lease, lease.finishing():
        TranscriptSegment.objects.bulk_create(
            TranscriptSegment(
                transcript=transcript,
                start_ms=int(start * 1000),
                end_ms=int(end * 1000),
                text=text,
                participant_id=speaker,
            )
            for start, end, text in talk.lines
        )
        Transcript.objects.filter(pk=transcript.pk).update(engine=ENGINE, model="known words", progress=1)


# -- scenes -------------------------------------------------------------------------------------------------------


def recorded_talk(clock: Clock, room: Room, host: Person, guest: Person, talk: Talk) -> None:
    """Two people, recorded from when both are inside; one webhook comes twice."""
    stage = Stage.open(clock, room)
    clock.forward(3)
    first, first_session = stage.comes(host)
    stage.starts()
    clock.forward(35)
    second, second_session = stage.comes(guest)
    clock.forward(2)
    _record(stage, talk, by=host.user)
    clock.forward(3)
    stage.goes(second, second_session, times=2)
    clock.forward(5)
    stage.goes(first, first_session)
    stage.ends()


def _record(stage: Stage, talk: Talk, *, by: Any) -> None:
    order = stage.order(by=by)
    if order is None:
        return
    recording_id = str(uuid.uuid4())
    started_at = stage.records(order, recording_id)
    stage.clock.forward(talk.length_s)
    stage.stops_recording()
    stage.clock.forward(1)
    stage.is_ready(recording_id, started_at, talk)


def refused_talk(clock: Clock, room: Room, host: Person, guest: Person, other: Person) -> None:
    """Somebody says no, so nothing is recorded; a connection is lost and comes back; somebody knocks in vain."""
    stage = Stage.open(clock, room)
    first, first_session = stage.comes(host)
    stage.starts()
    clock.forward(20)
    second, second_session = stage.comes(guest, answer="no")
    clock.forward(240)
    third, third_session = stage.comes(other)
    clock.forward(600)
    stage.goes(third, third_session)
    clock.forward(25)
    third_session = stage.connects(third)
    stage.knocks("Somebody at the door", 40)
    clock.forward(1500)
    for who, session in ((second, second_session), (third, third_session), (first, first_session)):
        stage.goes(who, session)
        clock.forward(6)
    stage.ends()


def dictation(clock: Clock, room: Room, host: Person, talk: Talk) -> None:
    """One person alone, so the transcript knows who spoke. Started by hand."""
    stage = Stage.open(clock, room)
    who, session = stage.comes(host)
    stage.starts()
    clock.forward(15)
    _record(stage, talk, by=host.user)
    stage.goes(who, session)
    stage.ends()


def failed_recording(clock: Clock, room: Room, host: Person, guest: Person) -> None:
    """The provider could not record; somebody came by its own link."""
    stage = Stage.open(clock, room)
    first, first_session = stage.comes(host)
    stage.starts()
    clock.forward(10)
    second, second_session = stage.comes(guest)
    if (order := stage.order()) is not None:
        clock.forward(5)
        stage.fails_to_record(order, "The bucket did not take the file.")
    clock.forward(300)
    stranger = stage.stranger_comes("Phone 7")
    clock.forward(900)
    stage.tell(ParticipantLeft, session_id=stranger, user_id="", name="Phone 7")
    for who, session in ((second, second_session), (first, first_session)):
        stage.goes(who, session)
        clock.forward(4)
    stage.ends()


def never_used(clock: Clock, room: Room) -> None:
    stage = Stage.open(clock, room)
    now = clock.forward(1800)
    end_meeting(meeting=stage.meeting, reason=Meeting.EndReason.NEVER_USED, now=now)
    Meeting.objects.filter(pk=stage.meeting.pk).update(closed_at_provider_at=now, close_due_at=None)


def judged(ended_at: datetime) -> None:
    """How a meeting went, asked as the sweeper would have: soon after its end, and when its questions are given up."""
    clock = Clock(ended_at)
    with living_in(clock):
        for minutes in (1, 20, 300):
            now = clock.forward(60 * minutes)
            outcomes_of_meetings.judge(now)
            outcomes.judge(now)


@contextmanager
def talks() -> Iterator[dict[str, Talk]]:
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        yield make_talks(Path(folder))
