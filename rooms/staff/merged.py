"""Rows of many models read in one query, each as a model instance that knows only what was asked for.

A page that lists what happened would otherwise ask once per kind of row. Each kind says which of its fields it reads,
by path ("actor__username"); the database packs them into one JSON object per row, so that unlike rows fit one union.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS
from django.db.models import DateTimeField, F, IntegerField, Model, QuerySet, Value
from django.db.models.functions import JSONObject
from django.utils import timezone
from django.utils.dateparse import parse_datetime

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows of one kind."""

    rows: QuerySet[Any]  #: sliced and in the order in which to be cut; fetched in any order
    time: str  #: the field that says when
    fields: Sequence[str]  #: what is read of a row, by path; its key and time are read anyway


def read(parts: Sequence[Part]) -> list[tuple[datetime, int, Any]]:
    """(when, number of the part, row) of all rows, newest first; of the same time in the order of the parts, and of one
    part the larger key first. One query."""
    if not parts:
        return []
    first, *others = (_packed(number, part) for number, part in enumerate(parts))
    found: list[list[tuple[datetime, int, Any]]] = [[] for _ in parts]
    for at, number, packed in first.union(*others, all=True) if others else first:
        values = json.loads(packed) if isinstance(packed, str) else packed
        found[number].append((at, number, unpacked(parts[number].rows.model, values)))
    for rows in found:
        rows.sort(key=lambda one: one[2].pk, reverse=True)
    return sorted(chain(*found), key=lambda one: one[0], reverse=True)  # stable


def _packed(number: int, part: Part) -> QuerySet[Any, Any]:
    model = part.rows.model
    paths = {model._meta.pk.attname, part.time, *part.fields}
    # SQLite cuts no part of a union: each is cut inside its own condition
    rows = model._base_manager.filter(pk__in=part.rows.values("pk")).order_by()
    return rows.values_list(
        F(part.time),
        Value(number, output_field=IntegerField()),
        JSONObject(**{path: F(path) for path in sorted(paths)}),
    )


def unpacked(model: type[M], values: Mapping[str, Any]) -> M:
    """An instance with these fields, by path, and nothing else; other fields are fetched when they are asked for. What
    belongs to it is there too, or known to be missing."""
    fields = [field for field in model._meta.concrete_fields if field.attname in values]
    instance = model.from_db(
        DEFAULT_DB_ALIAS,
        [field.attname for field in fields],
        [_value(field, values[field.attname]) for field in fields],
    )
    for name, inner in _related(values).items():
        relation: Any = model._meta.get_field(name)
        other = relation.related_model
        there = inner[other._meta.pk.attname] is not None
        relation.set_cached_value(instance, unpacked(other, inner) if there else None)
    return instance


def _related(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        name, is_path, rest = path.partition("__")
        if is_path:
            found.setdefault(name, {})[rest] = value
    return found


def _value(field: Any, value: Any) -> Any:
    """As the field has it: JSON knows neither times nor UUIDs."""
    if isinstance(field, DateTimeField) and isinstance(value, str):
        moment = parse_datetime(value)
        return moment.replace(tzinfo=UTC) if moment is not None and timezone.is_naive(moment) else moment
    return field.to_python(value)
