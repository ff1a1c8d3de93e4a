"""The tests' settings with the two made-up platforms, for processes that a test starts."""

from tests.settings import *  # noqa: F403

PLATFORMS = ["platforms.whereby", "platforms.daily", "tests.fake_platform", "tests.fake_page_platform"]
PLATFORM_ENVIRON = {"FAKE_KEY": "key"}
DEFAULT_PLATFORM = "fake"
