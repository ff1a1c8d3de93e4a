"""``manage.py wave`` ends in the same services as the pages."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from rooms.models import Wave
from rooms.staff.wave_sections import who
from rooms.waves.tick import tick
from tests.rooms.waves.conftest import START, make_wave, on

pytestmark = pytest.mark.django_db


def wave(*arguments, **options):
    out = StringIO()
    call_command("wave", *arguments, stdout=out, **options)
    return out.getvalue().strip()


def test_from_draft_to_rolled_back(rooms):
    made = make_wave()
    assert wave("To the new one") == (
        "A draft: nothing has moved. Next: step 1 of 3, up to 10 %. Waits for somebody to start it."
    )
    assert wave("To the new one", "start", reason="go") == "Started with 40 rooms, 40 of them to move: go"
    tick(START)
    assert wave(str(made.pk), "next", reason="hurry").startswith("Step 2 of 3: up to 50 %")
    tick(START)
    moved = len(on("daily"))
    assert wave("To the new one", "rollback", dry_run=True).startswith(f"{moved} rooms that this wave moved go back")
    assert len(on("daily")) == moved
    assert wave("To the new one", "shrink", reason="careful", percent=10.0) == "Shrunk to 10 %: careful"
    assert wave("To the new one", "resume", reason="fine") == "Resumed: fine"
    assert wave("To the new one", "pause", reason="lunch") == "Paused: lunch"
    assert wave("To the new one", "rollback", reason="sound") == "Rolled back: sound"
    assert (on("daily"), Wave.objects.get().status) == (set(), "rolled_back")
    assert set(made.entries.values_list("actor", flat=True)) == {None}
    assert wave("To the new one", "close", reason="done").startswith("Closed after it was rolled back")
    by = {entry.words.partition(":")[0]: who(entry) for entry in made.entries.all()}
    assert by["Step 1 of 3"] == "the wave itself"
    by_people = ("Started with 40 rooms, 40 of them to move", "Step 2 of 3", "Shrunk to 10 %", "Paused", "Rolled back")
    assert {by[words] for words in (*by_people, "Closed after it was rolled back")} == {"command line"}


def test_what_somebody_did_whose_account_is_gone_was_not_done_by_the_wave_itself(told, ann):
    told.tick()
    told.now += timedelta(minutes=1)
    told.do("next")
    assert who(told.wave.entries.first()) == (ann.get_full_name() or ann.username)
    ann.delete()
    step = told.wave.entries.first()
    assert (step.what, who(step)) == ("step", "somebody whose account is gone")


def test_a_draft_without_a_reason_that_can_be_seen_is_not_started(rooms):
    make_wave(reason="\u200b\u2800")
    with pytest.raises(CommandError, match="no reason that can be seen"):
        wave("To the new one", "start", reason="go")
    assert Wave.objects.get().status == "draft"


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (["Autumn", "start"], {"reason": "r"}, "No wave is called “Autumn”."),
        (["To the new one", "start"], {}, "Say why"),
        (["To the new one", "pause"], {"reason": "r"}, "is draft; that cannot be done with it now"),
        (["To the new one", "start"], {"reason": " \x00 "}, "Say why"),
    ],
)
def test_refusals_are_a_sentence_and_change_nothing(rooms, arguments, options, words):
    make_wave()
    with pytest.raises(CommandError, match=words):
        wave(*arguments, **options)
    assert Wave.objects.get().status == "draft"
