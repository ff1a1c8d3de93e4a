import uuid
from datetime import timedelta

import pytest

from rooms import switching
from rooms.choosing import Choice, NoPlatform, choose_platform
from rooms.models import Experiment, Move, Room
from rooms.services import move_room
from tests.accounts_for_platforms import ONLY_WHEREBY
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db


def choose(room, **more):
    return choose_platform(room, **{"meeting_id": uuid.uuid4(), "now": NOW, **more})


def move(room, to="daily", **more):
    return move_room(**{"room_id": room.pk, "platform": to, "reason": "pilot", "source": Move.Source.ADMIN, **more})


def falling_back(room):
    room.on_failure = Room.OnFailure.FALL_BACK
    room.save()


def test_the_reason_is_said_in_words(room, ann):
    assert choose(room) == Choice(platform="whereby", why="room is set to Whereby since it was made")
    move(room, actor=ann, now=NOW)
    assert choose(room) == Choice(platform="daily", why="room is set to Daily by Ann Archer on 22 November: pilot")
    move(room, "whereby", source=Move.Source.COMMAND, now=NOW + timedelta(days=400), reason="x" * 500)
    choice = choose(room)
    assert choice.platform == "whereby"
    assert choice.why.startswith("room is set to Whereby on the command line on 27 December 2027: xxx")
    assert len(choice.why) == 200


def test_it_looks_at_the_database_not_at_the_room_in_hand(room):
    stale = Room.objects.get(pk=room.pk)
    move(room)
    assert choose(stale).platform == "daily"


def test_without_an_account_there(room, settings):
    move(room)
    settings.PLATFORM_ENVIRON = ONLY_WHEREBY
    with pytest.raises(NoPlatform, match="Daily is not configured, and the room does not fall back.") as refused:
        choose(room)
    assert refused.value.for_visitors == "The video service of this room is not set up."
    falling_back(room)
    assert choose(room).platform == "whereby"


def test_a_closed_platform_takes_no_meeting(room, ann):
    switching.close(platform="whereby", reason="outage", actor=ann, now=NOW)
    with pytest.raises(NoPlatform) as refused:
        choose(room)
    assert str(refused.value) == (
        "Whereby is closed for new meetings by Ann Archer since 22 November at 14:03 UTC: outage, "
        "and the room does not fall back."
    )
    assert refused.value.for_visitors == "No new meetings can be started in this room right now."
    switching.open(platform="whereby", reason="over")
    assert choose(room).platform == "whereby"


def test_a_room_that_falls_back_opens_elsewhere_and_says_why(room):
    falling_back(room)
    switching.close(platform="whereby", reason="outage", now=NOW)
    assert choose(room) == Choice(
        platform="daily",
        why="Daily because Whereby is closed for new meetings on the command line since 22 November at 14:03 UTC: "
        "outage; room is set to Whereby since it was made",
    )
    with pytest.raises(NoPlatform, match="no other platform is left"):
        choose(room, failed=frozenset({"daily"}))


def test_a_failed_platform_is_not_tried_again(room):
    falling_back(room)
    choice = choose(room, failed=frozenset({"whereby"}))
    assert choice.platform == "daily"
    assert choice.why == "Daily because Whereby could not open the meeting; room is set to Whereby since it was made"


@pytest.mark.parametrize(
    ("installation", "room_says", "falls"),
    [
        ("fail", "default", False),
        ("fall_back", "default", True),
        ("fail", "fall_back", True),
        ("fall_back", "fail", False),
    ],
)
def test_the_room_overrules_the_installation(room, settings, installation, room_says, falls):
    settings.PLATFORM_FAILURE_POLICY = installation
    room.on_failure = room_says
    room.save()
    try:
        assert (choose(room, failed=frozenset({"whereby"})).platform == "daily") is falls
    except NoPlatform:
        assert not falls


# -- experiments


@pytest.fixture
def experiment(room):
    running = Experiment.objects.create(
        name="Sound", reason="is it as good", platform_a="whereby", platform_b="daily", status="running", started_at=NOW
    )
    running.rooms.add(room)
    return running


def test_a_running_experiment_draws_and_is_named(room, experiment):
    choices = [choose(room) for _ in range(4)]
    assert sorted(choice.platform for choice in choices) == ["daily", "daily", "whereby", "whereby"]
    drawn = next(choice for choice in choices if choice.platform == "daily")
    assert drawn.why == ("experiment “Sound” drew arm B for this meeting, running since 22 November: is it as good")


def test_where_one_arm_is_closed_meetings_open_where_the_room_is_set(room, experiment):
    switching.close(platform="daily", reason="outage")
    assert {choose(room).platform for _ in range(4)} == {"whereby"}


def test_after_a_failed_draw_the_other_arm_is_used_only_where_the_room_falls_back(room, experiment):
    with pytest.raises(NoPlatform, match="Daily could not open the meeting, and the room does not fall back."):
        choose(room, failed=frozenset({"daily"}))
    falling_back(room)
    choice = choose(room, failed=frozenset({"daily"}))
    assert choice.platform == "whereby"
    assert choice.why.startswith("Whereby because Daily could not open the meeting; room is set to Whereby")
    assert not experiment.assignments.exists()
