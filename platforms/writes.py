"""Which rows a piece of code writes, seen at the database: for saying what something would change.

Statements of this thread's connection are watched as they go by. Before an UPDATE or DELETE the rows that it will hit
are read by its own WHERE; new rows are told by their models' signals. What is written past the models (bulk inserts)
is counted, not listed.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.db.models.signals import post_save

#: what can stand between the table and its WHERE: quoted names and texts, brackets, placeholders
TOKEN = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|([()])|(%%|%s)|\b(WHERE)\b""")
WRITE = re.compile(r'(INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM) ("(?:[^"]|"")+")')
Row = tuple[type[models.Model], Any]


class Writes:
    """Rows written so far, in the order in which they were first written."""

    def __init__(self) -> None:
        #: (model, primary key) → the row as it was; None for one that did not exist
        self.before: dict[Row, models.Model | None] = {}
        #: the same rows' names as they were: a row that is gone may not be able to say its own
        self.names: dict[Row, str] = {}
        self._inserts: Counter[type[models.Model]] = Counter()
        self._saved: Counter[type[models.Model]] = Counter()

    @property
    def tables(self) -> list[str]:
        return list({model._meta.db_table: None for model, _ in self.before})

    @property
    def not_listed(self) -> list[type[models.Model]]:
        """Models that got rows in bulk, which are not among ``before``."""
        return [model for model, count in self._inserts.items() if count > self._saved[model]]

    def note_created(self, sender: type[models.Model], instance: models.Model, created: bool) -> None:
        if created:
            self._saved[sender] += 1
            self.before.setdefault((sender, instance.pk), None)

    def around(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """For ``connection.execute_wrapper``."""
        write = WRITE.match(sql)
        model = _models_by_table().get(write[2] or "") if write else None
        if write is None or model is None:
            return execute(sql, params, many, context)
        if write[1].startswith("INSERT"):
            result = execute(sql, params, many, context)
            self._inserts[model] += 1
            return result
        condition, placeholders = _condition(sql)
        self._read(model, condition, tuple(params or ())[placeholders:])
        return execute(sql, params, many, context)

    def _read(self, model: type[models.Model], condition: str, params: tuple[Any, ...]) -> None:
        key, quote = model._meta.pk, connection.ops.quote_name
        what = f"{quote(str(key.column))} FROM {quote(model._meta.db_table)}"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {what} {condition}", params)  # noqa: S608  the statement's own words
            hit = [key.to_python(value) for (value,) in cursor.fetchall()]
        new = [pk for pk in hit if (model, pk) not in self.before]
        rows = model._base_manager.in_bulk(new)
        self.before |= {(model, pk): rows[pk] for pk in new if pk in rows}
        self.names |= {(model, pk): str(row) for pk, row in rows.items()}


@contextmanager
def watched() -> Iterator[Writes]:
    """What this thread writes until the end of the block. For use inside a transaction."""
    writes, mine = Writes(), threading.get_ident()

    def saved(sender: type[models.Model], instance: models.Model, created: bool, **_: Any) -> None:
        if threading.get_ident() == mine:
            writes.note_created(sender, instance, created)

    post_save.connect(saved, weak=False)
    try:
        with connection.execute_wrapper(writes.around):
            yield writes
    finally:
        post_save.disconnect(saved)


def _models_by_table() -> dict[str, type[models.Model]]:
    quote = connection.ops.quote_name
    return {
        quote(model._meta.db_table): model
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
    }


def _condition(sql: str) -> tuple[str, int]:
    """The statement's own WHERE (empty when it has none) and how many placeholders stand before it."""
    depth = placeholders = 0
    for token in TOKEN.finditer(sql):
        _, bracket, percent, where = token.groups()
        if where and depth == 0:
            return sql[token.start() :], placeholders
        depth += {"(": 1, ")": -1}.get(bracket or "", 0)
        placeholders += percent == "%s"
    return "", placeholders
