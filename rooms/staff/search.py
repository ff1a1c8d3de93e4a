"""One search box that takes whatever staff have in hand, among millions of rows.

The longest word is looked up first, each field in its own table by its own index; the other words are then looked for
in the rows that have it. What very many rows have is looked for row by row, in the list's order, as far as the page
reaches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import CharField, Exists, Model, OuterRef, Q, QuerySet, TextField, UUIDField, Value
from django.db.models.constants import LOOKUP_SEP
from django.db.models.functions import Cast
from django.utils.text import smart_split, unescape_string_literal

from platforms.paging import CappedList

#: rows that are fetched by key; by a relation that leads to more, a word is no help in finding them
MOST_LOOKED_UP = 2_000
#: words that are tried as the rarest
MOST_TRIED = 3


def words_of(search: str) -> list[str]:
    """Words, "quoted phrases", and of an address its last part: ``…/rooms/standup/`` is ``standup``."""
    words = []
    for word in smart_split(search.replace("\x00", "")):
        if word[0] in "\"'" and word[0] == word[-1] and len(word) > 1:
            word = unescape_string_literal(word)
        if re.match(r"https?://", word):
            address = urlsplit(word)
            word = address.path.strip("/").rpartition("/")[2] or address.netloc
        if word:
            words.append(word)
    return words


def matching(queryset: QuerySet[Any], fields: Iterable[str], search: str) -> QuerySet[Any]:
    """Rows in which each word occurs in one of ``fields``; no duplicates. Asks the database at once.

    A field is ``name`` (the word is part of it) or ``^name`` (an id: it begins with the word).
    """
    return matching_each([(queryset, fields)], search)[0]


def matching_each(lists: Iterable[tuple[QuerySet[Any], Iterable[str]]], search: str) -> list[QuerySet[Any]]:
    """The same for many lists, with as many questions as for one: at most ``MOST_TRIED``."""
    searches = [_Search(rows, _by_relation(fields)) for rows, fields in lists]
    words = sorted(set(words_of(search)), key=len, reverse=True)
    for tried, word in enumerate(words):
        wanted = [one for one in searches if not one.is_found] if tried < MOST_TRIED else []
        looked_up = dict(zip(map(id, wanted), _look_up(wanted, word), strict=True))
        for one in searches:
            keys, common = looked_up.get(id(one), (None, one.groups))
            if keys is None or keys or common:
                has_word = _in_row(one.rows.model, common, word)
                one.rows = one.rows.filter(has_word if keys is None else Q(pk__in=keys) | has_word)
            else:
                one.rows = one.rows.none()
            # the other words are looked for only in the few rows that are left
            one.is_found = one.is_found or (keys is not None and not common)
    return [one.rows for one in searches]


Groups = dict[str, list[str]]


@dataclass
class _Search:
    """One list on the way to what is found in it."""

    rows: QuerySet[Any]
    groups: Groups
    is_found: bool = False  #: a word was rare enough to be looked up by key


def _by_relation(fields: Iterable[str]) -> Groups:
    """The last parts of ``fields``, by the path that leads to their model; "" is the listed model itself."""
    groups: Groups = {}
    for field in fields:
        path, _, name = field.lstrip("^").rpartition(LOOKUP_SEP)
        groups.setdefault(path, []).append(f"^{name}" if field.startswith("^") else name)
    return groups


def _look_up(searches: Sequence[_Search], word: str) -> list[tuple[set[Any], Groups]]:
    """For each list, keys of the rows that have the word, and the relations by which too many have it, whose keys are
    left out. One query for all lists; keys differ in type and come as text."""
    places = [(number, path) for number, one in enumerate(searches) for path in one.groups]
    parts = []
    for place, (number, path) in enumerate(places):
        model = searches[number].rows.model
        rows = _rows(model, path, searches[number].groups[path], word)
        if rows is not None:
            few = rows.order_by().values("pk")[: MOST_LOOKED_UP + 1]
            part = model._base_manager.filter(pk__in=few).order_by()
            parts.append(part.values_list(Value(place), Cast("pk", TextField())))
    keys: dict[int, set[str]] = {}
    for place, key in parts[0].union(*parts[1:], all=True) if parts else []:
        keys.setdefault(place, set()).add(key)
    found: list[tuple[set[Any], Groups]] = [(set(), {}) for _ in searches]
    for place, have_it in keys.items():
        number, path = places[place]
        if len(have_it) > MOST_LOOKED_UP:
            found[number][1][path] = searches[number].groups[path]
        else:
            found[number][0].update(map(searches[number].rows.model._meta.pk.to_python, have_it))
    return found


def _rows(model: type[Model], path: str, names: list[str], word: str) -> QuerySet[Any] | None:
    """Rows of ``model`` that lead by ``path`` to a row with the word; None where no such field can have it."""
    if not path:
        here = _condition(model, names, word)
        return model._base_manager.filter(here) if here else None
    head, _, rest = path.partition(LOOKUP_SEP)
    relation: Any = model._meta.get_field(head)
    inner = _rows(relation.related_model, rest, names, word)
    if inner is None:
        return None
    if relation.auto_created and not relation.many_to_many:
        return model._base_manager.filter(pk__in=inner.order_by().values(relation.field.attname))
    return model._base_manager.filter(**{f"{head}__in": inner.order_by().values("pk")})


def _in_row(model: type[Model], groups: Groups, word: str) -> Q:
    found = Q(pk__in=[])
    for path, names in groups.items():
        here = _condition(_model_at(model, path), names, word, f"{path}{LOOKUP_SEP}" if path else "")
        if not here:
            continue
        found |= Q(Exists(model._base_manager.filter(here, pk=OuterRef("pk")))) if path else here
    return found


def _condition(model: type[Model], names: list[str], word: str, path: str = "") -> Q:
    """That the word is in one of the model's fields; empty where it cannot be."""
    found = Q()
    for name in names:
        found |= _field_has(model, name.lstrip("^"), word, path, is_id=name.startswith("^"))
    return found


def _field_has(model: type[Model], name: str, word: str, path: str, *, is_id: bool) -> Q:
    field: Any = model._meta.pk if name == "pk" else model._meta.get_field(name)
    if isinstance(field, UUIDField):
        try:
            return Q((f"{path}{name}", UUID(word)))
        except ValueError:
            return Q()
    if is_id:
        # names of rooms are paths at some providers, and people copy them with and without the slash
        starts = f"{path}{name}__startswith"
        return Q((starts, word)) | Q((starts, f"/{word}"))
    if isinstance(field, CharField | TextField):
        return Q((f"{path}{name}__icontains", word))
    return Q((f"{path}{name}", word)) if word.isdecimal() and len(word) < 18 else Q()


def _model_at(model: type[Model], path: str) -> type[Model]:
    for part in path.split(LOOKUP_SEP) if path else []:
        related: Any = model._meta.get_field(part).related_model
        model = related
    return model


class SearchByWords(CappedList):
    """For ``ModelAdmin`` classes: ``search_fields`` through any relation, without duplicates or row explosions."""

    def get_search_results(self, request: Any, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        return matching(queryset, tuple(self.get_search_fields(request)), search_term), False  # type: ignore[attr-defined]
