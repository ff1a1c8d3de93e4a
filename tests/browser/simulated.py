"""People without a browser: they come by our pages as a browser does, and the sandbox lets them into the call."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.browser.product import Product, until


@dataclass
class Visitor:
    product: Product
    slug: str
    platform: str
    session: str  #: their session at the provider

    @classmethod
    def comes(cls, product: Product, slug: str, name: str, voice: Path) -> Visitor:
        """Through the form with a yes, and into the call, where ``voice`` sounds from that moment."""
        browser = requests.Session()
        address = f"{product.url}/rooms/{slug}/"
        form = browser.get(address, timeout=20).text
        data = {"name": name, "answer": "yes", "words": _value(form, "words")}
        token = _value(form, "csrfmiddlewaretoken")
        answer = browser.post(address, {**data, "csrfmiddlewaretoken": token}, timeout=30)
        call = until(
            lambda: _call_of(answer.text) or _call_of(browser.get(f"{address}call/", timeout=20).text),
            30,
            f"{name} is on the call's page",
            product.logged,
        )
        platform = product.state(slug)["platform"]
        with voice.open("rb") as audio:
            person = product.control(
                "POST", "people", data={"platform": platform, **_shown_to_provider(call)}, files={"audio": audio}
            )
        return cls(product, slug, platform, person["id"])

    def leaves(self) -> None:
        self.product.control("DELETE", f"people/{self.session}")


def _value(form: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', form)
    assert found, f"no field {name} in the form"
    return html.unescape(found[1])


def _call_of(page: str) -> dict[str, Any] | None:
    found = re.search(r'<script id="call-data" type="application/json">(.*?)</script>', page, re.DOTALL)
    return dict(json.loads(found[1])) if found else None


def _shown_to_provider(call: dict[str, Any]) -> dict[str, str]:
    """What the provider's frame would be given by this page: the room, and who it is."""
    shown = call["page"]
    if "token" in shown:
        return {"room": shown["url"].rpartition("/")[2], "token": shown["token"]}
    who = shown["attributes"]
    room = shown["room"].partition("?")[0].rpartition("/")[2]
    return {"room": room, "name": who["displayName"], "external_id": who["externalId"]}
