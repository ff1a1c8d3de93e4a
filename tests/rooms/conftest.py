from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User

from rooms.models import Room
from tests.accounts_for_platforms import BOTH

NOW = datetime(2026, 11, 22, 14, 3, tzinfo=UTC)


@pytest.fixture(autouse=True)
def both_platforms(settings):
    settings.PLATFORM_ENVIRON = BOTH
    settings.DEFAULT_PLATFORM = "whereby"


@pytest.fixture
def ann(db):
    return User.objects.create_user("ann", first_name="Ann", last_name="Archer", is_staff=True, is_superuser=True)


@pytest.fixture
def staff(ann, client):
    """The browser of Ann, who may do everything."""
    client.force_login(ann)
    return client


@pytest.fixture
def room(db):
    return Room.objects.create(name="Standup", slug="standup", platform="whereby")


@pytest.fixture
def fake_third(settings):
    """A third platform, ``fake``, besides the two."""
    settings.PLATFORMS = [*settings.PLATFORMS, "tests.fake_platform"]
    settings.PLATFORM_ENVIRON = BOTH | {"FAKE_KEY": "key"}
