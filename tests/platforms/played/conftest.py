"""The product against the played providers over HTTP: real adapters, real door, no browser and no waiting.

The sandbox runs in this process without threads of its own, so that what is sent and when is for the test to say; its
clock and ours are one. Webhooks come signed through the door of a live server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from django.utils import timezone
from werkzeug.serving import make_server

from meetings import lifecycle, presence
from meetings.models import Meeting, Participant
from platforms.sandbox.config import Config
from platforms.sandbox.server import Sandbox
from platforms.sandbox.storage import free_port
from platforms.work import kinds, waker

BEGIN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@dataclass
class Played:
    sandbox: Sandbox
    machine: Any  #: moves the clock of everybody

    def later(self, seconds: float) -> None:
        self.machine.shift(seconds)
        self.settle()

    def settle(self) -> None:
        """Webhooks go out, and what is due is worked on, until nothing is left to do now."""
        for _ in range(20):
            self.sandbox.step()
            if not self._work():
                return
        raise AssertionError("there is always something to do")

    def _work(self) -> int:
        done, now = 0, timezone.now()
        for model in kinds():
            for pk in model._base_manager.filter(status="pending", due_at__lte=now).values_list("pk", flat=True):
                dramatiq.get_broker().get_actor(model.actor_name).fn(str(pk))
                done += 1
        return done

    def come_round(self) -> None:
        """What the sweeper has done regularly for meetings."""
        now = timezone.now()
        presence.look(now)
        lifecycle.end_what_is_over(now)
        for meeting in Meeting.objects.filter(close_due_at__lte=now, closed_at_provider_at__isnull=True):
            lifecycle.close_at_provider(meeting.pk, now=now)

    def room(self, meeting: Meeting) -> dict[str, Any] | None:
        """The provider's own idea of a meeting's room, as people see it: None when it is gone."""
        return self.sandbox.calls.providers[meeting.platform].find_room(meeting.provider_room_name)

    def arrives(self, participant: Participant, **more: Any) -> dict[str, Any]:
        """The person's page has joined the call."""
        provider, room = self.sandbox.calls.providers[participant.platform], self.room(participant.meeting)
        assert room is not None
        asked = {"name": participant.name, "user_id": participant.provider_user_id, "owner": participant.is_host}
        person = self.sandbox.calls.join(room, provider.simulated(room, asked | more), injected=True)
        self.settle()
        return person

    def leaves(self, person: dict[str, Any]) -> None:
        self.sandbox.calls.leave(person["id"])
        self.settle()


@pytest.fixture
def played(tmp_path: Path, live_server: Any, settings: Any, time_machine: Any) -> Iterator[Played]:
    time_machine.move_to(BEGIN)
    config = Config(state=tmp_path, base_url="", public_url=live_server.url, flush_s=0.0)
    sandbox = Sandbox(config, s3_port=free_port(0), environ={})
    server = make_server("127.0.0.1", 0, sandbox.app, threaded=True)
    config.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    settings.PLATFORM_ENVIRON = config.environment()
    settings.PUBLIC_URL = live_server.url
    yield Played(sandbox, time_machine)
    server.shutdown()
    thread.join()
    server.server_close()
    sandbox.store.close()
    waker.flush(5)
    dramatiq.get_broker().flush_all()
