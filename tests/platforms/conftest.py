"""Shared by the tests of the platforms app."""

from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
from django.test import Client

from platforms.models import WebhookEvent
from platforms.work import waker
from tests.accounts_for_platforms import BOTH
from tests.signing import signed

Post = Callable[..., Any]


@pytest.fixture
def both(settings: Any) -> None:
    """Both platforms are configured."""
    settings.PLATFORM_ENVIRON = BOTH


@pytest.fixture
def post(both: None) -> Post:
    """``post(platform, body, address=…, **what signed() takes)``: one signed delivery through the door."""

    def deliver(
        platform: str, body: bytes, address: str = "", content_type: str = "application/json", **how: Any
    ) -> Any:
        return Client(enforce_csrf_checks=True).post(
            address or f"/v1/webhooks/{platform}",
            data=body,
            content_type=content_type,
            headers=signed(platform, body, **how),
        )

    return deliver


@pytest.fixture
def the_event(db: None) -> Callable[[], WebhookEvent]:
    """The only row of the inbox, as it is now."""
    return lambda: WebhookEvent.objects.get()


@pytest.fixture
def calls() -> Iterator[Callable[[], list[tuple[str, str]]]]:
    """Wake-up calls that the broker holds, as (actor, pk); asking takes them away."""
    broker = dramatiq.get_broker()
    waker.flush(5)
    broker.flush_all()

    def taken() -> list[tuple[str, str]]:
        assert waker.flush(5)
        found = []
        for queue in broker.queues.values():
            while not queue.empty():
                message = dramatiq.Message.decode(queue.get_nowait())
                queue.task_done()
                found.append((message.actor_name, message.args[0]))
        return found

    yield taken
    waker.flush(5)
    broker.flush_all()
