"""Lists of millions of rows: a page is shown without counting them all."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ShowFacets
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts ``most`` rows; what comes after them is on no page, and ``counted`` says that there is more."""

    def __init__(self, *args: Any, most: int, **more: Any) -> None:
        super().__init__(*args, **more)
        self.most = most

    @cached_property
    def _up_to_one_more(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[: self.most + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self._up_to_one_more, self.most)

    @property
    def has_more(self) -> bool:
        return self._up_to_one_more > self.most

    @property
    def counted(self) -> str:
        """E.g. "712", "more than 10,000"."""
        return f"more than {self.most:,}" if self.has_more else f"{self.count:,}"


class CappedList:
    """For ``ModelAdmin`` classes. What a search finds costs more to count than what the list holds."""

    most_counted = 10_000
    most_found = 1_000
    show_facets = ShowFacets.NEVER  # they count every row, once for each choice

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,
    ) -> CappedPaginator:
        most = self.most_found if request.GET.get("q") else self.most_counted
        return CappedPaginator(queryset, per_page, orphans, allow_empty_first_page, most=most)
