"""The poller: every recording that the provider still lists is found, even if no webhook ever comes.

A walk goes through the provider's list page by page, newest first, down to the newest recording of the last walk that
was finished, however many there are in between. It is cut into bounded pieces: where a piece stopped is remembered,
and the next tick goes on there. Only a finished walk moves the mark, and never past a recording that was still
running, so that nothing falls between two walks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db import transaction

from platforms.base import Adapter, PlatformRefused, ProviderRecording
from platforms.models import Heartbeat
from recordings.finding import found, known_ids, oldest_meeting_at, ours

PAGES_PER_TICK = 10
#: two clocks and a late start lie between a meeting's row and its recording
SLACK = timedelta(hours=1)


@dataclass
class Walk:
    """Where the poller is. Kept as JSON in the job's heartbeat row."""

    mark: str = ""  #: the newest recording of the last finished walk: walks end here
    page: str | None = None  #: cursor of the next page, None at the beginning of a walk
    next_mark: str = ""  #: what ``mark`` becomes when this walk is finished


def poll(adapter: Adapter, *, most_pages: int = PAGES_PER_TICK) -> int:
    """Look through the provider's list; returns how many recordings were new.

    Raises ``PlatformUnavailable``; where the walk was is kept for the next tick.
    """
    beat, _ = Heartbeat.objects.get_or_create(name=f"recordings poller {adapter.slug}")
    walk = Walk(**beat.state)
    first_meeting = oldest_meeting_at(platform=adapter.slug)
    if first_meeting is None:
        return 0
    new = 0
    for _ in range(most_pages):
        try:
            page = adapter.list_recordings(page=walk.page)
        except PlatformRefused:
            if walk.page is None:
                raise
            walk = Walk(mark=walk.mark)  # the recording that the cursor named is gone: walk from the top again
            continue
        reached, made = _read_page(adapter.slug, page.items, walk, first_meeting - SLACK)
        new += made
        if reached or page.next_page is None:
            walk = Walk(mark=walk.next_mark or walk.mark)
            _remember(beat, walk)
            break
        walk.page = page.next_page
        _remember(beat, walk)
    return new


def _remember(beat: Heartbeat, walk: Walk) -> None:
    Heartbeat.objects.filter(pk=beat.pk).update(state=asdict(walk))


def _read_page(platform: str, items: tuple[ProviderRecording, ...], walk: Walk, floor: datetime) -> tuple[bool, int]:
    """Take in one page. Returns (the walk is at its end, how many recordings were new)."""
    reached = False
    finished: list[ProviderRecording] = []
    for item in items:
        if item.recording_id == walk.mark or (item.started_at is not None and item.started_at < floor):
            reached = True
            break
        if item.state == "in-progress":
            walk.next_mark = ""  # the mark stays below it, or it would be missed once it is finished
            continue
        walk.next_mark = walk.next_mark or item.recording_id
        if item.state == "finished":
            finished.append(item)
    candidates = ours(platform=platform, items=finished)
    known = known_ids(platform=platform, items=candidates)
    made = 0
    for item in candidates:
        if item.recording_id not in known:
            with transaction.atomic():
                made += found(platform=platform, item=item, found_by="poller") is not None
    return reached, made
