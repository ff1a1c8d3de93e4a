"""What Whereby's insights say about rooms: whether a session runs, some minutes late."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

from platforms.base import PlatformRefused, PlatformUnavailable, RoomPresence
from platforms.whereby.client import WherebyClient

logger = logging.getLogger(__name__)

KEPT = timedelta(seconds=60)


class Sessions:
    """Asks about a room at most once a minute; safe to share between threads."""

    def __init__(self, client: WherebyClient) -> None:
        self._client = client
        self._known: dict[str, RoomPresence] = {}
        self._lock = threading.Lock()

    def of(self, room_names: Iterable[str], now: datetime) -> dict[str, RoomPresence]:
        """Whether a session of two or more runs; of nothing more is anything known. Once the points are spent, no
        further room is asked about.
        """
        answers, exhausted = {}, False
        for name in room_names:
            known = self._known.get(name)
            if known is None or not _is_fresh(known, now):
                known = None
                if not exhausted:
                    try:
                        known = self._ask(name, now)
                    except PlatformUnavailable:
                        exhausted = True
                    except PlatformRefused as refused:
                        logger.info("whereby tells nothing about the sessions of room %s (%s)", name, refused.status)
            answers[name] = known or RoomPresence(room_name=name, people=None)
        return answers

    def _ask(self, name: str, now: datetime) -> RoomPresence:
        sessions = self._client.room_sessions(name)
        open_now = any(not (session.get("endedAt") or session.get("endAt")) for session in sessions)
        answer = RoomPresence(room_name=name, people=None, session_open=open_now if sessions else None, observed_at=now)
        with self._lock:
            fresh = {other: known for other, known in self._known.items() if _is_fresh(known, now)}
            self._known = fresh | {name: answer}
        return answer


def _is_fresh(known: RoomPresence, now: datetime) -> bool:
    return known.observed_at is not None and now - known.observed_at <= KEPT
