"""What a wave's page says: where it is, its steps, shares, rooms and log. A constant number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from platforms.moments import NOTHING, exact, when
from rooms.models import Wave, WaveEntry, WaveRoom
from rooms.staff.display import list_at, numbered, person, platform_badge, status_badge
from rooms.staff.pages import Section, Table
from rooms.staff.ramp import Point, ramp
from rooms.waves import commands
from rooms.waves.blackouts import DAYS
from rooms.waves.changes import percent
from rooms.waves.choosing import chosen, in_words
from rooms.waves.reading import Numbers, meetings_by_platform, reach_of, read
from rooms.waves.timeline import NextStep, next_step, planned
from rooms.words import count_of, label_of, minute_of

STATUS_KINDS = {"draft": "off", "running": "busy", "held": "bad", "rolled_back": "off", "completed": "good"}
ROOM_KINDS = {"waiting": "off", "moved": "good", "there": "good", "left": "bad", "returned": "busy"}
LATEST_ENTRIES = 100
#: numbers of an entry that other columns or its words say already
NOT_SHOWN = frozenset({"by", "step", "trip_after"})
#: entries that only people or the guard make; the others are made by ticks
BY_PEOPLE = frozenset({"started", "held", "resumed", "shrunk", "rolled_back"})


def wave_badge(wave: Wave) -> SafeString:
    return status_badge(wave.get_status_display(), STATUS_KINDS[wave.status])


def sections(wave: Wave, now: datetime) -> list[Section]:
    reading = read(wave, now)
    entries = list(wave.entries.select_related("actor")[:LATEST_ENTRIES])
    coming = planned(wave, reading.state, now)
    shown = [_where(wave, next_step(wave, now, reading)), _steps(wave, entries, coming, now)]
    if wave.status != Wave.Status.DRAFT:
        shown += [_shares(wave, reading.numbers, now), _rooms(wave, reading.numbers)]
    return [*shown, _settings(wave, now), _log(entries)]


def _where(wave: Wave, step: NextStep) -> Section:
    facts: list[tuple[str, Any]] = [
        ("State", wave_badge(wave)),
        ("Where it is", step.where),
        ("Comes next", f"{step.next[:1].upper()}{step.next[1:]}" if step.next else NOTHING),
        ("Not before", when(step.at)),
        ("Waits for", format_html_join("", "<p>{}</p>", ((wait,) for wait in step.waits)) if step.waits else "nothing"),
        ("Moves rooms to", platform_badge(wave.platform)),
        ("Why", wave.reason),
    ]
    return Section(title="Where it is", facts=facts)


def _steps(wave: Wave, entries: Sequence[WaveEntry], coming: Sequence[Point], now: datetime) -> Section:
    counts = _rooms_within(wave)
    taken = {entry.numbers.get("step"): entry.at for entry in reversed(entries) if entry.what == "step"}
    first_to_come = wave.step + 1
    rows = []
    for number, step in enumerate(wave.steps):
        if number <= wave.step:
            is_current = number == wave.step and wave.status not in (Wave.Status.COMPLETED,)
            state = status_badge("now", "busy") if is_current else status_badge("done", "good")
            at = when(taken.get(number))
        else:
            state = status_badge("to come", "off")
            ahead = number - first_to_come
            at = format_html("not before {}", when(coming[ahead][0])) if ahead < len(coming) else NOTHING
        rows.append(
            [
                number + 1,
                percent(reach_of(step)).replace(" ", "\xa0"),
                counts[number] if counts else NOTHING,
                dwell_in_words(step["dwell_minutes"]),
                step["min_meetings"] or "none",
                state,
                at,
            ]
        )
    return Section(
        title="Steps",
        note=f"Times are in {readers_zone(now)}. A step stays until its time is over and its meetings were judged.",
        template="admin/rooms/wave/_ramp.html",
        extra={"ramp": ramp(_past(wave, entries), coming, now)},
        table=Table(
            headers=["Step", "Up to", "Rooms", "Stays for at least", "Meetings needed", "State", "When"], rows=rows
        ),
    )


def installation_zone(now: datetime) -> str:
    """Blackout hours are in this zone, whatever zone their reader chose."""
    return str(timezone.localtime(now, timezone.get_default_timezone()).tzname())


def readers_zone(now: datetime) -> str:
    return str(timezone.localtime(now).tzname())


def _rooms_within(wave: Wave) -> list[int]:
    """Rooms of each step and those before it; empty for a draft, which has none yet."""
    if wave.status == Wave.Status.DRAFT:
        return []
    steps = {f"step_{n}": Count("pk", filter=Q(bucket__lt=reach_of(step))) for n, step in enumerate(wave.steps)}
    return list(wave.rooms.aggregate(**steps).values())


def _past(wave: Wave, entries: Sequence[WaveEntry]) -> list[Point]:
    if wave.started_at is None:
        return []
    points = [(wave.started_at, 0)]
    for entry in reversed(entries):
        if entry.what in ("step", "shrunk"):
            points.append((entry.at, round(entry.numbers.get("percent", 0) * 100)))
        elif entry.what == "rolled_back":
            points.append((entry.at, 0))
    return points


def _shares(wave: Wave, numbers: Numbers, now: datetime) -> Section:
    since = wave.step_started_at or wave.started_at or now
    meetings = meetings_by_platform(wave, since)
    label = label_of(wave.platform)
    facts = [
        ("Nominal share", f"{percent(wave.reached)}: {_of(numbers.within, numbers.total, 'room')}"),
        (f"Rooms that are on {label} now", _of(numbers.on_target, numbers.total, "room")),
        (
            f"Meetings on {label} since {minute_of(since, now=now)}",
            _of(meetings.get(wave.platform, 0), sum(meetings.values()), "meeting"),
        ),
    ]
    return Section(title="Shares", facts=facts)


def _of(part: int, whole: int, what: str) -> str:
    """E.g. "12 of 50 rooms (24 %)"."""
    share = f" ({100 * part / whole:.1f} %)" if whole else ""
    return f"{part:,} of {count_of(whole, what)}{share}"


def _rooms(wave: Wave, numbers: Numbers) -> Section:
    rows = [
        [
            status_badge(state.label, ROOM_KINDS[state.value] if getattr(numbers, state.value) else "off"),
            list_at(
                "rooms.waveroom",
                format_html(
                    '{}<span class="visually-hidden"> {}</span>',
                    count_of(getattr(numbers, state.value), "room"),
                    state.label,
                ),
                wave__id__exact=wave.pk,
                state__exact=state.value,
            ),
        ]
        for state in WaveRoom.State
    ]
    return Section(
        title="Rooms",
        table=Table(headers=["What became of them", "How many"], rows=rows),
        links=[
            list_at("rooms.waveroom", "All rooms of this wave", wave__id__exact=wave.pk),
            list_at("rooms.move", "All moves of this wave", wave__id__exact=wave.pk),
        ],
    )


def _settings(wave: Wave, now: datetime) -> Section:
    facts: list[tuple[str, Any]] = [("Which rooms", in_words(wave.selection))]
    if wave.status == Wave.Status.DRAFT:
        rooms = chosen(wave.selection, now=now)
        to_move = rooms.exclude(platform=wave.platform).count()
        facts.append(
            ("As things are", f"{count_of(to_move, 'room')} to move, {rooms.count() - to_move:,} there already")
        )
    facts += [
        ("Blackout hours", _blackouts(wave, now)),
        ("Checks that must pass", ", ".join(["all blocking ones", *wave.required_checks])),
        ("The guard", f"after {count_of(wave.trip_after, 'failure')} in a row: {wave.get_on_trip_display()}"),
        ("Made by", person(wave.created_by)),
        ("Made", when(wave.created_at)),
    ]
    return Section(title="Settings", facts=facts)


def _blackouts(wave: Wave, now: datetime) -> str:
    """E.g. "Monday, Tuesday 08:00–18:00 UTC"."""
    rows = [f"{', '.join(DAYS[day] for day in row['days'])} {row['from']}–{row['to']}" for row in wave.blackouts]
    return f"{'; '.join(rows)} {installation_zone(now)}" if rows else "none"


def _log(entries: Sequence[WaveEntry]) -> Section:
    rows = [[when(entry.at), who(entry), entry.words, _numbers(entry)] for entry in entries]
    return Section(
        title="Log", table=Table(headers=["When", "Who", "What", "Numbers"], rows=rows, empty="Nothing happened yet.")
    )


def who(entry: WaveEntry) -> str:
    if entry.numbers.get("by") == "guard":
        return "guard"
    if entry.actor is not None:
        return person(entry.actor)
    match entry.numbers.get("by"):
        case commands.COMMAND_LINE:
            return "command line"
        case commands.SOMEBODY:
            return "somebody whose account is gone"
    # written before entries said so
    return "command line" if entry.what in BY_PEOPLE else "the wave itself"


def _numbers(entry: WaveEntry) -> str | SafeString:
    """Plain values, and links to the meetings that made the guard act."""
    shown: list[str | SafeString] = []
    for name, value in entry.numbers.items():
        words = name.replace("_", " ")
        if name in NOT_SHOWN:
            continue
        if name == "meetings" and isinstance(value, list):
            shown.append(format_html("{} {}", words, numbered("meetings.meeting", value)))
        elif isinstance(value, int | float):
            shown.append(f"{words} {value:g}")
        elif isinstance(value, str):
            shown.append(f"{words} {_plain(value)}")
    return format_html_join(", ", "{}", ((part,) for part in shown))


def _plain(value: str) -> str:
    try:
        return exact(datetime.fromisoformat(value))
    except ValueError:
        return value


def dwell_in_words(minutes: int) -> str:
    """E.g. "1 day", "36 hours", "90 minutes", "no time"."""
    for unit, size in (("day", 24 * 60), ("hour", 60), ("minute", 1)):
        if minutes and minutes % size == 0:
            return count_of(minutes // size, unit)
    return "no time"
