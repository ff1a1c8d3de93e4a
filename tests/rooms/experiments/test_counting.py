"""What an experiment has shown: only finished blocks are evidence, only meetings served as drawn count."""

import uuid
from datetime import timedelta

import pytest

from rooms.experiments.counting import result, settle, size_in_words
from rooms.experiments.drawing import arm_of
from rooms.experiments.ratio import two_sided
from rooms.guard.eprocess import Block, evidence
from rooms.models import Assignment, Experiment, Outcome
from rooms.outcomes import Kind, Status
from tests.factories import make_meeting, make_room
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db
PLATFORMS = {"A": "whereby", "B": "daily"}


@pytest.fixture
def play(experiment, room):
    """play("sf.s"): one draw per letter, answered s(uccess), f(ailure), x (excluded) or . (pending)."""
    answers = {"s": Status.SUCCESS, "f": Status.FAILURE, "x": Status.EXCLUDED, ".": Status.PENDING}

    def make(letters, *, on=None, served=None, at=NOW):
        where = on or room
        first = Assignment.objects.filter(room=where).count()
        drawn = []
        for number, letter in enumerate(letters, first):
            arm = arm_of(experiment, where.uuid, number)
            one = Assignment.objects.create(
                experiment=experiment,
                room=where,
                meeting_id=uuid.uuid4(),
                number=number,
                arm=arm,
                platform=PLATFORMS[arm],
                assigned_at=at,
            )
            if letter != "-":
                Outcome.objects.create(
                    meeting_id=one.meeting_id,
                    room=where,
                    platform=served or one.platform,
                    kind=Kind.JOINED,
                    status=answers[letter],
                    met_at=at,
                    mature_at=at,
                )
            drawn.append(one)
        return drawn

    return make


def joined(experiment):
    settle(experiment, now=NOW)
    return result(experiment).kinds[0]


def arms(experiment, room, count):
    return "".join(arm_of(experiment, room.uuid, number) for number in range(count))


def test_counts_are_per_arm(experiment, room, play):
    letters = "fs.xssff"
    play(letters)
    found = joined(experiment)
    for arm, count in (("A", found.a), ("B", found.b)):
        own = [letter for letter, drawn in zip(letters, arms(experiment, room, 8), strict=True) if drawn == arm]
        assert (count.failure, count.success) == (own.count("f"), own.count("s"))
        assert (count.pending, count.excluded) == (own.count("."), own.count("x"))


def test_only_finished_blocks_are_evidence(experiment, room, play):
    by_arm = {"A": "s", "B": "f"}
    play("".join(by_arm[arm] for arm in arms(experiment, room, 3)))
    unfinished = joined(experiment)
    assert (unfinished.e, unfinished.blocks, unfinished.waiting) == (1.0, 0, 3)
    play(by_arm[arms(experiment, room, 4)[3]])
    finished = joined(experiment)
    assert (finished.blocks, finished.in_blocks, finished.waiting) == (1, 4, 0)
    assert finished.e == pytest.approx(evidence([Block(2, 2, 0, 2)]))


def test_a_block_waits_for_its_last_answer(experiment, room, play):
    play("fsf.")
    assert joined(experiment).blocks == 0
    Outcome.objects.filter(status=Status.PENDING).update(status=Status.EXCLUDED)
    found = joined(experiment)
    assert (found.blocks, found.in_blocks) == (1, 3)


def test_rooms_have_blocks_of_their_own(experiment, room, play):
    other = make_room(platform="whereby")
    play("ss"), play("ss", on=other)
    assert joined(experiment).blocks == 0
    play("ss")
    assert joined(experiment).blocks == 1


def test_a_block_waits_for_those_drawn_before_it(experiment, room, play):
    """Else those with quick failures would come first, and which arm fails quickly would look like harm."""
    other = make_room(platform="whereby")
    play("sss"), play("ssss", on=other, at=NOW + timedelta(minutes=1))
    play(".", at=NOW + timedelta(minutes=2))
    assert joined(experiment).blocks == 1  # the other room's was full first
    play("ssss", on=other, at=NOW + timedelta(minutes=3))
    found = joined(experiment)
    assert (found.blocks, found.in_blocks, found.waiting) == (1, 4, 7)
    Outcome.objects.filter(status=Status.PENDING).update(status=Status.FAILURE)
    found = joined(experiment)
    assert (found.blocks, found.in_blocks, found.waiting) == (3, 12, 0)


def test_a_block_drawn_later_is_not_waited_for_whichever_room_it_is_in(experiment, room, play):
    other = make_room(platform="whereby")
    play("...."), play("ssss", on=other, at=NOW - timedelta(minutes=1))
    assert joined(experiment).blocks == 1


def test_a_draw_that_no_meeting_came_of_is_waited_for_an_hour_and_a_quarantined_one_not(experiment, room, play):
    other = make_room(platform="whereby")
    play("sss-"), play("ssss", on=other, at=NOW + timedelta(minutes=1))
    assert joined(experiment).blocks == 0
    settle(experiment, now=NOW + timedelta(minutes=61))
    found = result(experiment).kinds[0]
    assert (found.blocks, found.in_blocks) == (2, 7)


def test_blocks_that_are_not_fully_drawn_hold_up_nothing(experiment, room, play):
    other = make_room(platform="whereby")
    play("..."), play("ssss", on=other, at=NOW + timedelta(minutes=1))
    assert joined(experiment).blocks == 1


def test_what_was_served_elsewhere_is_quarantined_and_counts_for_neither_arm(experiment, room, play):
    served = "whereby" if arms(experiment, room, 1) == "B" else "daily"
    (one,) = play("f", served=served)
    found = joined(experiment)
    assert (found.a.decided, found.b.decided) == (0, 0)
    one.refresh_from_db()
    assert one.served_platform == served
    assert one.quarantined.startswith("drawn for ")
    assert size_in_words(result(experiment)).endswith("1 of them in quarantine")


def test_a_meeting_that_could_not_be_opened_where_it_was_drawn_counts_for_its_arm(experiment, room, play):
    play("f")
    found = joined(experiment)
    assert found.a.failure + found.b.failure == 1


def test_a_draw_that_no_meeting_came_of_is_quarantined_after_an_hour(experiment, room, play):
    (one,) = play("-")
    settle(experiment, now=NOW + timedelta(minutes=59))
    one.refresh_from_db()
    assert one.quarantined == ""
    settle(experiment, now=NOW + timedelta(minutes=61))
    one.refresh_from_db()
    assert one.quarantined == "no meeting came of this draw"


@pytest.mark.parametrize("status", ["opening", "open", "ended", "failed"])
def test_a_meeting_that_nobody_judged_for_hours_is_not_thrown_away(experiment, room, play, status):
    """Outcomes come late after an hour without the sweeper; a failure to open would be lost with the rest."""
    one, never = play("--")
    make_meeting(room, id=one.meeting_id, platform=one.platform, status=status)
    settle(experiment, now=NOW + timedelta(hours=2))
    one.refresh_from_db(), never.refresh_from_db()
    assert (one.quarantined, never.quarantined) == ("", "no meeting came of this draw")
    Outcome.objects.create(
        meeting_id=one.meeting_id,
        room=room,
        platform=one.platform,
        kind=Kind.JOINED,
        status=Status.FAILURE,
        met_at=NOW,
        mature_at=NOW,
    )
    settle(experiment, now=NOW + timedelta(hours=3))
    found = result(experiment).kinds[0]
    assert found.a.failure + found.b.failure == 1


def test_settling_takes_three_queries_and_an_update_however_many(experiment, room, play, django_assert_max_num_queries):
    for one in play("-" * 30)[:20]:
        make_meeting(room, id=one.meeting_id, platform=one.platform, status="ended")
    with django_assert_max_num_queries(6):  # the update is in a savepoint
        assert settle(experiment, now=NOW + timedelta(hours=2)) == 10


def test_blocks_from_before_whoever_resumed_are_no_evidence_any_more(experiment, room, play):
    by_arm = {"A": "s", "B": "f"}
    play("".join(by_arm[arm] for arm in arms(experiment, room, 4)))
    Experiment.objects.update(guarded_from=NOW + timedelta(hours=1))
    experiment.refresh_from_db()
    assert (joined(experiment).e, joined(experiment).waiting) == (1.0, 4)
    play("".join(by_arm[arm] for arm in arms(experiment, room, 8)[4:]), at=NOW + timedelta(hours=2))
    assert joined(experiment).e == pytest.approx(evidence([Block(2, 2, 0, 2)]))


def test_unanswered_blocks_from_before_whoever_resumed_hold_up_nothing(experiment, room, play):
    play("....")
    Experiment.objects.update(guarded_from=NOW + timedelta(hours=1))
    experiment.refresh_from_db()
    play("ssss", at=NOW + timedelta(hours=2))
    assert joined(experiment).blocks == 1


def test_a_draw_that_somebody_changed_is_noticed(experiment, room, play):
    (one,) = play("s")
    assert result(experiment).wrong_draws == 0
    Assignment.objects.filter(pk=one.pk).update(arm="A" if one.arm == "B" else "B")
    assert result(experiment).wrong_draws == 1


def test_a_meeting_is_answered_when_nothing_watched_is_open_and_something_was_decided(experiment, room, play):
    experiment.watched = [Kind.JOINED, Kind.ERRORS]
    drawn = play("sfsx.x")
    errors = [Status.EXCLUDED, Status.SUCCESS, Status.PENDING, Status.SUCCESS, Status.SUCCESS, Status.EXCLUDED]
    Outcome.objects.bulk_create(
        Outcome(
            meeting_id=one.meeting_id,
            room=room,
            platform=one.platform,
            kind=Kind.ERRORS,
            status=status,
            met_at=NOW,
            mature_at=NOW,
        )
        for one, status in zip(drawn, errors, strict=True)
    )
    assert sum(result(experiment).answered.values()) == 3
    Assignment.objects.filter(pk=drawn[0].pk).update(quarantined="served elsewhere")
    assert sum(result(experiment).answered.values()) == 2


def test_six_outcomes_are_held_to_six_times_the_threshold(experiment):
    experiment.watched = []
    assert [kind.act_at for kind in result(experiment).kinds] == [120.0] * 6


def test_the_cost_does_not_grow_with_the_meetings(experiment, room, play, django_assert_num_queries):
    play("sf" * 30)
    with django_assert_num_queries(2):
        result(experiment)


class TestRatio:
    @pytest.mark.parametrize(
        ("one", "other", "chance"), [(5, 5, 1.0), (10, 0, 2 / 1024), (9, 1, 22 / 1024), (0, 0, 1.0), (3, 4, 1.0)]
    )
    def test_it_is_the_binomial_test(self, one, other, chance):
        assert two_sided(one, other) == two_sided(other, one) == pytest.approx(chance)

    def test_the_normal_tail_goes_on_where_the_exact_one_stops(self):
        exact, beyond = two_sided(2400, 2600), two_sided(2401, 2600)
        assert exact == pytest.approx(beyond, rel=0.05)

    def test_a_lopsided_experiment_is_told_so_in_words(self, experiment, room, play):
        play("s" * 40)
        assert "as even as a fair lot" in result(experiment).ratio.words
        Assignment.objects.filter(arm="B").update(quarantined="lost")
        found = result(experiment).ratio
        assert found.is_off
        assert found.words.startswith("20 meetings count on A, 0 on B: such a difference comes about by chance in less")
