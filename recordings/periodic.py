"""Jobs of the recordings app that come round."""

from __future__ import annotations

import logging
from datetime import datetime

from platforms import registry
from platforms.base import PlatformError
from platforms.periodic import periodic
from recordings import measuring, outcomes
from recordings.polling import poll

logger = logging.getLogger(__name__)


@periodic(every_s=30, fills_gaps=True)
def find_recordings(now: datetime) -> None:
    """Ask each provider for recordings that no webhook told of. One that does not answer does not stop the others."""
    for adapter in registry.configured():
        try:
            new = poll(adapter)
        except PlatformError as error:
            logger.warning("recordings of %s not polled: %s", adapter.slug, type(error).__name__)
            continue
        if new:
            logger.info("%s recordings of %s found by polling", new, adapter.slug)


@periodic(every_s=10)
def judge_recordings(now: datetime) -> None:
    outcomes.judge(now)


@periodic(every_s=600)
def measure_recordings(now: datetime) -> None:
    measuring.measure(now)
