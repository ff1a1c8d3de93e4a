"""What stops moves to a platform: readiness checks that nobody waived, from stored results only; waiving."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from platforms.models import ReadinessResult
from rooms.models import Waiver
from rooms.words import given

#: the sweeper checks each platform every ten minutes
CHECKED_WITHIN = timedelta(minutes=30)

#: the words of an older result say how old it is
FRESH = timedelta(hours=1)
#: a waiver is for the time until something is mended, not for good
LONGEST = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """One reason against moving rooms to a platform. ``words``: what was found and what to do, for staff."""

    key: str
    words: str


def blockers(platform: str, *, now: datetime, named: Collection[str] = ()) -> list[Blocker]:
    """What stands in the way of moves to the platform, waived checks left out: every blocking check that failed, and
    each of the ``named`` ones that has not passed: failed (blocking or not), unproven, or never run.

    Nobody is asked: a check that was never run and is not named blocks nobody, and an old result counts as it was. Two
    queries.
    """
    rows = ReadinessResult.objects.filter(platform=platform)
    waived = {(platform, key) for key in active_waivers(platform, now=now).values_list("check_key", flat=True)}
    return blockers_among(rows, waived, now=now, named=named)


def blockers_among(
    rows: Iterable[ReadinessResult],
    waived: Collection[tuple[str, str]],
    *,
    now: datetime,
    named: Collection[str] = (),
) -> list[Blocker]:
    """``blockers`` of one platform's results that were read already; ``waived`` are (platform, key) pairs."""
    rows = list(rows)
    found = [
        Blocker(key=row.key, words=_words(row, now))
        for row in rows
        if _stands_in_the_way(row, named) and (row.platform, row.key) not in waived
    ]
    # nobody can waive what was never looked at
    never_run = [key for key in named if key not in {row.key for row in rows}]
    words = "The check “{}” was never run on this platform. What to do: check the platform."
    return found + [Blocker(key=key, words=words.format(key)) for key in never_run]


def _stands_in_the_way(row: ReadinessResult, named: Collection[str]) -> bool:
    if row.status == ReadinessResult.Status.FAILED:
        return row.is_blocking or row.key in named
    return row.status == ReadinessResult.Status.UNPROVEN and row.key in named


def results_of_all(*, now: datetime) -> tuple[dict[str, list[ReadinessResult]], set[tuple[str, str]]]:
    """Platform → its stored results, and the (platform, key) pairs that are waived. One query."""
    waivers = Waiver.objects.filter(
        platform=OuterRef("platform"), check_key=OuterRef("key"), withdrawn_at__isnull=True, expires_at__gt=now
    )
    found: dict[str, list[ReadinessResult]] = {}
    waived = set()
    for row in ReadinessResult.objects.annotate(is_waived=Exists(waivers)):
        found.setdefault(row.platform, []).append(row)
        if row.is_waived:
            waived.add((row.platform, row.key))
    return found, waived


def forgotten_since(rows: Iterable[ReadinessResult], now: datetime) -> datetime | None:
    """When a platform was last checked, where that is too long ago to lean on; nobody checks any more then."""
    latest = max((row.checked_at for row in rows), default=None)
    return latest if latest is not None and now - latest > CHECKED_WITHIN else None


def active_waivers(platform: str, *, now: datetime) -> QuerySet[Waiver]:
    return Waiver.objects.filter(platform=platform, withdrawn_at__isnull=True, expires_at__gt=now)


class WaiverRefused(Exception):
    """The waiver was not given. The text is one sentence for staff."""


def waive(*, platform: str, key: str, reason: str, until: datetime, actor: Any, now: datetime | None = None) -> Waiver:
    """Let moves pass a check that fails, until then. Replaces an active waiver of the same check.

    Raises ``WaiverRefused``: no reason, no such check, or an end that is past or more than ``LONGEST`` away.
    """
    now = now or timezone.now()
    reason = given(reason)
    if not reason:
        raise WaiverRefused("Say why: the reason stands beside the check while it is waived.")
    if not now < until <= now + LONGEST:
        raise WaiverRefused(f"A waiver ends within {LONGEST.days} days.")
    with transaction.atomic():
        # locked: of two people at once the later one replaces the other's waiver
        check = ReadinessResult.objects.select_for_update().filter(platform=platform, key=key)
        if check.first() is None:
            raise WaiverRefused("This check was never run on this platform.")
        active_waivers(platform, now=now).filter(check_key=key).update(withdrawn_at=now)
        return Waiver.objects.create(
            platform=platform, check_key=key, reason=reason, expires_at=until, actor=actor, created_at=now
        )


def withdraw(waiver: Waiver, *, now: datetime | None = None) -> bool:
    """End a waiver early; False when it had ended already."""
    now = now or timezone.now()
    return bool(active_waivers(waiver.platform, now=now).filter(pk=waiver.pk).update(withdrawn_at=now))


def _words(row: ReadinessResult, now: datetime) -> str:
    words = f"{row.title}: {row.words}."
    if row.fix:
        words += f" What to do: {row.fix}."
    age = now - row.checked_at
    if age > FRESH:
        local = timezone.localtime(row.checked_at)
        words += f" (As of {local.day} {local:%B %H:%M %Z}, {int(age.total_seconds() // 3600)} h ago.)"
    return words
