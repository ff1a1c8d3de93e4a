"""Experiments in the admin: made, shown, started, held, ended; by whoever may, without scripts."""

import uuid

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from rooms.experiments.drawing import arm_of
from rooms.models import Assignment, Experiment, ExperimentEntry, Outcome, Room
from rooms.outcomes import Kind, Status
from tests.factories import make_room
from tests.rooms.conftest import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, ann):
    client.force_login(ann)
    return client


@pytest.fixture
def typed(room):
    return {
        "name": "Pilot",
        "platform_a": "whereby",
        "platform_b": "daily",
        "reason": "compare",
        "by": "list",
        "rooms": f"http://testserver/rooms/{room.slug}/",
        "watched": ["joined", "errors"],
        "on_harm": "hold",
        "block_size": "4",
    }


def url(name, *args):
    return reverse(f"admin:rooms_experiment_{name}", args=args)


def text(response):
    return response.content.decode()


def draw(experiment, room, count):
    for number in range(count):
        arm = arm_of(experiment, room.uuid, number)
        one = Assignment.objects.create(
            experiment=experiment,
            room=room,
            meeting_id=uuid.uuid4(),
            number=number,
            arm=arm,
            platform="whereby" if arm == "A" else "daily",
            assigned_at=NOW,
        )
        Outcome.objects.create(
            meeting_id=one.meeting_id,
            room=room,
            platform=one.platform,
            kind=Kind.JOINED,
            status=Status.SUCCESS if arm == "A" else Status.FAILURE,
            met_at=NOW,
            mature_at=NOW,
        )


class TestForm:
    def test_an_empty_list_says_what_an_experiment_is(self, page):
        assert "Begin with a run of one platform against itself" in text(page.get(url("changelist")))

    def test_a_draft_is_saved_with_its_rooms(self, page, typed, room, ann):
        answer = page.post(url("add"), typed, follow=True)
        experiment = Experiment.objects.get()
        assert "nothing is drawn before it is started" in text(answer)
        assert (list(experiment.rooms.all()), experiment.watched) == ([room], ["joined", "errors"])
        assert (experiment.status, experiment.created_by) == (Experiment.Status.DRAFT, ann)

    def test_a_description_takes_the_rooms_that_are_on_the_arms_now(self, page, typed, room):
        boards = [make_room(slug=f"board-{number}", platform="daily") for number in range(2)]
        make_room(slug="board-old", platform="daily", archived_at=NOW)
        page.post(url("add"), typed | {"by": "filter", "rooms": "", "text": "board"})
        assert sorted(Experiment.objects.get().rooms.all(), key=lambda one: one.pk) == boards

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"name": ""}, "This field is required"),
            ({"reason": " "}, "Say why"),
            ({"reason": "\u200b\u2800"}, "Say why"),
            ({"rooms": "nowhere"}, "No room has the short name “nowhere”"),
            ({"rooms": ""}, "List at least one room"),
            ({"by": "filter", "text": "zzz"}, "No room fits this description"),
            ({"watched": []}, "Choose at least one outcome"),
            ({"block_size": "3"}, "Select a valid choice"),
            ({"platform_b": "nope"}, "Select a valid choice"),
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_saved(self, page, typed, wrong, sentence):
        answer = page.post(url("add"), typed | wrong)
        assert (answer.status_code, Experiment.objects.count()) == (422, 0)
        assert sentence in text(answer)
        assert "<title>Error: " in text(answer)

    def test_a_name_is_given_once(self, page, typed, experiment):
        assert "Another experiment has this name" in text(page.post(url("add"), typed | {"name": "PILOT"}))

    def test_a_draft_is_changed_and_a_started_one_is_not(self, page, typed, experiment, room):
        Experiment.objects.update(status=Experiment.Status.DRAFT)
        assert f">{room.slug}</textarea>" in text(page.get(url("edit", experiment.pk))).replace("\n", "")
        page.post(url("edit", experiment.pk), typed | {"name": "Second", "platform_b": "whereby"})
        experiment.refresh_from_db()
        assert (experiment.name, experiment.is_aa) == ("Second", True)
        Experiment.objects.update(status=Experiment.Status.RUNNING)
        answer = page.post(url("edit", experiment.pk), typed, follow=True)
        assert "what it does is fixed" in text(answer)
        experiment.refresh_from_db()
        assert experiment.name == "Second"


class TestPage:
    def test_arms_evidence_lot_rooms_and_log_are_shown(self, page, experiment, room):
        draw(experiment, room, 24)
        ExperimentEntry.objects.create(
            experiment=experiment, what="guard", words="Held by the guard", numbers={"e": 31}
        )
        shown = text(page.get(url("change", experiment.pk)))
        for words in (
            "12 of 12 (100.0%)",
            "0 of 12 (0.0%)",
            "24 in 6 blocks",
            "harm",
            "12 meetings count on A, 12 on B: that is as even as a fair lot makes it",
            "Every draw is the one that the lot gives.",
            "No meeting is in quarantine.",
            "Held by the guard",
            "<td>guard</td>",
            "Standup",
        ):
            assert words in shown
        assert f'href="{url("command", experiment.pk, "hold")}"' in shown

    def test_the_list_counts_rooms_and_draws_and_multiplies_them_not_even_in_between(self, page, experiment, room):
        experiment.rooms.add(*(make_room(platform="whereby") for _ in range(4)))
        draw(experiment, room, 7)
        Experiment.objects.create(name="Empty", reason="none yet", platform_a="whereby", platform_b="daily")
        listed = page.get(url("changelist")).context["cl"]
        counts = {one.name: (one.room_count, one.draw_count) for one in listed.result_list}
        assert counts == {"Pilot": (5, 7), "Empty": (0, 0)}
        assert "JOIN" not in str(listed.queryset.query)

    def test_few_meetings_have_no_percentage(self, page, experiment, room):
        draw(experiment, room, 8)
        shown = text(page.get(url("change", experiment.pk)))
        assert "4 of 4<" in shown
        assert "%)" not in shown.partition("Evidence of harm")[0]

    def test_quarantined_meetings_are_listed_with_why(self, page, experiment, room):
        draw(experiment, room, 4)
        Assignment.objects.filter(number=2).update(quarantined="drawn for Daily, but served on Whereby")
        assert "drawn for Daily, but served on Whereby" in text(page.get(url("change", experiment.pk)))
        draws = page.get(reverse("admin:rooms_assignment_changelist"), {"experiment__id__exact": experiment.pk})
        assert text(draws).count("its meeting") == 4

    def test_the_cost_does_not_grow(self, page, experiment, room, django_assert_max_num_queries):
        draw(experiment, room, 40)
        with django_assert_max_num_queries(12):
            page.get(url("change", experiment.pk))
        with django_assert_max_num_queries(12):
            page.get(url("changelist"))

    def test_a_page_that_is_not_there(self, page):
        assert page.get(url("change", 4711), follow=True).status_code == 200
        assert page.get(url("command", 4711, "hold"), follow=True).status_code == 200


class TestCommands:
    def give(self, page, experiment, command, **typed):
        address = url("command", experiment.pk, command)
        shown = page.get(address)
        seen = shown.context["plan"].hash
        return page.post(address, {"reason": "because", "seen_hash": seen, **typed}, follow=True)

    def test_started_held_resumed_and_ended_with_reasons(self, page, experiment, ann):
        Experiment.objects.update(status=Experiment.Status.DRAFT, started_at=None)
        assert "Run an A/A first" in text(page.get(url("command", experiment.pk, "start")))
        refused = self.give(page, experiment, "start")
        assert refused.status_code == 409
        assert "say why this one may start without" in text(refused)
        self.give(page, experiment, "start", aa_waiver="small")
        for command in ("hold", "resume", "end"):
            answer = self.give(page, experiment, command)
            assert "because" in text(answer)
        experiment.refresh_from_db()
        assert experiment.status == Experiment.Status.ENDED
        assert {entry.actor for entry in experiment.entries.all()} == {ann}

    def test_without_a_reason_the_page_says_so(self, page, experiment):
        answer = self.give(page, experiment, "hold", reason=" ")
        assert "Say why: the reason is kept" in text(answer)
        assert Experiment.objects.get().status == Experiment.Status.RUNNING

    def test_a_stale_page_does_nothing(self, page, experiment):
        seen = page.get(url("command", experiment.pk, "hold")).context["plan"].hash
        Experiment.objects.update(status=Experiment.Status.ENDED)
        answer = page.post(url("command", experiment.pk, "hold"), {"reason": "because", "seen_hash": seen})
        assert answer.status_code == 409
        assert "is ended; that cannot be done with it now" in text(answer)


class TestRights:
    @pytest.fixture
    def viewer(self, client):
        user = User.objects.create_user("vic", is_staff=True)
        user.groups.add(Group.objects.get(name="Viewers"))
        client.force_login(user)
        return client

    def test_viewers_look_and_touch_nothing(self, viewer, experiment, typed):
        shown = viewer.get(url("change", experiment.pk))
        assert shown.status_code == 200
        assert "/hold/" not in text(shown)
        assert viewer.post(url("command", experiment.pk, "hold"), {"reason": "r", "seen_hash": "x"}).status_code == 403
        assert viewer.get(url("edit", experiment.pk)).status_code == 403
        assert viewer.post(url("add"), typed).status_code == 403
        assert viewer.get(reverse("admin:rooms_assignment_changelist")).status_code == 200

    def test_a_draft_may_be_deleted_and_what_has_run_may_not(self, page, experiment):
        assert page.post(url("delete", experiment.pk), {"post": "yes"}).status_code == 403
        Experiment.objects.update(status=Experiment.Status.DRAFT)
        page.post(url("delete", experiment.pk), {"post": "yes"})
        assert (Experiment.objects.count(), Room.objects.count()) == (0, 1)
