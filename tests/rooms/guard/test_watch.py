"""The guard of experiments acts on evidence, once, as itself, and says which numbers made it."""

import uuid
from datetime import timedelta

import pytest

from platforms.models import Alert
from rooms.experiments.commands import Command, carry_out
from rooms.experiments.drawing import arm_of
from rooms.guard.watch import _look, watch
from rooms.models import Assignment, Experiment, ExperimentEntry, Outcome
from rooms.outcomes import Kind, Status
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def experiment(room):
    experiment = Experiment.objects.create(
        name="Pilot",
        reason="compare",
        platform_a="whereby",
        platform_b="daily",
        status=Experiment.Status.RUNNING,
        started_at=NOW,
        watched=["joined"],
    )
    experiment.rooms.add(room)
    return experiment


def meetings(experiment, room, count, *, failing="B", at=NOW):
    first = Assignment.objects.filter(room=room).count()
    for number in range(first, first + count):
        arm = arm_of(experiment, room.uuid, number)
        platform = experiment.platform_a if arm == "A" else experiment.platform_b
        one = Assignment.objects.create(
            experiment=experiment,
            room=room,
            meeting_id=uuid.uuid4(),
            number=number,
            arm=arm,
            platform=platform,
            assigned_at=at,
        )
        Outcome.objects.create(
            meeting_id=one.meeting_id,
            room=room,
            platform=platform,
            kind=Kind.JOINED,
            status=Status.FAILURE if arm == failing else Status.SUCCESS,
            met_at=at,
            mature_at=at,
            decided_at=at,
        )


def test_harm_holds_the_experiment_and_the_log_has_the_numbers(experiment, room):
    meetings(experiment, room, 16)
    (act,) = watch(NOW)
    experiment.refresh_from_db()
    assert (experiment.status, experiment.held_at) == (Experiment.Status.HELD, NOW)
    assert act.words.startswith("Held by the guard: Daily (B) does harm. joined within 60 s: A 8 of 8, B 0 of 8, E = ")
    assert (act.what, act.actor) == ("guard", None)
    (numbers,) = act.numbers["outcomes"]
    assert numbers["e"] >= numbers["acts_at"] == 20
    assert (numbers["a"], numbers["b"]) == ({"meetings": 8, "successes": 8}, {"meetings": 8, "successes": 0})


def test_it_alerts_with_what_takes_it_back(experiment, room):
    meetings(experiment, room, 16)
    watch(NOW)
    found = Alert.objects.get(key=f"experiment:{experiment.pk}")
    assert found.inverse.startswith("Look at the failures, then resume")
    assert found.inverse_url == f"/admin/rooms/experiment/{experiment.pk}/change/"


def test_it_acts_once(experiment, room):
    meetings(experiment, room, 16)
    assert len(watch(NOW)) == 1
    assert watch(NOW) == []
    assert ExperimentEntry.objects.count() == 1


def test_little_evidence_does_nothing(experiment, room):
    meetings(experiment, room, 4)
    assert watch(NOW) == []
    assert Experiment.objects.get().status == Experiment.Status.RUNNING


def test_harm_to_arm_a_is_no_reason_to_stop(experiment, room):
    meetings(experiment, room, 40, failing="A")
    assert watch(NOW) == []


def test_the_policy_ends_it_and_says_which_rooms_stay(experiment, room):
    Experiment.objects.update(on_harm=Experiment.OnHarm.ROLL_BACK)
    meetings(experiment, room, 16)
    (act,) = watch(NOW)
    experiment.refresh_from_db()
    assert (experiment.status, experiment.ended_at) == (Experiment.Status.ENDED, NOW)
    assert act.words.startswith("Ended by the guard: ")


def test_an_aa_run_that_finds_a_difference_is_held_whatever_the_policy(experiment, room):
    Experiment.objects.update(on_harm=Experiment.OnHarm.ROLL_BACK, platform_b="whereby")
    experiment.refresh_from_db()
    meetings(experiment, room, 16)
    (act,) = watch(NOW)
    assert act.words.startswith("Held by the guard: both arms are Whereby, and yet they differ.")
    assert Experiment.objects.get().status == Experiment.Status.HELD


def test_with_six_outcomes_it_takes_more(experiment, room):
    Experiment.objects.update(watched=[kind.value for kind in Kind])
    meetings(experiment, room, 8)
    assert watch(NOW) == []
    meetings(experiment, room, 16)
    assert len(watch(NOW)) == 1


def test_after_a_resume_only_new_meetings_count(experiment, room):
    meetings(experiment, room, 16)
    watch(NOW)
    later = NOW + timedelta(hours=1)
    carry_out(experiment_id=experiment.pk, command=Command.RESUME, reason="mended", now=later)
    assert watch(later) == []
    assert not Alert.objects.get(key=f"experiment:{experiment.pk}").is_open
    meetings(experiment, room, 16, at=later)
    assert len(watch(later)) == 1


def test_after_a_pause_by_a_person_all_count(experiment, room):
    meetings(experiment, room, 8)
    for command in (Command.HOLD, Command.RESUME):
        carry_out(experiment_id=experiment.pk, command=command, reason="lunch", now=NOW)
    assert Experiment.objects.get().guarded_from is None


def test_a_lopsided_count_alerts_and_stops_nothing(experiment, room):
    meetings(experiment, room, 40, failing="")
    Assignment.objects.filter(arm="B").update(quarantined="lost")
    assert watch(NOW) == []
    found = Alert.objects.get()
    assert (found.key, found.is_open) == (f"experiment:{experiment.pk}:ratio", True)
    Assignment.objects.update(quarantined="")
    watch(NOW)
    found.refresh_from_db()
    assert not found.is_open


def test_drafts_and_ended_ones_are_left_alone(experiment, room):
    meetings(experiment, room, 16)
    for status in (Experiment.Status.DRAFT, Experiment.Status.ENDED, Experiment.Status.HELD):
        Experiment.objects.update(status=status)
        assert watch(NOW) == []


def test_a_person_who_was_quicker_is_not_overruled(experiment, room):
    meetings(experiment, room, 16)
    Experiment.objects.update(status=Experiment.Status.ENDED)
    assert _look(experiment, NOW) is None  # read while it was still running
    assert (Experiment.objects.get().status, ExperimentEntry.objects.count()) == (Experiment.Status.ENDED, 0)
