"""Daily's one webhook per domain: where it points, and pointing it at us.

Fields: ``{uuid, url, eventTypes, retryType, state: ACTIVE|FAILED, failedCount, …}``.
https://docs.daily.co/reference/rest-api/webhooks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from platforms.base import Finding, PlatformRefused, WebhookState
from platforms.daily.client import DailyClient
from platforms.text import sequence, text, whole

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
ACTIVE = "ACTIVE"
TITLES = {
    "registered": "Webhook registered",
    "active": "Webhook active",
    "retries": "Webhook retries exponentially",
    "events": "Webhook tells every kind of event",
    "secret": "Webhook signed with our secret",
}
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


def findings(client: DailyClient, addresses: Sequence[str], secrets: Sequence[str]) -> Iterable[Finding]:
    """One finding per question. Raises the client's errors."""
    known = client.webhooks()
    ours = _ours(known, addresses)
    if ours is None:
        elsewhere = text(known[0].get("url")) if known else ""
        yield Finding(
            ok=False,
            what=f"Daily's webhook points at {elsewhere}" if elsewhere else "Daily has no webhook",
            why="joins, leaves and recordings are then found by polling only, up to a minute late",
            fix=f"{SYNC} --take-over" if elsewhere else SYNC,
            evidence={"points at": elsewhere or "nothing"},
            key="webhook.registered",
            title="Webhook registered",
        )
        return
    wrong = _differences(ours, addresses[0], "")
    state, retries = text(ours.get("state")), text(ours.get("retryType"))
    missing = sorted(set(EVENT_TYPES) - {text(kind) for kind in sequence(ours.get("eventTypes"))})
    yield _question(
        "registered",
        good="Daily's webhook points here",
        bad="Daily's webhook differs from ours in: address" if "address" in wrong else "",
        why="an older address of this installation still works, and is not the one that is documented",
        evidence={"address": text(ours.get("url"), 2000)},
        blocks=False,
    )
    yield _question(
        "active",
        good="Daily's webhook is ACTIVE",
        bad=f"Daily's webhook differs from ours in: state ({state or 'unknown'})" if "state" in wrong else "",
        why="a webhook that is not ACTIVE sends nothing",
        evidence={
            "state": state,
            "failures in a row": whole(ours.get("failedCount")),
            "last event sent": text(ours.get("lastMomentPushed")) or "never",
        },
    )
    yield _question(
        "retries",
        good="Daily's webhook retries exponentially",
        bad=f"Daily's webhook differs from ours in: retries ({retries or 'unknown'})" if "retries" in wrong else "",
        why="one that is not exponential stops for the whole domain after three failures in a row",
        evidence={"retries": retries},
    )
    yield _question(
        "events",
        good=f"Daily's webhook tells all {len(EVENT_TYPES)} kinds of events",
        bad=f"Daily's webhook differs from ours in: event types (missing: {', '.join(missing)})" if missing else "",
        why="what it does not tell is found by polling only, if at all",
        evidence={"missing": missing},
    )
    signed_with = text(ours.get("hmac"))
    yield _question(
        "secret",
        good="Daily signs with a secret of ours" if signed_with else "Daily does not show what it signs with",
        bad="Daily's webhook differs from ours in: secret" if signed_with and signed_with not in secrets else "",
        why="every delivery is refused, and three refusals in a row may make Daily stop",
        proven=bool(signed_with),
    )


def _question(
    name: str, *, good: str, bad: str, why: str, evidence: Mapping[str, Any] | None = None, **more: bool
) -> Finding:
    return Finding(
        ok=not bad,
        what=bad or good,
        why=why if bad else "",
        fix=SYNC if bad else "",
        key=f"webhook.{name}",
        title=TITLES[name],
        evidence=evidence or {},
        **more,
    )


def state(client: DailyClient, addresses: Sequence[str]) -> WebhookState:
    known = client.webhooks()
    ours = _ours(known, addresses)
    hook = ours or (known[0] if known else {})
    return WebhookState(
        points_at=text(hook.get("url"), 2000),
        is_ours=ours is not None,
        is_active=hook.get("state") == ACTIVE,
        state=text(hook.get("state")),
        failed_count=whole(hook.get("failedCount")),
    )


def _ours(known: Iterable[Mapping[str, Any]], addresses: Sequence[str]) -> Mapping[str, Any] | None:
    return next((hook for hook in known if _same(hook.get("url"), addresses)), None)


def _differences(hook: Mapping[str, Any], url: str, secret: str) -> list[str]:
    wrong = []
    if hook.get("url") != url:
        wrong.append("address")
    if hook.get("state") != ACTIVE:
        wrong.append("state")
    if hook.get("retryType") != RETRY_TYPE:
        wrong.append("retries")
    if not set(EVENT_TYPES) <= {text(kind) for kind in sequence(hook.get("eventTypes"))}:
        wrong.append("event types")
    if secret and hook.get("hmac") != secret:  # one that is not shown may be any
        wrong.append("secret")
    return wrong


def _same(known: Any, urls: Sequence[str]) -> bool:
    return text(known, 2000).rstrip("/") in {url.rstrip("/") for url in urls}
