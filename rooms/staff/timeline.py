"""A room's history as one list, newest first: what each app adds to it, and pages of it.

Each app registers strands from its ``timeline`` module: rows of one kind, their time, and what is read of them. A page
of the list takes one query, however long the history is and however many strands there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from platforms.moments import ago
from rooms.models import Room
from rooms.staff.merged import Part, read
from rooms.staff.pages import Section

PAGE = 40
#: kinds of entries, as staff choose them, each with a shape of its own
KINDS = {
    "moves": ("Moves", "→"),
    "meetings": ("Meetings", "●"),
    "consent": ("Consent", "✓"),
    "recordings": ("Recordings", "■"),
    "events": ("Webhook events", "▼"),
    "outcomes": ("Outcomes", "◆"),
    "staff": ("Settings and pins", "✱"),
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    what: str | SafeString  #: leads to the row's page
    by: str | SafeString = ""  #: who or what did it
    words: str | SafeString = ""


@dataclass(frozen=True, kw_only=True)
class Strand:
    name: str
    kind: str  #: one of ``KINDS``
    model: str  #: "app.model": shown to whoever may look at these
    rows: Callable[[int], QuerySet[Any]]  #: of the room with this key, in any order
    time: str  #: the field that says when; rows without it are not shown
    fields: Sequence[str]  #: all that ``entry`` reads, by path; of a related row its key first
    entry: Callable[[Any], Entry]
    #: rows that know their room by others only: a database that took them by their time would walk through all rooms'
    is_far: bool = False

    def before(self, room_id: int, limit: int, cursor: Cursor | None) -> Part:
        """The newest rows before the cursor."""
        rows = self.rows(room_id).filter(**{f"{self.time}__isnull": False})
        if cursor is not None:
            rows = rows.filter(cursor.condition(self))
        # an expression has no index: the rows are found by their room first, and sorted then
        newest = Coalesce(self.time, self.time).desc() if self.is_far else f"-{self.time}"
        return Part(rows=rows.order_by(newest, "-pk")[:limit], time=self.time, fields=self.fields)


_strands: dict[str, Strand] = {}


def strand(**about: Any) -> Strand:
    """Register one; see ``Strand``. Of entries of the same moment, those registered first are on top."""
    made = Strand(**about)
    _strands[made.name] = made
    return made


@dataclass(frozen=True)
class Cursor:
    """The last entry of a page: exact, though many entries may have the same time."""

    at: datetime
    strand: str
    key: str

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """None when this is no cursor of ours."""
        at, _, rest = text.partition("~")
        name, _, key = rest.partition("~")
        try:
            moment = parse_datetime(at)
            if moment is None or timezone.is_naive(moment) or name not in _strands:
                return None
            moment.astimezone(UTC)
            return cls(moment, name, str(_strands[name].rows(0).model._meta.pk.to_python(key)))
        except (ValueError, OverflowError, ValidationError):
            return None

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.strand}~{self.key}"

    def condition(self, of: Strand) -> Q:
        names = list(_strands)
        if names.index(of.name) < names.index(self.strand):
            return Q(**{f"{of.time}__lt": self.at})
        until = Q(**{f"{of.time}__lte": self.at})
        if of.name == self.strand:
            return until & (Q(**{f"{of.time}__lt": self.at}) | Q(pk__lt=self.key))
        return until


@dataclass(frozen=True, kw_only=True)
class Shown:
    at: datetime
    entry: Entry
    kind: str

    @property
    def label(self) -> str:
        return KINDS[self.kind][0]

    @property
    def shape(self) -> str:
        return KINDS[self.kind][1]

    @property
    def day(self) -> str:
        local = timezone.localtime(self.at)
        return f"{local.day} {local:%B %Y}"

    @property
    def time(self) -> SafeString:
        """E.g. "14:03:05 UTC", and how long ago that is."""
        clock = f"{timezone.localtime(self.at):%H:%M:%S %Z}"
        return format_html(
            '<time datetime="{}">{}</time> <span class="ago">{}</span>', self.at.isoformat(), clock, ago(self.at)
        )


def page(
    room_id: int, strands: Sequence[Strand], cursor: Cursor | None = None, size: int | None = None
) -> tuple[list[Shown], Cursor | None]:
    """The newest entries before the cursor, and the cursor of the next page, if there is one."""
    size = size or PAGE
    found = read([one.before(room_id, size + 1, cursor) for one in strands])
    shown = [
        Shown(at=at, entry=strands[number].entry(row), kind=strands[number].kind) for at, number, row in found[:size]
    ]
    if len(found) <= size:
        return shown, None
    at, number, row = found[size - 1]
    return shown, Cursor(at, strands[number].name, str(row.pk))


def visible_to(user: Any) -> list[Strand]:
    return [one for one in _strands.values() if _may_look(user, one.model)]


def _may_look(user: Any, model: str) -> bool:
    app, name = model.split(".")
    return bool(user.has_perm(f"{app}.view_{name}") or user.has_perm(f"{app}.change_{name}"))


def section(request: HttpRequest, room: Room) -> Section:
    """For the room's page. ``?type=`` chooses kinds, as often as wanted; ``?before=`` is the cursor of a page."""
    visible = visible_to(request.user)
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in visible)]
    chosen = [kind for kind in kinds if kind in request.GET.getlist("type")]
    asked = request.GET.get("before", "")
    cursor = Cursor.read(asked) if asked else None
    shown, following = page(room.pk, [one for one in visible if not chosen or one.kind in chosen], cursor)
    types = [("type", kind) for kind in chosen]
    return Section(
        title="History",
        template="admin/rooms/timeline.html",
        extra={
            "kinds": [(kind, *KINDS[kind], kind in chosen) for kind in kinds],
            "is_filtered": bool(chosen),
            "days": _by_day(shown),
            "is_first": cursor is None,
            "is_lost": bool(asked) and cursor is None,
            "newest": f"?{urlencode(types)}#history",
            "older": f"?{urlencode([*types, ('before', str(following))])}#history" if following else "",
        },
    )


def _by_day(shown: Iterable[Shown]) -> list[tuple[str, list[Shown]]]:
    return [(day, list(entries)) for day, entries in groupby(shown, key=lambda one: one.day)]
