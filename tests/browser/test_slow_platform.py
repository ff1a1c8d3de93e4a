"""A platform that answers slowly, with the product's own processes: no press of Join is left without a word."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
import requests

from tests.browser.product import Product, running_product

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running_product(tmp_path_factory.mktemp("slow")) as running:
        yield running


def hang(product: Product, platform: str, seconds: float, times: int) -> None:
    """The platform makes a room only after this long, so many times; what comes round asks it other things."""
    operation = {"daily": "create_room", "whereby": "create_meeting"}[platform]
    faults = {"requests": [{"operation": operation, "hang_s": seconds, "times": times}]}
    requests.post(f"{product.sandbox_url}/_control/faults/{platform}", json=faults, timeout=10).raise_for_status()


def send_form(product: Product, slug: str) -> tuple[requests.Session, requests.Response, float]:
    """The browser, the answer to its form, and how long that took."""
    browser = requests.Session()
    address = f"{product.url}/rooms/{slug}/"
    form = browser.get(address, timeout=10).text
    fields = dict(re.findall(r'name="(csrfmiddlewaretoken|words)" value="([^"]+)"', form))
    began = time.monotonic()
    data = {"name": "Gil Guest", "answer": "yes", **fields}
    response = browser.post(address, data=data, timeout=30, allow_redirects=False)
    return browser, response, time.monotonic() - began


def heading(response: requests.Response) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", response.text)
    return found[1] if found else ""


def until_it_goes_on(product: Product, browser: requests.Session, response: requests.Response) -> requests.Response:
    """What the page of progress turns into, by its own refreshing."""
    address = f"{product.url}{response.headers['Location']}"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shown = browser.get(address, timeout=15)
        if heading(shown) != "Opening the meeting":
            return shown
        assert shown.status_code == 200
        assert f'content="2; url={response.headers["Location"]}"' in shown.text
        time.sleep(0.5)
    raise AssertionError("it was never given up")


def test_a_slow_opening_shows_progress_after_a_second_and_then_the_call(product: Product) -> None:
    hang(product, "daily", seconds=6, times=1)
    browser, response, took_s = send_form(product, "demo-daily")
    assert response.status_code == 303
    assert 0.9 < took_s < 5
    assert "call-data" in until_it_goes_on(product, browser, response).text


def test_an_endless_opening_is_given_up_after_ten_seconds(product: Product) -> None:
    hang(product, "whereby", seconds=15, times=4)
    began = time.monotonic()
    browser, response, took_s = send_form(product, "demo-whereby")
    assert took_s < 5
    shown = until_it_goes_on(product, browser, response)
    assert 5 < time.monotonic() - began < 15
    assert (shown.status_code, heading(shown)) == (503, "The call could not be opened")
    assert int(shown.headers["Retry-After"]) > 0
    assert 'name="name" value="Gil Guest"' in shown.text
