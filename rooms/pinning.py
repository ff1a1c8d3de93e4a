"""Pinning a room to where it meets: waves leave it alone, and staff who move it by hand are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from rooms.models import Room
from rooms.planning import pin_in_words, what_changed
from rooms.words import given


class PinRefused(Exception):
    """The pin was not changed. The text is one sentence for staff."""


def pin_room(
    *,
    room_id: int,
    reason: str,
    until: datetime | None = None,
    actor: Any = None,
    expected_platform: str | None = None,
    expected_pin: str | None = None,
    now: datetime | None = None,
) -> Room:
    """Pin the room to where it meets, or say anew why and until when. ``expected_platform`` is where whoever asks saw
    it, and ``expected_pin`` the ``mark`` of its pin then (None: they did not look). Raises ``PinRefused``.
    """
    reason = _given(reason)
    with transaction.atomic():
        room = _locked(room_id)
        # the clock is read with the room locked: which of a pin and an order came first is told by their times
        now = now or timezone.now()
        if until is not None and until <= now:
            raise PinRefused("The pin would have ended already: give a time to come, or none.")
        if expected_platform not in (None, room.platform):
            raise PinRefused(f"{what_changed(room, str(expected_platform))} Look again before you pin it.")
        _refuse_unseen(room, expected_pin)
        return _write(room, pin_reason=reason, pin_until=until, pinned_at=now, pinned_by=actor)


def unpin_room(*, room_id: int, reason: str, expected_pin: str | None = None) -> Room:
    """Take the pin out; the reason is for whoever keeps the log, ``expected_pin`` as in ``pin_room``. Raises
    ``PinRefused``.
    """
    _given(reason)
    with transaction.atomic():
        room = _locked(room_id)
        if room.pinned_at is None:
            raise PinRefused(f"“{room}” is not pinned.")
        _refuse_unseen(room, expected_pin)
        return _write(room, pin_reason="", pin_until=None, pinned_at=None, pinned_by=None)


def mark(room: Room) -> str:
    """Tells one pin of the room from the next; "" where it has none."""
    return room.pinned_at.isoformat() if room.pinned_at else ""


def _refuse_unseen(room: Room, expected: str | None) -> None:
    if expected in (None, mark(room)):
        return
    if room.pinned_at is None:
        raise PinRefused(f"The pin of “{room}” was taken out after you looked. Look again before you pin it.")
    raise PinRefused(f"{pin_in_words(room, timezone.now())} You had not seen that: look again before you change it.")


def _given(reason: str) -> str:
    reason = given(reason)
    if not reason:
        raise PinRefused("Say why.")
    return reason


def _locked(room_id: int) -> Room:
    """The lock puts pins and moves of a room in one order."""
    room = Room.objects.select_for_update().filter(pk=room_id).first()
    if room is None:
        raise PinRefused("This room does not exist any more.")
    return room


def _write(room: Room, **columns: Any) -> Room:
    for name, value in columns.items():
        setattr(room, name, value)
    room.save(update_fields=list(columns))
    return room
