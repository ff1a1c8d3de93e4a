import csv
import io
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from platforms.base import RecordingFormat
from recordings.finding import PROCESSED_KINDS
from rooms.models import Assignment, Experiment, ExperimentEntry, Outcome, Room, Validation
from tests.platforms.contract import KINDS

pytestmark = pytest.mark.django_db


def told(room, platform, kind, status, number=1, *, days_ago=1, value=None, words=""):
    at = timezone.now() - timedelta(days=days_ago)
    rows = [
        Outcome(
            meeting_id=uuid.uuid4(),
            room=room,
            platform=platform,
            kind=kind,
            status=status,
            value=value,
            words=words,
            met_at=at,
            mature_at=at,
            decided_at=at,
        )
        for _ in range(number)
    ]
    return Outcome.objects.bulk_create(rows)


@pytest.fixture
def page(client, ann):
    client.force_login(ann)

    def get(**query):
        return client.get(reverse("admin:rooms_parity"), query)

    return get


def section(response, title):
    return next(one for one in response.context["sections"] if one.title == title)


def test_nothing_yet(page):
    response = page()
    assert response.status_code == 200
    assert "No meeting was decided yet" in section(response, "Side by side").note
    assert [row[1:3] for row in section(response, "Measured on real recordings").table.rows] == [
        ["not measured yet"] * 2
    ] * 3


def test_counts_and_pending_and_left_out(page, room):
    told(room, "whereby", "recording", "success", 19)
    told(room, "whereby", "recording", "failure")
    told(room, "whereby", "recording", "pending", 3)
    told(room, "whereby", "recording", "excluded", 2, words="nobody agreed")
    told(room, "daily", "recording", "success", 9)
    told(room, "daily", "recording", "success", 5, days_ago=40)
    response = page()
    row = next(row for row in section(response, "Side by side").table.rows if row[0] == "Recording delivered")
    assert "95 %" in row[1]
    assert "76 % to 99.1 %" in row[1]
    assert "19 of 20" in row[1]
    assert "1 failed" in row[1]
    assert "3 pending" in row[1]
    assert "no share yet" in row[2]  # nine within 30 days
    assert "not enough data" in row[4]
    assert ["Recording delivered", "Whereby", "nobody agreed", "2"] in section(
        response, "Left out of the counts"
    ).table.rows
    wider = page(days="90")
    row = next(row for row in section(wider, "Side by side").table.rows if row[0] == "Recording delivered")
    assert "14 of 14" in row[2]


def test_numbers_lead_to_the_rows_behind_them(page, room, client):
    told(room, "daily", "joined", "failure", 4, words="took 70 s")
    told(room, "daily", "joined", "success", 8)
    html = page().content.decode()
    link = html.split("4 failed")[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    listed = client.get(link)
    assert listed.status_code == 200
    assert listed.context["cl"].result_count == 4


def test_median_and_95th_percentile(page, room):
    for value in range(1, 101):
        told(room, "whereby", "joined", "success", value=float(value))
    row = next(row for row in section(page(), "How long it took").table.rows if row[0].startswith("Joined"))
    assert row[1:] == ["50.0 s", "1 min 35 s", "–", "–"]


@pytest.fixture
def experiment(room):
    made = Experiment.objects.create(
        name="Trial", reason="to know", platform_a="whereby", platform_b="daily", status="running"
    )
    for number in range(24):
        arm, platform = (("A", "whereby"), ("B", "daily"))[number % 2]
        (row,) = told(room, platform, "joined", "success")
        quarantined = "served elsewhere" if number >= 22 else ""
        Assignment.objects.create(
            experiment=made,
            room=room,
            meeting_id=row.meeting_id,
            number=number,
            arm=arm,
            platform=platform,
            quarantined=quarantined,
        )
    told(room, "daily", "joined", "failure", 50)  # of no arm
    return made


def test_an_experiment_counts_only_what_was_drawn_and_not_quarantined(page, experiment):
    response = page(experiment=experiment.pk)
    row = next(row for row in section(response, "Side by side").table.rows if row[0].startswith("Joined"))
    assert "11 of 11" in row[1]
    assert "11 of 11" in row[2]
    assert "inconclusive" in row[4]
    assert "with 11 meetings we could only have seen a drop to about" in row[4]


def test_harm_is_the_guards_word(page, experiment):
    ExperimentEntry.objects.create(
        experiment=experiment,
        what="guard",
        words="Held by the guard",
        numbers={"outcomes": [{"outcome": "joined", "e": 512.25, "acts_at": 120.0}]},
    )
    row = next(
        row for row in section(page(experiment=experiment.pk), "Side by side").table.rows if row[0].startswith("Joined")
    )
    assert "harm" in row[4]
    assert "evidence of 512.25 where 120 is enough" in row[4]


def test_weeks_are_drawn_and_listed(page, room):
    for weeks_ago in range(4):
        told(room, "daily", "errors", "success", 12, days_ago=7 * weeks_ago + 1)
        told(room, "whereby", "errors", "failure", 2, days_ago=7 * weeks_ago + 1)
    trends = section(page(days="90"), "By week")
    assert len(trends.extra["plots"]) == 1
    assert "<svg" in trends.extra["plots"][0]
    assert len(trends.extra["rows"]) == 8


def test_latest_measurement_counts(page):
    now = timezone.now()
    for days, ok in ((9, True), (1, False)):
        Validation.objects.create(
            platform="daily",
            point="speech",
            ok=ok,
            evidence={"word error rate": f"{days} %"},
            measured_at=now - timedelta(days=days),
        )
    rows = section(page(), "Measured on real recordings").table.rows
    assert "1 %" in rows[2][2]
    assert "not as it should be" in rows[2][2]


def test_checklist_is_asked_of_the_adapters(page):
    rows = {row[1]: row[2:] for row in section(page(), "What each platform can do").table.rows}
    assert ["yes" in cell for cell in rows["the room’s logo"]] == [True, False]
    assert ["yes" in cell for cell in rows["recording failed"]] == [False, True]
    assert all("yes" in cell for cell in rows["somebody joined"])
    told = {form: ["yes" in cell for cell in rows[form.value]] for form in RecordingFormat}
    assert told == {
        RecordingFormat.MP4: [True, True],
        RecordingFormat.MKV: [True, False],
        RecordingFormat.SOUND: [False, True],
        RecordingFormat.TRACKS: [False, True],
    }


def test_the_checklist_says_which_recordings_are_not_processed():
    unprocessed = {form for form in RecordingFormat if KINDS[form] not in PROCESSED_KINDS}
    assert {form for form in RecordingFormat if "not processed" in form.value} == unprocessed


def test_csv(page, room):
    told(room, "whereby", "recording", "success", 20, value=3.0)
    told(room, "daily", "recording", "success", 3)
    response = page(format="csv")
    assert response["Content-Type"].startswith("text/csv")
    rows = [row for row in csv.DictReader(io.StringIO(response.content.decode())) if row["outcome"] == "recording"]
    assert [(row["side"], row["successes"], row["share"]) for row in rows] == [
        ("whereby", "20", "1.0000"),
        ("daily", "3", ""),
    ]
    assert rows[0]["median_s"] == "3.0"


def test_queries_do_not_grow(page, room):
    def count():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert page(days="90").status_code == 200
        return len(queries)

    page()  # caches of content types
    before = count()
    for kind in Outcome.Kind.values:
        for platform in ("whereby", "daily"):
            told(room, platform, kind, "success", 15, value=2.0)
            told(room, platform, kind, "excluded", 3, words=str(uuid.uuid4()))
    other = Room.objects.create(name="Other", slug="other", platform="daily")
    told(other, "daily", "joined", "failure", 3, days_ago=20)
    assert count() == before <= 14


def test_odd_questions_fall_back(page):
    for query in ({"days": "x"}, {"old": "nowhere"}, {"experiment": "99999"}, {"new": "\x00"}):
        assert page(**query).status_code == 200


def test_rights(client):
    url = reverse("admin:rooms_parity")
    eve = User.objects.create_user("eve", is_staff=True)
    client.force_login(eve)
    assert client.get(url).status_code == 403
    eve.user_permissions.add(Permission.objects.get(codename="view_outcome"))
    client.force_login(User.objects.get(pk=eve.pk))
    assert client.get(url).status_code == 200
