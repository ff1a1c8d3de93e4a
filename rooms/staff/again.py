"""Running work again that got stuck: a button on its page and an action over many rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse


class RunAgain:
    """For admins of ``Work`` rows. Needs the model's change permission, though the rows cannot be edited."""

    again_words = "Run again"
    opts: Any
    admin_site: Any

    def has_again_permission(self, request: HttpRequest) -> bool:
        codename = get_permission_codename("change", self.opts)
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")

    def may_run_again(self, row: Any) -> bool:
        """Whether running this row again makes sense."""
        return True

    def run_again(self, row: Any) -> None:
        row.run_again()

    def again_url(self) -> URLPattern:
        name = f"{self.opts.app_label}_{self.opts.model_name}_again"
        return path("<path:pk>/again/", self.admin_site.admin_view(self.again_page), name=name)

    def again_page(self, request: HttpRequest, pk: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_again_permission(request):
            raise PermissionDenied
        row = self.get_object(request, pk)  # type: ignore[attr-defined]
        if row is None:
            raise Http404("no such row")
        done, _ = self._run_again(request, [row])
        if done:
            messages.success(request, f"{row}: started again.")
        else:
            messages.error(request, f"{row}: there is nothing to do again.")
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return HttpResponseRedirect(reverse(name, args=[row.pk]))

    @admin.action(description="Run again", permissions=["again"])
    def run_selected_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        done, skipped = self._run_again(request, list(queryset))
        messages.success(request, f"Started {done} again, skipped {skipped}.")

    def _run_again(self, request: HttpRequest, rows: list[Any]) -> tuple[int, int]:
        done = 0
        with transaction.atomic():
            for row in rows:
                if self.may_run_again(row):
                    self.run_again(row)
                    self.log_change(request, row, self.again_words)  # type: ignore[attr-defined]
                    done += 1
        return done, len(rows) - done
