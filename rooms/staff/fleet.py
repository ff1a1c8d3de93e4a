"""What the front page reads: the whole fleet in a few queries, however many rooms there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import CharField, Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Coalesce, Concat, NullIf, Trim

from platforms.health import SWEEPER_MAY_BE_SILENT
from platforms.models import Alert, Heartbeat
from platforms.work import Work, kinds
from rooms.models import Experiment, Move, MoveOrder, MoveOrderRoom, Room
from rooms.staff.live import LIVE

Tally = dict[tuple[str, str], int]


def pinned_without_end() -> QuerySet[Room]:
    return Room.objects.active().filter(pinned_at__isnull=False, pin_until__isnull=True)


def pinned(now: datetime) -> QuerySet[Room]:
    return Room.objects.active().filter(Q(pin_until__isnull=True) | Q(pin_until__gt=now), pinned_at__isnull=False)


def tally(now: datetime) -> Tally:
    """(what, of which) → how many: ``rooms`` and ``live`` meetings by platform, ``alerts`` by severity, ``stuck`` work
    by model label; ``archived``, ``pinned`` and ``pinned without end`` of all; ``sweepers`` that beat. What is not
    there is none. One query.
    """
    counts = [
        _count("rooms", Room.objects.active(), F("platform")),
        _count("live", Room.objects.filter(meetings__status__in=LIVE), F("meetings__platform")),
        _count("archived", Room.objects.filter(archived_at__isnull=False)),
        _count("pinned", pinned(now)),
        _count("pinned without end", pinned_without_end()),
        _count("alerts", Alert.objects.filter(settled_at__isnull=True), F("severity")),
        _count("sweepers", Heartbeat.objects.filter(name="sweeper", beat_at__gte=now - SWEEPER_MAY_BE_SILENT)),
        *(
            _count("stuck", model._base_manager.filter(status=Work.Status.QUARANTINED), _text(model._meta.label_lower))
            for model in kinds()
        ),
    ]
    first, *others = counts
    return {(what, of): number for what, of, number in first.union(*others, all=True)}


def _text(value: str) -> Value:
    return Value(value, output_field=CharField())


def _count(what: str, rows: QuerySet[Any], of: Any = None) -> QuerySet[Any, Any]:
    rows = rows.order_by().annotate(tally_of=of if of is not None else _text(""))
    return rows.values("tally_of").annotate(number=Count("pk")).values_list(_text(what), "tally_of", "number")


@dataclass(frozen=True)
class Line:
    """Something that happened, happens or will: as much of it as fits into a line."""

    kind: str  #: "move", "pin", "order" or "experiment"
    pk: int
    room_id: int  #: 0: of no one room
    name: str
    from_platform: str
    to_platform: str
    words: str
    at: datetime | None
    who: str  #: empty: nobody who was signed in
    how: str  #: what kind of move or order, or the experiment's status
    rooms: int


def lines(*, moves: int, each: int) -> dict[str, list[Line]]:
    """Kind → its lines: the latest moves, the longest pins without an end, orders to come and experiments that are not
    over, at most so many. One query."""
    newest = Move.objects.order_by("-pk").values("pk")[:moves]
    oldest_pins = pinned_without_end().order_by("pinned_at", "pk").values("pk")[:each]
    waiting = MoveOrder.objects.exclude(status=Work.Status.DONE).filter(cancelled_at__isnull=True)
    soonest = waiting.order_by("due_at", "pk").values("pk")[:each]
    oldest = Experiment.objects.filter(status__in=("running", "held")).order_by("started_at", "pk").values("pk")[:each]
    of_order = MoveOrderRoom.objects.filter(order=OuterRef("pk"), state=MoveOrderRoom.State.WAITING)
    of_experiment = Experiment.rooms.through.objects.filter(experiment=OuterRef("pk"))
    found = _line(
        "move",
        Move.objects.filter(pk__in=newest),
        room_id=F("room"),
        name=F("room__name"),
        from_platform=F("from_platform"),
        to_platform=F("to_platform"),
        words=F("reason"),
        at=F("moved_at"),
        who=_name_of("actor"),
        how=F("source"),
        rooms=Value(1),
    ).union(
        _line(
            "pin",
            Room.objects.filter(pk__in=oldest_pins),
            room_id=F("pk"),
            name=F("name"),
            from_platform=F("platform"),
            to_platform=F("platform"),
            words=F("pin_reason"),
            at=F("pinned_at"),
            who=_name_of("pinned_by"),
            how=_text(""),
            rooms=Value(1),
        ),
        _line(
            "order",
            MoveOrder.objects.filter(pk__in=soonest),
            room_id=Value(0),
            name=_text(""),
            from_platform=_text(""),
            to_platform=F("platform"),
            words=F("reason"),
            at=F("scheduled_for"),
            who=_name_of("actor"),
            how=F("kind"),
            rooms=_number_of(of_order, "order"),
        ),
        _line(
            "experiment",
            Experiment.objects.filter(pk__in=oldest),
            room_id=Value(0),
            name=F("name"),
            from_platform=F("platform_a"),
            to_platform=F("platform_b"),
            words=Coalesce(NullIf(F("held_reason"), Value("")), F("reason"), output_field=TextField()),
            at=F("started_at"),
            who=_name_of("created_by"),
            how=F("status"),
            rooms=_number_of(of_experiment, "experiment"),
        ),
        all=True,
    )
    sorted_lines: dict[str, list[Line]] = {"move": [], "pin": [], "order": [], "experiment": []}
    for row in found:
        line = Line(*row)
        sorted_lines[line.kind].append(line)
    sorted_lines["move"].sort(key=lambda line: -line.pk)
    for kind in ("pin", "order", "experiment"):
        sorted_lines[kind].sort(key=lambda line: (line.at is not None, line.at, line.pk))
    return sorted_lines


def _line(kind: str, rows: QuerySet[Any], **columns: Any) -> QuerySet[Any, Any]:
    return rows.order_by().values_list(_text(kind), "pk", *columns.values())


def _name_of(user: str) -> Coalesce:
    """As ``display.person`` names somebody; empty for nobody."""
    full = Trim(Concat(F(f"{user}__first_name"), Value(" "), F(f"{user}__last_name")))
    return Coalesce(NullIf(full, Value("")), F(f"{user}__username"), Value(""), output_field=CharField())


def _number_of(rows: QuerySet[Any], by: str) -> Coalesce:
    counted = rows.order_by().values(by).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
