"""Register our address as the Daily domain's webhook."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from platforms import registry
from platforms.base import PlatformRefused, PlatformUnavailable
from platforms.daily import webhooks
from platforms.daily.adapter import DailyAdapter

REFUSED, TRY_LATER = 1, 3


class Command(BaseCommand):
    help = (
        "Create, update or re-activate Daily's webhook so that it points at PUBLIC_URL. There is one per Daily domain: "
        "one that points elsewhere is replaced only with --take-over. Exit codes: 0 done, 1 refused, 3 try later."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--take-over", action="store_true", help="replace a webhook that points elsewhere")

    def handle(self, *args: Any, **options: Any) -> None:
        adapter = registry.get(DailyAdapter.slug)
        if not isinstance(adapter, DailyAdapter) or not adapter.configured:
            raise CommandError(
                "Daily is not configured: set DAILY_API_KEY and DAILY_WEBHOOK_SECRET.", returncode=REFUSED
            )
        base = settings.PUBLIC_URL.rstrip("/")
        if not base.startswith("https://") and not adapter.plain_http:
            raise CommandError(f"Daily sends only to https addresses, and PUBLIC_URL is {base}.", returncode=REFUSED)
        try:
            done = webhooks.sync(
                adapter.client,
                url=f"{base}/v1/webhooks/{adapter.slug}",
                aliases=[f"{base}/{path}" for path in adapter.webhook_paths],
                secret=adapter.webhook_secrets[0],
                take_over=options["take_over"],
            )
        except PlatformRefused as refused:
            raise CommandError(f"{refused}{_hint(refused)}", returncode=REFUSED) from refused
        except PlatformUnavailable as unavailable:
            raise CommandError(f"{unavailable}; try again.", returncode=TRY_LATER) from unavailable
        self.stdout.write(done)


def _hint(refused: PlatformRefused) -> str:
    if refused.code == "invalid-plan-type":
        return ". Daily gives webhooks only to accounts with a payment method."
    return ". Daily verifies the address first: is it reachable?" if refused.status == 400 else ""
