"""What an experiment has shown so far: counts per arm, evidence per outcome, and what does not count and why.

A meeting that could not be opened counts for the arm that was drawn: that is what a platform can do worst. The one
that opens elsewhere instead is not drawn. What was served elsewhere than drawn (a kill switch between the draw and the
opening) is quarantined and counts for neither arm.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import F, QuerySet

from rooms.experiments.blocks import Draw, answered, in_turn
from rooms.experiments.drawing import Arm, arm_of
from rooms.experiments.ratio import Ratio, sample_ratio
from rooms.guard.eprocess import EProcess, threshold
from rooms.models import Assignment, Experiment, Outcome, Room
from rooms.words import count_of, label_of

Status = Outcome.Status
#: a draw that no meeting came of by now is none
NEVER_CAME = timedelta(hours=1)
MOST_SETTLED = 2000


@dataclass
class ArmCount:
    """How the counted meetings of one arm were answered."""

    success: int = 0
    failure: int = 0
    pending: int = 0
    excluded: int = 0

    @property
    def decided(self) -> int:
        return self.success + self.failure

    def add(self, status: str) -> None:
        name = Status(status).value
        setattr(self, name, getattr(self, name) + 1)


@dataclass
class KindResult:
    """One watched outcome: counts of all counted meetings, and evidence from blocks that had their turn."""

    kind: Outcome.Kind
    a: ArmCount = field(default_factory=ArmCount)
    b: ArmCount = field(default_factory=ArmCount)
    e: float = 1.0
    act_at: float = 20.0
    blocks: int = 0  #: that are evidence: they and all before them are answered
    in_blocks: int = 0  #: decided meetings in them

    @property
    def is_harm(self) -> bool:
        return self.e >= self.act_at

    @property
    def waiting(self) -> int:
        """Decided meetings that are not in the evidence: their block or one before it is not finished, or theirs was
        before the guard's act."""
        return self.a.decided + self.b.decided - self.in_blocks

    @property
    def numbers(self) -> dict[str, object]:
        return {
            "outcome": self.kind.value,
            "a": {"meetings": self.a.decided, "successes": self.a.success},
            "b": {"meetings": self.b.decided, "successes": self.b.success},
            "finished_blocks": self.blocks,
            "meetings_in_finished_blocks": self.in_blocks,
            "e": round(self.e, 2),
            "acts_at": self.act_at,
        }

    @property
    def words(self) -> str:
        """E.g. "joined within 60 s: A 98 of 100, B 81 of 100, E = 31.0 (acts at 20)"."""
        return (
            f"{self.kind.label}: A {self.a.success} of {self.a.decided}, B {self.b.success} of {self.b.decided}, "
            f"E = {self.e:,.1f} (acts at {self.act_at:,.0f})"
        )


@dataclass(frozen=True)
class Result:
    experiment: Experiment
    kinds: list[KindResult]
    drawn: dict[str, int]  #: by arm
    counted: dict[str, int]  #: by arm: drawn and not quarantined
    ratio: Ratio
    answered: dict[str, int]  #: by arm: counted, nothing watched is pending, and not everything was excluded
    wrong_draws: int  #: rows whose arm is not the one that salt, room and number give

    @property
    def harm(self) -> list[KindResult]:
        return [kind for kind in self.kinds if kind.is_harm]


def settle(experiment: Experiment, *, now: datetime) -> int:
    """Write down where drawn meetings were really served, and quarantine those served against their draw.

    A meeting that is there waits for its outcomes, however long nobody judged: it is not lost. Three queries and an
    update, however many. Idempotent.
    """
    open_draws = list(
        Assignment.objects.filter(experiment=experiment, served_platform="", quarantined="").order_by("pk")[
            :MOST_SETTLED
        ]
    )
    met = Outcome.objects.filter(meeting_id__in=[one.meeting_id for one in open_draws])
    served = dict(met.order_by().values_list("meeting_id", "platform").distinct())
    late = {one.meeting_id for one in open_draws if one.assigned_at < now - NEVER_CAME} - served.keys()
    never_came = late - _there(late)
    changed = []
    for one in open_draws:
        platform = served.get(one.meeting_id)
        if platform is not None:
            one.served_platform = platform
            if platform != one.platform:
                one.quarantined = f"drawn for {label_of(one.platform)}, but served on {label_of(platform)}"
            changed.append(one)
        elif one.meeting_id in never_came:
            one.quarantined = "no meeting came of this draw"
            changed.append(one)
    Assignment.objects.bulk_update(changed, ["served_platform", "quarantined"], batch_size=200)
    return len(changed)


def _there(meeting_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those that are meetings, judged or not."""
    found = Room.objects.filter(meetings__pk__in=meeting_ids).order_by().values_list("meetings__pk", flat=True)
    return set(found)


def result(experiment: Experiment) -> Result:
    """Everything at once. Three queries, however many meetings."""
    draws = _draws(experiment)
    turns = in_turn(draws, size=experiment.block_size, since=experiment.guarded_from)
    watched = watched_of(experiment)
    answers = _answers(experiment, watched)
    kinds = [_kind(kind, draws, turns, answers[kind.value], len(watched)) for kind in watched]
    drawn = _by_arm(draws)
    counted = _by_arm(one for one in draws if not one.quarantined)
    asked = [answers[kind.value] for kind in watched]
    complete = _by_arm(one for one in draws if _is_answered(one, asked))
    wrong = sum(one.arm != arm_of(experiment, one.room_uuid, one.number) for one in draws)
    ratio = sample_ratio(counted["A"], counted["B"])
    return Result(experiment, kinds, drawn, counted, ratio, complete, wrong)


def _draws(experiment: Experiment) -> list[Draw]:
    """Each room's in the order of their numbers. Not as models: there may be thousands, looked at once a page."""
    rows = experiment.assignments.annotate(room_uuid=F("room__uuid")).order_by("room_id", "number")
    return [Draw(*row) for row in rows.values_list(*Draw._fields)]


def _by_arm(draws: Iterable[Draw]) -> dict[str, int]:
    found = Counter(one.arm for one in draws)
    return {arm: found[arm] for arm in Arm.values}


def _is_answered(one: Draw, asked: Iterable[Mapping[uuid.UUID, str]]) -> bool:
    statuses = {answers.get(one.meeting_id, Status.PENDING) for answers in asked}
    return not one.quarantined and Status.PENDING not in statuses and statuses != {Status.EXCLUDED}


def watched_of(experiment: Experiment) -> list[Outcome.Kind]:
    """What the guard watches, in the order of ``Outcome.Kind``; all kinds where nothing was chosen."""
    return [kind for kind in Outcome.Kind if not experiment.watched or kind.value in experiment.watched]


def quarantined(experiment: Experiment) -> QuerySet[Assignment]:
    return experiment.assignments.exclude(quarantined="").select_related("room")


def _answers(experiment: Experiment, kinds: Iterable[Outcome.Kind]) -> dict[str, dict[uuid.UUID, str]]:
    """Kind → meeting → status."""
    # all kinds are read: the index is then asked once a meeting, and not once a meeting and kind
    found = Outcome.objects.filter(meeting_id__in=experiment.assignments.values("meeting_id"))
    answers: dict[str, dict[uuid.UUID, str]] = {kind.value: {} for kind in kinds}
    for kind, meeting_id, status in found.order_by().values_list("kind", "meeting_id", "status"):
        if kind in answers:
            answers[kind][meeting_id] = status
    return answers


def _kind(
    kind: Outcome.Kind,
    draws: Sequence[Draw],
    turns: Iterable[Sequence[Draw]],
    answers: Mapping[uuid.UUID, str],
    watched: int,
) -> KindResult:
    found = KindResult(kind, act_at=threshold(watched))
    for one in draws:
        if not one.quarantined:
            (found.a if one.arm == Arm.A else found.b).add(answers.get(one.meeting_id, Status.PENDING))
    process = EProcess()
    for block in answered(turns, answers):
        process.add(block)
        found.blocks += 1
        found.in_blocks += block.on_a + block.on_b
    found.e = process.e
    return found


def size_in_words(found: Result) -> str:
    """E.g. "200 meetings drawn, 100 for A and 100 for B, 3 of them in quarantine"."""
    total, kept = sum(found.drawn.values()), sum(found.counted.values())
    words = f"{count_of(total, 'meeting')} drawn, {found.drawn['A']} for A and {found.drawn['B']} for B"
    return f"{words}, {total - kept} of them in quarantine"
