"""What staff are asked before something is done that is kept in the history."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

#: what a browser sends of <input type="datetime-local">
LOCAL_TIME = "%Y-%m-%dT%H:%M"


def zone() -> str:
    """The name of the time zone that staff type times in."""
    return str(timezone.localtime().tzname())


class LocalTimeField(forms.DateTimeField):
    """A date and a time in one native field, which needs no script."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(format=LOCAL_TIME, attrs={"type": "datetime-local"})
        super().__init__(
            widget=widget,
            input_formats=[LOCAL_TIME, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
            error_messages={"invalid": "Give a day and a time, such as 2026-03-03T14:00."},
            **options,
        )


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Why?",
        max_length=500,
        error_messages={"required": "Say why: the reason is kept in the history."},
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off", "autofocus": True}),
    )


class MoveForm(ReasonForm):
    """Why and when rooms are moved, and the plan that staff saw when they said so."""

    NOW, AT = "now", "at"

    when = forms.ChoiceField(
        label="When?",
        choices=[(NOW, "Now"), (AT, "At")],
        initial=NOW,
        widget=forms.RadioSelect,
        required=False,
    )
    at = LocalTimeField(label="Day and time", required=False)
    seen = forms.JSONField(widget=forms.HiddenInput, required=False)
    seen_hash = forms.CharField(widget=forms.HiddenInput)
    looked_at = forms.DateTimeField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[
            "reason"
        ].help_text = "Kept in the history of each room, and shown at each meeting that opens there."
        self.fields["reason"].error_messages["required"] = "Say why: the reason is kept in the room’s history."

    def clean_seen(self) -> list[list[Any]]:
        seen = self.cleaned_data["seen"]
        if seen is None:
            return []
        if not isinstance(seen, list) or not all(
            isinstance(fact, list)
            and len(fact) == 4
            and isinstance(fact[0], int)
            and isinstance(fact[1], str)
            and isinstance(fact[2], str | None)
            and isinstance(fact[3], bool)
            for fact in seen
        ):
            raise ValidationError("This is not the page that was shown.")
        return seen

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        is_later = cleaned.get("when") == self.AT
        if is_later and not cleaned.get("at") and "at" not in self.errors:
            self.add_error("at", "Give the day and the time, or choose “Now”.")
        if not is_later:
            cleaned["at"] = None
        return cleaned


class PinForm(ReasonForm):
    until = LocalTimeField(label="Until", required=False, help_text="Empty: until somebody takes the pin out.")

    def clean_until(self) -> Any:
        until = self.cleaned_data["until"]
        if until is not None and until <= timezone.now():
            raise ValidationError("That has passed: give a time to come, or leave it empty.")
        return until
