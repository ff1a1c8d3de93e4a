import pytest
from django.test import override_settings

from platforms import registry
from tests.fake_platform.adapter import Provider

PLATFORMS = ["platforms.whereby", "platforms.daily", "tests.fake_platform", "tests.fake_page_platform"]


@pytest.fixture
def fake_platforms():
    """Two platforms more, both configured: ``fake`` records by its server, ``fake-page`` by the host's page."""
    with override_settings(PLATFORMS=PLATFORMS, PLATFORM_ENVIRON={"FAKE_KEY": "key"}, DEFAULT_PLATFORM="fake"):
        yield


@pytest.fixture
def provider(fake_platforms) -> Provider:
    return registry.get("fake").provider


@pytest.fixture
def page_provider(fake_platforms) -> Provider:
    return registry.get("fake-page").provider
