"""The admin's one search box over everything, in a handful of queries however many lists there are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.contrib import admin
from django.db import connection, transaction
from django.db.models import CharField, DateTimeField, F, Field, ForeignKey, Model, QuerySet, TextField, Value, Window
from django.db.models.constants import LOOKUP_SEP
from django.db.models.functions import JSONObject, RowNumber
from django.http import HttpRequest

from rooms.staff.display import list_at, page_of
from rooms.staff.merged import unpacked
from rooms.staff.pages import Section, Table
from rooms.staff.search import SearchByWords, matching_each

MOST_FOUND = 8
#: what is looked for most comes first, by model label; the others follow in the admin's order
FIRST = (
    "rooms.room",
    "meetings.meeting",
    "meetings.participant",
    "recordings.recording",
    "recordings.transcript",
    "rooms.move",
)

Lists = Sequence["admin.ModelAdmin[Any]"]


def found(request: HttpRequest, search: str) -> list[Section]:
    """What each admin list finds for one search, the first few of each, with a link to the rest. Four queries at most:
    three for keys (``matching_each``) and one for rows; PostgreSQL is told something before and after."""
    lists = [
        one
        for one in admin.site._registry.values()
        if one.get_search_fields(request) and one.has_view_permission(request)
    ]
    lists.sort(key=_place)
    with _not_compiled():
        searched = _searched(request, lists, search)
        names = [_paths(request, one, rows) for one, rows in zip(lists, searched, strict=True)]
        each = _first_rows(searched, names)
    return [_section(one.model, rows, search) for one, rows in zip(lists, each, strict=True) if rows]


def _place(one: admin.ModelAdmin[Any]) -> int:
    label = one.model._meta.label_lower
    return FIRST.index(label) if label in FIRST else len(FIRST)


@contextmanager
def _not_compiled() -> Iterator[None]:
    """PostgreSQL would compile questions about so many tables for longer than it takes to answer them."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL jit = off")
        yield


def _section(model: type[Model], first: Sequence[Model], search: str) -> Section:
    more = list_at(model._meta.label_lower, "Show all", q=search) if len(first) > MOST_FOUND else ""
    name = str(model._meta.verbose_name_plural).capitalize()
    table = Table(headers=[name], rows=[[page_of(row)] for row in first[:MOST_FOUND]])
    return Section(title=name, table=table, links=[more])


def _searched(request: HttpRequest, lists: Lists, search: str) -> list[QuerySet[Any]]:
    """What each list's own search finds. Those that look words up first do it together."""
    by_words = [one for one in lists if isinstance(one, SearchByWords)]
    together = iter(
        matching_each([(one.get_queryset(request), tuple(one.get_search_fields(request))) for one in by_words], search)
    )
    return [
        next(together)
        if isinstance(one, SearchByWords)
        else one.get_search_results(request, one.get_queryset(request), search)[0]
        for one in lists
    ]


# -- rows of unlike kinds in one query


#: path of a relation, "" for the row itself → fields that are read there
Paths = Mapping[str, Sequence[str]]


def _paths(request: HttpRequest, one: admin.ModelAdmin[Any], rows: QuerySet[Any]) -> Paths:
    """What a row may need to say its name: fields of its own, and of what its list reads with it."""
    related = one.get_list_select_related(request)
    given = related if isinstance(related, list | tuple) else ()
    put_off, are_put_off = rows.query.deferred_loading
    paths: dict[str, Sequence[str]] = {}
    for path, model in [("", rows.model), *(step for way in given for step in _steps(rows.model, way))]:
        names = (field.attname for field in model._meta.concrete_fields if _may_name(field))
        paths[path] = [name for name in names if not (are_put_off and _at(path, name) in put_off)]
    return paths


def _steps(model: type[Model], way: str) -> Iterator[tuple[str, type[Model]]]:
    """Every step of a path that leads by foreign keys, with the model it comes to."""
    path = ""
    for name in way.split(LOOKUP_SEP):
        relation: Any = model._meta.get_field(name)
        if not relation.concrete:
            return
        path, model = _at(path, name), relation.related_model
        yield path, model


def _at(path: str, name: str) -> str:
    return f"{path}{LOOKUP_SEP}{name}" if path else name


def _may_name(field: Field[Any, Any]) -> bool:
    """Names are made of words, times and what belongs to the row; another field would be a query for each row."""
    return field.primary_key or isinstance(field, CharField | TextField | DateTimeField | ForeignKey)


def _first_rows(each: Sequence[QuerySet[Any]], paths: Sequence[Paths]) -> list[list[Any]]:
    """The first rows of each, one more than are shown, in its own order. One query."""
    parts = [_packed(number, rows, paths[number]) for number, rows in enumerate(each) if not rows.query.is_empty()]
    found: list[list[tuple[int, Any]]] = [[] for _ in each]
    for number, place, packed in parts[0].union(*parts[1:], all=True) if parts else []:
        values = json.loads(packed) if isinstance(packed, str) else packed
        flat = {_at(path, name): value for path, inner in values.items() for name, value in inner.items()}
        found[number].append((place, unpacked(each[number].model, flat)))
    return [[row for _, row in sorted(rows, key=lambda one: one[0])] for rows in found]


def _packed(number: int, rows: QuerySet[Any], paths: Paths) -> QuerySet[Any, Any]:
    """One JSON object for each relation: PostgreSQL takes no more than fifty fields in one."""
    order = [*(rows.query.order_by or rows.model._meta.ordering), "-pk"]
    # SQLite cuts no part of a union: each is cut inside its own condition
    first = rows.order_by(*order).values("pk")[: MOST_FOUND + 1]
    objects = {path: JSONObject(**{name: F(_at(path, name)) for name in names}) for path, names in paths.items()}
    return (
        rows.model._base_manager.filter(pk__in=first)
        .order_by()
        .values_list(Value(number), Window(RowNumber(), order_by=order), JSONObject(**objects))
    )
