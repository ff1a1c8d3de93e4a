"""A fourth platform: its server records nothing and knows nobody; the host's page and events must do."""

from platforms.base import Capabilities, RecordingFormat
from tests.fake_platform.adapter import OPTIONS, FakeAdapter


class FakePageAdapter(FakeAdapter):
    slug = "fake-page"
    label = "Fake page"
    capabilities = Capabilities(
        recording_types=frozenset({"none", "cloud"}),
        recording_formats=frozenset({RecordingFormat.MP4}),
        options=OPTIONS,
    )


ADAPTER = FakePageAdapter
