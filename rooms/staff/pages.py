"""Read-only admin: rows that a provider wrote, or that are a record, are looked at and not edited.

A page is a list of ``Section``; a list says whose rows it shows when a link narrowed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from rooms.staff.display import page_of
from rooms.staff.search import SearchByWords

Cell = str | SafeString | int | None


@dataclass(kw_only=True)
class Table:
    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str = "None."


@dataclass(kw_only=True)
class Button:
    """A form of one button; it posts to ``url``. Quiet: not what a page is mostly opened for."""

    url: str
    text: str
    is_quiet: bool = False


@dataclass(kw_only=True)
class Section:
    title: str
    facts: Sequence[tuple[str, Any]] = ()
    table: Table | None = None
    text: str = ""  #: shown as it is, line breaks kept
    note: str | SafeString = ""
    links: Sequence[Any] = ()
    buttons: Sequence[Button] = ()
    template: str = ""  #: a template of its own that gets ``section`` and ``extra``
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return "section-" + "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())


class Linked(SearchByWords):
    """Lists may be narrowed by links from other pages: ``linked`` maps a lookup to the model label it names."""

    linked: ClassVar[dict[str, type[Any] | None]] = {}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup in self.linked or super().lookup_allowed(lookup, value, request)  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        of = []
        for lookup, model in self.linked.items():
            value = request.GET.get(lookup)
            if value and model is not None:
                try:
                    row = model._base_manager.filter(pk=value).first()
                except (ValueError, OverflowError, ValidationError):
                    continue
                of.append((model._meta.verbose_name, page_of(row) if row else value))
        return super().changelist_view(request, {"narrowed_to": of, **(extra_context or {})})  # type: ignore[misc]


class DraftsMayGo:
    """What has run is kept; a draft may be deleted by whoever may make one. For models whose ``Status`` has DRAFT."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may_add = self.has_add_permission(request)  # type: ignore[attr-defined]
        return bool(obj is not None and obj.status == obj.Status.DRAFT and may_add)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The drafts alone: what hangs on one, such as the rooms it names, is no loss of its own."""
        _, counts, _, protected = super().get_deleted_objects(objs, request)  # type: ignore[misc]
        name = self.opts.verbose_name_plural  # type: ignore[attr-defined]
        return [str(draft) for draft in objs], {name: counts.get(name, len(objs))}, set(), protected

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """In the admin's transaction: somebody may have started it since the page was asked for."""
        row = type(obj)._base_manager.select_for_update().filter(pk=obj.pk).first()
        if not self.has_delete_permission(request, row):
            raise PermissionDenied
        super().delete_model(request, row)  # type: ignore[misc]


class ReadOnlyAdmin(Linked, admin.ModelAdmin):
    """Looked at, searched, and acted on by buttons; never added, edited or deleted."""

    actions_on_top = True
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def sections(self, request: HttpRequest, row: Any) -> Iterable[Section]:
        """What the row's page shows, in order."""
        raise NotImplementedError

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        row = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),
            "title": str(row),
            "opts": self.opts,
            "original": row,
            "sections": list(self.sections(request, row)),
            "has_view_permission": True,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/looked_at.html", context)
