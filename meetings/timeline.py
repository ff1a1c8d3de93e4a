"""What meetings add to a room's history: how each began and ended, answers about recording, orders to record."""

from __future__ import annotations

from django.utils.html import format_html

from meetings.dossier import answer_badge, capture_badge, lasted, meeting_badge
from meetings.models import Capture, Consent, Meeting
from rooms.staff.display import page_of, person, platform_badge, status_badge
from rooms.staff.timeline import Entry, strand


def _opened(meeting: Meeting) -> Entry:
    opening = meeting.status == Meeting.Status.OPENING
    instead = (
        format_html(" in place of {} that failed", page_of(meeting.fell_back_from, "the one"))
        if meeting.fell_back_from
        else ""
    )
    return Entry(
        what=format_html(
            "{}{} {}",
            page_of(meeting, "Meeting is being opened" if opening else "Meeting opened"),
            instead,
            platform_badge(meeting.platform),
        ),
        by=meeting_badge(meeting) if meeting.is_live else "",
        words=meeting.platform_reason,
    )


def _over(meeting: Meeting) -> Entry:
    if meeting.status != Meeting.Status.FAILED:
        return Entry(
            what=format_html("{} {}", page_of(meeting, "Meeting ended"), platform_badge(meeting.platform)),
            by=f"by {person(meeting.ended_by)}" if meeting.ended_by else "",
            words=f"{meeting.get_end_reason_display().capitalize()}, after {lasted(meeting)}".lstrip(", "),
        )
    replacement = getattr(meeting, "fell_back_to", None)
    then = (
        format_html("{} on {} instead.", page_of(replacement, "Another opened"), platform_badge(replacement.platform))
        if replacement
        else ""
    )
    return Entry(
        what=format_html(
            "{} {} {}",
            page_of(meeting, "Meeting"),
            status_badge("failed to open", "bad"),
            platform_badge(meeting.platform),
        ),
        words=format_html("{} {}", meeting.failure, then),
    )


def _answered(consent: Consent) -> Entry:
    return Entry(
        what=format_html("{} {}", page_of(consent, "Answer about recording"), answer_badge(consent)),
        by=format_html("by {}", page_of(consent.participant)),
        words=format_html("in {}", page_of(consent.participant.meeting, "this meeting")),
    )


def _ordered(capture: Capture) -> Entry:
    return Entry(
        what=format_html("{} {}", page_of(capture, "Recording ordered"), capture_badge(capture)),
        by=format_html("{}", page_of(capture.meeting, "meeting")),
        words=". ".join(part.rstrip(".") for part in (capture.reason, capture.error or capture.last_error) if part),
    )


strand(
    name="meeting-opened",
    kind="meetings",
    model="meetings.meeting",
    rows=lambda room_id: Meeting.objects.filter(room=room_id).exclude(status=Meeting.Status.FAILED),
    time="created_at",
    fields=("status", "platform", "platform_reason", "fell_back_from__id"),
    entry=_opened,
)
strand(
    name="meeting-over",
    kind="meetings",
    model="meetings.meeting",
    rows=lambda room_id: Meeting.objects.filter(room=room_id),
    time="ended_at",
    fields=(
        "status",
        "platform",
        "failure",
        "end_reason",
        "created_at",
        "opened_at",
        "ended_by__id",
        "ended_by__username",
        "ended_by__first_name",
        "ended_by__last_name",
        "fell_back_to__id",
        "fell_back_to__platform",
    ),
    entry=_over,
)
strand(
    name="consent",
    kind="consent",
    model="meetings.consent",
    rows=lambda room_id: Consent.objects.filter(participant__meeting__room=room_id),
    time="answered_at",
    fields=("answer", "participant__id", "participant__name", "participant__meeting__id"),
    entry=_answered,
    is_far=True,
)
strand(
    name="capture",
    kind="recordings",
    model="meetings.capture",
    rows=lambda room_id: Capture.objects.filter(meeting__room=room_id),
    time="wanted_at",
    fields=("state", "reason", "error", "last_error", "meeting__id"),
    entry=_ordered,
    is_far=True,
)
