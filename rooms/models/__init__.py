"""Rooms, their moves, and everything that decides where meetings open."""

from rooms.models.answers import ApiAnswer
from rooms.models.experiments import Assignment, Experiment, ExperimentEntry
from rooms.models.moves import Move, MoveOrder, MoveOrderRoom
from rooms.models.outcomes import Outcome, Validation
from rooms.models.rooms import RESERVED_SLUGS, PlatformMovesOnly, Room, RoomQuerySet, refuse_reserved_slug
from rooms.models.switches import PlatformSwitch, Waiver
from rooms.models.waves import Wave, WaveEntry, WaveRoom

__all__ = [
    "ApiAnswer",
    "RESERVED_SLUGS",
    "Assignment",
    "Experiment",
    "ExperimentEntry",
    "Move",
    "MoveOrder",
    "MoveOrderRoom",
    "Outcome",
    "PlatformMovesOnly",
    "PlatformSwitch",
    "Room",
    "RoomQuerySet",
    "Validation",
    "Waiver",
    "Wave",
    "WaveEntry",
    "WaveRoom",
    "refuse_reserved_slug",
]
