"""What staff may type into a room."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminFileWidget, AutocompleteSelectMultiple
from django.core.exceptions import ValidationError
from django.urls import reverse

from platforms import registry
from platforms.registry import default_platform
from rooms.models import Room, refuse_reserved_slug

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_LOGO = 500_000
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
SMALL_ROOM = 4


class _Logo:
    """The stored file, with the address of the admin page that shows it."""

    def __init__(self, file: Any) -> None:
        self.name = file.name
        self.url = reverse("admin:rooms_room_logo", args=[file.instance.pk])

    def __str__(self) -> str:
        return str(self.name).rpartition("/")[2]


class LogoWidget(AdminFileWidget):
    def format_value(self, value: Any) -> Any:
        return _Logo(value) if self.is_initial(value) and value.instance.pk else None

    def is_initial(self, value: Any) -> bool:
        return bool(value and getattr(value, "instance", None))


class PeoplePicker(AutocompleteSelectMultiple):
    """Without the button that empties it all at once: it is no list item, which a list for screen readers needs.

    Its script names the search field. ``known`` people are shown without being asked for again.
    """

    known: Sequence[Any] = ()

    @property
    def media(self) -> forms.Media:
        return super().media + forms.Media(js=["rooms/pickers.js"])

    def build_attrs(self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None) -> dict[str, Any]:
        return {**super().build_attrs(base_attrs, extra_attrs), "data-allow-clear": "false"}

    def optgroups(self, name: str, value: Sequence[str], attrs: dict[str, Any] | None = None) -> Any:
        known = {str(person.pk): person for person in self.known}
        if not known or not known.keys() >= set(value):
            return super().optgroups(name, value, attrs)
        label = self.choices.field.label_from_instance
        shown = [known[key] for key in value]
        options = [
            self.create_option(name, str(person.pk), label(person), True, number, attrs=attrs)
            for number, person in enumerate(shown)
        ]
        return [(None, options, 0)]


class RoomForm(forms.ModelForm):
    class Meta:
        model = Room
        exclude = ("platform", "archived_at")  # noqa: DJ006 - everything but what moves and buttons change
        widgets = {"logo": LogoWidget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            widget: Any = field.widget
            picker = getattr(widget, "widget", widget)
            if isinstance(picker, PeoplePicker):
                picker.known = self.initial.get(name, []) if self.instance.pk else []

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        refuse_reserved_slug(slug.lower())
        others = Room.objects.exclude(pk=self.instance.pk).filter(slug__iexact=slug)
        if others.exists():
            raise ValidationError(f"“{others[0]}” has this short name already.")
        return slug

    def clean_language(self) -> str:
        language = str(self.cleaned_data["language"])
        if not LANGUAGE.fullmatch(language):
            raise ValidationError("Give a language code such as en, de or pt-BR.")
        return language

    def clean_logo(self) -> Any:
        logo = self.cleaned_data.get("logo")
        if logo and "logo" in self.changed_data:
            if logo.size > LARGEST_LOGO:
                raise ValidationError(f"The picture has {logo.size // 1000} kB; at most {LARGEST_LOGO // 1000} kB go.")
            beginning = logo.read(len(PNG_SIGNATURE))
            logo.seek(0)
            if beginning != PNG_SIGNATURE:
                raise ValidationError("This is not a PNG picture.")
        return logo

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("recording_type") in (Room.RecordingType.NONE, Room.RecordingType.LOCAL):
            # nothing of ours can start these; keeps pages from promising a recording
            cleaned["recording_trigger"] = Room.RecordingTrigger.NONE
        most = cleaned.get("max_participants")
        if cleaned.get("mode") == Room.Mode.NORMAL and most and most > SMALL_ROOM:
            self.add_error("max_participants", f"A small room holds at most {SMALL_ROOM} people.")
        if cleaned.get("is_locked") and cleaned.get("enable_knocking") is False:
            self.add_error(
                "enable_knocking",
                "A locked room without knocking lets nobody in but hosts: allow knocking or unlock it.",
            )
        return cleaned


class NewRoomForm(RoomForm):
    """A room's first platform is chosen when it is made; from then on it is moved."""

    starts_on = forms.ChoiceField(label="Meets on", help_text="Later this changes by a move, with a reason.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(adapter.slug, str(adapter.label)) for adapter in registry.configured()]
        field = self.fields["starts_on"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type
        # without any account rooms can be prepared on the default platform
        field.choices = choices or [pair for pair in registry.platform_choices() if pair[0] == default_platform()]
        field.initial = default_platform()

    def _post_clean(self) -> None:
        if "starts_on" in self.cleaned_data:
            self.instance.platform = self.cleaned_data["starts_on"]
        super()._post_clean()  # type: ignore[misc]
