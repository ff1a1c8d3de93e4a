from datetime import timedelta

import pytest
from django.utils import timezone

from meetings import capture, lifecycle
from meetings.capture import (
    CaptureRefused,
    instruction_for,
    reconcile,
    report_from_page,
    situation,
    wish_start,
    wish_stop,
)
from meetings.models import Capture, Meeting, Participant
from meetings.tasks import drive_capture
from platforms.base import PlatformRefused, PlatformUnavailable
from platforms.events import RecordingStarted
from platforms.signals import platform_event
from platforms.work import Defer, claim
from tests.factories import NOW, make_meeting, make_participant, make_room, make_stay

pytestmark = pytest.mark.django_db
YES, NO = Participant.Answer.YES, Participant.Answer.NO


def later(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def meeting(fake_platforms):
    return make_meeting(make_room(platform="fake"))


@pytest.fixture
def page_meeting(fake_platforms):
    return make_meeting(make_room(platform="fake-page"))


def join(meeting, answer=YES, **fields):
    return make_stay(make_participant(meeting, answer=answer, **fields)).participant


def wanted(meeting, **fields):
    return Capture.objects.create(meeting=meeting, is_automatic=True, wanted_at=NOW, due_at=NOW, **fields)


def drive(row, at):
    """One run of the actor at ``at``; what it put off is done again by the next call."""
    Capture.objects.filter(pk=row.pk).update(due_at=NOW)
    lease = claim(Capture, row.pk, now=at)
    if lease is None:
        return None
    outcome = ""
    try:
        capture.drive(lease, now=at)
    except Defer as wait:
        outcome = str(wait)
        lease.defer(str(wait), wait.after)
    if Capture.objects.filter(pk=row.pk).exists():
        row.refresh_from_db()
    return outcome


# -- when it starts


@pytest.mark.parametrize(
    ("trigger", "people", "starts"),
    [
        ("automatic", 0, False),
        ("automatic", 1, True),
        ("automatic-2nd-participant", 1, False),
        ("automatic-2nd-participant", 2, True),
        ("prompt", 2, False),
        ("none", 2, False),
    ],
)
def test_triggers(meeting, trigger, people, starts):
    Meeting.objects.update(recording_trigger=trigger)
    for _ in range(people):
        join(meeting)
    assert (reconcile(meeting, now=NOW) is not None) is starts
    reconcile(meeting, now=NOW)
    assert meeting.captures.count() == int(starts)


@pytest.mark.parametrize("change", [{"status": "ended"}, {"recording_type": "none"}, {"recording_type": "local"}])
def test_no_recording_where_there_is_nothing_to_record(meeting, change):
    join(meeting)
    join(meeting)
    Meeting.objects.update(**change)
    assert reconcile(meeting, now=NOW) is None


def test_no_recording_without_everybodys_yes(meeting):
    join(meeting)
    refuser = join(meeting, NO)
    join(meeting)
    assert reconcile(meeting, now=NOW) is None
    refuser.sessions.update(left_at=NOW)
    assert reconcile(meeting, now=later(1)).state == "wanted"


def test_a_host_starts_by_hand(meeting):
    Meeting.objects.update(recording_trigger="none")
    with pytest.raises(CaptureRefused, match="Nobody is in"):
        wish_start(meeting=meeting, by=None, now=NOW)
    join(meeting)
    row = wish_start(meeting=meeting, by=None, now=NOW)
    assert (row.state, row.is_automatic) == ("wanted", False)
    assert wish_start(meeting=meeting, by=None, now=NOW) == row


def test_a_host_cannot_start_against_a_no(meeting):
    join(meeting)
    join(meeting, NO)
    with pytest.raises(CaptureRefused, match="did not agree"):
        wish_start(meeting=meeting, by=None, now=NOW)


def test_a_host_waits_for_the_last_stop(meeting):
    join(meeting)
    Capture.objects.create(meeting=meeting, state="stopping", stop_wanted_at=NOW)
    with pytest.raises(CaptureRefused, match="still being stopped"):
        wish_start(meeting=meeting, by=None, now=NOW)


# -- the server starts it


def test_order_is_written_down_then_given_then_confirmed(provider, meeting):
    row = wanted(meeting)
    join(meeting), join(meeting)
    assert drive(row, later(1)) == "the start is not confirmed yet"
    assert (row.state, row.ordered_at, row.accepted_at) == ("wanted", later(1), later(1))
    assert provider.recording == {meeting.provider_room_name: str(row.pk)}
    assert provider.last_max_duration_s >= 8 * 3600
    assert drive(row, later(5)) == ""
    assert (row.state, row.started_at, row.status) == ("on", later(5), "done")
    assert provider.calls.count("start_recording") == 1


def test_the_providers_event_confirms_too_and_knows_the_time_better(provider, meeting):
    row = wanted(meeting)
    join(meeting), join(meeting)
    drive(row, later(1))
    drive(row, later(5))
    started = RecordingStarted(platform="fake", occurred_at=later(2), recording_id="r1", instance_id=str(row.pk))
    platform_event.send(sender=None, event=started)
    row.refresh_from_db()
    assert (row.state, row.started_at, row.provider_recording_id) == ("on", later(2), "r1")


def test_call_that_the_provider_does_not_host_yet_is_asked_for_again(provider, meeting):
    row = wanted(meeting)
    join(meeting), join(meeting)
    provider.errors["start_recording"] = [PlatformUnavailable("not hosting a call")] * 2
    assert drive(row, later(1)) == "not hosting a call"
    assert row.due_at <= timezone.now() + timedelta(seconds=3)
    drive(row, later(3))
    drive(row, later(5))
    drive(row, later(7))
    assert (row.state, row.attempts) == ("on", 1)


def test_provider_that_never_hosts_it_is_given_up(provider, meeting):
    row = wanted(meeting)
    join(meeting), join(meeting)
    provider.errors["start_recording"] = [PlatformUnavailable("not hosting a call")]
    drive(row, later(301))
    assert (row.state, row.error) == ("failed", "not hosting a call")


def test_refusal_fails_and_is_shown(provider, meeting):
    row = wanted(meeting)
    join(meeting), join(meeting)
    provider.errors["start_recording"] = [PlatformRefused("plan has no recording", status=400)]
    drive(row, later(1))
    assert (row.state, row.error, row.status) == ("failed", "plan has no recording", "done")
    assert situation(meeting, now=later(2)).problem == "The recording failed: plan has no recording"
    assert reconcile(meeting, now=later(3)) is None


def test_order_that_nothing_came_of_is_repeated_and_in_the_end_given_up(provider, meeting):
    row = wanted(meeting)
    join(meeting), join(meeting)
    drive(row, later(1))
    provider.recording.clear()
    drive(row, later(10))
    assert provider.calls.count("start_recording") == 1
    drive(row, later(40))
    assert provider.calls.count("start_recording") == 2
    provider.recording.clear()
    drive(row, later(400))
    assert (row.state, row.error) == ("failed", "The provider took the order to record and never began.")


def test_consent_that_breaks_before_the_order_means_no_order(provider, meeting):
    row = wanted(meeting)
    join(meeting), join(meeting, NO)
    drive(row, later(1))
    assert provider.calls == []
    assert not meeting.captures.exists()


def test_actor_twice_orders_once(provider, meeting):
    join(meeting), join(meeting)
    row = reconcile(meeting)
    drive_capture(str(row.pk))
    drive_capture(str(row.pk))
    assert provider.calls.count("start_recording") == 1


# -- and stops it


@pytest.fixture
def running(provider, meeting):
    join(meeting), join(meeting)
    provider.recording[meeting.provider_room_name] = "x"
    return wanted(meeting, state="on", started_at=NOW, ordered_at=NOW, status="done")


def test_somebody_who_did_not_agree_comes_in(provider, meeting, running):
    join(meeting, came_by_page=False, answer="none")
    reconcile(meeting, now=later(60))
    running.refresh_from_db()
    assert (running.state, running.may_resume) == ("stopping", True)
    assert "direct link" in running.reason
    assert drive(running, later(61)) == ""
    assert (running.state, running.stopped_at) == ("off", later(61))
    assert provider.recording == {}


def test_stop_counts_only_when_confirmed(provider, meeting, running):
    wish_stop(meeting=meeting, reason="stopped by a host", now=later(60))
    provider.errors["stop_recording"] = [PlatformUnavailable("503")]
    assert drive(running, later(61)) == "503"
    provider.errors["recording_running"] = [PlatformUnavailable("429")]
    assert drive(running, later(62)) == "429"
    assert running.state == "stopping"
    assert drive(running, later(63)) == ""
    assert running.state == "off"


def test_a_stop_that_the_provider_does_not_carry_out_is_watched(provider, meeting, running):
    wish_stop(meeting=meeting, reason="stopped by a host", now=later(60))
    provider.errors["stop_recording"] = [PlatformRefused("no")] * 2
    for at in (61, 62):
        assert drive(running, later(at)) == "the stop is not confirmed yet"
    assert "not confirmed" in situation(meeting, now=later(75)).problem


def test_stop_right_after_the_order_is_not_believed_too_soon(provider, meeting):
    """The order to start may still be on its way at the provider: nothing runs now, and in a second something does."""
    row = wanted(meeting)
    join(meeting), join(meeting)
    drive(row, later(1))
    join(meeting, NO)
    reconcile(meeting, now=later(2))
    row.refresh_from_db()
    assert row.state == "stopping"
    assert drive(row, later(3)) == "the stop is not confirmed yet"
    assert drive(row, later(12)) == ""
    assert row.state == "off"


def test_a_recording_that_begins_after_it_was_given_up_is_stopped(provider, meeting, running):
    Capture.objects.update(started_at=None, stop_wanted_at=later(1), stopped_at=later(12), state="off")
    provider.recording[meeting.provider_room_name] = str(running.pk)
    started = RecordingStarted(platform="fake", occurred_at=later(14), recording_id="r1", instance_id=str(running.pk))
    platform_event.send(sender=None, event=started)
    running.refresh_from_db()
    assert (running.state, running.status) == ("stopping", "pending")
    drive(running, later(15))
    assert (running.state, provider.recording) == ("off", {})


def test_late_recording_beside_another_is_stopped_and_not_shown(provider, meeting, running):
    late = wanted(meeting, state="off", ordered_at=NOW, stop_wanted_at=NOW, stopped_at=later(12), status="done")
    started = RecordingStarted(platform="fake", occurred_at=later(14), recording_id="r2", instance_id=str(late.pk))
    platform_event.send(sender=None, event=started)
    late.refresh_from_db()
    assert (late.state, late.status) == ("off", "pending")
    drive(late, later(15))
    assert (late.state, late.stopped_at) == ("off", later(15))
    assert provider.calls.count("stop_recording") == 1


def test_recording_resumes_when_everybody_agrees_again(provider, meeting, running):
    refuser = join(meeting, NO)
    reconcile(meeting, now=later(60))
    drive(Capture.objects.get(), later(61))
    assert reconcile(meeting, now=later(62)) is None
    refuser.sessions.update(left_at=later(70))
    again = reconcile(meeting, now=later(71))
    assert (again.state, again.pk != running.pk) == ("wanted", True)


def test_a_hosts_stop_is_for_good(provider, meeting, running):
    wish_stop(meeting=meeting, reason="stopped by a host", now=later(60))
    drive(Capture.objects.get(), later(61))
    assert reconcile(meeting, now=later(62)) is None
    assert wish_start(meeting=meeting, by=None, now=later(63)).state == "wanted"
    assert meeting.captures.count() == 2


def test_end_of_the_meeting_stops_it(provider, meeting, running):
    lifecycle.end_meeting(meeting=meeting, reason="host", now=later(60))
    running.refresh_from_db()
    assert (running.state, running.reason) == ("stopping", "the meeting ended")
    lifecycle.close_at_provider(meeting.pk, now=later(61))
    running.refresh_from_db()
    assert running.state == "off"
    assert provider.calls == ["stop_recording", "end_room"]


def test_an_empty_room_is_not_recorded_any_more_when_it_never_began(provider, meeting):
    row = wanted(meeting, ordered_at=NOW)
    reconcile(meeting, now=later(5))
    row.refresh_from_db()
    assert (row.state, row.may_resume) == ("stopping", True)


# -- the host's page records


@pytest.fixture
def host(page_meeting):
    return join(page_meeting, is_host=True)


def test_host_page_is_told_to_start_and_reports(page_meeting, host):
    assert instruction_for(participant=host, now=NOW) is None
    other = join(page_meeting)
    assert instruction_for(participant=other, now=NOW) is None
    assert instruction_for(participant=host, now=NOW) == "start"
    assert instruction_for(participant=host, now=later(2)) == "start"
    report_from_page(meeting=page_meeting, recording=True, now=later(3))
    assert instruction_for(participant=host, now=later(4)) is None
    row = page_meeting.captures.get()
    assert (row.state, row.started_at, row.status) == ("on", later(3), "done")
    assert situation(page_meeting, now=later(4)).recording


def test_host_page_is_told_to_stop_and_reports(page_meeting, host):
    row = Capture.objects.create(meeting=page_meeting, state="on", started_at=NOW, ordered_at=NOW, status="done")
    join(page_meeting, NO)
    assert instruction_for(participant=host, now=later(60)) == "stop"
    report_from_page(meeting=page_meeting, recording=True, now=later(61))
    row.refresh_from_db()
    assert row.state == "stopping"
    report_from_page(meeting=page_meeting, recording=False, now=later(62))
    row.refresh_from_db()
    assert (row.state, row.stopped_at) == ("off", later(62))
    assert instruction_for(participant=host, now=later(63)) is None


def test_a_page_that_has_not_started_yet_confirms_no_stop(page_meeting, host):
    row = Capture.objects.create(meeting=page_meeting, ordered_at=NOW, is_automatic=True, status="done")
    report_from_page(meeting=page_meeting, recording=False, now=later(1))
    row.refresh_from_db()
    assert row.state == "wanted"
    join(page_meeting, NO)
    reconcile(page_meeting, now=later(2))
    report_from_page(meeting=page_meeting, recording=False, now=later(3))
    row.refresh_from_db()
    assert row.state == "stopping"
    report_from_page(meeting=page_meeting, recording=False, now=later(11))
    row.refresh_from_db()
    assert row.state == "off"


def test_a_start_that_fails_in_the_page_is_kept_and_shown(page_meeting, host):
    """Where only a page records, no event tells of it."""
    join(page_meeting)
    assert instruction_for(participant=host, now=NOW) == "start"
    for seconds in (2, 3):  # the pages of two hosts
        report_from_page(meeting=page_meeting, recording=False, failed=True, now=later(seconds))
    row = page_meeting.captures.get()
    assert (row.state, row.failed_at) == ("failed", later(2))
    told = situation(page_meeting, now=later(4))
    assert told.problem == "The recording failed: The video service could not start it."
    assert (told.recording, told.can_start) == (False, True)
    assert instruction_for(participant=host, now=later(5)) is None, "starting it again is for a host to say"


def test_an_order_too_many_stops_nothing(page_meeting, host):
    """Two hosts were told to start it: one of them succeeds, the other one hears of an error."""
    row = Capture.objects.create(meeting=page_meeting, state="on", started_at=NOW, ordered_at=NOW, status="done")
    report_from_page(meeting=page_meeting, recording=False, failed=True, now=later(1))
    join(page_meeting, NO)
    assert instruction_for(participant=host, now=later(2)) == "stop"
    report_from_page(meeting=page_meeting, recording=False, failed=True, now=later(20))
    row.refresh_from_db()
    assert row.state == "stopping", "an error confirms no stop"
    report_from_page(meeting=page_meeting, recording=False, now=later(21))
    row.refresh_from_db()
    assert (row.state, row.failed_at) == ("off", None)


@pytest.mark.parametrize(("seconds", "state"), [(3, "stopping"), (11, "failed")])
def test_a_failed_start_lets_in_whoever_refused_once_no_other_order_may_succeed(page_meeting, host, seconds, state):
    join(page_meeting)
    assert instruction_for(participant=host, now=NOW) == "start"
    join(page_meeting, NO)
    assert instruction_for(participant=host, now=later(2)) == "stop"
    report_from_page(meeting=page_meeting, recording=False, failed=True, now=later(seconds))
    assert page_meeting.captures.get().state == state


def test_no_host_no_recording_and_the_reason_is_shown(page_meeting):
    join(page_meeting), join(page_meeting)
    assert reconcile(page_meeting, now=NOW) is None
    assert "a host has to be in the meeting" in situation(page_meeting, now=NOW).problem
    with pytest.raises(CaptureRefused, match="A host has to be in"):
        wish_start(meeting=page_meeting, by=None, now=NOW)


def test_recording_that_the_provider_started_is_seen(page_meeting, host):
    Meeting.objects.update(consent_policy="not_asked", recording_trigger="automatic")
    assert reconcile(page_meeting, now=NOW) is None  # the provider does
    report_from_page(meeting=page_meeting, recording=True, now=later(1))
    assert page_meeting.captures.get().state == "on"


def test_pages_say_nothing_about_a_servers_recording(meeting):
    join(meeting)
    report_from_page(meeting=meeting, recording=True, now=NOW)
    assert not meeting.captures.exists()
    assert instruction_for(participant=join(meeting, is_host=True), now=NOW) is None


def test_page_recordings_are_no_work_for_the_worker(page_meeting, host):
    join(page_meeting)
    row = reconcile(page_meeting, now=NOW)
    drive_capture(str(row.pk))
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("wanted", 0)


# -- what hosts see


def test_prompt_asks_the_host_once(meeting):
    Meeting.objects.update(recording_trigger="prompt")
    meeting.refresh_from_db()
    assert not situation(meeting, now=NOW).prompt
    join(meeting)
    assert situation(meeting, now=NOW).prompt
    row = wish_start(meeting=meeting, by=None, now=NOW)
    told = situation(meeting, now=NOW)
    assert (told.prompt, told.can_start, told.can_stop) == (False, False, True)
    Capture.objects.filter(pk=row.pk).update(state="off", stopped_at=NOW)
    told = situation(meeting, now=NOW)
    assert (told.prompt, told.can_start, told.can_stop) == (False, True, False)


def test_why_it_is_not_recorded_is_shown(meeting):
    assert situation(meeting, now=NOW).problem == ""
    join(meeting, NO)
    assert situation(meeting, now=NOW).problem == (
        "Not recorded: One person in the meeting did not agree to being recorded."
    )


def test_a_start_that_takes_long_is_shown(meeting):
    join(meeting)
    wanted(meeting, last_error="not hosting a call")
    assert situation(meeting, now=later(10)).problem == ""
    assert situation(meeting, now=later(40)).problem == "The recording has not started yet. not hosting a call"
