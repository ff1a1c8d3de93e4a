"""Starting and stopping a meeting's recording: when it is wanted, when it is allowed, and what is known of it."""

from meetings.capture.page import instruction_for, report_from_page
from meetings.capture.rows import by_instance, locked, of_meeting_locked, settle_all
from meetings.capture.server import drive
from meetings.capture.situations import Situation, situation
from meetings.capture.told import note_closed, note_failed, note_ready, note_started
from meetings.capture.wishes import CaptureRefused, is_wanted, reconcile, reconcile_all, wish_start, wish_stop

__all__ = [
    "CaptureRefused",
    "Situation",
    "by_instance",
    "drive",
    "instruction_for",
    "is_wanted",
    "locked",
    "note_closed",
    "note_failed",
    "note_ready",
    "note_started",
    "of_meeting_locked",
    "reconcile",
    "reconcile_all",
    "report_from_page",
    "settle_all",
    "situation",
    "wish_start",
    "wish_stop",
]
