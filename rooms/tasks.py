"""Actors of rooms. Messages carry ids; what is to be done is in the rows."""

import dramatiq

from platforms.work import work_on
from rooms import ordering
from rooms.models import MoveOrder


@dramatiq.actor(actor_name="carry_out_move_order", max_retries=0, time_limit=600_000)
def carry_out_move_order(order_id: str) -> None:
    work_on(MoveOrder, order_id, ordering.carry_out)
