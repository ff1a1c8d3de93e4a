"""Which rooms a wave takes: by filter or by list, read once, when it starts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from platforms import registry
from rooms.models import Room
from rooms.words import label_of

#: keys of a filter, as ``Wave.selection["filter"]`` holds them; what is missing does not narrow
FILTERS = ("platform", "text", "owner", "shared", "recording_type", "met_within_days")


def chosen(selection: dict[str, Any], *, now: datetime) -> QuerySet[Room]:
    """A list is taken as it is; a filter leaves out archived rooms."""
    if "rooms" in selection:
        return Room.objects.filter(pk__in=selection["rooms"])
    rooms: QuerySet[Room] = Room.objects.active()
    wanted = selection.get("filter", {})
    if platform := wanted.get("platform"):
        rooms = rooms.filter(platform=platform)
    if text := wanted.get("text"):
        rooms = rooms.filter(Q(name__icontains=text) | Q(slug__icontains=text))
    if owner := wanted.get("owner"):
        rooms = rooms.filter(Q(owner__username__iexact=owner) | Q(owner__email__iexact=owner))
    if (shared := wanted.get("shared")) is not None:
        rooms = rooms.filter(is_shared=shared)
    if recording_type := wanted.get("recording_type"):
        rooms = rooms.filter(recording_type=recording_type)
    if days := wanted.get("met_within_days"):
        met = Room.objects.filter(meetings__created_at__gte=now - timedelta(days=days)).values("pk")
        rooms = rooms.filter(pk__in=met)
    return rooms


def in_words(selection: dict[str, Any]) -> str:
    """E.g. "rooms in use that are on A, with “board” in their name, shared"."""
    if "rooms" in selection:
        count = len(selection["rooms"])
        return "1 room by name" if count == 1 else f"{count:,} rooms by name"
    wanted = selection.get("filter", {})
    parts = []
    if platform := wanted.get("platform"):
        parts.append(f"on {label_of(platform)}")
    if text := wanted.get("text"):
        parts.append(f"with “{text}” in the name or address")
    if owner := wanted.get("owner"):
        parts.append(f"of {owner}")
    if (shared := wanted.get("shared")) is not None:
        parts.append("open to anyone with the link" if shared else "for members only")
    if recording_type := wanted.get("recording_type"):
        parts.append(f"with recording {dict(Room.RecordingType.choices).get(recording_type, recording_type)}")
    if days := wanted.get("met_within_days"):
        parts.append(f"with a meeting in the last {days} days")
    return f"rooms in use {', '.join(parts)}" if parts else "all rooms in use"


def known_platforms() -> list[tuple[str, str]]:
    """Where a wave can go: (slug, label) of each platform with an account."""
    return [(adapter.slug, str(adapter.label)) for adapter in registry.configured()]
