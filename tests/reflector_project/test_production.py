"""The settings as production has them, in processes of their own: what they say about themselves and do."""

import json
import os
import secrets
import subprocess
import sys

import pytest
from django.conf import settings as here
from django.test import Client

from platforms.urls import urlpatterns
from tests.accounts_for_platforms import BOTH
from tests.environment import for_tests

PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "PUBLIC_URL": "https://rooms.example.org",
    "ALLOWED_HOSTS": "rooms.example.org",
    "BEHIND_PROXY": "true",
    "HSTS_SUBDOMAINS": "true",
    "HSTS_PRELOAD": "true",
    "EMAIL_URL": "smtp+tls://user:password@mail.example.org:587",
    "ALERT_EMAILS": "operators@example.org",
    "DJANGO_SETTINGS_MODULE": "reflector_project.settings",
    **BOTH,
}
NAMES = ("SECURE_", "SESSION_COOKIE_", "CSRF_COOKIE_", "ALLOWED_HOSTS")
PRINT = f"""
import json
from reflector_project import settings
print(json.dumps({{name: value for name, value in vars(settings).items() if name.startswith({NAMES})}}))
"""


def run(*arguments, **more):
    environment = for_tests(os.environ) | PRODUCTION | more
    environment = {name: value for name, value in environment.items() if value is not None}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=here.BASE_DIR,
        env=environment | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def deploy_check(**more):
    return run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **more)


@pytest.fixture
def production(settings):
    """``production(NAME=value, …)``: what such an environment makes of the settings about safety, set here."""

    def become(**more):
        said = run("-c", PRINT, **more)
        assert said.returncode == 0, said.stderr
        for name, value in json.loads(said.stdout).items():
            setattr(settings, name, value)
        return Client(headers={"host": "rooms.example.org"})

    return become


def test_the_deployment_checklist_has_nothing_to_say():
    done = deploy_check()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "System check identified no issues (0 silenced).\n"


def test_a_no_to_hsts_for_other_hosts_is_an_answer_too():
    assert deploy_check(HSTS_SUBDOMAINS="false", HSTS_PRELOAD="false").returncode == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"HSTS_SUBDOMAINS": None, "HSTS_PRELOAD": None, "SECRET_KEY": "short", "BEHIND_PROXY": "false"},
            ["security.W005", "security.W021", "security.W009", "security.W008", "platforms.W006"],
        ),
        ({"PUBLIC_URL": "http://rooms.example.org"}, ["security.W012", "security.W016", "platforms.W004"]),
    ],
)
def test_what_is_not_as_it_should_be_is_told(changes, told):
    done = deploy_check(**changes)
    assert done.returncode == 1
    assert [word for word in told if word not in done.stderr] == []


@pytest.mark.django_db
def test_people_are_sent_to_https_and_machines_are_answered(production):
    client = production()
    for path in ["/", "/admin/", "/accounts/login/", "/rooms/x/", "/v1/rooms/x/move", "/v1/dailyx"]:
        answer = client.get(path)
        assert (answer.status_code, answer.get("Location")) == (301, f"https://rooms.example.org{path}")
    machines = [f"/{one.pattern}" for one in urlpatterns]
    assert len(machines) >= 12
    assert {client.post(path).status_code for path in machines if "webhook" in path or "v1/" in path} == {401}
    assert {client.get(path).status_code for path in machines if "z" in path} <= {200, 503}


@pytest.mark.django_db
def test_over_https_browsers_are_told_to_stay_there(production):
    answer = production().get("/accounts/login/", headers={"x-forwarded-proto": "https"})
    assert answer.status_code == 200
    assert answer["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    cookie = answer.cookies["csrftoken"]
    assert (bool(cookie["secure"]), cookie["samesite"]) == (True, "Lax")


@pytest.mark.django_db
def test_where_the_proxy_tells_nothing_there_is_no_redirect_for_ever(production):
    client = production(BEHIND_PROXY="false")
    assert client.get("/accounts/login/").status_code == 200
    # and a visitor's own word for https is not taken
    assert "Strict-Transport-Security" not in client.get("/accounts/login/", headers={"x-forwarded-proto": "https"})


def test_development_stays_on_http(settings):
    assert settings.DEBUG is False  # the test runner's doing; the settings were read with DEBUG=true
    for name in ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS"):
        assert not getattr(settings, name), name
