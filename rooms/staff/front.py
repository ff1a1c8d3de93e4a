"""The admin's front page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from platforms import registry
from platforms.base import Adapter, Finding
from platforms.health import sweeper_beats
from platforms.models import Alert
from platforms.moments import NOTHING, ago, when
from platforms.work import Work, kinds
from rooms import switching
from rooms.models import Experiment, Move
from rooms.planning import Standing
from rooms.readiness import blockers_among, forgotten_since
from rooms.staff.alerts import severity_badge
from rooms.staff.display import link, list_at, page_at, page_of, platform_badge, status_badge
from rooms.staff.fleet import Line, Tally, lines, tally
from rooms.staff.fleet_bar import bar
from rooms.staff.live import live_now
from rooms.staff.pages import Section, Table
from rooms.staff.platform_pages import evidence
from rooms.staff.wave_sections import wave_badge
from rooms.waves.timeline import running
from rooms.words import count_of, label_of

MOST_LIVE = 20
LATEST_MOVES = 8
MOST_LINES = 10
MOST_ALERTS = 10


def sections(request: HttpRequest) -> list[Section]:
    """What staff want to know first: what is wrong, what is under way, where rooms are. At most ten queries."""
    user, now = request.user, timezone.now()

    def may(model: str) -> bool:
        return any(user.has_perm(f"{model.split('.')[0]}.{verb}_{model.split('.')[1]}") for verb in ("view", "change"))

    shown: list[Section] = []
    if not (may("rooms.room") or may("platforms.alert")):
        return shown
    counts = tally(now)
    if may("platforms.alert"):
        shown.append(_alerts(counts, now))
    if not may("rooms.room"):
        return shown
    standing = Standing.at(now)
    listed = lines(moves=LATEST_MOVES, each=MOST_LINES)
    shown.append(_under_way(listed, standing, now, may))
    shown.append(_fleet(counts, standing, now))
    shown.append(_live(counts))
    shown.append(_stuck(counts, may))
    shown.append(_pins(listed["pin"], counts))
    if may("rooms.move"):
        shown.append(_moves(listed["move"]))
    return shown


# -- alerts


def _alerts(counts: Tally, now: datetime) -> Section:
    open_ones = Alert.objects.filter(settled_at__isnull=True).order_by("severity", "-opened_at")[:MOST_ALERTS]
    rows = [
        [
            severity_badge(one),
            format_html("{}<br>{}", page_of(one), one.words),
            evidence(one.evidence),
            _inverse(one),
            when(one.opened_at),
        ]
        for one in open_ones
    ]
    if not counts.get(("sweepers", "")):
        # who raises alerts is silent, so this page says it
        rows.insert(0, [severity_badge(Alert(severity=Alert.Severity.CRITICAL)), *_nobody_sweeps(sweeper_beats(now))])
    total = sum(number for (what, _), number in counts.items() if what == "alerts")
    more = f"The first {len(rows)} of {total:,}." if total > len(rows) else ""
    return Section(
        title="Alerts",
        note=more,
        table=Table(
            headers=["Severity", "What is wrong", "Evidence", "What to do", "Since"],
            rows=rows,
            empty="Nothing is wrong, as far as we can see.",
        ),
        links=[list_at("platforms.alert", "All alerts, past ones too")],
    )


def _nobody_sweeps(sweeper: Finding) -> list[Any]:
    what = format_html(
        "{}<br>{}",
        f"{sweeper.what[:1].upper()}{sweeper.what[1:]}.",
        "No alert, check, wave or scheduled move is worked on meanwhile, and what this page says may be old.",
    )
    return [what, NOTHING, sweeper.fix, NOTHING]


def _inverse(one: Alert) -> str | SafeString:
    if not one.inverse_url.startswith(("/", "https://", "http://")):
        return one.inverse
    return format_html("{}<br>{}", one.inverse, link(one.inverse_url, f"Go there: {one.title}"))


# -- what is under way


def _under_way(listed: Mapping[str, Sequence[Line]], standing: Standing, now: datetime, may: Any) -> Section:
    rows: list[list[Any]] = []
    if may("rooms.wave"):
        for wave, step in running(now, standing):
            comes = f"{step.next[:1].upper()}{step.next[1:]}" if step.next else NOTHING
            what = format_html("Wave {} to {}", page_of(wave), platform_badge(wave.platform))
            where = format_html("{}<br>{}", wave_badge(wave), step.where)
            rows.append([what, where, comes, when(step.at), _waits(step.waits)])
    if may("rooms.experiment"):
        rows += [_experiment(line) for line in listed["experiment"]]
    if may("rooms.moveorder"):
        rows += [_order(line, now) for line in listed["order"]]
    return Section(
        title="Under way and to come",
        table=Table(
            headers=["What", "Where it is", "Comes next", "Not before", "Waits for"],
            rows=rows,
            empty="No wave, no experiment and no move is under way.",
        ),
        links=[
            list_at("rooms.wave", "All waves"),
            list_at("rooms.experiment", "All experiments"),
            list_at("rooms.moveorder", "All scheduled and large moves"),
        ],
    )


def _waits(waits: Sequence[str]) -> str | SafeString:
    return format_html_join("", "<p>{}</p>", ((wait,) for wait in waits)) if waits else "nothing"


def _experiment(line: Line) -> list[Any]:
    held = line.how == Experiment.Status.HELD
    arms = format_html("{} against {}", platform_badge(line.from_platform), platform_badge(line.to_platform))
    state = status_badge("held", "bad") if held else status_badge("running", "busy")
    return [
        format_html("Experiment {}<br>{}", page_at("rooms.experiment", line.pk, line.name), arms),
        format_html("{}<br>in {} since {}", state, count_of(line.rooms, "room"), when(line.at)),
        "meetings open where their room is set" if held else "each meeting draws its platform",
        NOTHING,
        f"somebody to go on or end it ({line.words.rstrip('.')})" if held else "nothing",
    ]


def _order(line: Line, now: datetime) -> list[Any]:
    by = f", ordered by {line.who}" if line.who else ""
    is_to_come = line.at is not None and line.at > now
    state = status_badge("to come", "off") if is_to_come else status_badge("in progress", "busy")
    return [
        format_html("{} to {}", page_at("rooms.moveorder", line.pk, "Move"), platform_badge(line.to_platform)),
        format_html("{}<br>{}{}", state, line.words, by),
        f"{count_of(line.rooms, 'room')} to {label_of(line.to_platform)}",
        when(line.at),
        "its time" if is_to_come else "a free worker",
    ]


# -- where rooms are


def _fleet(counts: Tally, standing: Standing, now: datetime) -> Section:
    rows = []
    for slug, adapter in registry.adapters().items():
        in_use, live = counts.get(("rooms", slug), 0), counts.get(("live", slug), 0)
        rows.append(
            [
                platform_badge(slug),
                list_at("rooms.room", count_of(in_use, "room"), platform__exact=slug),
                list_at(
                    "meetings.meeting",
                    count_of(live, "meeting"),
                    platform__exact=slug,
                    status__in="opening,open",
                )
                or live,
                _new_meetings(standing, slug),
                link(reverse("platform-readiness", args=[slug]), _ready(adapter, standing, now)),
                link(
                    reverse("platform-health", args=[slug]),
                    format_html('Health<span class="visually-hidden"> of {}</span>', adapter.label),
                ),
            ]
        )
    archived = counts.get(("archived", ""), 0)
    return Section(
        title="Fleet",
        template="admin/rooms/fleet.html",
        extra={"bar": bar(counts)},
        table=Table(
            headers=["Platform", "In use", "Live now", "New meetings", "Rooms may be moved there", "How it does"],
            rows=rows,
        ),
        links=[
            list_at("rooms.room", "All rooms in use"),
            list_at("rooms.room", f"{count_of(archived, 'archived room')}", archived="yes"),
            list_at("rooms.platformswitch", "Uses of the kill switch"),
        ],
    )


def _new_meetings(standing: Standing, slug: str) -> SafeString:
    switch = standing.closed.get(slug)
    if switch is None:
        return status_badge("open", "good")
    words = switching.in_words(switch)
    badge = status_badge("closed", "bad")
    return format_html("{}<br>{}", page_of(switch, badge), f"{words[:1].upper()}{words[1:]}")


def _ready(adapter: Adapter, standing: Standing, now: datetime) -> SafeString:
    """In a word, what ``refusal_of_all`` comes to, the kill switch aside."""
    results = standing.results.get(adapter.slug, ())
    if not adapter.configured:
        return status_badge("no: not configured", "off")
    if not results:
        return status_badge("yes: never checked", "busy")
    if stopping := blockers_among(results, standing.waived, now=now):
        return status_badge(f"no: {count_of(len(stopping), 'failed check')}", "bad")
    if since := forgotten_since(results, now):
        return status_badge(f"yes: last checked {ago(since)}", "busy")
    unproven = sum(row.status == row.Status.UNPROVEN for row in results)
    if any(row.status == row.Status.FAILED for row in results):
        return status_badge("yes: what fails is waived or stops no moves", "busy")
    return status_badge(f"yes: {unproven} unproven" if unproven else "yes: all checks ok", "good")


# -- lists


def _live(counts: Tally) -> Section:
    rows = [
        [
            page_at("rooms.room", room_id, name),
            meeting.badge,
            meeting.people_in_words,
            page_at("meetings.meeting", meeting.id, when(meeting.created_at)),
        ]
        for room_id, name, meeting in live_now(MOST_LIVE)
    ]
    total = sum(number for (what, _), number in counts.items() if what == "live")
    return Section(
        title="Live now",
        note=f"The first {len(rows)} of {total:,} meetings." if total > len(rows) else "",
        table=Table(headers=["Room", "On", "Inside", "Since"], rows=rows, empty="Nobody is meeting now."),
        links=[list_at("rooms.room", "All rooms with a live meeting", live="yes")],
    )


def _stuck(counts: Tally, may: Any) -> Section:
    """Work that ran out of tries, by kind, with a link to the rows."""
    rows = []
    for model in kinds():
        label = model._meta.label_lower
        count = counts.get(("stuck", label), 0)
        if count and may(label):
            name = str(model._meta.verbose_name if count == 1 else model._meta.verbose_name_plural)
            shown = list_at(label, name, status__exact=Work.Status.QUARANTINED.value)
            rows.append([status_badge(f"{count:,}", "bad"), shown or name])
    table = Table(headers=["How many", "What"], rows=rows, empty="Nothing is stuck.")
    return Section(title="Stuck work", table=table)


def _pins(pins: Sequence[Line], counts: Tally) -> Section:
    rows = [
        [
            page_at("rooms.room", line.room_id, line.name),
            platform_badge(line.to_platform),
            line.words,
            line.who or NOTHING,
            when(line.at),
        ]
        for line in pins
    ]
    endless, total = counts.get(("pinned without end", ""), 0), counts.get(("pinned", ""), 0)
    return Section(
        title="Pinned without an end",
        note=f"The longest {len(rows)} of {endless:,}." if endless > len(rows) else "",
        table=Table(
            headers=["Room", "To", "Why", "Who", "Since"], rows=rows, empty="Every pin has an end: nothing to review."
        ),
        links=[list_at("rooms.room", f"All {count_of(total, 'pinned room')}", pinned="yes") if total else ""],
    )


def _moves(moves: Sequence[Line]) -> Section:
    sources = dict(Move.Source.choices)
    rows = [
        [
            page_at("rooms.room", line.room_id, line.name),
            platform_badge(line.to_platform),
            page_at("rooms.move", line.pk, when(line.at)),
            line.who or sources[line.how],
            line.words,
        ]
        for line in moves
    ]
    table = Table(headers=["Room", "To", "When", "Who", "Why"], rows=rows, empty="No room was moved yet.")
    return Section(title="Latest moves", table=table, links=[list_at("rooms.move", "All moves")])
