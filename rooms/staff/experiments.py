"""Experiments in the admin: the list, an experiment's page, its form while it is a draft, and its commands."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, re_path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from platforms.filters import emptiness
from platforms.moments import NOTHING, when
from rooms.experiments.commands import (
    Command,
    ExperimentChanged,
    ExperimentRefused,
    Plan,
    carry_out,
    locked,
    possible,
    preview,
)
from rooms.experiments.forms import CommandForm, ExperimentForm
from rooms.models import Assignment, Experiment
from rooms.staff.display import page_at, page_of, platform_badge
from rooms.staff.experiment_sections import experiment_badge, sections
from rooms.staff.pages import DraftsMayGo, Linked, ReadOnlyAdmin, Section

SAID_BY_FORM = ("name", "platform_a", "platform_b", "reason", "watched", "on_harm", "block_size")


@admin.register(Experiment)
class ExperimentAdmin(DraftsMayGo, Linked, admin.ModelAdmin):
    list_display = ("name", "state", "arms", "how_many_rooms", "how_many_draws", "started")
    list_filter = ("status",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("name", "reason")
    ordering = ("-created_at", "-pk")
    actions = None
    change_list_template = "admin/rooms/experiment/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        # joined in one query, each room would be taken with each draw: a hundred million of them in a large experiment
        rooms = Experiment.rooms.through.objects.filter(experiment=OuterRef("pk"))
        draws = Assignment.objects.filter(experiment=OuterRef("pk"))
        return super().get_queryset(request).annotate(room_count=_number_of(rooms), draw_count=_number_of(draws))

    @admin.display(description="state", ordering="status")
    def state(self, experiment: Experiment) -> SafeString:
        return experiment_badge(experiment)

    @admin.display(description="A and B", ordering="platform_b")
    def arms(self, experiment: Experiment) -> SafeString:
        return format_html("{} {}", platform_badge(experiment.platform_a), platform_badge(experiment.platform_b))

    @admin.display(description="rooms", ordering="room_count")
    def how_many_rooms(self, experiment: Any) -> int:
        return int(experiment.room_count)

    @admin.display(description="meetings drawn", ordering="draw_count")
    def how_many_draws(self, experiment: Any) -> int:
        return int(experiment.draw_count)

    @admin.display(description="started", ordering="started_at")
    def started(self, experiment: Experiment) -> str | SafeString:
        return when(experiment.started_at)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        commands = "|".join(Command.values)
        return [
            path("<int:pk>/edit/", wrap(self.edit_page), name="rooms_experiment_edit"),
            re_path(
                rf"^(?P<pk>[0-9]{{1,17}})/(?P<command>{commands})/$",
                wrap(self.command_page),
                name="rooms_experiment_command",
            ),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self._form_page(request, None)

    def edit_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        experiment = self.get_object(request, str(pk))
        if experiment is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, str(pk))  # type: ignore[attr-defined]
        if experiment.status != Experiment.Status.DRAFT:
            return self._has_started(request, experiment)
        return self._form_page(request, experiment)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        experiment = self.get_object(request, object_id)
        if not self.has_view_permission(request, experiment):
            raise PermissionDenied
        if experiment is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        may_change = self.has_change_permission(request, experiment)
        is_draft = experiment.status == Experiment.Status.DRAFT
        may_delete = self.has_delete_permission(request, experiment)
        context = {
            **self.admin_site.each_context(request),
            "title": experiment.name,
            "opts": self.opts,
            "original": experiment,
            "sections": sections(experiment),
            "commands": [
                (reverse("admin:rooms_experiment_command", args=[experiment.pk, command.value]), command.label)
                for command in (possible(experiment) if may_change else [])
            ],
            "edit_url": reverse("admin:rooms_experiment_edit", args=[experiment.pk]) if may_change and is_draft else "",
            "delete_url": reverse("admin:rooms_experiment_delete", args=[experiment.pk]) if may_delete else "",
        }
        return TemplateResponse(request, "admin/rooms/wave/page.html", context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Its own log says more than Django's."""
        return HttpResponseRedirect(reverse("admin:rooms_experiment_change", args=[object_id]))

    # -- form ------------------------------------------------------------------------------------------------------

    def _form_page(self, request: HttpRequest, experiment: Experiment | None) -> HttpResponse:
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        form = ExperimentForm(request.POST if request.method == "POST" else None, experiment=experiment)
        if form.is_bound and form.is_valid():
            saved = _save(experiment, form, request.user)
            if saved is None:
                return self._has_started(request, experiment)
            (self.log_change if experiment else self.log_addition)(request, saved, "Saved as a draft")
            messages.success(request, f"Saved. “{saved}” is a draft: nothing is drawn before it is started.")
            return HttpResponseRedirect(_page_of(saved))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Change “{experiment}”" if experiment else "New experiment",
            "opts": self.opts,
            "experiment": experiment,
            "form": form,
            "invalid": form.is_bound,
            "back": _page_of(experiment) if experiment else reverse("admin:rooms_experiment_changelist"),
        }
        status = 422 if form.is_bound else 200
        return TemplateResponse(request, "admin/rooms/experiment/form.html", context, status=status)

    def _has_started(self, request: HttpRequest, experiment: Any) -> HttpResponse:
        messages.error(
            request, f"“{experiment}” has started: what it does is fixed. Make a new one for something else."
        )
        return HttpResponseRedirect(_page_of(experiment))

    # -- commands --------------------------------------------------------------------------------------------------

    def command_page(self, request: HttpRequest, pk: str, command: str) -> HttpResponse:
        """GET shows what the command would do; POST does exactly that, or nothing."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        experiment = self.get_object(request, pk)
        if experiment is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, pk)  # type: ignore[attr-defined]
        do, problem = Command(command), ""
        form = CommandForm(request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid():
            try:
                entry = carry_out(experiment_id=experiment.pk, command=do, actor=request.user, **form.cleaned_data)
            except ExperimentRefused as refusal:
                problem = str(refusal)
                if isinstance(refusal, ExperimentChanged):
                    problem += " What follows is how it would be now."
                experiment.refresh_from_db()
            else:
                self.log_change(request, experiment, entry.words)
                messages.success(request, entry.words)
                return HttpResponseRedirect(_page_of(experiment))
        return self._command_page(request, experiment, do, form, problem)

    def _command_page(
        self, request: HttpRequest, experiment: Experiment, command: Command, form: CommandForm, problem: str
    ) -> HttpResponse:
        plan: Plan | None = None
        try:
            plan = preview(experiment, command)
        except ExperimentRefused as refusal:
            problem = problem or str(refusal)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{command.label} “{experiment}”",
            "opts": self.opts,
            "experiment": experiment,
            "command": command,
            "plan": plan,
            "form": form,
            "problem": problem,
            "button": f"{command.label} the experiment",
            "back": _page_of(experiment),
        }
        status = 409 if problem else 200
        return TemplateResponse(request, "admin/rooms/experiment/command.html", context, status=status)


def _number_of(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.order_by().values("experiment").annotate(number=Count("*")).values("number")
    return Coalesce(Subquery(counted), 0)


def _page_of(experiment: Experiment) -> str:
    return reverse("admin:rooms_experiment_change", args=[experiment.pk])


def _save(draft: Experiment | None, form: ExperimentForm, user: Any) -> Experiment | None:
    """None when somebody started it meanwhile; then nothing was saved."""
    says = {name: form.cleaned_data[name] for name in SAID_BY_FORM}
    with transaction.atomic():
        if draft is None:
            experiment = Experiment.objects.create(created_by=user, **says)
        else:
            current = locked(draft.pk)
            if current is None or current.status != Experiment.Status.DRAFT:
                return None
            experiment = current
            for name, value in says.items():
                setattr(experiment, name, value)
            experiment.save(update_fields=list(says))
        experiment.rooms.set(form.cleaned_data["chosen"])
    return experiment


@admin.register(Assignment)
class AssignmentAdmin(ReadOnlyAdmin):
    """Draws, for links from an experiment's page. Whoever may see experiments sees them."""

    list_display = ("drawn", "room_name", "arm", "drawn_for", "meeting", "why_not")
    list_display_links = ("drawn",)
    list_select_related = ("room", "experiment")
    list_filter = ("arm", ("quarantined", emptiness("quarantine", empty="Counts", filled="In quarantine")))
    search_fields = ("room__name", "room__slug", "meeting_id", "quarantined")
    linked = {"experiment__id__exact": Experiment, "arm__exact": None}
    actions = None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("rooms.view_experiment") or request.user.has_perm("rooms.change_experiment")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Not in menus: a draw belongs to an experiment's page."""
        return False

    @admin.display(description="drawn", ordering="assigned_at")
    def drawn(self, row: Assignment) -> str | SafeString:
        return when(row.assigned_at)

    @admin.display(description="room", ordering="room__name")
    def room_name(self, row: Assignment) -> str | SafeString:
        return page_of(row.room)

    @admin.display(description="drawn for")
    def drawn_for(self, row: Assignment) -> SafeString:
        return platform_badge(row.platform)

    @admin.display(description="served on")
    def served_on(self, row: Assignment) -> str | SafeString:
        return platform_badge(row.served_platform) if row.served_platform else NOTHING

    @admin.display(description="meeting")
    def meeting(self, row: Assignment) -> str | SafeString:
        return page_at("meetings.meeting", row.meeting_id, "its meeting")

    @admin.display(description="why it does not count")
    def why_not(self, row: Assignment) -> str:
        return row.quarantined or NOTHING

    def sections(self, request: HttpRequest, row: Assignment) -> list[Section]:
        facts = [
            ("Experiment", page_of(row.experiment)),
            ("Room", page_of(row.room)),
            ("Meeting", self.meeting(row)),
            ("Arm", row.arm),
            ("Draw of this room", row.number + 1),
            ("Drawn for", self.drawn_for(row)),
            ("Served on", self.served_on(row)),
            ("Drawn", when(row.assigned_at)),
            ("Why it does not count", self.why_not(row)),
        ]
        return [Section(title="A draw", facts=facts)]
