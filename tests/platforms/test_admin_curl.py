"""A delivery as a curl command: run by a real shell, it brings exactly the bytes."""

import html
import re
import subprocess

import pytest
from django.urls import reverse

from platforms.curl import curl, signature_for
from platforms.models import WebhookEvent
from tests.accounts_for_platforms import BOTH
from tests.platforms.test_admin import looker, page_of  # noqa: F401  a fixture
from tests.platforms.test_door import JOINED
from tests.signing import SLUGS

BODIES = [
    JOINED["daily"],
    b"",
    b"@/etc/hostname",
    b'it\'s $HOME `id` \\n !! %s "x" ;&|',
    b"\x00\xff\r\n\x1b[31m\n\n",
    '{"name": "Zoë 工"}\n'.encode(),
    b"x" * 1_000_000,
]


def command_on(page: str) -> str:
    found = re.search(r'<pre class="wide"[^>]*>(curl .*?|printf .*?)</pre>', page, re.DOTALL)
    assert found
    return html.unescape(found[1])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("platform", SLUGS)
@pytest.mark.parametrize("body", BODIES)
def test_the_command_brings_the_same_bytes_through_the_door(
    post, admin_client, live_server, settings, tmp_path, platform, body
):
    settings.PUBLIC_URL = live_server.url
    post(platform, body)
    event = WebhookEvent.objects.get()
    command = command_on(admin_client.get(page_of(event)).content.decode())
    (tmp_path / f"{platform}-{event.pk}.json").write_bytes(
        admin_client.get(reverse("admin:platforms_webhookevent_body", args=[event.pk])).content
    )

    def run():
        return subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True, timeout=30).stdout

    assert run() == b'{"status":"duplicate"}'
    WebhookEvent.objects.all().delete()  # as at an installation that has not seen it
    assert run() == b'{"status":"stored"}'
    again = WebhookEvent.objects.get()
    assert bytes(again.body) == body
    assert not again.is_stale
    assert again.headers["Content-Type"] == event.headers.get("Content-Type", "application/json")


@pytest.mark.django_db
@pytest.mark.parametrize("platform", SLUGS)
def test_no_secret_is_printed(post, admin_client, the_event, platform):
    post(platform, JOINED[platform])
    shown = html.unescape(admin_client.get(page_of(the_event())).content.decode())
    assert "Signature" in command_on(shown)
    for name in ("DAILY_WEBHOOK_SECRET", "WHEREBY_WEBHOOK_SECRET", "DAILY_API_KEY", "WHEREBY_API_KEY"):
        assert BOTH[name] not in shown
    assert "still taken, and the delivery is marked as stale" in shown


@pytest.mark.django_db
def test_who_only_looks_gets_it_unsigned(post, looker, the_event):  # noqa: F811
    post("daily", JOINED["daily"])
    shown = looker.get(page_of(the_event())).content.decode()
    assert "Signature" not in command_on(shown)
    assert "the answer is 401; who may run events again gets a signed one" in shown


@pytest.mark.django_db
def test_without_a_secret_it_says_so(post, admin_client, the_event, settings):
    post("daily", JOINED["daily"])
    settings.PLATFORM_ENVIRON = {}
    shown = admin_client.get(page_of(the_event())).content.decode()
    assert "Signature" not in command_on(shown)
    assert "no webhook secret is set for Daily" in shown


@pytest.mark.django_db
def test_a_delivery_of_a_platform_that_is_gone_has_a_page_still(post, admin_client, the_event):
    post("daily", JOINED["daily"])
    WebhookEvent.objects.update(platform="forgotten")
    assert signature_for(the_event()) == {}
    assert "As a curl command" not in admin_client.get(page_of(the_event())).content.decode()


@pytest.mark.django_db
def test_odd_headers_stay_inside_their_quotes(post, the_event):
    post("daily", JOINED["daily"])
    WebhookEvent.objects.update(
        headers={"User-Agent": "a'; id #", "X-Request-Id": "two\nlines", "Date": "then", "Content-Length": "3"}
    )
    command = curl(the_event(), signature={})
    assert """--header 'User-Agent: a'"'"'; id #'""" in command
    for left_out in ("two", "Date", "Content-Length"):
        assert left_out not in command
