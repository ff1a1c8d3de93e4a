"""Settings mistakes that concern rooms, told before they hurt."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from rooms.models import Room

POLICIES = (Room.OnFailure.FAIL, Room.OnFailure.FALL_BACK)


@register(Tags.compatibility)
def failure_policy_is_one(app_configs: Any, **_: Any) -> list[CheckMessage]:
    policy = settings.PLATFORM_FAILURE_POLICY
    if policy in POLICIES:
        return []
    hint = f"One of: {', '.join(POLICIES)}."
    return [Error(f"PLATFORM_FAILURE_POLICY is {policy!r}, which is no policy.", hint=hint, id="rooms.E001")]
