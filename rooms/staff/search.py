"""One search box that takes whatever staff have in hand."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import CharField, Model, Q, QuerySet, UUIDField
from django.db.models.constants import LOOKUP_SEP
from django.utils.text import smart_split, unescape_string_literal


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


def matching(queryset: QuerySet[Any], fields: tuple[str, ...], search: str) -> QuerySet[Any]:
    """Rows in which each word occurs in one of ``fields``; no duplicates.

    Each relation is looked through on its own: joining several many-valued relations would multiply the rows.
    """
    groups: dict[str, list[str]] = {}
    for field in fields:
        groups.setdefault(field.rpartition(LOOKUP_SEP)[0], []).append(field)
    model = queryset.model
    for word in words_of(search):
        found = Q()
        for path, names in groups.items():
            here = Q()
            for name in names:
                here |= _condition(model, name, word)
            if not here:
                continue
            found |= Q(pk__in=model._base_manager.filter(here).values("pk")) if path else here
        queryset = queryset.filter(found) if found else queryset.none()
    return queryset


def _condition(model: type[Model], name: str, word: str) -> Q:
    field = _field(model, name)
    if isinstance(field, UUIDField):
        try:
            return Q((name, UUID(word)))
        except ValueError:
            return Q()
    if isinstance(field, CharField) or field.get_internal_type() == "TextField":
        return Q((f"{name}__icontains", word))
    return Q((name, word)) if word.isdecimal() and len(word) < 18 else Q()


def _field(model: type[Model], name: str) -> Any:
    field: Any = None
    for part in name.split(LOOKUP_SEP):
        field = model._meta.pk if part == "pk" else model._meta.get_field(part)
        if field.is_relation:
            model = field.related_model
    return field


class SearchByWords:
    """For ``ModelAdmin`` classes: ``search_fields`` through any relation, without duplicates or row explosions."""

    def get_search_results(self, request: Any, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        return matching(queryset, tuple(self.get_search_fields(request)), search_term), False  # type: ignore[attr-defined]
