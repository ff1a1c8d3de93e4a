"""One row of every kind that the admin shows, and the address of every page below it, found by itself."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.authtoken.models import Token

from meetings.models import Capture, Consent, ConsentText
from platforms.models import Alert, AlertDelivery, Heartbeat, ReadinessResult, WebhookEvent
from recordings.models import Recording, Transcript
from rooms.models import (
    Assignment,
    Experiment,
    Move,
    MoveOrder,
    MoveOrderRoom,
    Outcome,
    PlatformSwitch,
    Room,
    Waiver,
    Wave,
    WaveRoom,
)
from rooms.services import move_room
from tests.factories import make_meeting, make_participant, make_room, make_stay, make_user

CHECK = "webhook.active"


@dataclass(frozen=True)
class Page:
    """One address below ``admin/``; ``name`` is its URL's, ``model`` its list's, where it belongs to one."""

    name: str
    address: str
    model: type[Any] | None


def make_one_of_each() -> Room:
    """Rows of a room, its meeting, and everything that staff look at; stuck where that is possible."""
    now = timezone.now()
    room = make_room(slug="board", platform="whereby", owner=make_user("owner"))
    move_room(room_id=room.pk, platform="daily", reason="pilot", source="admin")  # before the check that would stop it
    meeting = make_meeting(room)
    person = make_participant(meeting, "Cleo")
    make_stay(person)
    text = ConsentText.version_of("May it be recorded?")
    Consent.objects.create(participant=person, text=text, policy="choice", answer="yes")
    Capture.objects.create(meeting=meeting, state="failed", status="quarantined", error="no bucket")
    recording = Recording.objects.create(
        platform="whereby", provider_recording_id="r1", meeting=meeting, found_by="webhook", status="quarantined"
    )
    Transcript.objects.create(recording=recording, status="quarantined")
    WebhookEvent.objects.create(
        platform="whereby", body=b"{}", body_sha256="a" * 64, signed_at=now, status="quarantined"
    )
    Heartbeat.objects.create(name="job:x")
    ReadinessResult.objects.create(
        platform="daily", key=CHECK, title="Webhook active", status="failed", words="it is FAILED", checked_at=now
    )
    alert = Alert.objects.create(key="webhook:daily", title="The webhook is off", words="FAILED", inverse="sync")
    AlertDelivery.objects.create(alert=alert, kind="raised", channel="email", status="quarantined")
    PlatformSwitch.objects.create(platform="daily", is_closed=False, reason="outage over")
    Waiver.objects.create(platform="daily", check_key="clock", reason="known", expires_at=now + timedelta(days=1))
    order = MoveOrder.objects.create(platform="daily", reason="pilot", due_at=now, status="quarantined")
    MoveOrderRoom.objects.create(order=order, room=room, seen_on="whereby")
    wave = Wave.objects.create(
        name="First",
        platform="daily",
        reason="pilot",
        selection={"rooms": [room.pk]},
        steps=[{"percent": 100, "dwell_minutes": 60, "min_meetings": 0}],
    )
    WaveRoom.objects.create(wave=wave, room=room, bucket=1, from_platform="whereby")
    experiment = Experiment.objects.create(name="Pilot", reason="see", platform_a="whereby", platform_b="daily")
    Assignment.objects.create(
        experiment=experiment, room=room, meeting_id=uuid.uuid4(), number=0, arm="A", platform="whereby"
    )
    Outcome.objects.create(
        meeting_id=meeting.pk, room=room, platform="whereby", kind="joined", met_at=now, mature_at=now
    )
    Token.objects.create(user=room.owner)
    return room


def pages() -> Iterator[Page]:
    """Every named address below ``admin/``, its arguments filled in from the first row of its model."""
    asks = {"rooms_room_move": f"?to=whereby&rooms={Room.objects.get().pk}"}
    for route, pattern in _patterns(get_resolver()):
        if route[0] == "admin/" and pattern.name:
            model = _model_of(pattern.name)
            for address in _filled("".join(route), model):
                yield Page(pattern.name, f"/{address}{asks.get(pattern.name, '')}", model)


def _patterns(resolver: URLResolver, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], URLPattern]]:
    for pattern in resolver.url_patterns:
        route = (*before, str(pattern.pattern).strip("^$"))
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern, route)
        else:
            yield route, pattern


def _model_of(name: str) -> type[Any] | None:
    app_label, _, rest = name.partition("_")
    known = {model._meta.label_lower: model for model in admin.site._registry}
    return known.get(f"{app_label}.{rest.partition('_')[0]}")


def _filled(route: str, model: type[Any] | None) -> list[str]:
    """The address, or one for each alternative of an argument that lists them: ``(?P<command>start|hold)``."""
    found = [route]
    for whole, plain, named, choices in re.findall(r"(<(?:\w+:)?(\w+)>|\(\?P<(\w+)>([^)]*)\))", route):
        values = choices.split("|") if "|" in choices else [_value(plain or named, model)]
        found = [address.replace(whole, value, 1) for address in found for value in values]
    return found


def _value(name: str, model: type[Any] | None) -> str:
    """What stands for this argument. A new kind of argument is made known here."""
    if name in ("pk", "object_id", "id"):
        return str((model or Room)._base_manager.all()[0].pk)
    if name == "content_type_id":
        return str(ContentType.objects.get_for_model(Room).pk)
    return {"slug": "daily", "platform": "daily", "key": CHECK, "batch": str(Move.objects.get().batch)}[name]


def rows_of_everything() -> dict[str, list[str]]:
    """Every value in the database but sessions', which any request may write."""
    return {
        model._meta.label: sorted(map(repr, model._base_manager.values_list()))
        for model in apps.get_models(include_auto_created=True)
        if model._meta.label != "sessions.Session"
    }
