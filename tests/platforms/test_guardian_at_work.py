"""The whole product: a webhook that stops works again within two minutes, and the operator has mail about it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.browser.product import Product, running_product, until

pytestmark = pytest.mark.crash


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    with running_product(tmp_path, ALERT_EMAILS="ops@example.org") as running:
        yield running


class Account:
    """Daily as the sandbox plays it, by its API."""

    def __init__(self, product: Product) -> None:
        lines = (Path(product.environ["VAR_DIR"]) / "sandbox.env").read_text().splitlines()
        told = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        self.url, self.sandbox_url = told["DAILY_API_URL"], product.sandbox_url
        self.headers = {"Authorization": f"Bearer {told['DAILY_API_KEY']}"}

    def __call__(self, method: str, path: str, json: Any = None) -> Any:
        answer = requests.request(method, self.url + path, json=json, headers=self.headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def hook(self) -> dict[str, Any]:
        found = self("GET", "/webhooks")
        return dict(found[0]) if found else {}

    def join(self, name: str) -> None:
        person = {"platform": "daily", "room": "guarded", "name": name}
        requests.post(f"{self.sandbox_url}/_control/people", json=person, timeout=10).raise_for_status()


def test_failed_webhook_works_again_within_two_minutes(product):
    account = Account(product)
    hook = until(account.hook, 60, "the webhook is registered", product.logged)
    account("POST", f"/webhooks/{hook['uuid']}", {"retryType": "circuit-breaker", "hmac": "c29tZWJvZHkgZWxzZSdz"})
    account("POST", "/rooms", {"name": "guarded", "privacy": "public"})
    for name in ("Ann", "Ben", "Cem"):
        account.join(name)
    until(lambda: account.hook()["state"] == "FAILED", 30, "three refusals stop it", product.logged)
    failed_at = time.monotonic()
    until(lambda: account.hook()["state"] == "ACTIVE", 120, "the guardian starts it again", product.logged)
    assert time.monotonic() - failed_at < 120
    mended = account.hook()
    assert (mended["retryType"], mended["hmac"]) == ("exponential", hook["hmac"])
    until(lambda: "Warning: Daily's webhook does not work" in product.logged(), 60, "mail is sent", product.logged)
    until(lambda: "Over: Daily's webhook does not work" in product.logged(), 120, "its end is told", product.logged)
