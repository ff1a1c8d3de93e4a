"""The dry run: what it tells, and that it leaves no trace but the line in the log."""

import json
import threading

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from meetings.models import Meeting, Participant, ParticipantSession
from platforms.models import WebhookEvent
from platforms.rehearsal import rehearse
from platforms.tasks import interpret_webhook_event
from platforms.writes import watched
from rooms.models import Room
from tests.factories import make_meeting, make_participant, make_room, make_stay
from tests.platforms.test_admin import looker  # noqa: F401  a fixture
from tests.platforms.test_door import JOINED, PAYLOADS
from tests.platforms.test_inbox import receiving

pytestmark = pytest.mark.django_db


def dry_run_of(event):
    return reverse("admin:platforms_webhookevent_dry_run", args=[event.pk])


def every_row():
    """Every value in the database but the log's and the session's, which a request may write."""
    return {
        model._meta.label: sorted(map(repr, model._base_manager.values_list()))
        for model in apps.get_models(include_auto_created=True)
        if model._meta.label not in ("admin.LogEntry", "sessions.Session")
    }


@pytest.fixture
def joined(post, the_event):
    """Somebody joins a meeting of ours; nobody has read the delivery yet."""
    post("daily", JOINED["daily"])
    room_name = json.loads(JOINED["daily"])["payload"]["room"]
    make_meeting(make_room(platform="daily", name="Board"), provider_room_name=room_name)
    return the_event()


@pytest.fixture
def recorded(post, the_event):
    body = (PAYLOADS / "daily-recording.ready-to-download.cloud.composed.json").read_bytes()
    post("daily", body)
    make_meeting(make_room(platform="daily"), provider_room_name=json.loads(body)["payload"]["room_name"])
    return the_event()


def quarantine(event):
    WebhookEvent.objects.filter(pk=event.pk).update(
        status="quarantined", attempts=8, last_error="RuntimeError: no", finished_at=timezone.now()
    )


def work(event):
    interpret_webhook_event(str(event.pk))
    assert WebhookEvent.objects.get(pk=event.pk).status == "done"


@pytest.mark.parametrize("before", [lambda event: None, quarantine, work])
def test_it_leaves_every_value_as_it_was_and_wakes_nobody(joined, admin_client, calls, before):
    before(joined)
    was = every_row()
    assert len(was["meetings.Meeting"]) == 1
    calls()
    answer = admin_client.post(dry_run_of(joined))
    assert answer.status_code == 200
    assert every_row() == was
    assert calls() == []
    assert "Nothing was changed" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_no_wake_up_call_outlives_it_when_transactions_are_real(recorded, calls):
    was = every_row()
    calls()
    rehearsal = rehearse(recorded)
    assert "recordings.Recording" in [change.label for change in rehearsal.changes]
    assert calls() == []
    assert every_row() == was
    work(recorded)
    assert calls() != []  # the same work done for real does wake somebody


def test_it_tells_what_the_real_run_then_does(joined, admin_client):
    rehearsal = rehearse(joined)
    meeting = Meeting.objects.get()
    answer = admin_client.post(dry_run_of(joined)).content.decode()
    assert Participant.objects.count() == ParticipantSession.objects.count() == 0
    work(joined)
    joined.refresh_from_db()
    assert rehearsal.outcome == joined.outcome
    kinds = {(change.kind, change.label) for change in rehearsal.changes}
    assert {("created", "meetings.Participant"), ("created", "meetings.ParticipantSession")} <= kinds
    person = Participant.objects.get()
    said = next(change for change in rehearsal.changes if change.label == "meetings.Participant")
    assert [(field.before, field.after) for field in said.fields if field.name == "name"] == [("", person.name)]
    assert f"Created: participant {person}" in answer
    assert said.pk not in answer.replace(f"row-meetings-participant-{said.pk}", "")  # there is no such page
    changed = [change for change in rehearsal.changes if change.kind == "changed"]
    for change in changed:
        assert (change.label, change.pk) == ("meetings.Meeting", str(meeting.pk))
        after = Meeting.objects.get()
        for field in change.fields:
            assert getattr(after, field.name) != getattr(meeting, field.name)


def test_a_second_run_changes_nothing_and_says_so(joined, admin_client):
    work(joined)
    assert rehearse(joined).changes == ()
    assert "No row would change." in admin_client.post(dry_run_of(joined)).content.decode()


def test_changed_rows_show_each_field_before_and_after_and_are_links(post, admin_client):
    def renames(sender, *, event, **_):
        Room.objects.filter(name__in=Room.objects.filter(pk__gt=0).values("name")).update(name="<New>")
        Meeting.objects.update(host_url="https://secret.example/roomKey")

    post("daily", JOINED["daily"])
    meeting = make_meeting(make_room(name="Old"), host_url="https://secret.example/old")
    event = WebhookEvent.objects.get()
    with receiving(renames):
        shown = admin_client.post(dry_run_of(event)).content.decode()
    assert "<td>name</td><td>Old</td><td>&lt;New&gt;</td>" in shown
    assert f'<a href="/admin/rooms/room/{meeting.room.pk}/change/">room {meeting.room.pk}</a>' in shown
    assert "Rows: 2 changed." in shown
    assert "<td>host_url</td><td>(not shown)</td><td>(not shown)</td>" in shown
    assert "secret.example" not in shown
    assert Room.objects.get().name == "Old"


def test_deleted_rows_and_what_goes_with_them(post):
    def deletes(sender, *, event, **_):
        Participant.objects.get().delete()

    post("daily", JOINED["daily"])
    stay = make_stay(make_participant(make_meeting(), "Ben"))
    with receiving(deletes):
        rehearsal = rehearse(WebhookEvent.objects.get())
    assert {(change.kind, change.pk) for change in rehearsal.changes} == {
        ("deleted", str(stay.participant.pk)),
        ("deleted", str(stay.pk)),
    }
    assert ParticipantSession.objects.get() == stay


def test_what_was_made_and_is_gone_again_is_no_change_and_bulk_rows_are_counted(post):
    def comes_and_goes(sender, *, event, **_):
        make_room(slug="gone").delete()
        Room.objects.bulk_create([Room(slug="bulk", name="Bulk")])

    post("daily", JOINED["daily"])
    with receiving(comes_and_goes):
        rehearsal = rehearse(WebhookEvent.objects.get())
    assert rehearsal.changes == ()
    assert rehearsal.in_words == "Rows: more rooms added in bulk."


def test_a_run_that_would_fail_says_with_what(post, admin_client, the_event):
    def writes_and_fails(sender, *, event, **_):
        make_room()
        raise RuntimeError("no <such> thing")

    post("daily", JOINED["daily"])
    quarantine(the_event())
    with receiving(writes_and_fails):
        shown = admin_client.post(dry_run_of(the_event())).content.decode()
    assert "It would fail, and nothing would change." in shown
    assert "RuntimeError: no &lt;such&gt; thing" in shown
    assert not Room.objects.exists()
    assert (the_event().status, the_event().attempts, the_event().last_error) == ("quarantined", 8, "RuntimeError: no")


def test_a_run_that_the_database_would_refuse_at_its_end_says_so(post):
    def points_nowhere(sender, *, event, **_):
        Room.objects.update(owner_id=987_654)

    post("daily", JOINED["daily"])
    make_room()
    with receiving(points_nowhere):
        rehearsal = rehearse(WebhookEvent.objects.get())
    assert rehearsal.error.startswith("IntegrityError")
    assert Room.objects.get().owner is None


def test_other_threads_rows_are_not_taken_for_ours():
    def elsewhere():
        from django.db.models.signals import post_save

        post_save.send(sender=Room, instance=Room(pk=5), created=True)

    with watched() as writes:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert writes.before == {}
        mine = make_room()
        assert list(writes.before) == [(Room, mine.pk)]


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"[]", b'{"type": "never.heard.of"}'])
def test_any_body_can_be_tried(post, admin_client, the_event, body):
    post("daily", body)
    assert "No row would change." in admin_client.post(dry_run_of(the_event())).content.decode()


def test_it_stands_in_the_log_and_so_does_running_again(joined, admin_client, admin_user):
    admin_client.post(dry_run_of(joined))
    admin_client.post(reverse("admin:platforms_webhookevent_again", args=[joined.pk]))
    lines = LogEntry.objects.order_by("pk")
    assert [(line.user, line.object_id) for line in lines] == [(admin_user, str(joined.pk))] * 2
    assert lines[0].get_change_message().startswith("Dry run. Rows: 2 created")
    assert lines[1].get_change_message() == "Run again"


def test_it_needs_the_right_to_run_again_and_a_post(joined, admin_client, looker):  # noqa: F811
    assert looker.post(dry_run_of(joined)).status_code == 403
    assert (
        "dry-run" not in looker.get(reverse("admin:platforms_webhookevent_change", args=[joined.pk])).content.decode()
    )
    assert admin_client.get(dry_run_of(joined)).status_code == 405
    assert admin_client.post(reverse("admin:platforms_webhookevent_dry_run", args=[0])).status_code == 404
    assert not LogEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_rows_that_somebody_else_holds_are_waited_for_only_so_long(joined, admin_client, monkeypatch):
    monkeypatch.setattr("platforms.rehearsal.PATIENCE_S", 0.2)
    held, enough = threading.Event(), threading.Event()

    def hold():
        try:
            with transaction.atomic():
                Meeting.objects.select_for_update().get()
                Meeting.objects.update(language="de")
                held.set()
                enough.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(20)
    try:
        answer = admin_client.post(dry_run_of(joined))
    finally:
        enough.set()
        thread.join()
    assert answer.status_code == 503
    assert "Try again in a minute" in answer.content.decode()


# -- on the command line


def test_the_command_tells_the_same(joined, capsys):
    was = every_row()
    call_command("replay_event", str(joined.pk), dry_run=True)
    said = capsys.readouterr().out
    assert "created participant testuser (meetings.Participant" in said
    assert "  name: – → testuser" in said
    assert said.endswith("Nothing was changed.\n")
    assert every_row() == was


def test_the_command_runs_again_under_a_name(joined, admin_user, capsys):
    quarantine(joined)
    call_command("replay_event", str(joined.pk), by="admin")
    joined.refresh_from_db()
    assert (joined.status, joined.attempts) == ("pending", 0)
    assert LogEntry.objects.get().user == admin_user
    with pytest.raises(CommandError, match="Nobody is called “eve”"):
        call_command("replay_event", str(joined.pk), by="eve")
    with pytest.raises(CommandError, match="There is no delivery 0"):
        call_command("replay_event", "0", dry_run=True)
    with pytest.raises(CommandError, match="--dry-run --by"):
        call_command("replay_event", str(joined.pk))


def test_the_command_says_that_it_would_fail(joined):
    def fails(sender, *, event, **_):
        raise RuntimeError("no")

    with receiving(fails), pytest.raises(CommandError, match="It would fail.*RuntimeError: no"):
        call_command("replay_event", str(joined.pk), dry_run=True)
