"""``manage.py replay_event <number>``: run a stored webhook delivery again, or say what that would change."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, transaction

from platforms.models import WebhookEvent
from platforms.rehearsal import Rehearsal, rehearse


class Command(BaseCommand):
    help = (
        "Run a stored webhook delivery again: a worker reads it within seconds. With --dry-run: say which rows that "
        "would change, and change nothing. Exit code 1 and one sentence when it cannot be done or would fail."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("event", type=int, help="the number of the delivery, as in its address in the admin")
        how = parser.add_mutually_exclusive_group(required=True)
        how.add_argument("--dry-run", action="store_true", help="only say what would change")
        how.add_argument("--by", metavar="USERNAME", help="whose name stands in the log")

    def handle(self, *args: Any, event: int, dry_run: bool, by: str | None, **options: Any) -> None:
        row = WebhookEvent.objects.filter(pk=event).first()
        if row is None:
            raise CommandError(f"There is no delivery {event}; its number is in its address in the admin.")
        if dry_run:
            self._dry_run(row)
        else:
            self._run_again(row, by or "")

    def _run_again(self, row: WebhookEvent, by: str) -> None:
        user = get_user_model()._default_manager.filter(username=by).first()
        if user is None:
            raise CommandError(f"Nobody is called “{by}”; --by takes the user name of an account.")
        with transaction.atomic():
            row.run_again()
            LogEntry.objects.log_actions(user.pk, [row], CHANGE, "Run again, on the command line", single_object=True)
        self.stdout.write(f"{row} will be run again within seconds.")

    def _dry_run(self, row: WebhookEvent) -> None:
        try:
            rehearsal = rehearse(row)
        except OperationalError as error:
            raise CommandError("Somebody else was writing the same rows for too long; try again.") from error
        if rehearsal.error:
            raise CommandError(f"{rehearsal.in_words} {rehearsal.error}")
        self.stdout.write(rehearsal.outcome)
        for line in _lines(rehearsal):
            self.stdout.write(line)
        self.stdout.write(f"{rehearsal.in_words} Nothing was changed.")


def _lines(rehearsal: Rehearsal) -> list[str]:
    lines = []
    for change in rehearsal.changes:
        lines.append(f"{change.kind} {change.name} ({change.label} {change.pk})")
        lines += [f"  {field.name}: {field.before or '–'} → {field.after or '–'}" for field in change.fields]
    return lines
