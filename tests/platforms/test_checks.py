"""System checks: every mistake is told by the name of its variable, as ``manage.py check`` does it."""

import pytest
from django.core import checks

from reflector_project.broker import broker_and_options, broker_problem
from tests.accounts_for_platforms import BOTH, ONLY_WHEREBY

NAMES = {
    checks.ERROR: "error",
    checks.WARNING: "warning",
    checks.INFO: "info",
}


@pytest.fixture
def told(settings):
    """Messages of our own checks as (level, id, text), with both platforms set up and ``changes`` made."""
    settings.PLATFORM_ENVIRON = BOTH
    settings.PUBLIC_URL = "https://testserver"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.ALERT_EMAILS = ["ops@example.org"]

    def check(**changes):
        for name, value in changes.items():
            setattr(settings, name, value)
        return [
            (NAMES[message.level], message.id, message.msg)
            for message in checks.run_checks()
            if message.id.startswith(("platforms.", "recordings."))
        ]

    return check


def test_nothing_to_say_when_all_is_well(told):
    assert told() == []


@pytest.mark.parametrize(
    "variable", ["WHEREBY_API_KEY", "WHEREBY_WEBHOOK_SECRET", "DAILY_API_KEY", "DAILY_WEBHOOK_SECRET"]
)
def test_a_half_filled_group_is_an_error_that_names_what_is_missing(told, variable):
    found = told(PLATFORM_ENVIRON=BOTH | {variable: ""})
    errors = [words for level, _, words in found if level == "error"]
    assert len(errors) == 1
    assert errors[0].startswith(variable)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WHEREBY_API_KEY", "two words"),
        ("WHEREBY_API_URL", "api.whereby.dev"),
        ("DAILY_API_KEY", "k\N{EURO SIGN}y"),
        ("DAILY_API_URL", "ftp://api.daily.co"),
        ("DAILY_WEBHOOK_SECRET", "not base64!"),
        ("WHEREBY_WEBHOOK_SECRET", " , "),
        ("DAILY_SUBDOMAIN", "two words"),
        ("DAILY_ROOM_URL_PATTERN", "https://x.daily.co/fixed"),
        ("AWS_DAILY_ROLE_ARN", "role"),
        ("AWS_DAILY_S3_BUCKET", "Not A Bucket"),
        ("AWS_DAILY_S3_ENDPOINT_URL", "localhost:9000"),
        ("AWS_WHEREBY_S3_BUCKET", "https://bucket.s3.amazonaws.com"),
        ("AWS_WHEREBY_S3_ENDPOINT_URL", "s3://bucket"),
        ("AWS_S3_ENDPOINT_URL", "localhost:9000"),
        ("AWS_REGION", "Oregon"),
        ("AWS_REGION", "us west 2"),
        ("AWS_REGION", "us-west-"),
        ("AWS_REGION", "us_west_2"),
    ],
)
def test_a_malformed_value_is_one_error_that_names_it(told, variable, value):
    found = told(PLATFORM_ENVIRON=BOTH | {variable: value})
    [(number, words)] = [(number, words) for level, number, words in found if level == "error"]
    assert number == "platforms.E001"
    assert words.startswith(variable)


def test_a_malformed_endpoint_of_our_storage_is_told_wherever_media_are(told):
    found = told(PLATFORM_ENVIRON=BOTH | {"MEDIA_S3_ENDPOINT_URL": "localhost:9000"})
    assert found == [("error", "recordings.E001", "MEDIA_S3_ENDPOINT_URL is not an http(s) URL")]


@pytest.mark.parametrize("region", ["", "us-west-2", "ap-southeast-1", "us-gov-west-1", "eusc-de-east-1", "auto"])
def test_regions_that_there_are(told, region):
    assert told(PLATFORM_ENVIRON=BOTH | {"AWS_REGION": region}) == []


@pytest.mark.parametrize("has_buckets", [True, False])
@pytest.mark.parametrize(
    ("empty", "there"),
    [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")],
)
def test_half_a_key_to_our_storage_is_an_error_also_without_buckets(told, empty, there, has_buckets):
    account = {name: value for name, value in BOTH.items() if has_buckets or not name.startswith("AWS_")}
    found = told(PLATFORM_ENVIRON=account | {empty: "", there: "made-up"})
    assert found == [("error", "platforms.E001", f"{empty} is empty while {there} is set")]


def test_an_empty_group_is_only_an_info(told):
    assert told(PLATFORM_ENVIRON=ONLY_WHEREBY) == [
        ("info", "platforms.I001", "Daily is not configured: no room can meet there.")
    ]


def test_nothing_at_all_is_an_info_for_each_platform(told, settings):
    assert [level for level, _, _ in told(PLATFORM_ENVIRON={})] == ["info"] * len(settings.PLATFORMS)


@pytest.mark.parametrize(
    ("changes", "level", "number", "variable"),
    [
        ({"DEFAULT_PLATFORM": "zoom"}, "error", "platforms.E002", "DEFAULT_PLATFORM"),
        ({"BROKER_URL": "localhost:6379"}, "error", "platforms.E003", "BROKER_URL"),
        ({"PUBLIC_URL": "rooms.example.org"}, "error", "platforms.E004", "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://"}, "error", "platforms.E004", "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://testserver:port"}, "error", "platforms.E004", "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://testserver/sub/folder"}, "error", "platforms.E004", "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://elsewhere.example"}, "error", "platforms.E005", "ALLOWED_HOSTS"),
        ({"PUBLIC_URL": "http://testserver"}, "warning", "platforms.W004", "PUBLIC_URL"),
        ({"SECURE_PROXY_SSL_HEADER": None}, "warning", "platforms.W006", "BEHIND_PROXY"),
        ({"MEETING_HOURS": 0}, "error", "platforms.E006", "MEETING_HOURS"),
        ({"MEETING_HOURS": -1}, "error", "platforms.E006", "MEETING_HOURS"),
        ({"MEETING_HOURS": float("nan")}, "error", "platforms.E006", "MEETING_HOURS"),
        ({"EMPTY_GRACE_S": -1}, "error", "platforms.E007", "EMPTY_GRACE_S"),
        ({"WEB_THREADS": 0}, "error", "platforms.E012", "WEB_THREADS"),
        ({"GUEST_JOINS_PER_MINUTE": -1}, "error", "platforms.E013", "GUEST_JOINS_PER_MINUTE"),
        ({"OUTCOME_PATIENCE": 0}, "error", "platforms.E014", "OUTCOME_PATIENCE"),
        ({"OUTCOME_PATIENCE": float("nan")}, "error", "platforms.E014", "OUTCOME_PATIENCE"),
        ({"MEDIA_STORAGE": "ftp://x"}, "error", "recordings.E002", "MEDIA_STORAGE"),
        ({"TRANSCRIBER": "shorthand"}, "error", "recordings.E001", "TRANSCRIBER"),
    ],
)
def test_each_mistake_once_by_name(told, changes, level, number, variable):
    found = told(**changes)
    assert [(one[0], one[1]) for one in found] == [(level, number)]
    assert variable in found[0][2]


def test_a_platform_that_is_not_configured_cannot_be_chosen_as_the_default(told):
    found = told(PLATFORM_ENVIRON=ONLY_WHEREBY | {"DEFAULT_PLATFORM": "daily"}, DEFAULT_PLATFORM="daily")
    assert ("error", "platforms.E008") in [(level, number) for level, number, _ in found]


def test_a_default_that_nobody_chose_and_that_is_not_configured_is_a_warning(told):
    found = told(PLATFORM_ENVIRON=ONLY_WHEREBY, DEFAULT_PLATFORM="daily")
    assert ("warning", "platforms.W002") in [(level, number) for level, number, _ in found]


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "redis://:pass@redis/3",
        "redis://redis",
        "rediss://host:6380/0?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1",
        "amqp://guest:guest@127.0.0.1:5672/vhost",
        "amqps://host",
        "stub://",
    ],
)
def test_broker_urls_that_work(url):
    assert broker_problem(url) == ""
    path, options = broker_and_options(url)
    broker = getattr(__import__(path.rpartition(".")[0], fromlist=["x"]), path.rpartition(".")[2])
    broker(middleware=[], **options).close()


@pytest.mark.parametrize(
    "url", ["", "localhost", "http://x", "redis://", "redis://h:port/0", "redis://h/zero", "amqp:///vhost", "unix://"]
)
def test_broker_urls_that_do_not(url):
    assert broker_problem(url)
    assert broker_and_options(url)[0].endswith("StubBroker"), "so that the check can be made at all"


@pytest.mark.parametrize(
    ("url", "completed"),
    [
        ("redis://h:6379/0", "redis://h:6379/0?socket_connect_timeout=2&socket_timeout=5"),
        ("redis://h/0?socket_timeout=9", "redis://h/0?socket_timeout=9&socket_connect_timeout=2"),
        ("amqp://h/v", "amqp://h/v?socket_timeout=3&stack_timeout=5&blocked_connection_timeout=10"),
    ],
)
def test_a_frozen_broker_is_not_waited_for_long(url, completed):
    assert broker_and_options(url)[1]["url"] == completed


def test_nobody_to_tell_of_alerts_is_said(told):
    [(level, number, _)] = told(ALERT_EMAILS=[])
    assert (level, number) == ("info", "platforms.I002")
    assert told(ALERT_EMAILS=[], ALERT_WEBHOOK_URL="https://alerts.example.org/hook") == []


@pytest.mark.parametrize(
    ("changes", "number", "word"),
    [
        ({"ALERT_EMAILS": ["ops@example.org", "ann at example.org"]}, "platforms.E009", "'ann at example.org'"),
        ({"ALERT_WEBHOOK_URL": "alerts.example.org/hook"}, "platforms.E010", "ALERT_WEBHOOK_URL"),
        ({"ALERT_WEBHOOK_SECRET": "whsec_not base64"}, "platforms.E011", "ALERT_WEBHOOK_SECRET"),
    ],
)
def test_alerts_that_could_not_be_told(told, changes, number, word):
    [(level, found, message)] = told(**changes)
    assert (level, found) == ("error", number)
    assert word in message
