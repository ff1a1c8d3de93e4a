"""The parity page's numbers: a handful of queries over ``Outcome``, whatever the number of meetings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import Count as Number
from django.db.models import Max, QuerySet
from django.db.models.functions import TruncWeek
from django.utils import timezone

from rooms.models import Assignment, Experiment, ExperimentEntry, Outcome, Validation
from rooms.parity.intervals import Count

#: of each platform's exclusions, so many reasons are named
MOST_REASONS = 5
#: values are cut into so many parts of equal size, whose ends are read: 10 of 20 is the median, 19 the 95th percentile
PARTS, MEDIAN, P95 = 20, 10, 19
#: times are taken from so many of the newest answers of a side
MOST_TIMED = 10_000
DECIDED = (Outcome.Status.SUCCESS, Outcome.Status.FAILURE)


@dataclass(frozen=True)
class Side:
    """One column of the comparison: a platform, or an arm of an experiment."""

    key: str  #: platform slug, or "A" or "B"
    label: str
    platform: str
    experiment: Experiment | None = None

    def outcomes(self, since: datetime, until: datetime) -> QuerySet[Outcome]:
        rows = Outcome.objects.filter(met_at__gte=since, met_at__lt=until, platform=self.platform)
        if self.experiment is None:
            return rows
        drawn = Assignment.objects.filter(experiment=self.experiment, arm=self.key, quarantined="")
        return rows.filter(meeting_id__in=drawn.values("meeting_id"))


@dataclass
class Cell:
    """One outcome on one side."""

    success: int = 0
    failure: int = 0
    pending: int = 0
    excluded: int = 0
    median: float | None = None  #: seconds, where the outcome has a value
    p95: float | None = None
    reasons: list[tuple[str, int]] = field(default_factory=list)  #: why meetings do not count, most frequent first

    @property
    def count(self) -> Count:
        return Count(self.success, self.success + self.failure)


@dataclass(frozen=True)
class Week:
    begins: datetime
    count: Count


@dataclass(frozen=True)
class Figures:
    """Everything about one side, by kind."""

    cells: dict[str, Cell]
    weeks: dict[str, list[Week]]  #: weeks with decided meetings, oldest first


def figures(side: Side, since: datetime, until: datetime) -> Figures:
    """Three queries."""
    rows = side.outcomes(since, until).filter(kind__in=Outcome.Kind.values)
    cells = {kind: Cell() for kind in Outcome.Kind.values}
    decided: dict[str, dict[datetime, dict[str, int]]] = {kind: {} for kind in Outcome.Kind.values}
    counts = _by_week(rows) if side.experiment else _of_platform_by_week(side.platform, since, until)
    for kind, status, week, number in counts:
        setattr(cells[kind], status, getattr(cells[kind], status) + number)
        if status in DECIDED:
            decided[kind].setdefault(week, {})[status] = number
    excluded = rows.filter(status=Outcome.Status.EXCLUDED).order_by().values_list("kind", "words")
    for kind, words, number in excluded.annotate(n=Number("*")).order_by("-n", "words"):
        if len(cells[kind].reasons) < MOST_REASONS:
            cells[kind].reasons.append((words or "no reason given", number))
    for kind, part, value in _ends_of_parts(side.outcomes(since, until)):
        if kind in cells:
            setattr(cells[kind], "median" if part == MEDIAN else "p95", value)
    weeks = {kind: [_week(begins, by_week[begins]) for begins in sorted(by_week)] for kind, by_week in decided.items()}
    return Figures(cells, weeks)


def _by_week(rows: QuerySet[Outcome]) -> Iterable[tuple[str, str, datetime, int]]:
    """(kind, status, beginning of the week, how many)."""
    counts = rows.order_by().annotate(week=TruncWeek("met_at")).values_list("kind", "status", "week")
    return counts.annotate(n=Number("*"))


def _of_platform_by_week(platform: str, since: datetime, until: datetime) -> Iterable[tuple[str, str, datetime, int]]:
    """The same of everything on a platform, week by week: an index alone counts each, where grouping would sort a
    million rows. The ORM has no words for it."""
    weeks = _weeks(since, until)
    bounds = [max(since, week) for week in weeks] + [until]
    ranges = [
        (number, *(connection.ops.adapt_datetimefield_value(at.astimezone(UTC)) for at in bounds[number : number + 2]))
        for number in range(len(weeks))
    ]
    table = connection.ops.quote_name(Outcome._meta.db_table)
    # nothing but question marks and the table's name is put into it
    query = f"""
        WITH weeks (number, begins, ends) AS (VALUES {_places(ranges)}),
             kinds (kind) AS (VALUES {_places(kinds := [(kind,) for kind in Outcome.Kind.values])}),
             statuses (status) AS (VALUES {_places(statuses := [(status,) for status in Outcome.Status.values])})
        SELECT kinds.kind, statuses.status, weeks.number, (
            SELECT COUNT(*) FROM {table} AS o
            WHERE o.platform = %s AND o.kind = kinds.kind AND o.status = statuses.status
                AND o.met_at >= weeks.begins AND o.met_at < weeks.ends
        ) FROM weeks, kinds, statuses
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(query, [*chain(*ranges, *kinds, *statuses), platform])
        return [(kind, status, weeks[number], n) for kind, status, number, n in cursor.fetchall() if n]


def _places(rows: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"({', '.join(['%s'] * len(row))})" for row in rows)


def _weeks(since: datetime, until: datetime) -> list[datetime]:
    """When each week begins that has a part of this time; weeks are those of whoever looks, as ``TruncWeek``'s are."""
    local = timezone.localtime(since)
    monday = datetime.combine(local.date() - timedelta(days=local.weekday()), time.min)
    weeks = []
    while (begins := timezone.make_aware(monday)) < until:
        weeks.append(begins)
        monday += timedelta(weeks=1)
    return weeks


def _week(begins: datetime, decided: dict[str, int]) -> Week:
    return Week(begins, Count(decided.get(Outcome.Status.SUCCESS, 0), sum(decided.values())))


def _ends_of_parts(rows: QuerySet[Outcome]) -> Iterable[tuple[str, int, float]]:
    """(kind, ``MEDIAN`` or ``P95``, value) of the newest. A window over a filtered set: the ORM has no words for it."""
    timed = rows.filter(value__isnull=False, status__in=DECIDED).order_by("-met_at", "-pk")[:MOST_TIMED]
    # `sql` comes from the ORM with its own parameters; nothing of ours is put into it
    sql, parameters = timed.values("kind", "value").query.sql_with_params()
    query = f"""
        SELECT kind, part, MAX(value) FROM (
            SELECT kind, value, NTILE({PARTS}) OVER (PARTITION BY kind ORDER BY value) AS part FROM ({sql}) AS chosen
        ) AS parts WHERE part IN ({MEDIAN}, {P95}) GROUP BY kind, part
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return [(kind, part, float(value)) for kind, part, value in cursor.fetchall()]


def harms(experiment: Experiment) -> dict[str, str]:
    """Kind → the guard's evidence in words, where its e-process found harm that nobody has looked into since."""
    acts = ExperimentEntry.objects.filter(experiment=experiment, what="guard").order_by("at", "pk")
    if experiment.guarded_from is not None:
        acts = acts.filter(at__gte=experiment.guarded_from)
    return {
        outcome["outcome"]: f"Harm: evidence of {outcome['e']:,} where {outcome['acts_at']:,.0f} is enough to act."
        for act in acts
        for outcome in act.numbers.get("outcomes", ())
    }


def validations() -> dict[tuple[str, str], Validation]:
    """(platform, point) → its latest measurement. One query, as many rows as there are points."""
    found: dict[tuple[str, str], Any] = {}
    latest = Validation.objects.order_by("platform", "point", "measured_at", "pk")
    for row in latest.filter(pk__in=_latest_of_each()):
        found[(row.platform, row.point)] = row
    return found


def _latest_of_each() -> QuerySet[Validation, Any]:
    return Validation.objects.order_by().values("platform", "point").annotate(last=Max("pk")).values("last")
