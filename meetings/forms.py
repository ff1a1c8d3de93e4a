"""The form before a call."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django import forms

from meetings.consent import text_for
from meetings.models import Meeting, Participant
from rooms.models import Room

WORDS_CHANGED = "What happens with a recording has changed."


@dataclass(frozen=True)
class Question:
    """What is asked before a call, word for word. ``sha256`` is of all three lines together.

    The lines of the answers are "Yes: what it means": label and explanation of a radio button.
    """

    legend: str
    yes_label: str
    yes: str
    no_label: str
    no: str
    sha256: str
    required: bool

    @classmethod
    def of(cls, subject: Meeting | Room) -> Question | None:
        """None when nothing is recorded here, or nobody is asked."""
        text = text_for(subject)
        if not text:
            return None
        legend, yes, no = text.split("\n", 2)
        return cls(
            legend,
            *_label_and_meaning(yes),
            *_label_and_meaning(no),
            hashlib.sha256(text.encode()).hexdigest(),
            subject.consent_policy == Room.ConsentPolicy.REQUIRED,
        )


def _label_and_meaning(line: str) -> tuple[str, str]:
    label, _, meaning = line.partition(": ")
    return label, meaning


class JoinForm(forms.Form):
    name = forms.CharField(
        max_length=100,
        error_messages={"required": "Enter your name.", "max_length": "Your name may have at most 100 characters."},
    )
    answer = forms.ChoiceField(
        required=False,
        choices=[(Participant.Answer.YES, "Yes"), (Participant.Answer.NO, "No")],
        error_messages={"invalid_choice": "Choose yes or no."},
    )
    words = forms.CharField(required=False)

    def __init__(self, *args: Any, question: Question | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.question = question

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.question is None:
            cleaned["answer"] = Participant.Answer.NONE
            return cleaned
        if cleaned.get("words") != self.question.sha256:
            # an answer to other words is no answer to these
            cleaned["answer"] = ""
            if not self.errors.get("answer"):
                self.add_error("answer", f"{WORDS_CHANGED} Please read it and choose again.")
        elif not cleaned.get("answer") and not self.errors.get("answer"):
            self.add_error("answer", "Choose yes or no.")
        return cleaned
