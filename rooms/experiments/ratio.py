"""The sample-ratio check: as many meetings must count on one arm as on the other, but for chance.

Where they do not, something decides together with the lot which meetings count, and no comparison can be trusted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: below this probability chance is no explanation
ALPHA = 0.001
#: up to so many meetings the binomial tail is added up term by term, beyond the normal one is exact enough
EXACT_UP_TO = 5000


@dataclass(frozen=True)
class Ratio:
    on_a: int
    on_b: int
    chance: float  #: of a difference at least as large, had each meeting been tossed by a coin

    @property
    def is_off(self) -> bool:
        return self.chance < ALPHA

    @property
    def words(self) -> str:
        counts = f"{self.on_a} meetings count on A, {self.on_b} on B"
        if not self.on_a + self.on_b:
            return "No meeting counts yet."
        if self.is_off:
            return (
                f"{counts}: such a difference comes about by chance in less than one of 1,000 cases. Do not trust this "
                "comparison before you know why meetings of one arm are missing; look at the quarantined ones first."
            )
        return f"{counts}: that is as even as a fair lot makes it (chance of such a difference: {self.chance:.0%})."


def sample_ratio(on_a: int, on_b: int) -> Ratio:
    """Two-sided binomial test of one half. Blocks are more even than coins: a difference that a coin cannot explain,
    blocks can explain even less."""
    return Ratio(on_a, on_b, two_sided(on_a, on_b))


def two_sided(one: int, other: int) -> float:
    total, fewer = one + other, min(one, other)
    if 2 * fewer >= total - 1:
        return 1.0
    if total > EXACT_UP_TO:
        distance = (total / 2 - fewer - 0.5) / math.sqrt(total / 4)
        return math.erfc(distance / math.sqrt(2))
    ways = way = 1
    for count in range(fewer):
        way = way * (total - count) // (count + 1)  # of choosing one more
        ways += way
    # whole numbers first: two to the power of thousands is no float
    return min(1.0, 2 * (ways / 2**total))
