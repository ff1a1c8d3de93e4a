"""What a room loses on another platform: options that its adapter cannot carry out."""

from __future__ import annotations

from typing import Any

from platforms import registry
from rooms.models import Room

#: option of a provider's room -> field of ours, as far as they are one to one
FIELDS = {
    "locked": "is_locked",
    "mode": "mode",
    "knocking": "enable_knocking",
    "chat": "enable_chat",
    "screen_share": "enable_screen_share",
    "camera_on": "camera_on",
    "microphone_on": "microphone_on",
    "language": "language",
    "max_participants": "max_participants",
}


def without_effect(room: Room, platform: str) -> list[str]:
    """Options that somebody set on this room (not the defaults) and that ``platform`` does not have, in words."""
    able = registry.get(platform).capabilities
    lost = []
    for option, name in FIELDS.items():
        setting: Any = Room._meta.get_field(name)
        if option not in able.options and getattr(room, name) != setting.get_default():
            lost.append(str(setting.verbose_name))
    if room.recording_type not in able.recording_types:
        lost.append(f"recording {room.get_recording_type_display()}")
    if room.logo and not able.logo:
        lost.append("logo")
    return lost
