"""Whether our clock and a provider's agree."""

from __future__ import annotations

from platforms.base import Finding, Named

#: answers say the time in whole seconds and take a moment to arrive
FINE_S = 5.0
#: beyond this, what is signed or expires goes wrong
BLOCKS_S = 60.0


def clock(label: str, ahead_s: float | None) -> Finding:
    """``ahead_s``: how far our clock is ahead of the provider's, None when it did not say."""
    named: Named = {"key": "clock", "title": "Clocks agree"}
    if ahead_s is None:
        return Finding(ok=True, proven=False, what=f"{label} did not say what time it is", **named)
    evidence = {"ours ahead by": f"{ahead_s:.1f} s"}
    if abs(ahead_s) <= FINE_S:
        return Finding(ok=True, what=f"our clock and {label}'s agree", evidence=evidence, **named)
    return Finding(
        ok=False,
        what=f"our clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} {label}'s",
        why="signatures look stale, tokens expire early or late, and buckets refuse requests that are 15 minutes off",
        fix="set the clock of this machine by NTP: timedatectl set-ntp true",
        blocks=abs(ahead_s) > BLOCKS_S,
        evidence=evidence,
        **named,
    )
