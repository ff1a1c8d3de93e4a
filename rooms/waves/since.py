"""What happened to a wave and its rooms since somebody looked: why its plan is another one by now."""

from __future__ import annotations

from datetime import datetime

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet

from rooms import switching
from rooms.models import Move, Room, Wave
from rooms.waves.choosing import chosen
from rooms.words import count_of, name_of

#: of each kind
TOLD = 5


def changes_since(wave: Wave, looked_at: datetime, now: datetime) -> list[str]:
    """A sentence each, the first few; the latest come first."""
    moves = Move.objects.filter(room__in=_rooms_of(wave, now), moved_at__gte=looked_at)
    others = moves.exclude(wave=wave).select_related("room", "actor", "wave", "order").order_by("-moved_at", "-pk")
    words = [
        f"“{move.room}” was moved to {move.get_to_platform_display()} {move.by_whom}: {move.reason.rstrip('.')}."
        for move in others[:TOLD]
    ]
    if (more := others.count() - TOLD) > 0:
        words.append(f"{count_of(more, 'more move')} of its rooms.")
    if own := moves.filter(wave=wave).count():
        words.append(f"The wave itself moved {count_of(own, 'room')}.")
    words += [entry.words for entry in wave.entries.filter(at__gte=looked_at)[:TOLD]]
    words += [
        f"The draft was changed by {name_of(change.user)}."
        for change in drafted(wave).filter(action_time__gte=looked_at).select_related("user")[:TOLD]
    ]
    switched = [one for one in switching.latest().values() if one.switched_at >= looked_at]
    return words + [f"{one.get_platform_display()} is {switching.in_words(one)}." for one in switched]


def drafted(wave: Wave) -> QuerySet[LogEntry]:
    """Changes of a draft, which has no log of its own yet."""
    kind = ContentType.objects.get_for_model(Wave)
    return LogEntry.objects.filter(content_type=kind, object_id=str(wave.pk), action_flag=CHANGE)


def _rooms_of(wave: Wave, now: datetime) -> QuerySet[Room]:
    if wave.status == Wave.Status.DRAFT:
        return chosen(wave.selection, now=now)
    return Room.objects.filter(wave_rooms__wave=wave)
