"""Which platforms there are, and that their adapters follow the settings."""

from typing import Any

import pytest
import responses

from platforms import registry
from platforms.base import PlatformUnavailable
from tests.accounts_for_platforms import BOTH, ONLY_WHEREBY


def test_unknown_slug_is_told_with_the_known_ones(settings: Any) -> None:
    settings.PLATFORMS = ["platforms.whereby", "platforms.daily"]
    with pytest.raises(registry.UnknownPlatform, match="'zoom'; known: whereby, daily$"):
        registry.get("zoom")


def test_choices_hold_all_platforms_configured_or_not(settings: Any) -> None:
    settings.PLATFORMS = ["platforms.whereby", "platforms.daily"]
    settings.PLATFORM_ENVIRON = {}
    assert registry.platform_choices() == [("whereby", "Whereby"), ("daily", "Daily")]
    assert registry.configured() == []


def test_adapters_are_built_once_and_again_when_settings_change(settings: Any) -> None:
    settings.PLATFORMS = ["platforms.whereby", "platforms.daily"]
    settings.PLATFORM_ENVIRON = BOTH
    first = registry.get("daily")
    assert registry.get("daily") is first
    assert [adapter.slug for adapter in registry.configured()] == ["whereby", "daily"]
    settings.PLATFORM_ENVIRON = ONLY_WHEREBY
    assert registry.get("daily") is not first
    assert [adapter.slug for adapter in registry.configured()] == ["whereby"]


def test_platforms_come_from_one_settings_entry(settings: Any) -> None:
    settings.PLATFORMS = ["platforms.daily"]
    assert list(registry.adapters()) == ["daily"]


@responses.activate
def test_rate_budgets_come_from_settings(settings: Any) -> None:
    settings.PLATFORM_ENVIRON = BOTH
    settings.PLATFORM_RATE_BUDGETS = {"daily": {"presence": (1, 3600)}}
    asked = responses.get("https://api.daily.co/v1/presence", json={})
    registry.get("daily").presence([])
    with pytest.raises(PlatformUnavailable, match="our own request budget"):
        registry.get("daily").presence([])
    assert asked.call_count == 1
