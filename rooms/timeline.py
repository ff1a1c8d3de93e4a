"""What this app adds to a room's history: moves, what staff changed, outcomes, and deliveries that touched the room."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet
from django.utils.html import format_html

from platforms import registry
from platforms.models import Touched
from rooms.models import Move, Outcome, Room
from rooms.staff.display import page_at, page_of, person, platform_badge, status_badge, work_badge
from rooms.staff.timeline import Entry, strand

OUTCOME_KINDS = {"success": "good", "failure": "bad"}


def _move(move: Move) -> Entry:
    taken_back = " It was taken back later." if hasattr(move, "undone_by") else ""
    return Entry(
        what=format_html(
            "{} from {} to {}",
            page_of(move, "Moved"),
            platform_badge(move.from_platform),
            platform_badge(move.to_platform),
        ),
        by=f"{move.by_whom} ({move.get_source_display()})",
        words=f"{move.reason}{taken_back}",
    )


def _log(room_id: int) -> QuerySet[LogEntry]:
    """Without those of moves (see ``rooms.staff.moving.record``), which are told by the moves themselves."""
    moved = Q()
    for one, other in permutations((label for _, label in registry.platform_choices()), 2):
        moved |= Q(change_message__contains=f": {one} → {other}: ")
    of_room = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(Room), object_id=str(room_id))
    return of_room.exclude(moved) if moved else of_room


def _logged(entry: LogEntry) -> Entry:
    words = entry.get_change_message().rstrip(".")
    return Entry(what="Made in the admin" if entry.is_addition() else words or "Saved", by=f"by {person(entry.user)}")


def _outcome(outcome: Outcome) -> Entry:
    return Entry(
        what=format_html(
            "{} {}",
            page_of(outcome, outcome.get_kind_display().capitalize()),
            status_badge(outcome.get_status_display(), OUTCOME_KINDS[outcome.status]),
        ),
        by=format_html(
            "{} on {}", page_at("meetings.meeting", outcome.meeting_id, "meeting"), platform_badge(outcome.platform)
        ),
        words=outcome.words,
    )


def _delivery(touched: Touched) -> Entry:
    event: Any = touched.event
    again = f" Came {event.duplicates + 1} times." if event.duplicates else ""
    return Entry(
        what=format_html("{} {}", page_of(event, event.event_type or "unreadable"), work_badge(event)),
        by=platform_badge(event.platform),
        words=f"{event.outcome or event.last_error}{again}",
    )


def _deliveries(room_id: int) -> QuerySet[Touched]:
    return Touched.objects.filter(label=Room._meta.label, key=str(room_id))


strand(
    name="move",
    kind="moves",
    model="rooms.move",
    rows=lambda room_id: Move.objects.filter(room=room_id),
    time="moved_at",
    fields=(
        "reason",
        "source",
        "from_platform",
        "to_platform",
        "actor__id",
        "actor__username",
        "actor__first_name",
        "actor__last_name",
        "wave__id",
        "wave__name",
        "order__id",
        "order__is_from_shell",
        "undone_by__id",
    ),
    entry=_move,
)
strand(
    name="log",
    kind="staff",
    model="rooms.room",
    rows=_log,
    time="action_time",
    fields=("action_flag", "change_message", "user__id", "user__username", "user__first_name", "user__last_name"),
    entry=_logged,
)
strand(
    name="outcome",
    kind="outcomes",
    model="rooms.outcome",
    rows=lambda room_id: Outcome.objects.filter(room=room_id, status__in=OUTCOME_KINDS),
    time="decided_at",
    fields=("kind", "status", "platform", "words", "meeting_id"),
    entry=_outcome,
)
strand(
    name="delivery",
    kind="events",
    model="platforms.webhookevent",
    rows=_deliveries,
    time="received_at",
    fields=(
        "event__id",
        "event__event_type",
        "event__status",
        "event__platform",
        "event__outcome",
        "event__last_error",
        "event__duplicates",
    ),
    entry=_delivery,
)
