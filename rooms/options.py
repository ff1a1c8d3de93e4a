"""What a room's options come to on each platform, and what it loses there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from platforms import registry
from platforms.base import Adapter, Capabilities
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
    adapter = registry.get(platform)
    able = adapter.capabilities
    lost = []
    for option, name in FIELDS.items():
        setting: Any = Room._meta.get_field(name)
        if not has(adapter, room, option) and getattr(room, name) != setting.get_default():
            lost.append(
                f"{setting.verbose_name} {room.language}" if option == "language" else str(setting.verbose_name)
            )
    if room.recording_type not in able.recording_types:
        lost.append(f"recording {room.get_recording_type_display()}")
    if room.logo and not able.logo:
        lost.append("logo")
    return lost


def has(adapter: Adapter, room: Room, option: str) -> bool:
    """Whether the platform has this option, and the room's own choice of it."""
    if option == "language" and not adapter.speaks(room.language):
        return False
    return option in adapter.capabilities.options


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What one option comes to on one platform."""

    works: bool
    matters: bool  #: it is set to something else than the default
    words: str = ""  #: by whom, where that differs


@dataclass(frozen=True, kw_only=True)
class OptionRow:
    """One option of a room and its effect on each platform, in the order that was asked for."""

    name: str
    value: str
    effects: tuple[Effect, ...]

    @property
    def differs(self) -> bool:
        """It does something on one of the platforms, and nothing or something else on another."""
        return len({(effect.works, effect.words) for effect in self.effects}) > 1


def compare(room: Room, adapters: Sequence[Adapter]) -> list[OptionRow]:
    """Every option of the room on each of these platforms."""
    able = [adapter.capabilities for adapter in adapters]
    rows = [
        _row(room, name, [(has(each, room, option), _how(room, option, each.capabilities)) for each in adapters])
        for option, name in FIELDS.items()
    ]
    rows.append(_row(room, "recording_type", [(room.recording_type in each.recording_types, "") for each in able]))
    rows.append(
        OptionRow(
            name="recording starts",
            value=room.get_recording_trigger_display(),
            effects=tuple(_started(room, each) for each in able),
        )
    )
    rows.append(
        OptionRow(
            name="logo",
            value="set" if room.logo else "none",
            effects=tuple(Effect(works=each.logo, matters=bool(room.logo)) for each in able),
        )
    )
    return rows


def _how(room: Room, option: str, able: Capabilities) -> str:
    """Where whoever belongs to a room cannot be told from a guest, they knock like one."""
    if option == "locked" and room.is_locked:
        return "members walk in" if able.admits_by_token else "members knock too"
    return ""


def _row(room: Room, name: str, works: Sequence[tuple[bool, str]]) -> OptionRow:
    setting: Any = Room._meta.get_field(name)
    value = getattr(room, name)
    shown = getattr(room, f"get_{name}_display")() if setting.choices else {True: "on", False: "off"}.get(value, value)
    # a default recording is wanted as much as any other
    matters = value != (Room.RecordingType.NONE if name == "recording_type" else setting.get_default())
    return OptionRow(
        name=str(setting.verbose_name),
        value="no limit" if value is None else str(shown),
        effects=tuple(Effect(works=one, matters=matters, words=words) for one, words in works),
    )


def _started(room: Room, able: Capabilities) -> Effect:
    """Who starts a recording in the cloud by itself; by a host it is always the host."""
    cloud = room.recording_type == Room.RecordingType.CLOUD
    if "cloud" not in able.recording_types:
        return Effect(works=False, matters=cloud)
    if able.server_recording:
        return Effect(works=True, matters=cloud, words="by our server")
    if room.consent_policy == Room.ConsentPolicy.NOT_ASKED and "recording_trigger" in able.options:
        return Effect(works=True, matters=cloud, words="by the platform")
    return Effect(works=True, matters=cloud, words="by a host’s page: only while a host is there")
