"""Commands do what was shown or nothing, and leave their reason."""

import uuid
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from rooms.experiments import commands
from rooms.experiments.commands import AA_MEETINGS, Command, ExperimentChanged, ExperimentRefused, carry_out, preview
from rooms.experiments.drawing import arm_of
from rooms.models import Assignment, Experiment, ExperimentEntry, Outcome, PlatformSwitch, Room
from tests.factories import make_room
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db
Status = Experiment.Status


@pytest.fixture
def draft(experiment):
    Experiment.objects.update(status=Status.DRAFT, started_at=None, watched=[])
    experiment.refresh_from_db()
    return experiment


def do(experiment, command, reason="because", **more):
    entry = carry_out(experiment_id=experiment.pk, command=command, reason=reason, **{"now": NOW, **more})
    experiment.refresh_from_db()
    return entry


def start(experiment, **more):
    return do(experiment, Command.START, **{"aa_waiver": "tested by hand", **more})


def aa_run(room, *, status=Status.ENDED, meetings=AA_MEETINGS):
    """One that proves the instrument, unless told otherwise."""
    run = Experiment.objects.create(
        name=f"A/A {Experiment.objects.count()}",
        reason="prove",
        platform_a="whereby",
        platform_b="whereby",
        status=status,
        started_at=NOW,
        watched=["joined"],
    )
    drawn = Assignment.objects.bulk_create(
        Assignment(
            experiment=run,
            room=room,
            meeting_id=uuid.uuid4(),
            number=number,
            arm=arm_of(run, room.uuid, number),
            platform="whereby",
        )
        for number in range(meetings)
    )
    Outcome.objects.bulk_create(
        Outcome(
            meeting_id=one.meeting_id,
            room=room,
            platform="whereby",
            kind=Outcome.Kind.JOINED,
            status=Outcome.Status.SUCCESS,
            met_at=NOW,
            mature_at=NOW,
        )
        for one in drawn
    )
    return run


def test_its_life(draft, ann):
    started = start(draft, actor=ann)
    assert (draft.status, draft.started_at, draft.watched) == (Status.RUNNING, NOW, list(Outcome.Kind.values))
    assert (started.actor, started.words) == (ann, "Started: because (without an A/A run: tested by hand)")
    do(draft, Command.HOLD, "lunch")
    assert (draft.status, draft.held_reason) == (Status.HELD, "lunch")
    do(draft, Command.RESUME)
    assert (draft.status, draft.held_at, draft.held_reason) == (Status.RUNNING, None, "")
    do(draft, Command.END, now=NOW + timedelta(days=1))
    assert (draft.status, draft.ended_at) == (Status.ENDED, NOW + timedelta(days=1))
    assert [entry.what for entry in draft.entries.all()] == ["end", "resume", "hold", "start"]


@pytest.mark.parametrize("reason", ["", "  ", "\x00", "\n"])
def test_without_a_reason_nothing_is_done(draft, reason):
    with pytest.raises(ExperimentRefused, match="Say why"):
        start(draft, reason=reason)
    assert (Experiment.objects.get().status, ExperimentEntry.objects.count()) == (Status.DRAFT, 0)


@pytest.mark.parametrize(
    ("status", "command"),
    [
        (Status.DRAFT, Command.HOLD),
        (Status.DRAFT, Command.END),
        (Status.RUNNING, Command.START),
        (Status.RUNNING, Command.RESUME),
        (Status.HELD, Command.HOLD),
        (Status.ENDED, Command.RESUME),
    ],
)
def test_what_makes_no_sense_is_refused(draft, status, command):
    Experiment.objects.update(status=status)
    with pytest.raises(ExperimentRefused, match="cannot be done with it now"):
        do(draft, command)


class TestAA:
    def test_a_first_comparison_needs_an_aa_run_or_a_reason(self, draft):
        assert "Run an A/A first" in preview(draft, Command.START, now=NOW).words[-1]
        with pytest.raises(ExperimentRefused, match="no A/A run with 100 answered meetings has ended well"):
            start(draft, aa_waiver=" ")
        start(draft, aa_waiver="tested by hand")
        assert draft.aa_waived == "tested by hand"

    def test_an_aa_run_that_ended_well_is_enough(self, draft, room):
        aa_run(room)
        start(draft, aa_waiver="")
        assert draft.aa_waived == ""

    @pytest.mark.parametrize("how", [{"meetings": AA_MEETINGS - 1}, {"status": Status.RUNNING}])
    def test_one_that_is_too_short_or_goes_on_is_not(self, draft, room, how):
        run = aa_run(make_room(), **how)
        assert run.is_aa
        assert preview(draft, Command.START, now=NOW).needs_waiver

    def test_one_in_which_the_guard_acted_is_not(self, draft, room):
        commands.note(aa_run(room), "guard", "both arms differ", now=NOW)
        assert preview(draft, Command.START, now=NOW).needs_waiver

    def test_quarantined_meetings_do_not_prove_it(self, draft, room):
        aa_run(room)
        Assignment.objects.filter(number=0).update(quarantined="served elsewhere")
        assert preview(draft, Command.START, now=NOW).needs_waiver

    @pytest.mark.parametrize("status", [Outcome.Status.PENDING, Outcome.Status.EXCLUDED])
    def test_unanswered_meetings_do_not_prove_it(self, draft, room, status):
        aa_run(room)
        Outcome.objects.filter(pk=Outcome.objects.first().pk).update(status=status)
        assert preview(draft, Command.START, now=NOW).needs_waiver

    def test_one_whose_meetings_all_count_on_one_arm_is_not(self, draft, room):
        aa_run(room, meetings=2 * AA_MEETINGS)
        Assignment.objects.filter(arm="B").update(quarantined="lost")
        assert preview(draft, Command.START, now=NOW).needs_waiver

    def test_one_that_is_uneven_is_not_although_its_answers_are_even(self, draft, room):
        aa_run(room, meetings=4 * AA_MEETINGS)
        on_a, on_b = (list(Assignment.objects.filter(arm=arm).order_by("number")[:AA_MEETINGS]) for arm in "AB")
        Assignment.objects.filter(pk__in=[one.pk for one in on_b]).update(quarantined="lost")
        Outcome.objects.filter(meeting_id__in=[one.meeting_id for one in on_a]).update(status=Outcome.Status.PENDING)
        assert preview(draft, Command.START, now=NOW).needs_waiver

    def test_one_that_was_answered_on_one_arm_only_is_not(self, draft, room):
        aa_run(room, meetings=2 * AA_MEETINGS)
        lost = Assignment.objects.filter(arm="B").values("meeting_id")
        Outcome.objects.filter(meeting_id__in=lost).update(status=Outcome.Status.EXCLUDED)
        assert preview(draft, Command.START, now=NOW).needs_waiver

    def test_one_draw_that_the_lot_does_not_give_is_enough_to_doubt_it(self, draft, room):
        aa_run(room)
        one = Assignment.objects.first()
        Assignment.objects.filter(pk=one.pk).update(arm="A" if one.arm == "B" else "B")
        assert preview(draft, Command.START, now=NOW).needs_waiver

    def test_one_that_found_a_difference_unseen_by_the_guard_is_not(self, draft, room):
        aa_run(room)
        worse = Assignment.objects.filter(arm="B").values("meeting_id")
        Outcome.objects.filter(meeting_id__in=worse).update(status=Outcome.Status.FAILURE)
        assert preview(draft, Command.START, now=NOW).needs_waiver

    def test_an_aa_run_itself_needs_nothing(self, draft):
        Experiment.objects.update(platform_b="whereby")
        draft.refresh_from_db()
        start(draft, aa_waiver="")
        assert draft.status == Status.RUNNING

    def test_the_second_comparison_needs_nothing(self, draft):
        Experiment.objects.create(
            name="Earlier", reason="r", platform_a="whereby", platform_b="daily", status=Status.ENDED, started_at=NOW
        )
        assert not preview(draft, Command.START, now=NOW).needs_waiver


class TestStart:
    def test_rooms_are_in_one_experiment_at_a_time(self, draft, room):
        other = Experiment.objects.create(
            name="Other", reason="r", platform_a="whereby", platform_b="daily", status=Status.RUNNING, started_at=NOW
        )
        other.rooms.add(room)
        with pytest.raises(ExperimentRefused, match="“Other” draws for rooms of this one already: “Standup”"):
            start(draft)

    def test_without_a_room_in_use_there_is_nothing_to_start(self, draft, room):
        Room.objects.filter(pk=room.pk).update(archived_at=NOW)
        with pytest.raises(ExperimentRefused, match="No room that is in use takes part"):
            start(draft)

    def test_a_closed_or_missing_platform_refuses(self, draft, settings):
        PlatformSwitch.objects.create(platform="daily", is_closed=True, reason="outage", switched_at=NOW)
        with pytest.raises(ExperimentRefused, match="Daily is closed for new meetings"):
            start(draft)
        settings.PLATFORM_ENVIRON = {}
        with pytest.raises(ExperimentRefused, match="Whereby is not configured"):
            start(draft)

    def test_rooms_that_will_not_be_drawn_are_told(self, draft, fake_third):
        draft.rooms.add(make_room(platform="fake"), make_room(platform="daily", pinned_at=NOW, pin_reason="board"))
        words = preview(draft, Command.START, now=NOW).words
        assert words[0].startswith("From now on each new meeting in 1 room opens by lot on Whereby (A) or Daily (B)")
        assert words[1] == "1 room on neither of the two: nothing is drawn there."
        assert words[2] == "1 room pinned: nothing is drawn there while the pin lasts."
        assert "E = 120" in words[3]

    def test_what_changed_since_it_was_shown_is_told_and_nothing_done(self, draft):
        seen = preview(draft, Command.START, now=NOW).hash
        draft.rooms.add(make_room(platform="whereby"))
        with pytest.raises(ExperimentChanged):
            start(draft, seen_hash=seen)
        assert Experiment.objects.get().status == Status.DRAFT
        start(draft, seen_hash=preview(draft, Command.START, now=NOW).hash)


class TestOnTheCommandLine:
    def run(self, *words):
        out = StringIO()
        call_command("experiment", *words, stdout=out)
        return out.getvalue().strip()

    def test_it_says_where_things_are(self, experiment):
        said = self.run("Pilot")
        assert said.splitlines()[:2] == ["running", "0 meetings drawn, 0 for A and 0 for B, 0 of them in quarantine"]
        assert said.endswith("joined within 60 s: A 0 of 0, B 0 of 0, E = 1.0 (acts at 20)")

    def test_it_does_the_same_as_the_page(self, draft):
        assert "opens by lot" in self.run(str(draft.pk), "start", "--dry-run")
        assert self.run("Pilot", "start", "--reason", "go", "--without-aa", "small") == (
            "Started: go (without an A/A run: small)"
        )
        draft.refresh_from_db()
        assert draft.status == Status.RUNNING

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["Nobody"], "No experiment is called “Nobody”"),
            (["Pilot", "hold", "--reason", "r"], "“Pilot” is draft; that cannot be done with it now"),
            (["Pilot", "start"], "Say why"),
        ],
    )
    def test_a_refusal_is_a_sentence(self, draft, words, sentence):
        with pytest.raises(CommandError, match=sentence):
            self.run(*words)
