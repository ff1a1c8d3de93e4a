"""Daily's one webhook per domain: where it points, and pointing it at us.

Fields: ``{uuid, url, eventTypes, retryType, state: ACTIVE|FAILED, failedCount, …}``.
https://docs.daily.co/reference/rest-api/webhooks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from platforms.base import Finding, PlatformRefused
from platforms.daily.client import DailyClient
from platforms.text import sequence, text

#: circuit-breaker, the default, stops for the whole domain after three failures in a row
RETRY_TYPE = "exponential"
EVENT_TYPES = (
    "meeting.started",
    "meeting.ended",
    "participant.joined",
    "participant.left",
    "waiting-participant.joined",
    "waiting-participant.left",
    "recording.started",
    "recording.ready-to-download",
    "recording.error",
)
SYNC = "manage.py sync_daily_webhook"


def sync(client: DailyClient, *, url: str, secret: str, aliases: Sequence[str] = (), take_over: bool = False) -> str:
    """Make the domain's webhook ours, active and exponential; what was done, in one sentence. Idempotent.

    ``aliases`` are older addresses of this very installation. A webhook that points anywhere else is left alone
    unless ``take_over``: raises ``PlatformRefused``.
    """
    wanted = {"url": url, "eventTypes": list(EVENT_TYPES), "retryType": RETRY_TYPE, "hmac": secret}
    known = client.webhooks()
    ours = [hook for hook in known if _same(hook.get("url"), (url, *aliases))]
    if not known:
        client.create_webhook(wanted)
        return f"Daily now sends its events to {url}."
    if not ours and not take_over:
        raise PlatformRefused(
            f"Daily's only webhook points at {text(known[0].get('url'))}; run {SYNC} --take-over to point it here."
        )
    hook = (ours or known)[0]
    wrong = _differences(hook, url, secret)
    if not wrong:
        return f"Nothing to do: Daily sends its events to {url}."
    client.update_webhook(text(hook.get("uuid")), wanted)
    return f"Daily's webhook now points at {url} (changed: {', '.join(wrong)})."


def findings(client: DailyClient, url: str) -> Iterable[Finding]:
    """For ``doctor``. Raises the client's errors."""
    known = client.webhooks()
    ours = next((hook for hook in known if _same(hook.get("url"), (url,))), None)
    if ours is None:
        elsewhere = text(known[0].get("url")) if known else ""
        yield Finding(
            ok=False,
            what=f"Daily's webhook points at {elsewhere}" if elsewhere else "Daily has no webhook",
            why="joins, leaves and recordings are then found by polling only, up to a minute late",
            fix=f"{SYNC} --take-over" if elsewhere else SYNC,
        )
    elif wrong := _differences(ours, url, ""):
        yield Finding(
            ok=False,
            what=f"Daily's webhook differs from ours in: {', '.join(wrong)}",
            why="a webhook that is not ACTIVE sends nothing; one that is not exponential stops after three failures",
            fix=SYNC,
        )
    else:
        yield Finding(ok=True, what="Daily's webhook points here, is ACTIVE and retries exponentially")


def _differences(hook: Mapping[str, Any], url: str, secret: str) -> list[str]:
    wrong = []
    if hook.get("url") != url:
        wrong.append("address")
    if hook.get("state") != "ACTIVE":
        wrong.append("state")
    if hook.get("retryType") != RETRY_TYPE:
        wrong.append("retries")
    if not set(EVENT_TYPES) <= {text(kind) for kind in sequence(hook.get("eventTypes"))}:
        wrong.append("event types")
    if secret and hook.get("hmac") and hook.get("hmac") != secret:
        wrong.append("secret")
    return wrong


def _same(known: Any, urls: Sequence[str]) -> bool:
    return text(known, 2000).rstrip("/") in {url.rstrip("/") for url in urls}
