"""What became of a meeting's recordings and transcripts, as outcomes.

Asked only where something should have been recorded: where nothing was to be recorded, nobody could start it, or a
refusal removed it, the question does not apply, and the outcome says why.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from meetings.judging import NOT_OPENED, failed_to_open, ripe_at
from meetings.models import Capture, Meeting, ParticipantSession
from meetings.opening import provider_starts_recording
from recordings.finding import PROCESSED_KINDS
from recordings.models import Recording, Transcript
from rooms import outcomes
from rooms.models import Room
from rooms.outcomes import Kind, Status, Verdict, excluded, failure, pending, success
from rooms.words import count_of

KINDS = (Kind.RECORDING, Kind.TRANSCRIPT)
MOST_AT_ONCE = 1000
#: a run that was stopped sooner may leave no file behind
TOO_SHORT = timedelta(seconds=15)
#: as long as enough people have to be inside together for a provider to have begun by itself
LONG_ENOUGH = timedelta(seconds=60)
NEEDED = {
    Room.RecordingTrigger.AUTOMATIC.value: 1,
    Room.RecordingTrigger.AUTOMATIC_2ND.value: 2,
}


@dataclass(kw_only=True)
class Facts:
    meeting: Meeting
    captures: list[Capture] = field(default_factory=list)
    stays: list[ParticipantSession] = field(default_factory=list)  #: of people
    recordings: list[Recording] = field(default_factory=list)  #: of kinds that are fetched
    transcripts: dict[uuid.UUID, Transcript] = field(default_factory=dict)  #: by recording


def judge(now: datetime) -> None:
    """Look at what is unanswered. Six queries, however many meetings."""
    rows = outcomes.due(KINDS, now=now, most=MOST_AT_ONCE)
    facts = facts_of({row.meeting_id for row in rows})
    verdicts: dict[int, Verdict] = {}
    for row in rows:
        known = facts.get(row.meeting_id)
        verdicts[row.pk] = judge_one(known, row.kind, now) if known else excluded("the meeting is not there any more")
    if verdicts:
        outcomes.record(verdicts, now=now)


def facts_of(meeting_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Facts]:
    wanted = list(meeting_ids)
    facts = {meeting.pk: Facts(meeting=meeting) for meeting in Meeting.objects.filter(pk__in=wanted)}
    for capture in Capture.objects.filter(meeting__in=wanted):
        facts[capture.meeting_id].captures.append(capture)
    for stay in ParticipantSession.objects.filter(meeting__in=wanted, joined_at__isnull=False).people():
        facts[stay.meeting_id].stays.append(stay)
    for recording in Recording.objects.filter(meeting__in=wanted, kind__in=PROCESSED_KINDS):
        if recording.meeting_id is not None:
            facts[recording.meeting_id].recordings.append(recording)
    for transcript in Transcript.objects.filter(recording__meeting__in=wanted).select_related("recording"):
        if transcript.recording.meeting_id is not None:
            facts[transcript.recording.meeting_id].transcripts[transcript.recording_id] = transcript
    return facts


def judge_one(facts: Facts, kind: str, now: datetime) -> Verdict:
    """The verdict on one question: recording or transcript."""
    meeting = facts.meeting
    if failed_to_open(meeting):
        return excluded(NOT_OPENED)
    ripe = ripe_at(meeting, kind)
    if kind == Kind.RECORDING:
        return _with(_recording(facts), ripe)
    recording = _recording(facts)
    if recording.status == Status.EXCLUDED:
        return recording
    given_up = recording.status == Status.PENDING and now >= ripe_at(meeting, Kind.RECORDING)
    if recording.status == Status.FAILURE or given_up:
        return excluded(f"there is no recording to listen to: {recording.words}")
    return _with(recording if recording.status == Status.PENDING else _transcript(facts), ripe)


def _with(verdict: Verdict, ripe: datetime) -> Verdict:
    return Verdict(
        status=verdict.status,
        words=verdict.words,
        value=verdict.value,
        mature_at=ripe,
        answered_at=verdict.answered_at,
    )


def _recording(facts: Facts) -> Verdict:
    """Whether all that was recorded was delivered; the value is the longest wait after a recording's end, in s."""
    meeting = facts.meeting
    if meeting.recording_type != Room.RecordingType.CLOUD:
        where = "on the host’s own computer" if meeting.recording_type == Room.RecordingType.LOCAL else "nothing"
        return excluded(f"this room records {where}")
    failed = [capture for capture in facts.captures if capture.state == Capture.State.FAILED]
    if failed:
        return failure(f"the recording failed: {failed[0].error or 'no reason given'}")
    stuck = [row for row in facts.recordings if row.status == Recording.Status.QUARANTINED and not _goes(row)]
    if stuck:
        return failure(f"the recording could not be fetched: {stuck[0].last_error}")
    removed = [row for row in facts.recordings if _goes(row)]
    if removed:
        return excluded(f"removed: {removed[0].delete_reason}")
    if meeting.is_live:
        return pending("the meeting goes on")
    delivered = [row for row in facts.recordings if row.fetched_at is not None]
    expected = max(_expected(facts), len(facts.recordings))
    if not expected:
        return excluded(_why_nothing(facts))
    if len(delivered) < expected:
        return pending(f"{len(delivered)} of {count_of(expected, 'recording')} delivered")
    arrived = max(row.fetched_at for row in delivered if row.fetched_at)
    slowest = max(_wait_s(row, meeting) for row in delivered)
    words = f"{count_of(len(delivered), 'recording')} delivered, {slowest:.0f} s after its end"
    return success(words, value=slowest, answered_at=arrived)


def _goes(recording: Recording) -> bool:
    return recording.delete_wanted_at is not None


def _wait_s(recording: Recording, meeting: Meeting) -> float:
    length = recording.duration_s or recording.media_duration_s
    begun = recording.started_at
    ended_at = begun + timedelta(seconds=length) if begun and length else meeting.ended_at
    if recording.fetched_at is None or ended_at is None:
        return 0.0
    return max(0.0, (recording.fetched_at - ended_at).total_seconds())


def _expected(facts: Facts) -> int:
    """How many recordings must arrive: one per run that lasted, or one where the provider starts by itself."""
    if provider_starts_recording(facts.meeting):
        needed = NEEDED.get(facts.meeting.recording_trigger)
        enough = needed is not None and together(facts.stays, needed, facts.meeting.ended_at) >= LONG_ENOUGH
        return 1 if enough else 0
    return sum(1 for capture in facts.captures if _ran(capture, facts.meeting))


def _ran(capture: Capture, meeting: Meeting) -> bool:
    if capture.started_at is None:
        return False
    end = capture.stopped_at or meeting.ended_at
    return end is None or end - capture.started_at >= TOO_SHORT


def together(stays: Sequence[ParticipantSession], needed: int, end: datetime | None) -> timedelta:
    """For how long at least ``needed`` people were inside at once."""
    turns = []
    for stay in stays:
        left_at = stay.left_at or end
        if stay.joined_at is not None and left_at is not None and left_at > stay.joined_at:
            turns += [(stay.joined_at, 1, stay.participant_id), (left_at, -1, stay.participant_id)]
    total, since = timedelta(0), None
    inside: dict[object, int] = {}
    for at, change, person in sorted(turns, key=lambda turn: (turn[0], turn[1])):
        inside[person] = inside.get(person, 0) + change
        enough = sum(1 for count in inside.values() if count > 0) >= needed
        if enough and since is None:
            since = at
        elif not enough and since is not None:
            total, since = total + (at - since), None
    return total


def _why_nothing(facts: Facts) -> str:
    trigger = facts.meeting.recording_trigger
    if any(capture.started_at for capture in facts.captures):
        return "what was recorded was too short to be kept"
    needed = NEEDED.get(trigger)
    if needed is None:
        return "nobody started a recording"
    if together(facts.stays, needed, facts.meeting.ended_at) < LONG_ENOUGH:
        return f"{count_of(needed, 'person was', 'people were')} not inside long enough for a recording to begin"
    return "not everybody agreed to be recorded, or nobody was there who could start it"


def _transcript(facts: Facts) -> Verdict:
    """Whether all delivered recordings were listened to; the value is the longest wait after delivery, in seconds."""
    found = [facts.transcripts.get(row.pk) for row in facts.recordings]
    for transcript in found:
        if transcript is not None and transcript.status == Transcript.Status.QUARANTINED:
            return failure(f"it could not be transcribed: {transcript.last_error}")
    done = [one for one in found if one is not None and one.status == Transcript.Status.DONE and one.finished_at]
    if len(done) < len(found):
        return pending(f"{len(done)} of {count_of(len(found), 'transcript')} there")
    waits = [
        max(0.0, (one.finished_at - (one.recording.fetched_at or one.created_at)).total_seconds())
        for one in done
        if one.finished_at
    ]
    finished = max(one.finished_at for one in done if one.finished_at)
    words = f"{count_of(len(done), 'transcript')}, {max(waits):.0f} s after delivery"
    return success(words, value=max(waits), answered_at=finished)
