"""What comes round for meetings."""

from datetime import datetime

from meetings import capture, lifecycle, outcomes, presence
from platforms.periodic import periodic


@periodic(every_s=5, fills_gaps=True)
def look_at_presence(now: datetime) -> None:
    presence.look(now)
    presence.forget_knocks(now)


@periodic(every_s=5)
def end_meetings(now: datetime) -> None:
    lifecycle.end_what_is_over(now)
    lifecycle.wake_closing(now)


@periodic(every_s=10)
def reconcile_captures(now: datetime) -> None:
    capture.reconcile_all(now)


@periodic(every_s=10)
def judge_meetings(now: datetime) -> None:
    outcomes.judge(now)
