"""What counts of successes allow to be said: intervals and the size of what could have been seen.

Wilson's interval for one share (Wilson 1927), Newcombe's for the difference of two (Newcombe 1998, method 10): both
hold at shares near 100 % and at small counts, where the usual ones fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

#: below this many meetings no share is shown
FEWEST = 10
CONFIDENCE = 0.95
#: chance of seeing a drop of the size that is named as visible
POWER = 0.8


@dataclass(frozen=True)
class Count:
    """Decided meetings of one platform: ``successes`` of ``total``."""

    successes: int
    total: int

    @property
    def failures(self) -> int:
        return self.total - self.successes

    @property
    def share(self) -> float:
        """0 to 1. Raises ``ZeroDivisionError`` without meetings."""
        return self.successes / self.total


def wilson(count: Count, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Lower and upper end, 0 to 1. Nothing known is ``(0, 1)``."""
    if count.total == 0:
        return 0.0, 1.0
    z = _two_sided(confidence)
    share, n = count.share, count.total
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def difference(old: Count, new: Count, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval for the new share minus the old, −1 to 1."""
    if old.total == 0 or new.total == 0:
        return -1.0, 1.0
    old_low, old_high = wilson(old, confidence=confidence)
    new_low, new_high = wilson(new, confidence=confidence)
    gap = new.share - old.share
    low = gap - sqrt((new.share - new_low) ** 2 + (old_high - old.share) ** 2)
    high = gap + sqrt((new_high - new.share) ** 2 + (old.share - old_low) ** 2)
    return low, high


def visible_drop(old: Count, new_total: int) -> float | None:
    """The share to which the new platform would have had to fall for these counts to show it (one-sided 5 %, seen in
    4 of 5 cases); None when even a fall to nothing would not have been seen."""
    if old.total == 0 or new_total == 0:
        return None
    before = _smoothed(old)
    if not _shows(before, 0.0, old.total, new_total):
        return None
    low, high = 0.0, before
    for _ in range(40):
        middle = (low + high) / 2
        if _shows(before, middle, old.total, new_total):
            low = middle
        else:
            high = middle
    return low


def _shows(before: float, after: float, old_total: int, new_total: int) -> bool:
    pooled = (before * old_total + after * new_total) / (old_total + new_total)
    under_null = sqrt(pooled * (1 - pooled) * (1 / old_total + 1 / new_total))
    spread = sqrt(before * (1 - before) / old_total + after * (1 - after) / new_total)
    normal = NormalDist()
    return before - after >= normal.inv_cdf(CONFIDENCE) * under_null + normal.inv_cdf(POWER) * spread


def percent(share: float) -> str:
    """E.g. "97 %"; one decimal where rounding would hide failures."""
    digits = 1 if 0.98 < share < 0.9995 else 0
    return f"{share * 100:.{digits}f} %"


def _smoothed(count: Count) -> float:
    """A share that is never quite 100 %: 23 successes of 23 do not prove that failures cannot be."""
    return (count.successes + 1) / (count.total + 2)


def _two_sided(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
