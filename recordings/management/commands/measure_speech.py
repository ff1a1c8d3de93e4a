"""``manage.py measure_speech``: how well a platform's recording carries a speech that is known word by word."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from meetings.models import Meeting
from recordings.measuring import measure_speech


class Command(BaseCommand):
    help = (
        "Compare a meeting's transcript with the text of the speech that was played in it, and keep the word error "
        "rate for the parity page. Play the same speech once on each platform to compare them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("meeting", help="the meeting's id, as its page's address shows it")
        parser.add_argument("text", type=Path, help="a UTF-8 file with the words that were played")

    def handle(self, *, meeting: str, text: Path, **options: Any) -> None:
        try:
            row = Meeting.objects.get(pk=uuid.UUID(meeting))
        except (ValueError, Meeting.DoesNotExist):
            raise CommandError(f"There is no meeting {meeting}. Its page's address has the id.") from None
        try:
            reference = text.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{text} cannot be read: {error}.") from error
        try:
            measured = measure_speech(row, reference, now=timezone.now())
        except ValueError as error:
            raise CommandError(str(error)) from error
        said = "as it should be" if measured.ok else "worse than it should be"
        rate, words = measured.evidence["word error rate"], measured.evidence["words"]
        self.stdout.write(f"{row.get_platform_display()}: word error rate {rate} of {words} words, {said}.")
