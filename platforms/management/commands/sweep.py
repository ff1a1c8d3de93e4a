"""``manage.py sweep``: wake due work and run periodic jobs, once or for ever."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from platforms.calls import writer
from platforms.sweeper import Sweeper


class Command(BaseCommand):
    help = "Wakes work that is due and runs periodic jobs. One pass, fit for cron; --loop stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="stay and sweep every two seconds")
        parser.add_argument("--all", action="store_true", help="one pass: run every job, also those that ran lately")

    def handle(self, *, loop: bool, all: bool, **options: Any) -> None:
        sweeper = Sweeper()
        if loop:
            stop = threading.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            writer.start()
            sweeper.loop(stop)
            return
        failed = sweeper.once(every_job=all)
        if failed is None:
            self.stdout.write("Another sweeper is at work; nothing was done.")
        elif failed:
            raise CommandError(f"failed: {', '.join(failed)}")
