"""A comparison in words: pass, harm or inconclusive, and how much could have been seen at all."""

from __future__ import annotations

from dataclasses import dataclass

from rooms.parity.intervals import FEWEST, Count, difference, percent, visible_drop

#: a loss that is accepted, as a share: "not worse" means that a larger one is ruled out
MARGIN = 0.05
#: looked at again and again, so a pass asks for more than the interval that is shown
PASS_CONFIDENCE = 0.99


@dataclass(frozen=True)
class Verdict:
    kind: str  #: "pass" | "harm" | "inconclusive" | "too few" | "not comparable"
    words: str


def verdict(old: Count, new: Count, *, drawn: bool, harm: str = "") -> Verdict:
    """What may be concluded about the new platform.

    ``drawn``: the platform was drawn for each meeting. Only then is a difference the platform's; where rooms were
    assigned, the rooms differ too, and neither pass nor harm is said. ``harm``: the guard's words, when its e-process
    has found harm; nothing else says so, because this page is looked at as often as one likes.
    """
    if harm:
        return Verdict("harm", harm)
    fewest = min(old.total, new.total)
    if fewest < FEWEST:
        missing = FEWEST - fewest
        return Verdict("too few", f"Not enough data: {meetings(missing)} more needed before a share is shown.")
    if not drawn:
        return Verdict("not comparable", "No verdict: rooms were set to a platform, and rooms differ.")
    low, _ = difference(old, new, confidence=PASS_CONFIDENCE)
    if low > -MARGIN:
        return Verdict("pass", f"Pass: a loss of more than {percent(MARGIN)} is ruled out; {_seen(old, new)}.")
    if difference(old, new)[1] < 0:
        return Verdict(
            "inconclusive", f"Lower so far, but the guard has not seen enough to call it harm; {_seen(old, new)}."
        )
    return Verdict("inconclusive", f"Inconclusive: {_seen(old, new)}.")


def _seen(old: Count, new: Count) -> str:
    """E.g. "with 23 meetings we could only have seen a drop to about 70 %"."""
    lowest = visible_drop(old, new.total)
    if lowest is None:
        return f"with {meetings(new.total)} no drop at all could have been seen"
    return f"with {meetings(new.total)} we could only have seen a drop to about {percent(lowest)}"


def meetings(number: int) -> str:
    return "1 meeting" if number == 1 else f"{number:,} meetings"
