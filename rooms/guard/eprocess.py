"""An e-process for A/B data: evidence that arm B does worse, valid however often and whenever somebody looks.

The null hypothesis: no meeting is less likely to succeed on B than on A. Within a block of meetings half of which went
to each arm by lot, and given how many of them failed, the number of failures on B is then hypergeometric at worst. The
factor of a block is the likelihood ratio of an alternative in which the odds of failing are ``ODDS`` times as high on
B (Fisher's noncentral hypergeometric distribution) against that null: its mean under the null is at most 1. So the
product over blocks is a nonnegative supermartingale, and so is a weighted mean of such products: it ever exceeds
1/alpha with probability at most alpha (Ville). Assumed is the lot, and an order of blocks that does not hang on it:
that in which they were drawn, never that in which answers come (``rooms.experiments.blocks``). Rooms, days and meetings
may differ as they like.

Figures and what else was considered: docs/adr/0006-the-guards-statistic.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

#: odds of failing on B against A in the alternatives that are bet on, and how the stake is split between them
ODDS = (1.7, 3.0, 7.0, 15.0)
STAKES = (0.15, 0.2, 0.3, 0.35)
#: act at this many times the number of outcomes that are watched: false acts of all of them together in at most 5 %
ACT_AT = 20.0


@dataclass(frozen=True)
class Block:
    """Counted meetings of one finished block: how many on each arm, and how many of those failed."""

    on_a: int
    on_b: int
    failed_a: int
    failed_b: int

    def __post_init__(self) -> None:
        if not (0 <= self.failed_a <= self.on_a and 0 <= self.failed_b <= self.on_b):
            raise ValueError(f"more failures than meetings: {self}")


@dataclass
class EProcess:
    """Evidence so far. Feed it answered blocks in the order in which they were drawn, each once, and none before all
    that come before it: the products are the same in any order, but when somebody looks, only such a beginning of the
    order is one that the answers have not chosen."""

    _log_products: list[float] = field(default_factory=lambda: [0.0] * len(ODDS))

    def add(self, block: Block) -> None:
        if not 0 < block.failed_a + block.failed_b < block.on_a + block.on_b:
            return  # all or none failed: the lot decided nothing
        factors = log_factors(block)
        self._log_products = [known + new for known, new in zip(self._log_products, factors, strict=True)]

    @property
    def log_e(self) -> float:
        terms = [math.log(stake) + product for stake, product in zip(STAKES, self._log_products, strict=True)]
        largest = max(terms)
        return largest + math.log(sum(math.exp(term - largest) for term in terms))

    @property
    def e(self) -> float:
        """At most 1e300: what is beyond that has long been acted upon."""
        return math.exp(min(self.log_e, 690.0))


def evidence(blocks: Iterable[Block]) -> float:
    """E after all these blocks."""
    process = EProcess()
    for block in blocks:
        process.add(block)
    return process.e


def threshold(outcomes: int) -> float:
    """E at which the guard acts when it watches this many outcomes."""
    return ACT_AT * max(1, outcomes)


@cache
def log_factors(block: Block) -> tuple[float, ...]:
    """The block's likelihood ratio under each of ``ODDS``, as logarithms."""
    failed = block.failed_a + block.failed_b
    chances = chances_on_b(block.on_a, block.on_b, failed)
    return tuple(
        block.failed_b * math.log(odds) - math.log(sum(chance * odds**count for count, chance in chances.items()))
        for odds in ODDS
    )


def chances_on_b(on_a: int, on_b: int, failed: int) -> dict[int, float]:
    """How many of ``failed`` failures fall on B by lot alone: number → probability (hypergeometric)."""
    all_ways = math.comb(on_a + on_b, failed)
    return {
        count: math.comb(on_b, count) * math.comb(on_a, failed - count) / all_ways
        for count in range(max(0, failed - on_a), min(on_b, failed) + 1)
    }
