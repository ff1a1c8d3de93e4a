"""The form of a draft, and the page that shows what a command would do before it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from rooms.models import Wave
from rooms.staff.display import person
from rooms.staff.wave_sections import installation_zone
from rooms.waves.commands import Command, Plan, WaveChanged, WaveRefused, carry_out, preview
from rooms.waves.forms import NAME_TAKEN, CommandForm, ShrinkForm, WaveForm
from rooms.waves.reading import locked
from rooms.waves.since import drafted
from rooms.waves.step_forms import BlackoutFormSet, StepFormSet, typed_blackouts, typed_steps
from rooms.words import count_of

SAID_BY_FORM = ("name", "platform", "reason", "selection", "required_checks", "trip_after", "on_trip")
NOT_SAVED = "Not saved. What has to be put right is said beside it."
TITLES = {
    Command.START: "Start “{}”",
    Command.PAUSE: "Pause “{}”",
    Command.RESUME: "Resume “{}”",
    Command.NEXT: "Take the next step of “{}” now",
    Command.SHRINK: "Shrink “{}”",
    Command.ROLL_BACK: "Roll “{}” back",
    Command.CLOSE: "Close “{}”",
}


def _page_of(wave: Wave) -> str:
    return reverse("admin:rooms_wave_change", args=[wave.pk])


def form_page(admin: ModelAdmin[Any], request: HttpRequest, wave: Wave | None) -> HttpResponse:
    """A new wave, or changes of a draft: one that has started is what it is."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    if wave is not None and wave.status != Wave.Status.DRAFT:
        messages.error(request, f"“{wave}” has started: what it does is fixed. Make a new wave for something else.")
        return HttpResponseRedirect(_page_of(wave))
    data = request.POST if request.method == "POST" else None
    form = WaveForm(data, wave=wave)
    steps = StepFormSet(data, prefix="steps", initial=typed_steps(wave))
    blackouts = BlackoutFormSet(data, prefix="blackouts", initial=typed_blackouts(wave))
    problem, status = "", 200
    if data is not None:
        # each is asked, so that everything that is wrong is told at once
        fine = [form.is_valid(), steps.is_valid(), blackouts.is_valid()]
        if all(fine):
            try:
                return _saved(admin, request, wave, form, steps, blackouts)
            except DraftChanged as changed:
                problem, status, wave = str(changed), 409, changed.wave
            except IntegrityError:  # somebody saved one of this name in this very moment
                form.add_error("name", NAME_TAKEN)
                problem, status = NOT_SAVED, 422
        else:
            problem, status = NOT_SAVED, 422
    return TemplateResponse(
        request,
        "admin/rooms/wave/form.html",
        {
            **admin.admin_site.each_context(request),
            "title": f"Change “{wave}”" if wave else "New wave",
            "opts": admin.opts,
            "wave": wave,
            "form": form,
            "steps": steps,
            "blackouts": blackouts,
            "problem": problem,
            "seen_hash": _hash(wave) if wave else "",
            "zone": installation_zone(timezone.now()),
            "back": _page_of(wave) if wave else reverse("admin:rooms_wave_changelist"),
        },
        status=status,
    )


class DraftChanged(Exception):
    """Somebody else saved this draft since the page was made; nothing was saved. The text is for staff."""

    def __init__(self, wave: Wave) -> None:
        latest = drafted(wave).select_related("user").first()
        by = f" by {person(latest.user)}" if latest else ""
        super().__init__(
            f"Not saved: this draft was changed{by} since you opened this page. What you typed is below. Look at the "
            "draft first (Cancel leads there), or save again to replace what is there now."
        )
        self.wave = wave


def _hash(wave: Wave) -> str:
    """Equal for two drafts exactly when they say the same."""
    says = [getattr(wave, name) for name in (*SAID_BY_FORM, "steps", "blackouts")]
    return hashlib.sha256(json.dumps(says).encode()).hexdigest()


def _saved(
    admin: ModelAdmin[Any], request: HttpRequest, draft: Wave | None, form: WaveForm, steps: Any, blackouts: Any
) -> HttpResponse:
    """Raises ``DraftChanged``."""
    wave = _save(draft, form, steps, blackouts, request)
    if wave is None:
        return HttpResponseRedirect(request.get_full_path())  # which says that it has started
    (admin.log_change if draft else admin.log_addition)(request, wave, "Saved as a draft")
    messages.success(request, f"Saved. “{wave}” is a draft: nothing moves before it is started.")
    return HttpResponseRedirect(_page_of(wave))


def _save(draft: Wave | None, form: WaveForm, steps: Any, blackouts: Any, request: HttpRequest) -> Wave | None:
    """None when somebody started it meanwhile; then nothing was saved. Raises ``DraftChanged``."""
    cleaned = form.cleaned_data
    says = {name: cleaned[name] for name in SAID_BY_FORM} | {"steps": steps.steps, "blackouts": blackouts.blackouts}
    if draft is None:
        with transaction.atomic():
            return Wave.objects.create(created_by_id=request.user.pk, **says)
    with transaction.atomic():
        wave = locked(draft.pk)
        if wave is None or wave.status != Wave.Status.DRAFT:
            return None
        if request.POST.get("seen_hash") != _hash(wave):
            raise DraftChanged(wave)
        for name, value in says.items():
            setattr(wave, name, value)
        wave.save(update_fields=list(says))
    return wave


def command_page(admin: ModelAdmin[Any], request: HttpRequest, wave: Wave, command: Command) -> HttpResponse:
    """GET shows what the command would do; POST does exactly that, or nothing."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    how_far = ShrinkForm(request.GET if "percent" in request.GET else None)
    percent = None
    if command == Command.SHRINK:
        if not how_far.is_valid():
            return _answer(admin, request, wave, command, how_far=how_far)
        percent = how_far.cleaned_data["percent"]
    problem, changes = "", []
    form = CommandForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            entry = carry_out(
                wave_id=wave.pk, command=command, percent=percent, actor=request.user, **form.cleaned_data
            )
        except WaveRefused as refusal:
            problem = str(refusal)
            wave.refresh_from_db()
            if isinstance(refusal, WaveChanged):
                problem += " What follows is how it would be now."
                changes = refusal.changes
            form = CommandForm(initial={"reason": form.cleaned_data["reason"]})
        else:
            admin.log_change(request, wave, entry.words)
            messages.success(request, entry.words)
            for kept in wave.entries.filter(what="kept", at=entry.at):
                messages.warning(request, kept.words)
            return HttpResponseRedirect(_page_of(wave))
    return _answer(
        admin, request, wave, command, how_far=how_far, percent=percent, form=form, problem=problem, changes=changes
    )


def _answer(
    admin: ModelAdmin[Any],
    request: HttpRequest,
    wave: Wave,
    command: Command,
    *,
    how_far: ShrinkForm,
    percent: float | None = None,
    form: CommandForm | None = None,
    problem: str = "",
    changes: Sequence[str] = (),
) -> HttpResponse:
    looked_at = timezone.now()
    plan: Plan | None = None
    asks_how_far = command == Command.SHRINK and percent is None
    status = 409 if problem else 200
    if not asks_how_far:
        try:
            plan = preview(wave, command, percent=percent)
        except WaveRefused as refusal:
            problem, status = str(refusal), 409
    return TemplateResponse(
        request,
        "admin/rooms/wave/command.html",
        {
            **admin.admin_site.each_context(request),
            "title": TITLES[command].format(wave),
            "opts": admin.opts,
            "wave": wave,
            "command": command,
            "plan": plan,
            "how_far": how_far if asks_how_far or (command == Command.SHRINK and plan is None) else None,
            "form": form,
            "problem": problem,
            "changes": changes,
            "looked_at": looked_at.isoformat(),
            "button": _button(command, plan, percent),
            "back": _page_of(wave),
        },
        status=status,
    )


def _button(command: Command, plan: Plan | None, percent: float | None) -> str:
    """E.g. "Roll back 12 rooms"."""
    if plan is None:
        return ""
    match command:
        case Command.ROLL_BACK:
            return f"Roll back {count_of(plan.moving, 'room')}" if plan.moving else "Roll back the wave"
        case Command.SHRINK:
            back = f": {count_of(plan.moving, 'room')} back" if plan.moving else ""
            return f"Shrink to {percent:g} %{back}"
        case Command.NEXT:
            return f"Move {count_of(plan.moving, 'room')} now" if plan.moving else "Take the next step"
        case Command.START:
            return "Start the wave"
        case _:
            return f"{command.label} the wave"
