from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from recordings.measuring import measure
from recordings.models import Recording, Transcript, TranscriptSegment
from rooms.models import Validation
from tests.accounts_for_platforms import BOTH
from tests.factories import make_meeting, make_room

pytestmark = pytest.mark.django_db
MP4 = {"container": "mov,mp4,m4a,3gp,3g2,mj2", "has_audio": True, "audio_codec": "aac", "video_codec": "h264"}


@pytest.fixture(autouse=True)
def both_platforms(settings):
    settings.PLATFORM_ENVIRON = BOTH


def recorded(platform, number, *, probe=MP4, fetched=True, of_a_meeting=True, **more):
    return Recording.objects.create(
        platform=platform,
        provider_recording_id=f"{platform}-{number}",
        meeting=make_meeting(make_room(platform=platform)) if of_a_meeting else None,
        found_by="poller",
        provider_key=f"key-{number}",
        file_key=f"file-{number}" if fetched else "",
        probe=probe if fetched else {},
        **{"status": "done"} | more,
    )


def measured(platform, point):
    return list(Validation.objects.filter(platform=platform, point=point).values_list("ok", "evidence"))


def test_containers_and_keys_of_each_platform():
    recorded("daily", 1)
    recorded("daily", 2)
    recorded("whereby", 1, probe=MP4 | {"container": "matroska,webm", "audio_codec": "opus"})
    measure(timezone.now())
    assert measured("daily", "container") == [
        (
            True,
            {
                "recordings": 2,
                "container": "mov,mp4,m4a,3gp,3g2,mj2 (2)",
                "video": "h264 (2)",
                "sound": "aac (2)",
            },
        )
    ]
    assert measured("daily", "keys") == [(True, {"object keys": 2, "led to a meeting": 2, "led to a file": 2})]
    ((ok, evidence),) = measured("whereby", "container")
    assert (ok, evidence["sound"]) == (False, "opus (1)")


def test_keys_that_led_nowhere_are_told():
    recorded("daily", 1)
    recorded("daily", 2, fetched=False, status="quarantined")
    recorded("daily", 3, of_a_meeting=False)
    measure(timezone.now())
    assert measured("daily", "keys") == [(False, {"object keys": 3, "led to a meeting": 2, "led to a file": 2})]


def test_what_is_not_fetched_on_purpose_or_not_yet_is_no_lost_key():
    recorded("daily", 1)
    recorded("daily", 2, fetched=False, kind="raw-tracks")
    recorded("daily", 3, fetched=False, status="running")
    recorded("daily", 4, fetched=False, status="quarantined", delete_wanted_at=timezone.now())
    measure(timezone.now())
    assert measured("daily", "keys") == [(True, {"object keys": 1, "led to a meeting": 1, "led to a file": 1})]


def test_only_what_changed_is_written_and_old_recordings_do_not_count():
    recorded("daily", 1)
    now = timezone.now()
    measure(now)
    measure(now + timedelta(hours=1))
    assert Validation.objects.filter(platform="daily").count() == 2
    measure(now + timedelta(days=40))
    assert Validation.objects.filter(platform="daily").count() == 2
    recorded("daily", 2)
    measure(now + timedelta(hours=2))
    assert Validation.objects.filter(platform="daily").count() == 4


@pytest.fixture
def heard():
    recording = recorded("daily", 1)
    transcript = Transcript.objects.create(recording=recording)
    for start, text in ((5000, "the worst of times"), (0, "It was the best of times, it was")):
        TranscriptSegment.objects.create(transcript=transcript, start_ms=start, end_ms=start + 900, text=text)
    return recording.meeting


@pytest.mark.parametrize(
    ("words", "ok", "rate"),
    [
        ("It was the best of times, it was the worst of times.", True, "0.0 %"),
        ("It was the best of rhymes; it was the worst of rhymes!", True, "16.7 %"),
        ("Call me Ishmael. Some years ago", False, "200.0 %"),
    ],
)
def test_planted_speech(heard, tmp_path, capsys, words, ok, rate):
    text = tmp_path / "planted.txt"
    text.write_text(words)
    call_command("measure_speech", str(heard.pk), text)
    ((found, evidence),) = measured("daily", "speech")
    assert (found, evidence["word error rate"], evidence["meeting"]) == (ok, rate, str(heard.pk))
    assert f"Daily: word error rate {rate}" in capsys.readouterr().out


def test_planted_speech_refused(heard, tmp_path):
    text = tmp_path / "planted.txt"
    text.write_text("…")
    with pytest.raises(CommandError, match="no words"):
        call_command("measure_speech", str(heard.pk), text)
    text.write_text("words")
    with pytest.raises(CommandError, match="Nothing was transcribed"):
        call_command("measure_speech", str(make_meeting(make_room(platform="daily")).pk), text)
    with pytest.raises(CommandError, match="There is no meeting nowhere"):
        call_command("measure_speech", "nowhere", text)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("measure_speech", str(heard.pk), tmp_path / "none.txt")
    assert not Validation.objects.exists()
