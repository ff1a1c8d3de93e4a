"""The demo: some days of plausible history, through the real door, and only where there is nothing yet."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models import F
from django.utils import timezone

from meetings.models import Capture, Consent, Meeting, Participant, ParticipantSession
from platforms.models import WebhookEvent
from platforms.work import kinds
from recordings.models import Recording, TranscriptSegment
from rooms.models import Move, Outcome, Room
from tests.accounts_for_platforms import BOTH, ONLY_WHEREBY

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def development(settings, tmp_path):
    settings.DEBUG = True
    settings.PLATFORM_ENVIRON = BOTH
    settings.MEDIA_STORAGE = f"file://{tmp_path}"


def seed():
    out = StringIO()
    call_command("seed_demo", stdout=out)
    return out.getvalue()


def test_the_demo_is_whole_and_nothing_in_it_is_left_to_do(client, monkeypatch):
    monkeypatch.setenv("DEMO_PASSWORD", "a-password")
    real = timezone.now
    assert seed() == "Sign in as staff with the password a-password\n"
    assert timezone.now is real

    assert set(Room.objects.values_list("slug", "platform", "is_shared", "recording_type", "consent_policy")) == {
        ("demo-whereby", "whereby", True, "cloud", "choice"),
        ("demo-daily", "daily", True, "cloud", "choice"),
    }
    assert not Meeting.objects.live().exists()
    assert set(Meeting.objects.values_list("platform", flat=True)) == {"whereby", "daily"}
    assert not Meeting.objects.filter(created_at__gt=timezone.now()).exists()
    assert not Meeting.objects.filter(closed_at_provider_at__isnull=True).exists()
    assert not ParticipantSession.objects.filter(left_at__isnull=True).exists()
    assert Participant.objects.filter(came_by_page=False).count() == 2
    assert set(Consent.objects.values_list("answer", flat=True)) == {"yes", "no"}
    assert not Recording.objects.filter(meeting__participants__answer="no").exists()
    assert Capture.objects.filter(state="failed").exists()
    assert Move.objects.count() == 2

    outcomes = Outcome.objects.all()
    assert outcomes.count() == 6 * Meeting.objects.count()
    assert not outcomes.filter(status="pending").exists(), "judged, each in its own time"
    assert not outcomes.filter(decided_at__gt=F("met_at") + timedelta(hours=8)).exists()
    assert outcomes.filter(status="failure").exists()

    for kind in kinds():
        assert not kind._base_manager.exclude(status="done").exists(), kind
    events = WebhookEvent.objects.all()
    assert set(events.values_list("platform", flat=True)) == {"whereby", "daily"}
    assert not events.filter(is_stale=True).exists()
    assert not events.filter(outcome__contains="not understood").exists()
    assert not events.filter(touched=[]).exists()
    assert events.filter(duplicates=1).exists()
    assert Recording.objects.filter(found_by="webhook").count() == Recording.objects.count() == 7
    assert TranscriptSegment.objects.exclude(participant=None).exists()

    assert client.login(username="staff", password="a-password")
    for recording in Recording.objects.all():
        page = client.get(recording.meeting.get_absolute_url())
        assert recording.transcript.segments.first().text.split(",")[0] in page.content.decode()
        played = client.get(
            f"{recording.meeting.get_absolute_url()}recordings/{recording.pk}/media", headers={"Range": "bytes=4-7"}
        )
        assert (played.status_code, b"".join(played.streaming_content)) == (206, b"ftyp")

    assert seed() == "The database is not empty; nothing was seeded.\n"
    assert (User.objects.count(), Room.objects.count()) == (1, 2)


def test_one_platform_makes_one_room(settings):
    settings.PLATFORM_ENVIRON = ONLY_WHEREBY
    seed()
    assert list(Room.objects.values_list("slug", flat=True)) == ["demo-whereby"]
    assert not Move.objects.exists()


def test_a_password_is_made_up_where_none_is_given(settings, client, monkeypatch):
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)
    settings.PLATFORM_ENVIRON = {}
    said = seed()
    assert client.login(username="staff", password=said.split()[-1])


def test_nothing_is_seeded_outside_development(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="nothing was seeded"):
        seed()
    assert not User.objects.exists()


def test_nothing_is_seeded_beside_what_is_there(db):
    User.objects.create_user("somebody")
    assert "not empty" in seed()
    assert not Room.objects.exists()


def test_a_demo_that_fails_half_way_leaves_nothing(monkeypatch):
    from recordings import demo

    def fall(*args):
        raise RuntimeError("half way")

    monkeypatch.setattr(demo, "failed_recording", fall)
    with pytest.raises(RuntimeError, match="half way"):
        seed()
    assert not User.objects.exists()
    assert not WebhookEvent.objects.exists()
