"""The made-up account on Whereby that the tests of the adapter use."""

import json
from datetime import datetime
from typing import Any

import responses

from platforms.base import (
    ProviderRoom,
)
from platforms.whereby.adapter import WherebyAdapter
from tests.accounts_for_platforms import BOTH
from tests.platforms.contract import NOW
from tests.platforms.whereby.test_contract import NAME

HERE = ProviderRoom(
    name=NAME, provider_id="134", url="https://joe.whereby.com/x", host_url="https://joe.whereby.com/x?roomKey=k"
)
FILE = f"{NAME}-2026-11-22T12:00:05.000Z.mp4"

NO_BUCKET = dict.fromkeys(("AWS_WHEREBY_S3_BUCKET", "AWS_WHEREBY_ACCESS_KEY_ID", "AWS_WHEREBY_ACCESS_KEY_SECRET"), "")


def adapter(now: datetime = NOW, **environ: str) -> WherebyAdapter:
    return WherebyAdapter.from_environment({**BOTH, **environ}, lambda: now)


def sent(index: int = 0) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(responses.calls[index].request.body or b"{}")
    return body
