"""The made-up account on Daily that the tests of the adapter use."""

import json
from typing import Any

import responses

from platforms.base import (
    ProviderRoom,
)
from platforms.daily.adapter import DailyAdapter
from tests.accounts_for_platforms import BOTH
from tests.platforms.contract import NOW
from tests.platforms.daily.test_contract import NAME

HERE = ProviderRoom(name=NAME, provider_id="987b5eb5", url=f"https://reflector.daily.co/{NAME}")
CLOUD_KEY = "reflector/room/1760988935484"


def adapter(**environ: str) -> DailyAdapter:
    return DailyAdapter.from_environment({**BOTH, **environ}, lambda: NOW)


def sent(index: int = 0) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(responses.calls[index].request.body or b"{}")
    return body
