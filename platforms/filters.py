"""Filters of admin lists."""

from __future__ import annotations

from typing import Any

from django.contrib import admin


class NamedValues(admin.AllValuesFieldListFilter):
    """All values that there are; the empty one has a name too, or its link could be neither seen nor heard."""

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield choice if choice["display"] not in ("", None) else {**choice, "display": "none"}
