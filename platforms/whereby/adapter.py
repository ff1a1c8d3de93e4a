"""Being written: knows its name and its settings, talks to nobody yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from platforms.base import Adapter, Capabilities, DeliveryRejected, Envelope, Origins, PlatformUnavailable, Sdk


class WherebyAdapter(Adapter):
    slug = "whereby"
    label = "Whereby"
    capabilities = Capabilities()
    required = ("WHEREBY_API_KEY", "WHEREBY_WEBHOOK_SECRET")
    page_script = "platforms/whereby/call.js"
    sdk = Sdk(static_path="", cdn_url="", integrity="")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], now: Callable[[], datetime]) -> Any:
        return cls()

    configured = False

    def problems(self):
        return []

    def diagnose(self, *, webhook_url):
        return []

    def origins(self, room_url=""):
        return Origins()

    def verify(self, headers, body):
        raise DeliveryRejected("no secret is configured")

    def describe(self, body):
        return Envelope()

    def interpret(self, body):
        return ()

    def _later(self, *args, **kwargs):
        raise PlatformUnavailable("not built yet")

    create_room = find_room = end_room = entry = presence = start_recording = stop_recording = _later
    recording_running = list_recordings = get_recording = download = delete_recording = _later


ADAPTER = WherebyAdapter
