"""Draws follow from salt, room and block alone, each arm equally often, and only where both platforms can take them."""

import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction

from rooms.choosing import choose_platform
from rooms.experiments.drawing import BLOCK_SIZES, arm_of, draw, order_of
from rooms.models import Assignment, Experiment, PlatformSwitch, Room
from tests.factories import make_room
from tests.rooms.conftest import NOW

ROOM = uuid.UUID("12345678-1234-5678-1234-567812345678")


def drawn(room, **more):
    with transaction.atomic():
        room = Room.objects.select_for_update().get(pk=room.pk)
        return draw(room, **{"meeting_id": uuid.uuid4(), "now": NOW, **more})


@pytest.mark.parametrize(
    ("size", "orders"),
    [
        (2, ["AB", "BA", "AB"]),
        (4, ["ABBA", "ABAB", "AABB"]),
        (8, ["AAABBBBA", "ABBBABAA", "BAABABAB"]),
    ],
)
def test_golden_vectors(size, orders):
    assert ["".join(order_of("0" * 32, ROOM, block, size)) for block in range(3)] == orders


@pytest.mark.parametrize("size", BLOCK_SIZES)
def test_every_block_is_half_and_half_and_every_order_as_frequent(size):
    orders = Counter("".join(order_of("salt", ROOM, block, size)) for block in range(6000))
    assert {Counter(order)["A"] for order in orders} == {size // 2}
    expected = 6000 / len(orders)
    assert len(orders) == {2: 2, 4: 6, 6: 20, 8: 70}[size]
    # six standard deviations of a count
    assert all(abs(count - expected) < 6 * expected**0.5 for count in orders.values())


def test_salt_room_and_block_each_change_the_order():
    def orders(salt, room):
        return [order_of(salt, room, block, 8) for block in range(20)]

    one = orders("salt", ROOM)
    assert len(set(one)) > 10
    assert orders("other", ROOM) != one != orders("salt", uuid.UUID(int=7))


def test_a_block_of_another_size_is_refused():
    with pytest.raises(ValueError, match="not 3"):
        order_of("salt", ROOM, 0, 3)


@pytest.mark.django_db
class TestDraw:
    def test_draws_are_numbered_and_follow_the_order(self, room, experiment):
        drawings = [drawn(room) for _ in range(8)]
        assert [one.number for one in drawings] == list(range(8))
        assert [one.arm for one in drawings] == [arm_of(experiment, room.uuid, number) for number in range(8)]
        assert {(one.arm, one.platform) for one in drawings} == {("A", "whereby"), ("B", "daily")}
        assert {one.assigned_at for one in drawings} == {NOW}

    def test_a_meeting_is_drawn_once(self, room, experiment):
        meeting = uuid.uuid4()
        assert drawn(room, meeting_id=meeting) == drawn(room, meeting_id=meeting)
        assert Assignment.objects.count() == 1

    def test_each_room_has_numbers_of_its_own(self, room, experiment):
        other = make_room(platform="daily")
        experiment.rooms.add(other)
        assert [drawn(room).number, drawn(other).number, drawn(room).number] == [0, 0, 1]

    def test_the_same_number_cannot_be_drawn_twice(self, room, experiment):
        first = drawn(room)
        first.pk, first.meeting_id = None, uuid.uuid4()
        with pytest.raises(Exception, match="UNIQUE|one_draw_per_number"):
            first.save(force_insert=True)

    @pytest.mark.parametrize("status", [Experiment.Status.DRAFT, Experiment.Status.HELD, Experiment.Status.ENDED])
    def test_only_a_running_experiment_draws(self, room, experiment, status):
        Experiment.objects.update(status=status)
        assert drawn(room) is None

    def test_only_rooms_that_take_part_are_drawn(self, experiment):
        assert drawn(make_room(platform="whereby")) is None

    def test_nothing_is_drawn_while_an_arm_is_closed(self, room, experiment):
        PlatformSwitch.objects.create(platform="daily", is_closed=True, reason="outage", switched_at=NOW)
        assert drawn(room) is None
        PlatformSwitch.objects.create(platform="daily", is_closed=False, reason="over", switched_at=NOW)
        assert drawn(room).number == 0

    def test_nothing_is_drawn_while_an_arm_is_not_configured(self, room, experiment, settings):
        settings.PLATFORM_ENVIRON = {
            name: value for name, value in settings.PLATFORM_ENVIRON.items() if "DAILY" not in name
        }
        assert drawn(room) is None

    def test_nothing_is_drawn_for_the_meeting_after_a_failed_one(self, room, experiment):
        assert drawn(room, failed=frozenset({"daily"})) is None

    def test_a_pinned_room_is_left_alone_until_its_pin_ends(self, room, experiment):
        Room.objects.filter(pk=room.pk).update(pinned_at=NOW, pin_until=NOW + timedelta(days=1), pin_reason="board")
        assert drawn(room) is None
        assert drawn(room, now=NOW + timedelta(days=2)).number == 0

    def test_a_room_that_was_moved_to_a_third_platform_is_not_drawn(self, room, experiment):
        Experiment.objects.update(platform_b="whereby")
        other = make_room(platform="daily")
        experiment.rooms.add(other)
        assert drawn(other) is None

    def test_whoever_read_the_switches_before_they_were_used_draws_by_what_they_read(self, room, experiment):
        assert drawn(room, closed={"daily"}) is None
        PlatformSwitch.objects.create(platform="daily", is_closed=True, reason="outage")
        assert drawn(room) is None
        assert drawn(room, closed=set()).number == 0

    def test_an_aa_run_draws_arms_of_one_platform(self, room, experiment):
        Experiment.objects.update(platform_b="whereby")
        drawings = [drawn(room) for _ in range(4)]
        assert {one.platform for one in drawings} == {"whereby"}
        assert Counter(one.arm for one in drawings) == {"A": 2, "B": 2}

    def test_a_room_without_an_experiment_costs_one_query(self, room, django_assert_num_queries):
        with django_assert_num_queries(1):
            assert draw(room, meeting_id=uuid.uuid4(), now=NOW) is None


@pytest.mark.django_db
class TestChoice:
    """The lot is the first rule of where a meeting opens."""

    def choose(self, room, **more):
        with transaction.atomic():
            room = Room.objects.select_for_update().get(pk=room.pk)
            return choose_platform(room, **{"meeting_id": uuid.uuid4(), "now": NOW, **more})

    def test_a_meeting_opens_where_it_was_drawn_and_says_so(self, room, experiment):
        Room.objects.filter(pk=room.pk).update(uuid=ROOM)  # whose first block is A, B, B, A
        first, second = self.choose(room), self.choose(room)
        assert [first.platform, second.platform] == ["whereby", "daily"]
        assert second.why == "experiment “Pilot” drew arm B for this meeting, running since 22 November: compare"

    def test_without_a_draw_the_room_decides(self, room, experiment):
        Experiment.objects.update(status=Experiment.Status.HELD)
        assert self.choose(room).why == "room is set to Whereby since it was made"
