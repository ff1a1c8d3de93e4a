from datetime import datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from rooms.management.commands.move_room import Command
from rooms.models import Move, MoveOrder, Room

#: the command closes its connections at the end, as from a shell
pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments):
    """The exit code and what was said, as a shell would see them."""
    out, err = StringIO(), StringIO()
    command = Command(stdout=out, stderr=err)
    try:
        command.run_from_argv(["manage.py", "move_room", *arguments])
    except SystemExit as stop:
        return stop.code, out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_a_move_that_works(room):
    assert run("standup", "daily", "--reason", "pilot") == (0, "Moved “Standup” from Whereby to Daily.\n", "")
    assert Room.objects.get().platform == "daily"
    assert list(Move.objects.values_list("source", "reason", "actor")) == [("command", "pilot", None)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["standup", "whereby", "--reason", "why"], "“Standup” is already on Whereby."),
        (["standup", "daily", "--reason", " "], "A move needs a reason."),
        (["standup", "daily"], "A move needs a reason."),
        (["nowhere", "daily", "--reason", "why"], "No room has the short name “nowhere”."),
        (["standup", "zoom", "--reason", "why"], "No platform is called “zoom”; known: whereby, daily."),
        (["standup", "daily", "--reason", " ", "--at", "2099-01-01T10:00"], "A move needs a reason."),
        (["standup", "daily", "--reason", "why", "--at", "2020-01-01T10:00"], "1 January 2020 at 10:00 UTC has passed"),
    ],
)
def test_a_refused_move_is_exit_code_one_and_one_sentence(room, arguments, sentence):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert Room.objects.get().platform == "whereby"


def test_a_move_for_later(room, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    at = f"{timezone.now().year + 1}-01-01T22:00"
    said = f"“Standup” will be moved to Daily on 1 January {at[:4]} at 22:00 CET.\n"
    assert run("standup", "daily", "--reason", "pilot", "--at", at) == (0, said, "")
    assert Room.objects.get().platform == "whereby"
    assert MoveOrder.objects.get().scheduled_for == datetime.fromisoformat(f"{at}+01:00")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["standup"],
        ["standup", "daily", "--why", "x"],
        ["standup", "daily", "--reason", "x", "--at", "tomorrow"],
    ],
)
def test_wrong_usage_is_exit_code_two(room, arguments):
    assert run(*arguments)[0] == 2


def test_a_refusal_is_an_error_to_other_code(room):
    with pytest.raises(CommandError):
        call_command("move_room", "standup", "whereby", reason="why")
