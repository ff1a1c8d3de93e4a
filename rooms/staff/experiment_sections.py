"""What an experiment's page says: arms, evidence, draws, rooms and log, in a constant number of queries."""

from __future__ import annotations

import json
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from platforms.moments import NOTHING, when
from rooms.experiments.counting import KindResult, Result, quarantined, result, size_in_words, watched_of
from rooms.models import Experiment
from rooms.staff.display import list_at, page_at, page_of, person, platform_badge, status_badge
from rooms.staff.pages import Section, Table
from rooms.words import count_of

STATUS_KINDS = {"draft": "off", "running": "busy", "held": "bad", "ended": "good"}
LATEST_ENTRIES = 100
SHOWN_ROOMS = 20
SHOWN_QUARANTINED = 20
#: below this many, a share says more than there is to know
ENOUGH_FOR_A_SHARE = 10


def experiment_badge(experiment: Experiment) -> SafeString:
    return status_badge(experiment.get_status_display(), STATUS_KINDS[experiment.status])


def sections(experiment: Experiment) -> list[Section]:
    if experiment.status == Experiment.Status.DRAFT:
        return [_what(experiment), _rooms(experiment)]
    found = result(experiment)
    return [
        _what(experiment),
        _arms(experiment, found),
        _evidence(found),
        _lot(experiment, found),
        _rooms(experiment),
        _log(experiment),
    ]


def _what(experiment: Experiment) -> Section:
    facts: list[tuple[str, Any]] = [
        ("State", experiment_badge(experiment)),
        ("Kind", "A/A: one platform against itself, to prove the instrument" if experiment.is_aa else "comparison"),
        ("Arm A, where things are", platform_badge(experiment.platform_a)),
        ("Arm B, what is tried", platform_badge(experiment.platform_b)),
        ("Why", experiment.reason),
        ("The guard watches", ", ".join(kind.label for kind in watched_of(experiment))),
        ("When B does harm", experiment.get_on_harm_display()),
        ("Draws in a block", experiment.block_size),
    ]
    for words, moment in (("Started", experiment.started_at), ("Ended", experiment.ended_at)):
        if moment:
            facts.append((words, when(moment)))
    if experiment.aa_waived and not experiment.is_aa:
        facts.append(("Without an A/A run because", experiment.aa_waived))
    if experiment.held_at and experiment.status == Experiment.Status.HELD:
        facts += [("Held since", when(experiment.held_at)), ("Why it is held", experiment.held_reason)]
    return Section(title="What it is", facts=facts)


def _arms(experiment: Experiment, found: Result) -> Section:
    rows = []
    for kind in found.kinds:
        rows.append([kind.kind.label, _share(kind, "a"), _share(kind, "b"), _still(kind), _left_out(kind)])
    of_draws = {"experiment__id__exact": experiment.pk}
    return Section(
        title="Arms side by side",
        note=f"{size_in_words(found)}.",
        table=Table(
            headers=["Outcome", "A went well", "B went well", "Pending (A, B)", "Does not apply (A, B)"], rows=rows
        ),
        links=[
            list_at("rooms.assignment", "Meetings on A", **of_draws, arm__exact="A"),
            list_at("rooms.assignment", "Meetings on B", **of_draws, arm__exact="B"),
        ],
    )


def _share(kind: KindResult, arm: str) -> str:
    count = kind.a if arm == "a" else kind.b
    words = f"{count.success:,} of {count.decided:,}"
    return words if count.decided < ENOUGH_FOR_A_SHARE else f"{words} ({count.success / count.decided:.1%})"


def _still(kind: KindResult) -> str:
    return f"{kind.a.pending:,}, {kind.b.pending:,}"


def _left_out(kind: KindResult) -> str:
    return f"{kind.a.excluded:,}, {kind.b.excluded:,}"


def _evidence(found: Result) -> Section:
    rows = [
        [
            kind.kind.label,
            _number(kind.e),
            f"{kind.act_at:,.0f}",
            status_badge("harm", "bad") if kind.is_harm else status_badge("no harm shown", "off"),
            f"{kind.in_blocks:,} in {count_of(kind.blocks, 'block')}",
            f"{kind.waiting:,}",
        ]
        for kind in found.kinds
    ]
    note = (
        "E is the evidence that B does worse: 1 says nothing. Where B does no harm, E ever reaches the threshold of an "
        "outcome in at most 5 of 100 experiments, however often one looks. Blocks count in the "
        "order in which they were drawn, each once it and all before it are answered."
    )
    headers = ["Outcome", "E", "Acts at", "Verdict", "Meetings counted", "Wait for their turn"]
    return Section(title="Evidence of harm", note=note, table=Table(headers=headers, rows=rows))


def _number(value: float) -> str:
    """E.g. "0.84", "31.0", "12,345", "more than 1,000,000"."""
    if value > 1_000_000:
        return "more than 1,000,000"
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def _lot(experiment: Experiment, found: Result) -> Section:
    verdict = status_badge("off", "bad") if found.ratio.is_off else status_badge("fine", "good")
    draws: str | SafeString = "Every draw is the one that the lot gives."
    if found.wrong_draws:
        words = f"{count_of(found.wrong_draws, 'draw')} not as the lot gives them: do not trust this comparison."
        draws = format_html("{} {}", status_badge("off", "bad"), words)
    rows = [
        [
            when(one.assigned_at),
            page_of(one.room),
            one.arm,
            page_at("meetings.meeting", one.meeting_id, "its meeting"),
            one.quarantined,
        ]
        for one in quarantined(experiment)[:SHOWN_QUARANTINED]
    ]
    return Section(
        title="Is the lot fair?",
        facts=[("Sample ratio", format_html("{} {}", verdict, found.ratio.words)), ("Draws", draws)],
        note="Meetings that were not served where they were drawn are in quarantine: they count for neither arm.",
        table=Table(
            headers=["Drawn", "Room", "Arm", "Meeting", "Why it does not count"],
            rows=rows,
            empty="No meeting is in quarantine.",
        ),
    )


def _rooms(experiment: Experiment) -> Section:
    total = experiment.rooms.count()
    rows = [
        [
            page_of(room),
            platform_badge(room.platform),
            status_badge("archived", "off") if room.archived_at else "in use",
        ]
        for room in experiment.rooms.order_by("name", "pk")[:SHOWN_ROOMS]
    ]
    more = f"The first {SHOWN_ROOMS} of {count_of(total, 'room')}." if total > SHOWN_ROOMS else ""
    table = Table(headers=["Room", "Set to", "State"], rows=rows, empty="No room takes part.")
    return Section(title=f"Rooms that take part ({total:,})", note=more, table=table)


def _log(experiment: Experiment) -> Section:
    rows = []
    for entry in experiment.entries.select_related("actor")[:LATEST_ENTRIES]:
        who = "guard" if entry.what == "guard" else person(entry.actor) if entry.actor else "command line"
        numbers = format_html("<code>{}</code>", json.dumps(entry.numbers)) if entry.numbers else NOTHING
        rows.append([when(entry.at), who, entry.words, numbers])
    table = Table(headers=["When", "Who", "What", "Numbers"], rows=rows, empty="Nothing has happened yet.")
    return Section(title="Log", table=table)
