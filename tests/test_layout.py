"""Where things may stand: nothing but the platforms themselves knows a provider by name."""

import re
import subprocess
from pathlib import Path

import pytest
from django.core import checks
from django.test import Client
from django.urls import reverse

from platforms import registry, urls
from rooms.models import Room
from rooms.services import move_room, preview_move
from tests.factories import make_room

ROOT = Path(__file__).parent.parent
#: who has to say which platforms there are
MAY_NAME_ONE = re.compile(
    r"platforms/|reflector_project/settings\.py$|[a-z]+/migrations/|tests/|docs/|.*\.md$|requirements.*|"
    # what is told to operators, to npm, to pip and to the linters
    r"\.env\.example$|package(-lock)?\.json$|tooling/sdk\.sh$|pyproject\.toml$"
)
SLUGS = re.compile("daily|whereby", re.IGNORECASE)


def ours() -> list[Path]:
    """Every file of the project, also those that are not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def test_only_platforms_and_settings_name_a_provider() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in ours()
        if not MAY_NAME_ONE.match(str(path.relative_to(ROOT))) and path.suffix not in (".png", ".webm", ".mp4")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if SLUGS.search(line)
    ]
    assert found == []


def test_the_shared_part_of_platforms_decides_nothing_by_slug() -> None:
    """A provider's behaviour may be the reason that a comment gives there, and never a condition."""
    quoted = re.compile(r"""["'](daily|whereby)["']""")
    shared = [path for path in ours() if re.match(r"platforms/[a-z_]+\.py$", str(path.relative_to(ROOT)))]
    assert len(shared) > 10
    assert [str(path) for path in shared if quoted.search(path.read_text())] == []


@pytest.fixture
def third(settings):
    """A platform that the product has never heard of: one folder, one entry."""
    settings.PLATFORMS = [*settings.PLATFORMS, "tests.fake_platform"]
    settings.PLATFORM_ENVIRON = {"FAKE_KEY": "key"}
    settings.DEFAULT_PLATFORM = "fake"
    settings.PUBLIC_URL = "https://testserver"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    return registry.get("fake")


@pytest.mark.django_db
def test_a_third_platform_is_one_folder_and_one_entry(third, admin_client: Client) -> None:
    assert registry.configured() == [third]
    assert [message for message in checks.run_checks() if message.level >= checks.WARNING] == []
    assert Room._meta.get_field("platform").flatchoices[-1] == ("fake", "Fake")
    assert Room(name="New").platform == "fake"

    assert "v1/webhooks/fake" in [str(door.pattern) for door in urls._doors()]

    room = make_room(slug="standup", platform="whereby", is_shared=True)
    plan = preview_move(room_ids=[room.pk], platform="fake")
    assert [row.goes for row in plan.rows] == [True]
    assert "Move to Fake" in admin_client.get(reverse("admin:rooms_room_changelist")).content.decode()
    assert "Fake" in admin_client.get(reverse("admin:rooms_room_add")).content.decode()

    move_room(room_id=room.pk, platform="fake", reason="pilot", source="command")
    assert admin_client.get(f"/rooms/{room.slug}/state").json()["platform"] == "fake"
