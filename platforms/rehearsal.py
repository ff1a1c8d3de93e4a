"""The dry run: which rows reading a stored delivery would change now, found by doing it and taking it all back."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db import OperationalError, connection, models, transaction
from django.utils import timezone

from platforms.hurry import hurried_transaction
from platforms.inbox import read, receive
from platforms.models import WebhookEvent
from platforms.writes import Writes, watched

logger = logging.getLogger(__name__)

#: how long a dry run waits for rows that somebody else is writing
PATIENCE_S = 5.0
LONGEST_VALUE = 300
#: columns whose values let somebody in; a dry run says that they change, not to what
SECRET = re.compile(r"host_url|token|secret|password|api_key")
EMPTY: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    name: str
    before: str  #: empty when there was no row, or nothing in it
    after: str


@dataclass(frozen=True, kw_only=True)
class RowChange:
    kind: Literal["created", "changed", "deleted"]
    label: str  #: "meetings.Meeting"
    pk: str
    name: str  #: what kind of row, and which, in words
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What would happen. ``error`` when it would fail, with everything it did until then undone: no changes."""

    outcome: str = ""
    changes: tuple[RowChange, ...] = ()
    in_bulk: tuple[str, ...] = ()  #: kinds of rows that would be added in bulk too, not listed one by one
    error: str = ""

    @property
    def in_words(self) -> str:
        if self.error:
            return "It would fail, and nothing would change."
        kinds = [change.kind for change in self.changes]
        parts = [f"{kinds.count(kind)} {kind}" for kind in ("created", "changed", "deleted") if kind in kinds]
        parts += [f"more {name} added in bulk" for name in self.in_bulk]
        return f"Rows: {', '.join(parts)}." if parts else "No row would change."


class _TakeBack(Exception):
    """Ends the transaction of every dry run."""


def rehearse(event: WebhookEvent) -> Rehearsal:
    """Read the delivery and have its events received, in a transaction that is never committed.

    No effect at all: rows, tries and status stay, and wake-up calls, which wait for a commit, are never sent. Raises
    ``django.db.OperationalError`` when somebody else keeps the rows locked for ``PATIENCE_S``.
    """
    result = Rehearsal()
    try:
        with hurried_transaction(PATIENCE_S), watched() as writes:
            try:
                with transaction.atomic():
                    _, lines = receive(read(event))
                    connection.check_constraints(table_names=writes.tables)
            except OperationalError:
                raise
            except Exception as error:  # noqa: BLE001  what a real run would write down on the row is the answer here
                result = Rehearsal(error=f"{type(error).__name__}: {error}")
            else:
                result = Rehearsal(
                    outcome="\n".join(lines),
                    changes=tuple(_changes(writes)),
                    in_bulk=tuple(str(model._meta.verbose_name_plural) for model in writes.not_listed),
                )
            raise _TakeBack
    except _TakeBack:
        logger.info("dry run of event %s: %s rows, all taken back", event.pk, len(result.changes))
    return result


def _changes(writes: Writes) -> Iterator[RowChange]:
    """Rows that are not as they were; those written and left the same are none."""
    for (model, pk), before in writes.before.items():
        after = model._base_manager.filter(pk=pk).first()
        if before is None and after is None:  # made and gone again
            continue
        fields = tuple(_fields(model, before, after))
        if before is None or after is None or fields:
            yield RowChange(
                kind="created" if before is None else "deleted" if after is None else "changed",
                label=model._meta.label,
                pk=str(pk),
                name=f"{model._meta.verbose_name} {after or writes.names[model, pk]}",
                fields=fields,
            )


def _fields(
    model: type[models.Model], before: models.Model | None, after: models.Model | None
) -> Iterator[FieldChange]:
    for field in model._meta.concrete_fields:
        old, new = (None if row is None else field.value_from_object(row) for row in (before, after))
        if old == new or (None in (before, after) and old in EMPTY and new in EMPTY):
            continue
        yield FieldChange(name=field.name, before=_shown(field, old), after=_shown(field, new))


def _shown(field: Any, value: Any) -> str:
    if value in EMPTY:
        return ""
    if SECRET.search(field.name):
        return "(not shown)"
    match value:
        case datetime():
            shown = timezone.localtime(value).isoformat(sep=" ", timespec="milliseconds")
        case bytes() | memoryview():
            shown = f"{len(value)} bytes"
        case dict() | list():
            shown = json.dumps(value, ensure_ascii=False, default=str)
        case bool():
            shown = "yes" if value else "no"
        case _:
            shown = str(dict(field.flatchoices).get(value, value))
    return shown if len(shown) <= LONGEST_VALUE else f"{shown[: LONGEST_VALUE - 1]}…"
