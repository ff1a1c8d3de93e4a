"""A meeting as it is read afterwards: people, recordings and all that was said, on one clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from meetings.models import Meeting, Participant
from platforms.work import Work
from recordings.models import Recording, TranscriptSegment


@dataclass(frozen=True)
class Stay:
    joined_at: datetime
    left_at: datetime | None


@dataclass(frozen=True)
class PersonInMeeting:
    participant: Participant
    stays: Sequence[Stay]
    present_s: float

    @property
    def minutes(self) -> int:
        return max(1, round(self.present_s / 60)) if self.present_s else 0


@dataclass(frozen=True)
class Turn:
    """One stretch of speech. ``at_s`` is on the meeting's clock, ``recording_s`` on its recording's."""

    at_s: int
    recording_s: float
    recording: Recording
    speaker: str
    text: str

    @property
    def clock(self) -> str:
        return clock(self.at_s)


@dataclass(frozen=True)
class State:
    """What became of a recording, in words. ``pending`` while there is more to come."""

    words: str
    pending: bool = False
    problem: bool = False


def clock(seconds: float) -> str:
    """754 → "12:34"; with hours from the first hour on."""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


def people_of(meeting: Meeting, *, now: datetime) -> list[PersonInMeeting]:
    """Everybody who was inside, in order of coming. Three queries, however many they are."""
    people = []
    participants = meeting.participants.filter(is_person=True).prefetch_related("sessions")
    for participant in participants:
        stays = [Stay(s.joined_at, s.left_at) for s in participant.sessions.all() if s.joined_at]
        if stays:
            present = _present(stays, now)
            people.append(PersonInMeeting(participant, sorted(stays, key=lambda stay: stay.joined_at), present))
    return sorted(people, key=lambda person: person.stays[0].joined_at)


def _present(stays: Sequence[Stay], now: datetime) -> float:
    """Seconds inside, stays that overlap (two devices) counted once."""
    total, reached = timedelta(), None
    for stay in sorted(stays, key=lambda s: s.joined_at):
        begin = max(stay.joined_at, reached) if reached else stay.joined_at
        end = stay.left_at or now
        if end > begin:
            total += end - begin
        reached = max(reached, end) if reached else end
    return total.total_seconds()


def turns_of(meeting: Meeting, recordings: Sequence[Recording]) -> list[Turn]:
    """All transcripts of the meeting merged on its clock, names resolved as they are now."""
    by_id = {recording.pk: recording for recording in recordings if not recording.deleted_at}
    segments = (
        TranscriptSegment.objects.filter(transcript__recording__in=by_id)
        .select_related("participant", "transcript")
        .order_by("start_ms", "pk")
    )
    start = meeting.opened_at or meeting.created_at
    turns = []
    for segment in segments:
        recording = by_id[segment.transcript.recording_id]
        offset = (recording.started_at - start).total_seconds() if recording.started_at else 0.0
        turns.append(
            Turn(
                at_s=max(0, int(offset + segment.start_ms / 1000)),
                recording_s=segment.start_ms / 1000,
                recording=recording,
                speaker=segment.participant.name if segment.participant else "",
                text=segment.text,
            )
        )
    return sorted(turns, key=lambda turn: (turn.at_s, turn.recording_s))


def state_of(recording: Recording) -> State:
    """What to tell a reader about a recording."""
    if recording.deleted_at:
        return State(f"Removed on {recording.deleted_at:%-d %B %Y}: {recording.delete_reason}.")
    if recording.delete_wanted_at:
        return State(f"Being removed: {recording.delete_reason}.", pending=True)
    if recording.status == Work.Status.QUARANTINED and not recording.file_key:
        return State("This recording could not be fetched. Staff have been shown why.", problem=True)
    if note := recording.probe.get("note"):
        return State(note)
    if not recording.file_key:
        return State("Being fetched from the video service.", pending=True)
    transcript = getattr(recording, "transcript", None)
    if transcript is None or transcript.status in (Work.Status.PENDING, Work.Status.RUNNING):
        share = transcript.progress if transcript else 0
        return State(f"Being transcribed: {share:.0%} done." if share else "Waiting to be transcribed.", pending=True)
    if transcript.status == Work.Status.QUARANTINED:
        return State(f"Not transcribed: {transcript.last_error}", problem=True)
    return State("Nothing was said in this recording." if not transcript.has_words else "")
