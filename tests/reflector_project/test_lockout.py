"""Wrong passwords, too many of them: who is stopped, for how long, and what they are told."""

from datetime import timedelta

import pytest
import time_machine
from axes.models import AccessAttempt
from django.test import RequestFactory
from django.utils import timezone

from reflector_project.lockout import network_of
from tests.factories import make_user

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"
RIGHT = "an even better one"


@pytest.fixture(autouse=True)
def lockout(settings):
    """In a test run as in development it is off."""
    assert settings.AXES_ENABLED is False
    settings.AXES_ENABLED = True


@pytest.fixture
def ann():
    return make_user("ann", password=RIGHT, is_staff=True)


def sign_in(client, name="ann", password="wrong", address=LOGIN, **request):  # noqa: S107
    return client.post(address, {"username": name, "password": password}, **request)


def fail(client, times, **how):
    return [sign_in(client, **how).status_code for _ in range(times)]


@pytest.mark.parametrize("address", [LOGIN, "/admin/login/"])
def test_the_fifth_wrong_password_stops_and_the_right_one_does_not_help_then(client, ann, address):
    assert fail(client, 5, address=address) == [200, 200, 200, 200, 429]
    answer = sign_in(client, password=RIGHT, address=address)
    assert answer.status_code == 429
    assert "_auth_user_id" not in client.session


def test_the_page_says_until_when_and_what_to_do(client, ann):
    now = timezone.now().replace(hour=14, minute=17, second=0, microsecond=0)
    with time_machine.travel(now, tick=False):
        fail(client, 5)
    with time_machine.travel(now + timedelta(minutes=4), tick=False):
        answer = sign_in(client)
    page = answer.content.decode()
    assert "Signing in as “ann” from where you are is stopped until 14:32 UTC, in 11 minutes." in page
    assert answer["Retry-After"] == str(11 * 60)
    assert 'href="/accounts/password_reset/"' in page
    assert "<title>Error: too many wrong passwords" in page


def test_it_ends_after_a_quarter_of_an_hour_and_trying_meanwhile_does_not_prolong_it(client, ann):
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        fail(client, 5)
    with time_machine.travel(now + timedelta(minutes=14), tick=False):
        assert fail(client, 3) == [429, 429, 429]
    with time_machine.travel(now + timedelta(minutes=15, seconds=1), tick=False):
        assert sign_in(client, password=RIGHT).status_code == 302
    assert not AccessAttempt.objects.exists()


def test_failures_long_ago_and_before_a_success_do_not_count(client, ann):
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        fail(client, 4)
    with time_machine.travel(now + timedelta(minutes=16), tick=False):
        assert fail(client, 4) == [200] * 4
        assert sign_in(client, password=RIGHT).status_code == 302
        assert fail(client, 4) == [200] * 4


def test_others_are_not_stopped(client, ann):
    make_user("ben", password=RIGHT)
    fail(client, 5, REMOTE_ADDR="192.0.2.1")
    assert sign_in(client, password=RIGHT, REMOTE_ADDR="192.0.2.2").status_code == 302
    assert sign_in(client, name="ben", password=RIGHT, REMOTE_ADDR="192.0.2.1").status_code == 302


def test_another_browser_is_no_way_round(client, ann):
    for number in range(5):
        sign_in(client, HTTP_USER_AGENT=f"browser {number}")
    assert sign_in(client, password=RIGHT, HTTP_USER_AGENT="a sixth").status_code == 429


def test_it_tells_nobody_who_has_an_account(client, ann):
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        fail(client, 5)
        fail(client, 5, name="nobody")
        there, not_there = sign_in(client), sign_in(client, name="nobody")
    assert (there.status_code, there["Retry-After"]) == (not_there.status_code, not_there["Retry-After"])
    assert there.content.decode().replace("“ann”", "“nobody”") == not_there.content.decode()


def test_odd_names_are_shown_and_not_run(client):
    fail(client, 5, name="<script>alert(1)</script>")
    page = sign_in(client, name="<script>alert(1)</script>")
    assert page.status_code == 429
    assert b"<script>alert" not in page.content
    assert fail(client, 6, name="é" * 150, HTTP_USER_AGENT="é" * 400)[-1] == 429


def test_no_password_is_kept(client, ann):
    sign_in(client, password="almost-right")
    kept = AccessAttempt.objects.values().get()
    assert "almost-right" not in str(kept)


# -- whose address


def test_a_forged_header_is_not_believed_without_a_proxy(client, ann):
    forged = [sign_in(client, HTTP_X_FORWARDED_FOR=f"10.0.0.{n}").status_code for n in range(5)]
    assert forged[-1] == 429


def test_behind_a_proxy_it_is_the_address_that_the_proxy_saw(client, ann, settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    for number in range(5):
        sign_in(client, HTTP_X_FORWARDED_FOR=f"10.0.0.{number}, 192.0.2.1")
    assert sign_in(client, password=RIGHT, HTTP_X_FORWARDED_FOR="10.9.9.9, 192.0.2.1").status_code == 429
    assert sign_in(client, password=RIGHT, HTTP_X_FORWARDED_FOR="10.9.9.9, 192.0.2.2").status_code == 302


@pytest.mark.parametrize(
    ("given", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", None),
        ("unix:", None),
    ],
)
def test_network(given, network):
    assert network_of(RequestFactory().get("/", REMOTE_ADDR=given)) == network


def test_without_any_address_it_counts_still(client, ann):
    assert fail(client, 5, REMOTE_ADDR="")[-1] == 429


def test_in_development_nobody_is_stopped(client, ann, settings):
    settings.AXES_ENABLED = False
    assert fail(client, 7) == [200] * 7
    assert sign_in(client, password=RIGHT).status_code == 302
