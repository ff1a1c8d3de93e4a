"""Filters of admin lists."""

from __future__ import annotations

from typing import Any

from django.contrib import admin


class NamedValues(admin.AllValuesFieldListFilter):
    """All values that there are; the empty one has a name too, or its link could be neither seen nor heard."""

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield choice if choice["display"] not in ("", None) else {**choice, "display": "none"}


def titled(title: str) -> type[admin.FieldListFilter]:
    """The filter that a field gets anyway, under words of ours instead of the field's name."""

    class Titled(admin.FieldListFilter):
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            made = admin.FieldListFilter.create(*args, **kwargs)
            made.title = title
            return made

    return Titled


def emptiness(title: str, *, empty: str, filled: str) -> type[admin.FieldListFilter]:
    """Whether a field is empty, in words that say what that means."""

    class Emptiness(admin.EmptyFieldListFilter):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.title = title

        def choices(self, changelist: Any) -> Any:
            every, if_empty, if_filled = super().choices(changelist)
            return [every, {**if_empty, "display": empty}, {**if_filled, "display": filled}]

    return Emptiness
