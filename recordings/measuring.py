"""What recordings of each platform really are, measured and kept for the parity page.

Container and codecs come from decoding our copies; an object's key counts as parsed when it led to a meeting and to
a file that we could read. The word error rate needs a meeting in which a known speech was played:
``manage.py measure_speech``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from meetings.models import Meeting
from platforms import registry
from platforms.work import Work
from recordings.finding import PROCESSED_KINDS
from recordings.models import Recording, TranscriptSegment
from rooms.models import Validation

#: how far back recordings are looked at, and how many at most
SINCE = timedelta(days=30)
MOST = 200
#: what the pipeline was built for
CONTAINER, AUDIO_CODEC = "mp4", "aac"
#: a transcript of the planted speech may be this wrong
WORST_WORD_ERROR_RATE = 0.25

Point = Validation.Point


def measure(now: datetime) -> None:
    """Write down what changed since the last time. Idempotent."""
    for platform, _ in registry.platform_choices():
        lately = Recording.objects.filter(platform=platform, found_at__gte=now - SINCE).order_by("-found_at")
        if fetched := list(lately.exclude(file_key="")[:MOST]):
            _write(platform, Point.CONTAINER, *_containers(fetched), now=now)
        # what ran out of tries led nowhere; what is left at the provider or has to go was never to lead anywhere
        tried = lately.filter(status__in=[Work.Status.DONE, Work.Status.QUARANTINED], kind__in=PROCESSED_KINDS)
        if keyed := list(tried.exclude(provider_key="").filter(delete_wanted_at=None)[:MOST]):
            _write(platform, Point.KEYS, *_keys(keyed), now=now)


def _containers(recordings: Sequence[Recording]) -> tuple[bool, dict[str, Any]]:
    probes = [recording.probe for recording in recordings]
    as_built_for = all(
        CONTAINER in str(probe.get("container", "")).split(",")
        and (not probe.get("has_audio") or probe.get("audio_codec") == AUDIO_CODEC)
        for probe in probes
    )
    return as_built_for, {
        "recordings": len(probes),
        "container": _counted(str(probe.get("container") or "none") for probe in probes),
        "video": _counted(str(probe.get("video_codec") or "none") for probe in probes),
        "sound": _counted(str(probe.get("audio_codec") or "none") for probe in probes),
    }


def _keys(recordings: Sequence[Recording]) -> tuple[bool, dict[str, Any]]:
    meetings = sum(recording.meeting_id is not None for recording in recordings)
    files = sum(bool(recording.file_key) for recording in recordings)
    evidence = {"object keys": len(recordings), "led to a meeting": meetings, "led to a file": files}
    return meetings == files == len(recordings), evidence


def _counted(values: Iterable[str]) -> str:
    """E.g. "h264 (48), none (2)"."""
    return ", ".join(f"{value} ({number})" for value, number in Counter(values).most_common())


def measure_speech(meeting: Meeting, reference: str, *, now: datetime) -> Validation:
    """Compare what was heard in a meeting with the speech that was played in it.

    ``reference`` is that speech as text. Raises ``ValueError`` when there is nothing to compare.
    """
    heard = " ".join(
        TranscriptSegment.objects.filter(transcript__recording__meeting=meeting)
        .order_by("transcript__recording__started_at", "start_ms", "pk")
        .values_list("text", flat=True)
    )
    if not _words(reference):
        raise ValueError("The reference text has no words.")
    if not heard:
        raise ValueError("Nothing was transcribed in this meeting (yet).")
    rate = word_error_rate(reference, heard)
    evidence = {
        "word error rate": f"{rate:.1%}".replace("%", " %"),
        "words": len(_words(reference)),
        "meeting": str(meeting.pk),
    }
    return Validation.objects.create(
        platform=meeting.platform,
        point=Point.SPEECH,
        ok=rate <= WORST_WORD_ERROR_RATE,
        evidence=evidence,
        measured_at=now,
    )


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Substituted, missing and added words, as a share of the reference's words. Case and punctuation do not count."""
    wanted, heard = _words(reference), _words(hypothesis)
    row = list(range(len(heard) + 1))
    for i, word in enumerate(wanted, start=1):
        above, row[0] = row[0], i
        for j, other in enumerate(heard, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != other))
    return row[-1] / max(len(wanted), 1)


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower().replace("\u2019", "'"))


def _write(platform: str, point: str, ok: bool, evidence: dict[str, Any], *, now: datetime) -> None:
    latest = Validation.objects.filter(platform=platform, point=point).order_by("-measured_at", "-pk").first()
    if latest is None or (latest.ok, latest.evidence) != (ok, evidence):
        Validation.objects.create(platform=platform, point=point, ok=ok, evidence=evidence, measured_at=now)
