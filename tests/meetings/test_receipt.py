"""What somebody agreed to, and the way back, without an account."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from meetings.models import Capture
from recordings.models import Recording
from tests.factories import make_room
from tests.meetings.visitors import come_in, heading

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_platforms")]


@pytest.fixture
def room():
    return make_room(slug="standup", name="Stand-up", platform="fake", is_shared=True)


@pytest.fixture
def participant(client, room):
    return come_in(client, room, name="Gil Guest")


@pytest.fixture
def anybody():
    """A browser that knows nothing but the link."""
    return Client()


def test_receipt_shows_the_exact_words_and_when(anybody, participant):
    response = anybody.get(f"/receipts/{participant.receipt_token}/")
    text = response.content.decode()
    assert heading(response) == "Your receipt"
    consent = participant.consents.get()
    for line in consent.text.body.split("\n"):
        assert line in text
    assert consent.text.sha256[:12] in text
    assert consent.answered_at.isoformat() in text
    assert "Gil Guest" in text
    assert "no-store" in response["Cache-Control"]
    assert response["Referrer-Policy"] == "same-origin"


def test_receipt_is_linked_from_the_call(client, participant):
    assert f"/receipts/{participant.receipt_token}/" in client.get("/rooms/standup/call/").content.decode()


def test_old_answers_keep_their_words(anybody, participant, monkeypatch):
    before = participant.consents.get().text
    monkeypatch.setattr("meetings.consent.text_for", lambda subject: "Other words?\nYes: a.\nNo: b.")
    anybody.post(f"/receipts/{participant.receipt_token}/withdraw/")
    assert before.body.split("\n")[0] in anybody.get(f"/receipts/{participant.receipt_token}/").content.decode()


def test_withdrawing_needs_no_account_and_holds(anybody, participant):
    address = f"/receipts/{participant.receipt_token}/"
    response = anybody.post(f"{address}withdraw/")
    assert (response.status_code, response["Location"]) == (303, address)
    participant.refresh_from_db()
    assert participant.answer == "withdrawn"
    assert [consent.answer for consent in participant.consents.all()] == ["yes", "withdrawn"]
    text = anybody.get(address).content.decode()
    assert "You have withdrawn" in text
    assert "Withdraw my consent" not in text


def test_withdrawing_twice_is_withdrawing_once(anybody, participant):
    for _ in range(2):
        assert anybody.post(f"/receipts/{participant.receipt_token}/withdraw/").status_code == 303
    assert participant.consents.count() == 2


def test_withdrawing_stops_a_running_recording_and_starts_deletion(anybody, participant):
    Capture.objects.create(meeting=participant.meeting, state="on", started_at=timezone.now())
    recording = Recording.objects.create(
        platform="fake", provider_recording_id="r1", meeting=participant.meeting, found_by="webhook"
    )
    anybody.post(f"/receipts/{participant.receipt_token}/withdraw/")
    assert Capture.objects.get().stop_wanted_at is not None
    recording.refresh_from_db()
    assert recording.delete_wanted_at is not None
    assert "is being deleted" in anybody.get(f"/receipts/{participant.receipt_token}/").content.decode()


def test_receipt_tells_what_happened(anybody, participant):
    now = timezone.now()
    Capture.objects.create(
        meeting=participant.meeting, state="off", started_at=now - timedelta(minutes=5), stopped_at=now
    )
    recording = Recording.objects.create(
        platform="fake", provider_recording_id="r1", meeting=participant.meeting, found_by="poller", fetched_at=now
    )
    address = f"/receipts/{participant.receipt_token}/"
    text = anybody.get(address).content.decode()
    assert "A recording ran from" in text
    assert ", still running" not in text
    assert "kept in our storage" in text
    recording.deleted_at = now
    recording.save()
    assert "deleted on" in anybody.get(address).content.decode()


def test_a_recording_that_failed_is_not_said_to_run(anybody, participant):
    now = timezone.now()
    row = Capture.objects.create(meeting=participant.meeting, state="on", started_at=now)
    address = f"/receipts/{participant.receipt_token}/"
    assert ", still running" in anybody.get(address).content.decode()
    Capture.objects.filter(pk=row.pk).update(state="failed", failed_at=now)
    text = anybody.get(address).content.decode()
    assert "failed at" in text
    assert ", still running" not in text


def test_a_look_changes_nothing(anybody, participant):
    assert anybody.get(f"/receipts/{participant.receipt_token}/withdraw/").status_code == 405
    anybody.get(f"/receipts/{participant.receipt_token}/")
    participant.refresh_from_db()
    assert participant.answer == "yes"
    assert "rooms_visits" not in anybody.cookies


def test_who_said_no_has_nothing_to_withdraw(client, anybody, room):
    participant = come_in(client, room, answer="no")
    text = anybody.get(f"/receipts/{participant.receipt_token}/").content.decode()
    assert "You chose not to be recorded" in text
    assert "Withdraw my consent" not in text


@pytest.mark.parametrize("path", ["/receipts/nobody/", "/receipts/%00/"])
def test_a_wrong_link_is_nothing(anybody, path):
    response = anybody.get(path)
    assert response.status_code == 404
    assert heading(response) == "There is nothing at this address"
