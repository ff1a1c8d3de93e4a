"""The parity page: platforms side by side, what may be concluded, and the rows behind each number."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from platforms import registry
from platforms.moments import NOTHING, exact, when
from rooms.models import Assignment, Experiment, Outcome, Room, Validation
from rooms.parity import charts, figures
from rooms.parity.checklist import features
from rooms.parity.figures import Cell, Side, Week
from rooms.parity.intervals import FEWEST, Count, difference, percent, wilson
from rooms.parity.verdicts import Verdict, verdict
from rooms.staff.display import length, list_at, page_at, page_of, platform_badge, status_badge
from rooms.staff.pages import ReadOnlyAdmin, Section, Table
from rooms.words import label_of

DAYS = (7, 30, 90, 365)
VERDICT_BADGES = {
    "pass": ("pass", "good"),
    "harm": ("harm", "bad"),
    "inconclusive": ("inconclusive", "busy"),
    "too few": ("not enough data", "off"),
    "not comparable": ("no verdict", "off"),
}


class ParityForm(forms.Form):
    """What is compared: all meetings of two platforms, or those of an experiment, in the last so many days."""

    experiment = forms.ModelChoiceField(
        Experiment.objects.exclude(status=Experiment.Status.DRAFT), required=False, empty_label="all meetings"
    )
    old = forms.ChoiceField(label="left", required=False)
    new = forms.ChoiceField(label="right", required=False)
    days = forms.TypedChoiceField(choices=[(d, f"{d} days") for d in DAYS], coerce=int, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("old", "new"):
            self.fields[name].choices = registry.platform_choices()  # type: ignore[attr-defined]


@dataclass
class Row:
    """One outcome, both sides."""

    kind: Outcome.Kind
    old: Cell
    new: Cell
    verdict: Verdict


@dataclass
class Comparison:
    old: Side
    new: Side
    since: datetime
    until: datetime
    rows: list[Row]
    weeks: tuple[dict[str, list[Week]], dict[str, list[Week]]]  #: of the old and the new side

    @property
    def experiment(self) -> Experiment | None:
        return self.old.experiment


def chosen(form: ParityForm) -> tuple[Side, Side, int]:
    """The two columns and the number of days; whatever is not said or wrong falls back to the usual."""
    form.is_valid()
    said = form.cleaned_data if hasattr(form, "cleaned_data") else {}
    days = said.get("days") or 30
    experiment = said.get("experiment")
    if experiment is not None:
        pair = (("A", experiment.platform_a), ("B", experiment.platform_b))
        left, right = (Side(arm, f"{arm}: {label_of(slug)}", slug, experiment) for arm, slug in pair)
        return left, right, days
    slugs = [slug for slug, _ in registry.platform_choices()]
    old = said.get("old") or slugs[0]
    new = said.get("new") or next((slug for slug in slugs if slug != old), old)
    return Side(old, label_of(old), old), Side(new, label_of(new), new), days


def compare(old: Side, new: Side, *, since: datetime, until: datetime) -> Comparison:
    old_figures, new_figures = figures.figures(old, since, until), figures.figures(new, since, until)
    left, right = old_figures.cells, new_figures.cells
    harms = figures.harms(old.experiment) if old.experiment is not None else {}
    rows = [
        Row(
            kind=kind,
            old=left[kind.value],
            new=right[kind.value],
            verdict=verdict(
                left[kind.value].count,
                right[kind.value].count,
                drawn=old.experiment is not None,
                harm=harms.get(kind.value, ""),
            ),
        )
        for kind in Outcome.Kind
    ]
    weeks = (old_figures.weeks, new_figures.weeks)
    return Comparison(old=old, new=new, since=since, until=until, rows=rows, weeks=weeks)


# -- the page


def parity_page(model_admin: OutcomeAdmin, request: HttpRequest) -> HttpResponse:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    form = ParityForm(request.GET or None)
    old, new, days = chosen(form)
    until = timezone.now()
    comparison = compare(old, new, since=until - timedelta(days=days), until=until)
    if request.GET.get("format") == "csv":
        return as_csv(comparison)
    shown = ParityForm(initial={"experiment": old.experiment, "old": old.platform, "new": new.platform, "days": days})
    query = request.GET.copy()
    query["format"] = "csv"
    return TemplateResponse(
        request,
        "admin/rooms/parity.html",
        {
            **model_admin.admin_site.each_context(request),
            "title": "Parity of platforms",
            "opts": model_admin.opts,
            "form": shown,
            "csv": query.urlencode(),
            "sections": [
                _side_by_side(comparison),
                _trends(comparison),
                _values(comparison),
                _exclusions(comparison),
                _checklist(),
                _validations(),
            ],
        },
    )


def _side_by_side(comparison: Comparison) -> Section:
    old, new = comparison.old, comparison.new
    rows = [
        [
            row.kind.label.capitalize(),
            _cell(row.old, row.kind, old, comparison),
            _cell(row.new, row.kind, new, comparison),
            _difference(row.old.count, row.new.count, drawn=comparison.experiment is not None),
            _verdict(row.verdict),
        ]
        for row in comparison.rows
    ]
    if all(not row.old.count.total and not row.new.count.total for row in comparison.rows):
        note = (
            f"No meeting was decided yet. The first {FEWEST} meetings on each side give a first share; "
            "pending ones are those whose recording or transcript may still come."
        )
    elif comparison.experiment is not None:
        note = format_html("Platforms were drawn for each meeting: {}.", page_of(comparison.experiment))
    else:
        note = (
            "These are all meetings of rooms that were set to a platform. Rooms differ from each other, so a "
            "difference here need not be the platform’s: an experiment, which draws for each meeting, can tell."
        )
    headers = ["Outcome", old.label, new.label, "Difference", "Verdict"]
    return Section(title="Side by side", note=note, table=Table(headers=headers, rows=rows))


def _cell(cell: Cell, kind: Outcome.Kind, side: Side, comparison: Comparison) -> SafeString:
    count = cell.count
    share = f"{percent(count.share)}" if count.total >= FEWEST else "no share yet"
    low, high = wilson(count)
    interval = f"{percent(low)} to {percent(high)}" if count.total >= FEWEST else ""

    def behind(status: str, words: str) -> str | SafeString:
        filters = {"kind__exact": kind.value, "status__exact": status, "met_at__gte": comparison.since.isoformat()}
        if side.experiment is not None:
            filters["drawn"] = f"{side.experiment.pk}-{side.key}"
        return list_at("rooms.outcome", words, platform__exact=side.platform, **filters)

    parts = [
        behind("success", f"{count.successes:,} of {count.total:,}"),
        *([behind("failure", f"{count.failures:,} failed")] if count.failures else []),
        *([behind("pending", f"{cell.pending:,} pending")] if cell.pending else []),
        *([behind("excluded", f"{cell.excluded:,} do not apply")] if cell.excluded else []),
    ]
    return format_html(
        '<strong>{}</strong> <span class="ago">{}</span><br>{}',
        share,
        interval,
        format_html_join(", ", "{}", ((part,) for part in parts)),
    )


def _difference(old: Count, new: Count, *, drawn: bool) -> str:
    """An interval of it only where the platform was drawn: elsewhere it would measure the rooms."""
    if min(old.total, new.total) < FEWEST:
        return NOTHING
    gap = new.share - old.share
    if not drawn:
        return f"{_points(gap)} points"
    low, high = difference(old, new)
    return f"{_points(gap)} points ({_points(low)} to {_points(high)})"


def _points(share: float) -> str:
    return f"{share * 100:+.1f}".replace("-", "−")


def _verdict(found: Verdict) -> SafeString:
    words, kind = VERDICT_BADGES[found.kind]
    return format_html('{}<br><span class="words">{}</span>', status_badge(words, kind), found.words)


def _trends(comparison: Comparison) -> Section:
    sides = (comparison.old, comparison.new)
    plots, rows = [], []
    for kind in Outcome.Kind:
        lines = [(side.label, weeks[kind.value]) for side, weeks in zip(sides, comparison.weeks, strict=True)]
        if plot := charts.trend(kind.label.capitalize(), lines):
            plots.append(plot)
        for label, weeks in lines:
            rows += [
                [f"{week.begins:%Y-%m-%d}", kind.label, label, f"{week.count.successes:,} of {week.count.total:,}"]
                for week in weeks
            ]
    legend = [f"{shape} {side.label}" for shape, side in zip("●■", sides, strict=True)]
    return Section(
        title="By week",
        note="" if plots else "Plots begin with the second week.",
        template="admin/rooms/trends.html",
        extra={"plots": plots, "legend": legend, "rows": rows},
    )


def _values(comparison: Comparison) -> Section:
    rows = [
        [
            row.kind.label.capitalize(),
            *(length(value) for cell in (row.old, row.new) for value in (cell.median, cell.p95)),
        ]
        for row in comparison.rows
        if any(value is not None for cell in (row.old, row.new) for value in (cell.median, cell.p95))
    ]
    headers = ["Time"] + [
        f"{side.label}, {what}" for side in (comparison.old, comparison.new) for what in ("median", "95 %")
    ]
    return Section(
        title="How long it took",
        note=(
            "Half of the meetings took no longer than the median, 95 of 100 no longer than the other; "
            f"of the newest {figures.MOST_TIMED:,} answers on each side."
        ),
        table=Table(headers=headers, rows=rows, empty="Nothing was measured yet."),
    )


def _exclusions(comparison: Comparison) -> Section:
    rows = [
        [row.kind.label.capitalize(), side.label, words, f"{number:,}"]
        for row in comparison.rows
        for side, cell in ((comparison.old, row.old), (comparison.new, row.new))
        for words, number in cell.reasons
    ]
    table = Table(
        headers=["Outcome", "Side", "Why it does not count", "Meetings"], rows=rows, empty="Every meeting counts."
    )
    return Section(title="Left out of the counts", table=table)


def _checklist() -> Section:
    labels = [label for _, label in registry.platform_choices()]
    rows = [
        [
            feature.group,
            feature.name,
            *(status_badge("yes", "good") if has else status_badge("no", "off") for has in feature.has),
        ]
        for feature in features()
    ]
    return Section(
        title="What each platform can do",
        note="Asked of the adapters as they run here.",
        table=Table(headers=["About", "Feature", *labels], rows=rows),
    )


def _validations() -> Section:
    found = figures.validations()
    rows = []
    for point in Validation.Point:
        cells: list[Any] = []
        for slug, _ in registry.platform_choices():
            row = found.get((slug, point.value))
            if row is None:
                cells.append("not measured yet")
                continue
            badge = status_badge("as it should be", "good") if row.ok else status_badge("not as it should be", "bad")
            said = "; ".join(f"{name}: {value}" for name, value in row.evidence.items())
            cells.append(format_html("{} {} {}", badge, said, when(row.measured_at)))
        rows.append([str(point.label).capitalize(), *cells])
    labels = [label for _, label in registry.platform_choices()]
    return Section(
        title="Measured on real recordings",
        note="Word error rate: have the planted speech played in a meeting, then run manage.py measure_speech.",
        table=Table(headers=["Point", *labels], rows=rows),
    )


# -- the same as a file


def as_csv(comparison: Comparison) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="parity.csv"'
    writer = csv.writer(response)
    writer.writerow(
        ["outcome", "side", "platform", "since", "until", "successes", "failures", "pending", "excluded"]
        + ["share", "low", "high", "median_s", "p95_s", "verdict", "words"]
    )
    for row in comparison.rows:
        for side, cell in ((comparison.old, row.old), (comparison.new, row.new)):
            writer.writerow([*_csv_cell(row, side, cell, comparison), row.verdict.kind, row.verdict.words])
    return response


def _csv_cell(row: Row, side: Side, cell: Cell, comparison: Comparison) -> Sequence[Any]:
    count = cell.count
    low, high = wilson(count)
    known = count.total >= FEWEST
    return [
        row.kind.value,
        side.key,
        side.platform,
        comparison.since.isoformat(),
        comparison.until.isoformat(),
        count.successes,
        count.failures,
        cell.pending,
        cell.excluded,
        *((f"{share:.4f}" for share in (count.share, low, high)) if known else ("", "", "")),
        "" if cell.median is None else f"{cell.median:.1f}",
        "" if cell.p95 is None else f"{cell.p95:.1f}",
    ]


# -- the rows behind


class Drawn(admin.SimpleListFilter):
    """Meetings of one arm of an experiment: ``?drawn=<experiment>-<arm>``."""

    title = "experiment"
    parameter_name = "drawn"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = Experiment.objects.exclude(status=Experiment.Status.DRAFT).order_by("-created_at")[:10]
        return [(f"{one.pk}-{arm}", f"{one}, arm {arm}") for one in names for arm in Assignment.Arm.values]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Outcome]) -> QuerySet[Outcome]:
        number, _, arm = (self.value() or "").partition("-")
        if not number.isdecimal() or len(number) > 18:
            return queryset
        drawn = Assignment.objects.filter(experiment=int(number), arm=arm, quarantined="")
        return queryset.filter(meeting_id__in=drawn.values("meeting_id"))


OUTCOME_KINDS = {"success": "good", "failure": "bad", "pending": "busy", "excluded": "off"}


@admin.register(Outcome)
class OutcomeAdmin(ReadOnlyAdmin):
    list_display = ("the_kind", "the_status", "the_platform", "the_room", "the_meeting", "took", "words")
    list_display_links = ("the_kind",)
    list_select_related = ("room",)
    list_filter = ("platform", "kind", "status", Drawn)
    search_fields = ("room__name", "room__slug", "meeting_id", "words")
    linked = {"room__id__exact": Room, "met_at__gte": None}

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [path("parity/", wrap(self.parity), name="rooms_parity"), *super().get_urls()]

    def parity(self, request: HttpRequest) -> HttpResponse:
        return parity_page(self, request)

    @admin.display(description="outcome", ordering="kind")
    def the_kind(self, row: Outcome) -> str:
        return row.get_kind_display()

    @admin.display(description="came out", ordering="status")
    def the_status(self, row: Outcome) -> SafeString:
        return status_badge(row.get_status_display(), OUTCOME_KINDS[row.status])

    @admin.display(description="platform", ordering="platform")
    def the_platform(self, row: Outcome) -> SafeString:
        return platform_badge(row.platform)

    @admin.display(description="room", ordering="room__name")
    def the_room(self, row: Outcome) -> str | SafeString:
        return page_of(row.room)

    @admin.display(description="meeting", ordering="met_at")
    def the_meeting(self, row: Outcome) -> str | SafeString:
        return page_at("meetings.meeting", row.meeting_id, exact(row.met_at))

    @admin.display(description="took", ordering="value")
    def took(self, row: Outcome) -> str:
        return length(row.value)

    def sections(self, request: HttpRequest, row: Outcome) -> list[Section]:
        return [
            Section(
                title="The outcome",
                facts=[
                    ("Question", row.get_kind_display()),
                    ("Came out", self.the_status(row)),
                    ("Platform", platform_badge(row.platform)),
                    ("Room", page_of(row.room)),
                    ("Meeting", page_at("meetings.meeting", row.meeting_id, str(row.meeting_id))),
                    ("Opened", when(row.met_at)),
                    ("Took", length(row.value)),
                    ("Why", row.words or NOTHING),
                    ("Decided", when(row.decided_at)),
                    ("A failure if unanswered by", when(row.mature_at)),
                ],
            )
        ]
