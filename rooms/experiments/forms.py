"""What staff may type into an experiment, and into the page that confirms a command."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone

from rooms.experiments.commands import kinds_to_watch
from rooms.experiments.drawing import BLOCK_SIZES
from rooms.models import Experiment, Room
from rooms.staff.search import words_of
from rooms.waves.choosing import chosen, known_platforms
from rooms.words import given

NAMED = 5
TEXT = {"class": "vTextField", "autocomplete": "off"}


class ExperimentForm(forms.Form):
    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs=TEXT))
    platform_a = forms.ChoiceField(label="Arm A, where things are")
    platform_b = forms.ChoiceField(
        label="Arm B, what is tried",
        help_text="The same platform twice is an A/A run: it proves the instrument, and nobody notices it.",
    )
    reason = forms.CharField(
        label="Why?",
        max_length=500,
        help_text="Kept in the log, and shown at each meeting that is drawn.",
        error_messages={"required": "Say why: the reason is shown at each meeting that is drawn."},
        widget=forms.TextInput(attrs=TEXT),
    )

    by = forms.ChoiceField(
        label="Which rooms take part?",
        choices=[("list", "The rooms that I list"), ("filter", "All rooms in use on A or B that fit the description")],
        initial="list",
        widget=forms.RadioSelect,
    )
    rooms = forms.CharField(
        label="Rooms",
        required=False,
        help_text="Short names or addresses, one a line or with spaces between them.",
        widget=forms.Textarea(attrs={"rows": 5, "class": "vLargeTextField"}),
    )
    text = forms.CharField(label="Name or address contains", required=False, max_length=120)
    owner = forms.CharField(label="Owner’s user name or e-mail", required=False, max_length=254)
    shared = forms.ChoiceField(
        label="Who may come in",
        required=False,
        choices=[("", "does not matter"), ("yes", "anyone with the link"), ("no", "members only")],
    )
    met_within_days = forms.IntegerField(
        label="Had a meeting in the last … days", required=False, min_value=1, max_value=3650
    )

    watched = forms.MultipleChoiceField(
        label="What the guard watches",
        choices=kinds_to_watch(),
        initial=[kind for kind, _ in kinds_to_watch()],
        widget=forms.CheckboxSelectMultiple,
        help_text="The fewer, the sooner it sees a harm: it acts at E = 20 for each.",
        error_messages={"required": "Choose at least one outcome: without, nobody guards the experiment."},
    )
    on_harm = forms.ChoiceField(
        label="When B does harm", choices=Experiment.OnHarm.choices, initial=Experiment.OnHarm.HOLD
    )
    block_size = forms.TypedChoiceField(
        label="Draws in a block",
        choices=[(size, str(size)) for size in BLOCK_SIZES],
        coerce=int,
        initial=4,
        help_text="Half of a room’s block goes to each arm, and only finished blocks are evidence. "
        "With more than 20 rooms take 2.",
    )

    def __init__(self, *args: Any, experiment: Experiment | None = None, **kwargs: Any) -> None:
        self.experiment = experiment
        if experiment is not None:
            kwargs["initial"] = _typed(experiment)
        super().__init__(*args, **kwargs)
        for name in ("platform_a", "platform_b"):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type
            field.choices = known_platforms()
        # somebody who opens this form wants to compare; the first choice twice would be an A/A run by oversight
        if experiment is None and len(known_platforms()) > 1:
            self.initial.setdefault("platform_b", known_platforms()[1][0])

    def clean_reason(self) -> str:
        """Zero-width characters are no reason: no move could be made for it."""
        reason = given(str(self.cleaned_data["reason"]))
        if not reason:
            raise ValidationError(self.fields["reason"].error_messages["required"])
        return reason

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        others = Experiment.objects.filter(name__iexact=name)
        if (others if self.experiment is None else others.exclude(pk=self.experiment.pk)).exists():
            raise ValidationError("Another experiment has this name.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("by") == "list":
            cleaned["chosen"] = self._listed(cleaned.get("rooms", ""))
        else:
            cleaned["chosen"] = self._described(cleaned)
            if not self.errors and not cleaned["chosen"]:
                self.add_error("by", "No room fits this description.")
        return cleaned

    def _listed(self, text: str) -> list[int]:
        slugs = [word.lower() for word in words_of(text.replace(",", " "))]
        if not slugs:
            self.add_error("rooms", "List at least one room, or choose rooms by description.")
            return []
        wanted = set(slugs)
        found = {slug.lower(): pk for pk, slug in Room.objects.values_list("pk", "slug") if slug.lower() in wanted}
        if unknown := [slug for slug in dict.fromkeys(slugs) if slug not in found]:
            named = ", ".join(f"“{slug}”" for slug in unknown[:NAMED])
            more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
            self.add_error("rooms", f"No room has the short name {named}{more}.")
        return sorted(set(found.values()))

    def _described(self, cleaned: dict[str, Any]) -> list[int]:
        wanted: dict[str, Any] = {
            name: cleaned[name] for name in ("text", "owner", "met_within_days") if cleaned.get(name)
        }
        if cleaned.get("shared"):
            wanted["shared"] = cleaned["shared"] == "yes"
        rooms: QuerySet[Room] = chosen({"filter": wanted}, now=timezone.now())
        arms = [cleaned.get("platform_a", ""), cleaned.get("platform_b", "")]
        return list(rooms.filter(platform__in=arms).order_by("pk").values_list("pk", flat=True))


def _typed(experiment: Experiment) -> dict[str, Any]:
    """What a draft says; its rooms are listed one by one, however they were chosen."""
    return {
        "name": experiment.name,
        "platform_a": experiment.platform_a,
        "platform_b": experiment.platform_b,
        "reason": experiment.reason,
        "by": "list",
        "rooms": "\n".join(experiment.rooms.order_by("slug").values_list("slug", flat=True)),
        "watched": experiment.watched,
        "on_harm": experiment.on_harm,
        "block_size": experiment.block_size,
    }


class CommandForm(forms.Form):
    """Why a command is given, what was seen when it was, and why a first comparison needs no A/A run."""

    reason = forms.CharField(
        label="Why?",
        max_length=500,
        help_text="Kept in the experiment’s log.",
        error_messages={"required": "Say why: the reason is kept in the experiment’s log."},
        widget=forms.TextInput(attrs={**TEXT, "autofocus": True}),
    )
    aa_waiver = forms.CharField(
        label="Why may it start without an A/A run?",
        max_length=500,
        required=False,
        help_text="Leave it empty to run an A/A first.",
        widget=forms.TextInput(attrs=TEXT),
    )
    seen_hash = forms.CharField(widget=forms.HiddenInput)
