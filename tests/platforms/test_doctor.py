"""Doctor: a sound installation, and one fault at a time."""

import base64
import hashlib
from datetime import timedelta
from io import StringIO

import dramatiq
import pytest
import requests
import responses
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from dramatiq.brokers.redis import RedisBroker

from platforms import doctor, refusals
from platforms.base import Sdk
from platforms.daily.adapter import DailyAdapter
from platforms.models import Heartbeat, WebhookEvent
from platforms.tasks import interpret_webhook_event
from tests.accounts_for_platforms import BOTH
from tests.services import free_port

pytestmark = pytest.mark.django_db
ONLY_DAILY = {
    name: value
    for name, value in BOTH.items()
    if name.startswith("DAILY_") or name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
}
DOOR = "https://testserver/v1/webhooks/daily"
WEBHOOK = {
    "uuid": "u1",
    "url": DOOR,
    "state": "ACTIVE",
    "retryType": "exponential",
    "failedCount": 0,
    "eventTypes": [
        *("meeting.started", "meeting.ended", "participant.joined", "participant.left"),
        *("waiting-participant.joined", "waiting-participant.left"),
        *("recording.started", "recording.ready-to-download", "recording.error"),
    ],
}


class Edge:
    """The network as doctor sees it: Daily's API, and our own door behind a proxy."""

    def __init__(self, http):
        self.http = http
        self.worker_runs = True
        http.get("https://api.daily.co/v1/", json={"domain_name": "reflector"})
        http.get("https://api.daily.co/v1/webhooks", json=[WEBHOOK])
        http.add_callback(responses.POST, DOOR, callback=self.door)

    def door(self, request):
        headers = {name: value for name, value in request.headers.items() if name.startswith("X-")}
        answer = Client().post(
            "/v1/webhooks/daily", data=request.body, content_type=request.headers["Content-Type"], headers=headers
        )
        if self.worker_runs:
            for pk in WebhookEvent.objects.values_list("pk", flat=True):
                interpret_webhook_event(str(pk))
        return answer.status_code, dict(answer.headers), answer.content

    def answers(self, url, **what):
        self.http.remove(responses.POST if url == DOOR else responses.GET, url)
        self.http.add(responses.POST if url == DOOR else responses.GET, url, **what)


@pytest.fixture
def edge(settings, tmp_path, monkeypatch):
    """Everything is as it should be."""
    settings.PLATFORM_ENVIRON = ONLY_DAILY
    settings.DEFAULT_PLATFORM = "daily"
    settings.MEDIA_STORAGE = f"file://{tmp_path}/media"
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.PUBLIC_URL = "https://testserver"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    static = tmp_path / "static"
    (static / "vendor/daily-js").mkdir(parents=True)
    (static / "vendor/daily-js/daily.js").write_text("the SDK")
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [static]
    finders.get_finder.cache_clear()
    sri = "sha384-" + base64.b64encode(hashlib.sha384(b"the SDK").digest()).decode()
    monkeypatch.setattr(DailyAdapter, "sdk", Sdk(static_path="vendor/daily-js/daily.js", cdn_url="", integrity=sri))
    Heartbeat.objects.create(name="sweeper", beat_at=timezone.now())
    refusals._written.clear()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as http:
        yield Edge(http)
    finders.get_finder.cache_clear()


def run(*arguments):
    """What doctor said, and its exit code."""
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out, no_color=True)
    except SystemExit as stop:
        return out.getvalue(), stop.code
    return out.getvalue(), 0


def test_a_sound_installation(edge):
    said, code = run()
    assert (said, code) == (said.replace("WRONG", ""), 0)
    for what in ("settings", "database", "migrations", "sweeper", "broker", "media storage", "transcripts", "API key"):
        assert what in said
    assert "a signed delivery of Daily is taken, stored and read" in said
    assert not WebhookEvent.objects.exists(), "doctor leaves nothing behind"


def event(**columns):
    return WebhookEvent.objects.create(
        platform="daily", body=b"{}", body_sha256="0", signed_at=timezone.now(), **columns
    )


# each fault: (what doctor must say, what mends it), after having broken one thing


def a_secret_is_missing(edge, settings):
    settings.PLATFORM_ENVIRON = ONLY_DAILY | {"DAILY_WEBHOOK_SECRET": ""}
    return "DAILY_WEBHOOK_SECRET is empty", "openssl"


def nothing_is_configured(edge, settings):
    settings.PLATFORM_ENVIRON = {}
    return "no platform is configured", ".env.example"


def the_default_platform_is_unknown(edge, settings):
    settings.DEFAULT_PLATFORM = "zoom"
    return "DEFAULT_PLATFORM is 'zoom'", "daily"


def the_default_platform_is_not_configured(edge, settings):
    settings.DEFAULT_PLATFORM = "whereby"
    return "DEFAULT_PLATFORM is 'whereby', which is not configured", "DEFAULT_PLATFORM=daily"


def meetings_last_no_time(edge, settings):
    settings.MEETING_HOURS = 0
    return "MEETING_HOURS", "8 is usual"


def the_broker_url_is_nonsense(edge, settings):
    settings.BROKER_URL = "localhost:6379"
    return "BROKER_URL is neither", "redis://"


def the_host_is_not_allowed(edge, settings):
    settings.ALLOWED_HOSTS = ["rooms.example.org"]
    return "ALLOWED_HOSTS does not hold testserver", "Add testserver"


def the_site_has_no_tls(edge, settings):
    settings.PUBLIC_URL = "http://testserver"
    edge.http.add(responses.POST, DOOR.replace("https", "http"), status=401)
    return "PUBLIC_URL is not https", "https"


def a_migration_has_not_run(edge, settings):
    [(_, newest)] = MigrationLoader(connection).graph.leaf_nodes("platforms")
    MigrationRecorder(connection).record_unapplied("platforms", newest)
    return f"migrations have not run, the first is platforms.{newest}", "manage.py migrate"


def the_sweeper_never_ran(edge, settings):
    Heartbeat.objects.all().delete()
    return "the sweeper has never run", "manage.py sweep --loop"


def the_sweeper_died(edge, settings):
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=5))
    return "the sweeper's last sign of life", "manage.py sweep --loop"


def a_job_fails(edge, settings):
    Heartbeat.objects.create(name="job:meetings.periodic.end", last_error="KeyError: 'x'")
    return "the job meetings.periodic.end has not succeeded so far: KeyError", "manage.py sweep --all"


def an_event_is_stuck(edge, settings):
    event(status="quarantined", finished_at=timezone.now(), last_error="ValueError: odd")
    return (
        "1 webhook events are stuck, the latest with: ValueError: odd",
        "/admin/platforms/webhookevent/?status__exact",
    )


def nobody_works(edge, settings):
    edge.worker_runs = False
    event(due_at=timezone.now() - timedelta(minutes=3))
    return "have been due for more than two minutes", "manage.py rundramatiq"


def deliveries_are_refused(edge, settings):
    for _ in range(3):
        Client().post("/v1/webhooks/daily", data=b"{}", content_type="application/json")
    return "3 deliveries or more were refused", "DAILY_WEBHOOK_SECRET"


def the_sdk_is_missing(edge, settings):
    settings.STATICFILES_DIRS = []
    finders.get_finder.cache_clear()
    return "Daily's call SDK is not among the static files", "make sdk"


def the_sdk_is_another_file(edge, settings):
    (settings.STATICFILES_DIRS[0] / "vendor/daily-js/daily.js").write_text("something else")
    return "Daily's call SDK is not the file that we know", "make sdk"


def the_storage_takes_nothing(edge, settings):
    settings.MEDIA_STORAGE = "file:///dev/null/media"
    return "the media storage cannot be used", "MEDIA_STORAGE"


def the_storage_is_nonsense(edge, settings):
    settings.MEDIA_STORAGE = "ftp://somewhere"
    return "MEDIA_STORAGE", "s3://bucket/prefix"


def the_transcriber_is_unknown(edge, settings):
    settings.TRANSCRIBER = "shorthand"
    return "TRANSCRIBER is 'shorthand'", "moonshine"


def the_key_is_refused(edge, settings):
    edge.answers("https://api.daily.co/v1/", json={"error": "authentication-error"}, status=401)
    return "authentication-error", "DAILY_API_KEY"


def the_webhook_points_elsewhere(edge, settings):
    edge.answers("https://api.daily.co/v1/webhooks", json=[WEBHOOK | {"url": "https://old.example/v1/daily"}])
    return "webhook points at https://old.example/v1/daily", "manage.py sync_daily_webhook --take-over"


def the_webhook_stopped(edge, settings):
    edge.answers("https://api.daily.co/v1/webhooks", json=[WEBHOOK | {"state": "FAILED"}])
    return "webhook differs from ours in: state", "manage.py sync_daily_webhook"


def the_web_server_has_another_secret(edge, settings):
    edge.answers(DOOR, status=401)
    return "answers 401 to a signed delivery", "start the web server again"


def the_proxy_redirects(edge, settings):
    edge.answers(DOOR, status=301, headers={"Location": "https://testserver/"})
    return "answers 301 to a signed delivery", "redirecting to https://testserver/"


def the_web_server_is_down(edge, settings):
    edge.answers(DOOR, body=requests.ConnectionError())
    return "cannot be reached from here", "manage.py serve"


def the_web_server_has_another_database(edge, settings):
    edge.answers(DOOR, status=200)
    return "another database", "DATABASE_URL"


def nobody_reads_deliveries(edge, settings):
    edge.worker_runs = False
    return "stored, but not read within", "manage.py rundramatiq"


FAULTS = [
    a_secret_is_missing,
    nothing_is_configured,
    the_default_platform_is_unknown,
    the_default_platform_is_not_configured,
    meetings_last_no_time,
    the_broker_url_is_nonsense,
    the_host_is_not_allowed,
    the_site_has_no_tls,
    a_migration_has_not_run,
    the_sweeper_never_ran,
    the_sweeper_died,
    a_job_fails,
    an_event_is_stuck,
    nobody_works,
    deliveries_are_refused,
    the_sdk_is_missing,
    the_sdk_is_another_file,
    the_storage_takes_nothing,
    the_storage_is_nonsense,
    the_transcriber_is_unknown,
    the_key_is_refused,
    the_webhook_points_elsewhere,
    the_webhook_stopped,
    the_web_server_has_another_secret,
    the_proxy_redirects,
    the_web_server_is_down,
    the_web_server_has_another_database,
    nobody_reads_deliveries,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_told_with_its_reason_and_remedy(edge, settings, monkeypatch, fault):
    monkeypatch.setattr(doctor, "ROUND_TRIP_S", 0.5)
    what, mend = fault(edge, settings)
    said, code = run()
    assert code == 1
    told = [part for part in said.split("WRONG  ")[1:] if what in part]
    assert told, said
    assert "why: " in told[0]
    assert mend in told[0].partition("mend: ")[2]


def test_a_broker_that_is_down(edge):
    ours = dramatiq.get_broker()
    dramatiq.set_broker(RedisBroker(url=f"redis://127.0.0.1:{free_port()}/0", middleware=[]))
    try:
        said, code = run("--offline")
    finally:
        dramatiq.set_broker(ours)
    assert code == 1
    assert "the broker does not answer" in said
    assert "BROKER_URL" in said


def test_offline_talks_to_nobody(edge):
    said, code = run("--offline")
    assert code == 0
    assert len(edge.http.calls) == 0
    assert "API key" not in said
