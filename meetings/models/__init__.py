"""Meetings, the people in them, their stays, and what they agreed to."""

from meetings.beacons import JoinBeacon
from meetings.models.captures import Capture, CaptureQuerySet
from meetings.models.consents import Consent, ConsentText
from meetings.models.meetings import (
    PRESENCE_LAG,
    TWO_LOOKS,
    Meeting,
    MeetingQuerySet,
    PlatformIsFixed,
    new_key,
)
from meetings.models.people import GuestJoins, Participant, new_receipt_token
from meetings.models.stays import (
    NamelessSession,
    ParticipantSession,
    ParticipantSessionQuerySet,
    SessionFacts,
    Waiting,
    WaitingQuerySet,
    earliest,
    latest,
)

__all__ = [
    "PRESENCE_LAG",
    "TWO_LOOKS",
    "Capture",
    "CaptureQuerySet",
    "Consent",
    "ConsentText",
    "GuestJoins",
    "JoinBeacon",
    "Meeting",
    "MeetingQuerySet",
    "NamelessSession",
    "Participant",
    "ParticipantSession",
    "ParticipantSessionQuerySet",
    "PlatformIsFixed",
    "SessionFacts",
    "Waiting",
    "WaitingQuerySet",
    "earliest",
    "latest",
    "new_key",
    "new_receipt_token",
]
