"""A stored delivery as a shell command that posts exactly its bytes again, here or somewhere else."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping

from django.conf import settings
from django.urls import reverse

from platforms import registry
from platforms.models import WebhookEvent

#: a shell takes one argument of at most 128 KiB; longer bodies go by the downloaded file
LONGEST_ARGUMENT = 90_000
#: what curl finds out itself, and what belonged to the first delivery only
NOT_SENT = frozenset({"content-length", "date"})


def file_name(event: WebhookEvent) -> str:
    return f"{event.platform}-{event.pk}.json"


def curl(event: WebhookEvent, *, signature: Mapping[str, str]) -> str:
    """The command for a POSIX shell: the harmless headers as they came, and ``signature``'s in place of theirs."""
    body = bytes(event.body)
    replaced = {name.lower() for name in signature} | NOT_SENT
    headers = {name: value for name, value in event.headers.items() if name.lower() not in replaced}
    headers = {"Content-Type": "application/json", **headers, **signature}
    before, data = _body(event, body)
    parts = [
        f"{before}curl --request POST {shlex.quote(settings.PUBLIC_URL + reverse(f'webhook-{event.platform}'))}",
        *(f"--header {shlex.quote(f'{name}: {value}')}" for name, value in headers.items() if _is_one_line(value)),
        f"{data}",
    ]
    return " \\\n  ".join(parts)


def signature_for(event: WebhookEvent) -> Mapping[str, str]:
    """Headers that sign the body now with our newest secret, which cannot be told from them; empty without one."""
    adapter = registry.adapters().get(event.platform)
    return (adapter.sign(bytes(event.body)) if adapter else None) or {}


def _body(event: WebhookEvent, body: bytes) -> tuple[str, str]:
    """What stands before ``curl``, and its argument for the body."""
    if len(body) > LONGEST_ARGUMENT:
        return "", f"--data-binary @{file_name(event)}"
    if all(0x20 <= byte < 0x7F for byte in body):
        return "", f"--data-raw {shlex.quote(body.decode())}"
    # other alphabets, line ends and odd bytes do not come through every clipboard and terminal as they are
    return f"printf %s {base64.b64encode(body).decode()} | base64 --decode | ", "--data-binary @-"


def _is_one_line(value: str) -> bool:
    return bool(value) and value.isprintable()
