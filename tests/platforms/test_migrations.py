from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from platforms.models import Touched, WebhookEvent

pytestmark = pytest.mark.django_db


def test_deliveries_that_were_read_before_are_found_by_what_they_touched():
    now = timezone.now()
    for number, touched in enumerate([[["rooms.Room", "7"], ["meetings.Meeting", "m"]], [], [["rooms.Room", "7"]]]):
        WebhookEvent.objects.create(
            platform="daily", body=b"{}", body_sha256=str(number), signed_at=now, received_at=now, touched=touched
        )
    index = import_module("platforms.migrations.0004_touched_rows_of_known_events").index
    for _ in range(2):
        index(apps, None)
        found = Touched.objects.order_by("pk").values_list("event__body_sha256", "label", "key", "received_at")
        assert list(found) == [
            ("0", "rooms.Room", "7", now),
            ("0", "meetings.Meeting", "m", now),
            ("2", "rooms.Room", "7", now),
        ]
