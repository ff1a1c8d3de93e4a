"""All that staff are told about a meeting and a person in it, as sections of an admin page.

Secrets stay out: host links, tokens of people and of receipts, our own keys. Recordings are reached by reverse
relation names, webhook events by the ``touched`` pairs that receivers returned.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Model, Q, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from meetings.models import Capture, Consent, Meeting, Participant, ParticipantSession
from platforms.models import Touched, WebhookEvent
from platforms.moments import NOTHING, exact, when
from rooms.models import Room
from rooms.staff.display import (
    length,
    link,
    list_at,
    page_at,
    page_of,
    person,
    platform_badge,
    size,
    status_badge,
    work_badge,
)
from rooms.staff.pages import Button, Section, Table

MEETING_KINDS = {"opening": "busy", "open": "live", "ended": "off", "failed": "bad"}
CAPTURE_KINDS = {"wanted": "busy", "on": "live", "stopping": "busy", "off": "off", "failed": "bad"}
ANSWER_KINDS = {"none": "off", "yes": "good", "no": "bad", "withdrawn": "bad"}
MOST_EVENTS = 200
MOST_LINES = 2000
#: moves this long before and after a meeting are shown with it
AROUND = timedelta(days=1)


def yes(value: bool) -> str:
    return "yes" if value else "no"


def meeting_badge(meeting: Meeting) -> SafeString:
    return status_badge(meeting.get_status_display(), MEETING_KINDS[meeting.status])


def capture_badge(capture: Capture) -> SafeString:
    return status_badge(capture.get_state_display(), CAPTURE_KINDS[capture.state])


def answer_badge(answered: Any) -> SafeString:
    return status_badge(answered.get_answer_display(), ANSWER_KINDS[answered.answer])


def why(capture: Capture) -> str:
    """Why it was to be recorded: the room's trigger as its form says it, or the host's or our own words."""
    return dict(Room.RecordingTrigger.choices).get(capture.reason, capture.reason) or NOTHING


def _recorded(meeting: Meeting) -> str:
    """E.g. "in the cloud (MP4), started when the second person joins"."""
    kind = dict(Room.RecordingType.choices).get(meeting.recording_type, meeting.recording_type)
    if meeting.recording_type != Room.RecordingType.CLOUD:
        return kind
    trigger = dict(Room.RecordingTrigger.choices).get(meeting.recording_trigger, meeting.recording_trigger)
    return f"{kind}, {'' if meeting.recording_trigger == Room.RecordingTrigger.PROMPT else 'started '}{trigger}"


def lasted(meeting: Meeting) -> str:
    if meeting.opened_at is None:
        return NOTHING
    return length(((meeting.ended_at or timezone.now()) - meeting.opened_at).total_seconds())


# -- stays -----------------------------------------------------------------------------------------------------------


def stay_s(stay: ParticipantSession) -> float | None:
    """Seconds; until now while they are inside; None while the join is not known."""
    if stay.joined_at is None:
        return None
    return max(((stay.left_at or timezone.now()) - stay.joined_at).total_seconds(), 0)


def stay_in_words(stay: ParticipantSession) -> str:
    """E.g. "14:03:05–14:20:00 UTC (16 min 55 s)"."""
    if stay.joined_at is None:
        return f"join unknown, left {exact(stay.left_at or stay.reported_left_at)}"
    joined = timezone.localtime(stay.joined_at)
    if stay.left_at is None:
        return f"{joined:%H:%M:%S %Z} – inside now ({length(stay_s(stay))})"
    return f"{joined:%H:%M:%S}–{timezone.localtime(stay.left_at):%H:%M:%S %Z} ({length(stay_s(stay))})"


def together_s(stays: Iterable[ParticipantSession]) -> float:
    """Seconds inside, counting time in two tabs once."""
    spans = sorted((stay.joined_at, stay.left_at or timezone.now()) for stay in stays if stay.joined_at is not None)
    total, until = 0.0, None
    for start, end in spans:
        start = start if until is None or start > until else until
        if end > start:
            total += (end - start).total_seconds()
        until = end if until is None or end > until else until
    return total


def _lines(items: Iterable[Any]) -> SafeString | str:
    return format_html_join("", "{}<br>", ((item,) for item in items)) or NOTHING


# -- a meeting -------------------------------------------------------------------------------------------------------


def of_meeting(meeting: Meeting) -> list[Section]:
    people = list(meeting.participants.select_related("user").prefetch_related("sessions"))
    recordings = list(_recordings_of(meeting))
    return [
        _meeting(meeting, people),
        _people(people),
        _waiting(meeting),
        _consents(Consent.objects.filter(participant__meeting=meeting)),
        _captures(meeting),
        _recordings(recordings),
        _transcript(meeting),
        _moves(meeting),
        events_section([meeting, *recordings]),
    ]


def _meeting(meeting: Meeting, people: list[Participant]) -> Section:
    ended = meeting.get_end_reason_display() + (f" ({person(meeting.ended_by)})" if meeting.ended_by else "")
    facts: list[tuple[str, Any]] = [
        ("Room", page_of(meeting.room)),
        ("Platform", platform_badge(meeting.platform)),
        ("Why there", meeting.platform_reason or NOTHING),
        ("State", meeting_badge(meeting)),
        ("People inside now", sum(_is_inside(person) for person in people)),
        ("Asked for", when(meeting.created_at)),
        ("Opened", when(meeting.opened_at)),
        ("We end it by", when(meeting.expires_at)),
        ("Ended", when(meeting.ended_at)),
        ("Why it ended", ended or NOTHING),
        ("Lasted", lasted(meeting)),
        ("Closed at the provider", when(meeting.closed_at_provider_at)),
        ("Presence last checked", when(meeting.presence_checked_at)),
        ("Provider’s room name", meeting.provider_room_name or NOTHING),
        ("Provider’s room id", meeting.provider_room_id or NOTHING),
        ("Locked", yes(meeting.is_locked)),
        ("Language", meeting.language),
        ("Recording", _recorded(meeting)),
        ("Consent", Room.ConsentPolicy(meeting.consent_policy).label),
        ("Id", str(meeting.pk)),
    ]
    if meeting.failure:
        facts.insert(4, ("What went wrong", meeting.failure))
    if meeting.fell_back_from is not None:
        facts.insert(3, ("Opened instead of", page_of(meeting.fell_back_from)))
    if replacement := getattr(meeting, "fell_back_to", None):
        facts.insert(4, ("Another was opened instead", page_of(replacement)))
    of_this, of_room = {"meeting__id__exact": meeting.pk}, {"room__id__exact": meeting.room_id}
    return Section(
        title="The meeting",
        facts=facts,
        links=[
            link(meeting.get_absolute_url(), "Its page, as people see it"),
            list_at("meetings.participant", "People", **of_this),
            list_at("meetings.participantsession", "Stays", **of_this),
            list_at("recordings.recording", "Recordings", **of_this),
            list_at("meetings.meeting", "All meetings of this room", **of_room),
        ],
    )


def _is_inside(participant: Participant) -> bool:
    stays = participant.sessions.all()
    return participant.is_person and any(stay.joined_at is not None and stay.left_at is None for stay in stays)


def _people(people: list[Participant]) -> Section:
    rows = []
    for participant in people:
        stays = list(participant.sessions.all())
        rows.append(
            [
                page_of(participant),
                _kind(participant),
                page_at("auth.user", participant.user.pk, person(participant.user)) if participant.user else "guest",
                "our page" if participant.came_by_page else "the provider’s own link",
                answer_badge(participant),
                _lines(stay_in_words(stay) for stay in stays),
                length(together_s(stays)) if stays else NOTHING,
            ]
        )
    headers = ["Name", "Role", "Account", "Came by", "Recording", "Stays", "In all"]
    return Section(title="People", table=Table(headers=headers, rows=rows, empty="Nobody has been in it."))


def _kind(participant: Participant) -> str:
    if not participant.is_person:
        return "recorder"
    return "host" if participant.is_host else "participant"


def _waiting(meeting: Meeting) -> Section:
    rows = [[str(who), when(who.started_at), when(who.ended_at), who.session_id] for who in meeting.waiting.all()]
    headers = ["Name", "Knocked", "Stopped knocking", "Session"]
    return Section(title="Waiting", table=Table(headers=headers, rows=rows, empty="Nobody knocked."))


def _consents(consents: Any) -> Section:
    rows = [
        [
            page_of(consent, when(consent.answered_at)),
            page_of(consent.participant),
            answer_badge(consent),
            Room.ConsentPolicy(consent.policy).label if consent.policy in Room.ConsentPolicy else consent.policy,
            page_of(consent.text),
        ]
        for consent in consents.select_related("participant", "text")
    ]
    headers = ["When", "Who", "Answer", "Policy then", "Words shown"]
    return Section(title="Consent", table=Table(headers=headers, rows=rows, empty="Nobody was asked."))


def _captures(meeting: Meeting) -> Section:
    rows = [
        [
            page_of(capture, when(capture.wanted_at)),
            capture_badge(capture),
            why(capture),
            when(capture.started_at),
            when(capture.stopped_at),
            capture.error or capture.last_error or NOTHING,
        ]
        for capture in meeting.captures.all()
    ]
    headers = ["Asked for", "State", "Why", "Started", "Stopped", "Error"]
    return Section(
        title="Recording orders", table=Table(headers=headers, rows=rows, empty="Nothing was to be recorded.")
    )


def _recordings_of(meeting: Any) -> Any:
    return meeting.recordings.select_related("transcript").order_by("started_at", "found_at")


def _recordings(recordings: list[Any]) -> Section:
    rows = []
    for recording in recordings:
        transcript = getattr(recording, "transcript", None)
        rows.append(
            [
                page_of(recording, recording.provider_recording_id),
                status_badge("deleted", "off") if recording.deleted_at else work_badge(recording),
                when(recording.started_at),
                length(recording.media_duration_s or recording.duration_s),
                size(recording.size_bytes),
                page_of(transcript, work_badge(transcript)) if transcript else NOTHING,
                recording.last_error or NOTHING,
            ]
        )
    headers = ["Recording", "State", "Started", "Length", "Size", "Transcript", "Error"]
    return Section(title="Recordings", table=Table(headers=headers, rows=rows, empty="None has been found."))


def _transcript(meeting: Any) -> Section:
    path = "recordings__transcript__segments"
    lines = (
        Meeting.objects.filter(pk=meeting.pk, **{f"{path}__isnull": False})
        .order_by("recordings__started_at", "recordings__pk", f"{path}__start_ms", f"{path}__pk")
        .values_list(f"{path}__start_ms", f"{path}__participant__name", f"{path}__text")
    )
    rows = [[clock(start), who or NOTHING, text] for start, who, text in lines[:MOST_LINES]]
    note = f"The first {MOST_LINES} lines." if len(rows) == MOST_LINES else ""
    table = Table(headers=["At", "Who", "What was said"], rows=rows, empty="Nothing was heard, or not yet.")
    return Section(title="Transcript", table=table, note=note)


def clock(milliseconds: int) -> str:
    """From the start of the recording: "0:07", "1:02:03"."""
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _moves(meeting: Meeting) -> Section:
    """The room's moves around this meeting: why it is where it is, and what came after."""
    until = (meeting.ended_at or timezone.now()) + AROUND
    moves = meeting.room.moves.select_related("actor")
    before = moves.filter(moved_at__lte=meeting.created_at).values("pk")[:1]
    around = Q(moved_at__gt=meeting.created_at, moved_at__lte=until)
    rows = [
        [
            page_of(move, when(move.moved_at)),
            "before it opened" if move.moved_at <= meeting.created_at else _during(meeting, move.moved_at),
            platform_badge(move.from_platform),
            platform_badge(move.to_platform),
            person(move.actor) if move.actor else move.get_source_display(),
            move.reason,
        ]
        for move in moves.filter(around | Q(pk=Subquery(before)))
    ]
    headers = ["When", "That is", "From", "To", "Who", "Why"]
    return Section(title="Moves around it", table=Table(headers=headers, rows=rows, empty="The room was not moved."))


def _during(meeting: Meeting, moment: Any) -> str:
    return "after it ended" if meeting.ended_at and moment > meeting.ended_at else "while it was live"


def events_section(rows_touched: Iterable[Model]) -> Section:
    """Webhook events that touched one of these rows."""
    touched = Q(pk__in=[])
    for row in rows_touched:
        touched |= Q(label=row._meta.label, key=str(row.pk))
    events = (
        WebhookEvent.objects.filter(pk__in=Touched.objects.filter(touched).values("event"))
        .defer("body", "headers")
        .order_by("-received_at")
    )
    rows = [
        [
            page_of(event, when(event.received_at)),
            event.event_type or "unreadable",
            exact(event.occurred_at),
            work_badge(event),
            _lines(event.outcome.splitlines()),
            event.duplicates or NOTHING,
        ]
        for event in events[:MOST_EVENTS]
    ]
    headers = ["Received", "Type", "Happened", "State", "What became of it", "Came again"]
    note = f"The newest {MOST_EVENTS}." if len(rows) == MOST_EVENTS else ""
    return Section(title="Webhook events", table=Table(headers=headers, rows=rows, empty="None touched it."), note=note)


# -- a person --------------------------------------------------------------------------------------------------------


def of_participant(participant: Participant) -> list[Section]:
    stays = list(participant.sessions.all())
    meeting = participant.meeting
    facts: list[tuple[str, Any]] = [
        ("Name", participant.name or NOTHING),
        ("Meeting", page_of(meeting)),
        ("Room", page_of(meeting.room)),
        ("Platform", platform_badge(participant.platform)),
        (
            "Account",
            page_at("auth.user", participant.user.pk, person(participant.user)) if participant.user else "guest",
        ),
        ("Role", _kind(participant)),
        ("Came by", "our page" if participant.came_by_page else "the provider’s own link"),
        ("Recording", answer_badge(participant)),
        ("In all", length(together_s(stays)) if stays else NOTHING),
        ("Provider’s user id", participant.provider_user_id),
        ("First heard of", when(participant.created_at)),
    ]
    if participant.held_until_stopped:
        facts.insert(8, ("Held", "until the running recording is confirmed stopped"))
    table = Table(
        headers=["Stay", "Joined", "Left", "How long", "Session"],
        rows=[
            [page_of(stay, number), when(stay.joined_at), _left(stay), length(stay_s(stay)), stay.session_id]
            for number, stay in enumerate(stays, start=1)
        ],
        empty="Never got in.",
    )
    return [
        Section(title="Who", facts=facts),
        Section(title="Stays", table=table),
        _consents(participant.consents.all()),
        events_section([participant, *stays]),
    ]


def _left(stay: ParticipantSession) -> Any:
    if stay.left_at is None:
        return status_badge("inside now", "live") if stay.joined_at else NOTHING
    return format_html("{} (presumed)", when(stay.left_at)) if not stay.reported_left_at else when(stay.left_at)


def of_capture(capture: Capture, *, may_act: bool) -> list[Section]:
    facts = [
        ("Meeting", page_of(capture.meeting)),
        ("State", capture_badge(capture)),
        ("The order", work_badge(capture)),
        ("Tries", capture.attempts),
        ("Why", why(capture)),
        ("Error", capture.error or NOTHING),
        ("Last hitch", capture.last_error or NOTHING),
        ("Asked for", when(capture.wanted_at)),
        ("Started", when(capture.started_at)),
        ("Stop asked for", when(capture.stop_wanted_at)),
        ("Stopped", when(capture.stopped_at)),
        ("Provider’s recording id", capture.provider_recording_id or NOTHING),
        ("Our instance id", str(capture.pk)),
    ]
    stuck = capture.status == Capture.Status.QUARANTINED
    again = Button(url=reverse("admin:meetings_capture_again", args=[capture.pk]), text="Try again")
    return [
        Section(title="The order to record", facts=facts, buttons=[again] if may_act and stuck else []),
        events_section([capture]),
    ]
