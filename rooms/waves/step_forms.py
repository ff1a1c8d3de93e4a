"""The rows of a wave's form: its steps, and the hours in which nothing moves."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from rooms.models import Wave
from rooms.waves.blackouts import DAYS, Blackout, end_of_blackout

UNITS = {"minutes": 1, "hours": 60, "days": 24 * 60}
#: what a new wave starts with
USUAL_STEPS = [
    {"percent": 5, "dwell": 1, "unit": "days", "min_meetings": 10},
    {"percent": 25, "dwell": 1, "unit": "days", "min_meetings": 20},
    {"percent": 50, "dwell": 1, "unit": "days", "min_meetings": 20},
    {"percent": 100, "dwell": 1, "unit": "days", "min_meetings": 0},
]
MOST_STEPS = 10
SPARE_STEPS = 2
SPARE_BLACKOUTS = 2


class StepForm(forms.Form):
    """One step; left empty it is none."""

    percent = forms.DecimalField(
        label="Percent of the rooms",
        required=False,
        min_value=0,
        max_value=100,
        decimal_places=2,
        widget=forms.NumberInput(attrs={"min": "0.01", "max": "100", "step": "any"}),
    )
    dwell = forms.IntegerField(label="Stay there for at least", required=False, min_value=0, max_value=10_000)
    unit = forms.ChoiceField(label="Unit of time", choices=[(unit, unit) for unit in UNITS], initial="days")
    min_meetings = forms.IntegerField(
        label="And until so many meetings were judged", required=False, min_value=0, max_value=1_000_000
    )

    def clean_percent(self) -> Any:
        percent = self.cleaned_data["percent"]
        if percent is not None and percent < 0.01:  # noqa: PLR2004 - the smallest bucket
            raise ValidationError("Give more than 0, at most 100.")
        return percent

    @property
    def step(self) -> dict[str, Any] | None:
        cleaned = self.cleaned_data
        if cleaned.get("percent") is None:
            return None
        percent = float(cleaned["percent"])
        return {
            "percent": int(percent) if percent == int(percent) else percent,
            "dwell_minutes": (cleaned.get("dwell") or 0) * UNITS[cleaned["unit"]],
            "min_meetings": cleaned.get("min_meetings") or 0,
        }


class BaseStepFormSet(forms.BaseFormSet):
    def clean(self) -> None:
        if any(self.errors):
            return
        reaches = [step["percent"] for step in self.steps]
        if not reaches:
            raise ValidationError("A wave needs at least one step.")
        if any(later <= earlier for earlier, later in zip(reaches, reaches[1:], strict=False)):
            raise ValidationError("Each step moves more rooms than the one before: let the percentages grow.")

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [step for form in self.forms if (step := form.step) is not None]


StepFormSet = forms.formset_factory(StepForm, formset=BaseStepFormSet, extra=SPARE_STEPS, max_num=MOST_STEPS)


def typed_steps(wave: Wave | None) -> list[dict[str, Any]]:
    if wave is None:
        return USUAL_STEPS
    typed = []
    for step in wave.steps:
        minutes = step["dwell_minutes"]
        unit = next(unit for unit in reversed(UNITS) if minutes % UNITS[unit] == 0)
        typed.append({**step, "dwell": minutes // UNITS[unit], "unit": unit})
    return typed


class BlackoutForm(forms.Form):
    """Hours in which nothing moves; without days it is none."""

    days = forms.TypedMultipleChoiceField(
        label="On",
        required=False,
        coerce=int,
        choices=list(enumerate(DAYS)),
        widget=forms.CheckboxSelectMultiple,
    )
    begins = forms.TimeField(
        label="From", required=False, widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    )
    ends = forms.TimeField(
        label="Until", required=False, widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        times = (cleaned.get("begins"), cleaned.get("ends"))
        if cleaned.get("days") and None in times:
            raise ValidationError("Say from when until when.")
        if not cleaned.get("days") and times != (None, None):
            raise ValidationError("Say on which days.")
        return cleaned

    @property
    def blackout(self) -> dict[str, Any] | None:
        cleaned = self.cleaned_data
        if not cleaned.get("days"):
            return None
        return {"days": cleaned["days"], "from": f"{cleaned['begins']:%H:%M}", "to": f"{cleaned['ends']:%H:%M}"}


class BaseBlackoutFormSet(forms.BaseFormSet):
    def clean(self) -> None:
        if any(self.errors):
            return
        windows = [
            Blackout(
                days=frozenset(form.cleaned_data["days"]),
                begins=form.cleaned_data["begins"],
                ends=form.cleaned_data["ends"],
                zone=UTC,
            )
            for form in self.forms
            if form.blackout
        ]
        if end_of_blackout(windows, timezone.now() + timedelta(seconds=1)) is None:
            raise ValidationError("These hours cover the whole week: the wave could never move anything.")

    @property
    def blackouts(self) -> list[dict[str, Any]]:
        return [blackout for form in self.forms if (blackout := form.blackout) is not None]


BlackoutFormSet = forms.formset_factory(BlackoutForm, formset=BaseBlackoutFormSet, extra=SPARE_BLACKOUTS, max_num=20)


def typed_blackouts(wave: Wave | None) -> list[dict[str, Any]]:
    if wave is None:
        return []
    return [{"days": row["days"], "begins": row["from"], "ends": row["to"]} for row in wave.blackouts]
