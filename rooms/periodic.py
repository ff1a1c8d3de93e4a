"""What comes round for rooms."""

from datetime import datetime

from platforms.periodic import periodic
from rooms import api, ordering
from rooms.guard.watch import watch
from rooms.waves import tick


@periodic(every_s=15)
def tick_waves(now: datetime) -> None:
    tick.tick(now)


@periodic(every_s=3600)
def forget_answers(now: datetime) -> None:
    api.forget_answers(now)


@periodic(every_s=600)
def settle_leftovers(now: datetime) -> None:
    ordering.settle_leftovers(now)


@periodic(every_s=30)
def guard_experiments(now: datetime) -> None:
    watch(now)
