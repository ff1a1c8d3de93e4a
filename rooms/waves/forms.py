"""What staff may type into a wave, and into the page that confirms a command."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count

from platforms.models import ReadinessResult
from rooms.models import Room, Wave
from rooms.staff.search import words_of
from rooms.waves.choosing import known_platforms
from rooms.words import given, label_of

NAMED = 5
NAME_TAKEN = "Another wave has this name."
TEXT = {"class": "vTextField"}


class WaveForm(forms.Form):
    name = forms.CharField(
        max_length=120,
        error_messages={"required": "Give the wave a name of its own."},
        widget=forms.TextInput(attrs={**TEXT, "autocomplete": "off"}),
    )
    platform = forms.ChoiceField(label="Move rooms to")
    reason = forms.CharField(
        label="Why?",
        max_length=500,
        help_text="Kept with every move of the wave, and shown at each meeting that opens there.",
        error_messages={"required": "Say why: the reason is kept with every move."},
        widget=forms.TextInput(attrs={**TEXT, "autocomplete": "off"}),
    )

    by = forms.ChoiceField(
        label="Which rooms?",
        choices=[("filter", "All rooms in use that fit the description below"), ("list", "The rooms that I list")],
        initial="filter",
        widget=forms.RadioSelect,
    )
    on = forms.ChoiceField(label="Now on", required=False)
    text = forms.CharField(label="Name or address contains", required=False, max_length=120)
    owner = forms.CharField(label="Owner", required=False, max_length=254, help_text="User name or e-mail.")
    shared = forms.ChoiceField(
        label="Who may come in",
        required=False,
        choices=[("", "does not matter"), ("yes", "anyone with the link"), ("no", "members only")],
    )
    recording_type = forms.ChoiceField(
        label="Recording", required=False, choices=[("", "does not matter"), *Room.RecordingType.choices]
    )
    met_within_days = forms.IntegerField(
        label="Had a meeting in the last … days", required=False, min_value=1, max_value=3650
    )
    rooms = forms.CharField(
        label="List",
        required=False,
        help_text="Only when you chose to list rooms: short names or addresses, one a line or with spaces between.",
        widget=forms.Textarea(attrs={"rows": 5, "class": "vLargeTextField"}),
    )

    required_checks = forms.MultipleChoiceField(
        label="Checks that must pass",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Besides all blocking ones, which always count. One that is ticked here must be proven to be fine.",
    )
    trip_after = forms.IntegerField(
        label="The guard acts after so many failures in a row",
        initial=3,
        min_value=1,
        max_value=100,
    )
    on_trip = forms.ChoiceField(label="The guard then", choices=Wave.OnTrip.choices, initial=Wave.OnTrip.HOLD)

    def __init__(self, *args: Any, wave: Wave | None = None, **kwargs: Any) -> None:
        self.wave = wave
        if wave is not None:
            kwargs["initial"] = _typed(wave)
        super().__init__(*args, **kwargs)
        platforms = known_platforms()
        if wave is not None and wave.platform not in dict(platforms):
            platforms.append((wave.platform, label_of(wave.platform)))
        self._choices("platform", platforms)
        self.fields["platform"].initial = _emptiest([slug for slug, _ in platforms])
        self._choices("on", [("", "any other platform"), *platforms])
        checks = ReadinessResult.objects.order_by("key").values_list("key", "title").distinct()
        known = dict(checks) | {key: key for key in (wave.required_checks if wave else []) if key not in dict(checks)}
        self._choices("required_checks", list(known.items()))

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type
        field.choices = choices

    def clean_reason(self) -> str:
        """Zero-width characters are no reason: no move could be made for it."""
        reason = given(str(self.cleaned_data["reason"]))
        if not reason:
            raise ValidationError(self.fields["reason"].error_messages["required"])
        return reason

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        others = Wave.objects.filter(name__iexact=name)
        if (others if self.wave is None else others.exclude(pk=self.wave.pk)).exists():
            raise ValidationError(NAME_TAKEN)
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("by") == "list":
            cleaned["selection"] = {"rooms": self._listed(cleaned.get("rooms", ""))}
        else:
            if cleaned.get("on") and cleaned.get("on") == cleaned.get("platform"):
                self.add_error("on", "Rooms that are there already do not move. Choose where they come from.")
            cleaned["selection"] = {"filter": _filter(cleaned)}
        return cleaned

    def _listed(self, text: str) -> list[int]:
        slugs = [word.lower() for word in words_of(text.replace(",", " "))]
        if not slugs:
            self.add_error("rooms", "List at least one room, or choose rooms by description.")
            return []
        found = {slug.lower(): pk for pk, slug in Room.objects.values_list("pk", "slug") if slug.lower() in set(slugs)}
        if unknown := [slug for slug in dict.fromkeys(slugs) if slug not in found]:
            named = ", ".join(f"“{slug}”" for slug in unknown[:NAMED])
            more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
            self.add_error("rooms", f"No room has the short name {named}{more}.")
        return sorted(set(found.values()))


def _emptiest(platforms: list[str]) -> str:
    """Where the fewest rooms meet: most likely where they are to go."""
    counts = dict(Room.objects.active().order_by().values_list("platform").annotate(count=Count("pk")))
    return min(platforms, key=lambda slug: counts.get(slug, 0), default="")


def _filter(cleaned: dict[str, Any]) -> dict[str, Any]:
    wanted = {
        "platform": cleaned.get("on"),
        "text": cleaned.get("text"),
        "owner": cleaned.get("owner"),
        "recording_type": cleaned.get("recording_type"),
        "met_within_days": cleaned.get("met_within_days"),
    }
    kept: dict[str, Any] = {name: value for name, value in wanted.items() if value}
    if cleaned.get("shared"):
        kept["shared"] = cleaned["shared"] == "yes"
    return kept


def _typed(wave: Wave) -> dict[str, Any]:
    """What was typed into a draft, from what it says."""
    chosen = wave.selection.get("filter", {})
    shared = chosen.get("shared")
    slugs = Room.objects.filter(pk__in=wave.selection.get("rooms", [])).order_by("slug").values_list("slug", flat=True)
    return {
        "name": wave.name,
        "platform": wave.platform,
        "reason": wave.reason,
        "by": "list" if "rooms" in wave.selection else "filter",
        "on": chosen.get("platform", ""),
        "text": chosen.get("text", ""),
        "owner": chosen.get("owner", ""),
        "shared": "" if shared is None else "yes" if shared else "no",
        "recording_type": chosen.get("recording_type", ""),
        "met_within_days": chosen.get("met_within_days"),
        "rooms": "\n".join(slugs),
        "required_checks": wave.required_checks,
        "trip_after": wave.trip_after,
        "on_trip": wave.on_trip,
    }


class CommandForm(forms.Form):
    """Why, and the plan that was seen, and when."""

    reason = forms.CharField(
        label="Why?",
        max_length=500,
        help_text="Kept in the wave’s log.",
        error_messages={"required": "Say why: the reason is kept in the wave’s log."},
        widget=forms.TextInput(attrs={**TEXT, "autocomplete": "off", "autofocus": True}),
    )
    seen_hash = forms.CharField(widget=forms.HiddenInput)
    looked_at = forms.DateTimeField(widget=forms.HiddenInput, required=False)


class ShrinkForm(forms.Form):
    percent = forms.FloatField(
        label="Shrink to … percent of the rooms",
        min_value=0,
        max_value=100,
        widget=forms.NumberInput(attrs={"step": "any", "min": "0", "max": "100", "autofocus": True}),
    )
