"""kill -9 of the worker in the middle of each step of a recording, and a wiped broker: done once, within 60 s."""

from __future__ import annotations

import hashlib
import signal
import time
from collections import Counter
from types import SimpleNamespace

import boto3
import pytest

from recordings.demo_media import PHRASES
from tests.crash import KINDS, installed, until
from tests.crashing.apps import POISON
from tests.platforms.sandbox.process import Process
from tests.recorded import find, record
from tests.speech import text_of, word_error_rate

WITHIN_S = 60
SAID = PHRASES[1:2]
STEPS = ["recordings.tasks.process", "recordings.tasks.transcribe"]
#: where a row's work is interrupted, in the order in which it gets there
FETCHING = [
    "after:botocore.response.StreamingBody.read",  # in the middle of the download
    "before:recordings.media._reached",  # downloaded, being probed
    "before:recordings.filestore.os.fsync",  # written beside its place in our storage
    "after:recordings.filestore.FolderStore.put",  # stored, the row does not say so
    "before:platforms.work.wake_soon",  # committed, nobody is told of the transcript
]
TRANSCRIBING = [
    "before:recordings.transcribers.moonshine._lines",
    "after:recordings.transcribers.moonshine._lines",  # something was heard
    "after:recordings.processing.only_speaker",  # all was heard, nothing is written
]
REMOVING = [
    "before:platforms.daily.adapter.DailyAdapter.delete_recording",
    "before:platforms.daily.client.DailyClient.delete_recording",  # gone from the bucket, still listed
    "after:platforms.daily.adapter.DailyAdapter.delete_recording",  # gone there, still here
    "after:recordings.filestore.FolderStore.delete",  # gone here too, the row does not say so
]
#: inside the transaction that writes everything; each needs a worker of its own, since SQLite has one writer
KEEPING = "after:recordings.processing.keep"
WRITING = "after:recordings.processing.TranscriptSegment.objects.bulk_create"
ROWS = """
    SELECT r.provider_recording_id, r.status, r.file_key, r.sha256, r.deleted_at IS NOT NULL, COUNT(t.id), MIN(t.status)
    FROM recordings_recording r LEFT JOIN recordings_transcript t ON t.recording_id = r.id
    GROUP BY r.id, r.provider_recording_id, r.status, r.file_key, r.sha256, r.deleted_at
"""
SEGMENTS = """
    SELECT r.provider_recording_id, s.start_ms, s.end_ms, s.text
    FROM recordings_transcriptsegment s JOIN recordings_transcript t ON t.id = s.transcript_id
    JOIN recordings_recording r ON r.id = t.recording_id ORDER BY r.provider_recording_id, s.start_ms, s.id
"""
REMOVE = """
import json
from platforms.work import waker
from recordings.models import Recording
from recordings.removing import want_removal
for recording in Recording.objects.filter(provider_recording_id__in={ids!r}):
    want_removal(recording, reason="consent was withdrawn")
assert waker.flush(10)
print(json.dumps(True))
"""
LISTEN_AGAIN = """
import json
from platforms.work import waker
from recordings.models import Transcript
Transcript.objects.get(recording__provider_recording_id={name!r}).run_again()
assert waker.flush(10)
print(json.dumps(True))
"""
AGAIN = """
import json
from platforms.work import wake
from recordings.models import Recording, Transcript
sent = 0
for _ in range({times}):
    for model in (Recording, Transcript):
        for pk in model.objects.values_list("pk", flat=True):
            sent += wake(model.actor_name, pk)
print(json.dumps(sent))
"""
pytestmark = [pytest.mark.crash, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    process = Process.start(tmp_path_factory.mktemp("sandbox"))
    try:
        yield process.ready(120)
    finally:
        process.stop()


@pytest.fixture(scope="module", params=KINDS)
def product(request, tmp_path_factory, sandbox):
    with installed(request.param, tmp_path_factory.mktemp("product"), request, sandbox.variables()) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(product, sandbox):
    """Five recordings that two workers took at once, each told of each row many times."""
    ids = record(product, sandbox, len(REMOVING) + 1, SAID, product.folder)
    find(product, ids)
    counts = product.folder / "counts"
    product.environ |= {"COUNT": ",".join(STEPS), "COUNT_FILE": str(counts)}
    sent = product.run(AGAIN.format(times=4))
    workers = [product.start_worker(threads=4) for _ in range(2)]
    sent += product.run(AGAIN.format(times=2))
    all_transcribed(product, ids, within_s=WITHIN_S)
    for worker in workers:
        worker.stop()
    del product.environ["COUNT"]
    return SimpleNamespace(ids=ids, sent=sent, counts=Counter(counts.read_text().split()), segments=segments(product))


def rows(product):
    """Recording's id → what its rows say."""
    return {
        name: SimpleNamespace(
            status=status, file=file, sha256=sha256, deleted=bool(deleted), transcripts=transcripts, heard=heard
        )
        for name, status, file, sha256, deleted, transcripts, heard in product.rows(ROWS)
    }


def segments(product):
    found = {}
    for name, *segment in product.rows(SEGMENTS):
        found.setdefault(name, []).append(tuple(segment))
    return found


def all_transcribed(product, ids, *, within_s):
    """Seconds until these are there, with a transcript each."""

    def is_so():
        now = rows(product)
        return all(name in now and (now[name].status, now[name].heard) == ("done", "done") for name in ids)

    return _took(is_so, product, within_s)


def all_removed(product, ids, *, within_s):
    return _took(lambda: all(rows(product)[name].deleted for name in ids), product, within_s)


def _took(is_so, product, within_s):
    began = time.monotonic()
    until(is_so, "it is not done", within_s, lambda: "\n".join(f"{key}: {row}" for key, row in rows(product).items()))
    return time.monotonic() - began


def files(product):
    """Everything in our storage and in the folder for what is on its way, as paths."""
    folders = (product.folder / "media", product.folder / "var" / "scratch")
    return sorted(str(path) for folder in folders for path in folder.rglob("*") if path.is_file())


def kept(product):
    """The files that there should be."""
    return sorted(str(product.folder / "media" / row.file) for row in rows(product).values() if row.file)


def same(some, others):
    """The same words; times may differ by what the engine remembers of the piece before."""
    return [text for *_, text in some] == [text for *_, text in others] and all(
        abs(one - other) <= 200
        for mine, theirs in zip(some, others, strict=True)
        for one, other in zip(mine[:2], theirs[:2], strict=True)
    )


def in_bucket(sandbox):
    """Keys of all versions of all recordings at the provider."""
    variables = sandbox.variables()
    client = boto3.client(
        "s3",
        endpoint_url=variables["AWS_DAILY_S3_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name="us-west-2",
    )
    answer = client.list_object_versions(Bucket=variables["AWS_DAILY_S3_BUCKET"])
    return Counter(item["Key"] for item in [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])])


def listed(sandbox):
    """Recording's id → key, of all that the provider has."""
    return {each["id"]: each["s3key"] for each in sandbox.api("GET", "daily", "/recordings", limit=100)["data"]}


def test_two_workers_take_each_step_once(product, undisturbed):
    assert undisturbed.sent >= 6 * len(undisturbed.ids)
    assert undisturbed.counts == dict.fromkeys(STEPS, len(undisturbed.ids))
    first = undisturbed.segments[undisturbed.ids[0]]
    assert all(same(undisturbed.segments[name], first) for name in undisturbed.ids)
    heard = " ".join(text for *_, text in first)
    assert word_error_rate(text_of(SAID), heard) <= 0.25, heard


def test_killed_in_each_step_and_the_broker_wiped_it_is_done_once(product, sandbox, undisturbed):
    removed, again = undisturbed.ids[: len(REMOVING)], undisturbed.ids[-1]
    there = rows(product).keys()  # other tests may have left some
    points = FETCHING + TRANSCRIBING + REMOVING
    new = record(product, sandbox, len(FETCHING) + len(TRANSCRIBING) + 3, SAID, product.folder)
    in_steps, keeping, told_in_vain = new[:-3], new[-3:-2], new[-2:]
    keys, versions_before = listed(sandbox), in_bucket(sandbox)

    kill_in_its_transaction(product, KEEPING, find, product, keeping)
    kill_in_its_transaction(product, WRITING, product.run, LISTEN_AGAIN.format(name=again))
    worker = product.start_worker(crash_at=",".join(points), threads=len(points))
    product.run(REMOVE.format(ids=removed))
    find(product, in_steps)
    worker.wait_until_stopped(within_s=120)
    find(product, told_in_vain)
    product.wipe_broker()
    product.start_sweeper()
    product.start_worker(threads=4)
    worker.kill()
    began = time.monotonic()
    all_transcribed(product, [*new, again], within_s=WITHIN_S)
    all_removed(product, removed, within_s=WITHIN_S - (time.monotonic() - began))

    now, heard = rows(product), segments(product)
    reference = undisturbed.segments[again]
    assert now.keys() == there | {*new}, "one row each"
    for name in [*new, again]:
        assert now[name].transcripts == 1
        assert same(heard[name], reference), (name, heard[name])
        content = (product.folder / "media" / now[name].file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == now[name].sha256
    for name in removed:
        assert (now[name].transcripts, now[name].file, name in heard) == (0, "", False)
    assert files(product) == kept(product), "one file each, and nothing that was half done"
    left = {name: key for name, key in listed(sandbox).items() if name in keys}
    assert left.keys() == keys.keys() - set(removed), "gone at the provider"
    versions = in_bucket(sandbox)
    assert {versions[keys[name]] for name in removed} == {0}
    assert {key: versions[key] for key in left.values()} == {key: versions_before[key] for key in left.values()}


def kill_in_its_transaction(product, point, then, *arguments):
    worker = product.start_worker(crash_at=point, ready=False)
    then(*arguments)
    worker.wait_until_stopped()
    worker.kill()


@pytest.fixture(autouse=True)
def nothing_goes_on(request):
    """What one test started takes no work from the next, also when it failed."""
    yield
    if "product" in request.fixturenames:
        for started in request.getfixturevalue("product").running():
            started.kill()


def test_told_to_stop_it_stops_at_once_and_goes_on_elsewhere(product, sandbox):
    """As at every deployment: SIGTERM in the middle of a long recording, with the patience that is the default."""
    said = PHRASES * 3
    [name] = record(product, sandbox, 1, said, product.folder)
    worker = product.start("rundramatiq", "--processes", "1", "--threads", "2")
    find(product, [name])
    progress = f"SELECT t.progress FROM recordings_transcript t JOIN recordings_recording r ON r.id = t.recording_id WHERE r.provider_recording_id = '{name}'"  # noqa: E501,S608
    until(lambda: 0 < (product.rows(progress) or [(0,)])[0][0] < 1, "nobody listens", 60, worker.said)
    began = time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(20)
    assert time.monotonic() - began < 15
    assert rows(product)[name].heard == "pending"
    product.start_sweeper()
    product.start_worker()
    all_transcribed(product, [name], within_s=WITHIN_S)
    words = " ".join(text for *_, text in segments(product)[name])
    assert word_error_rate(text_of(said), words) <= 0.25
    [(attempts,)] = product.rows(progress.replace("t.progress", "t.attempts"))
    assert attempts == 1, "being told to stop is not a failure"


@pytest.fixture
def with_rabbitmq(request, tmp_path, sandbox):
    with installed("sqlite_and_rabbitmq", tmp_path, request, sandbox.variables()) as made:
        yield made


@pytest.mark.rabbitmq
def test_a_file_that_kills_its_worker_is_given_up_and_holds_up_nobody(with_rabbitmq, sandbox):
    product = with_rabbitmq
    poisoned, *others = record(product, sandbox, 4, SAID, product.folder)
    variables = sandbox.variables()
    boto3.client(
        "s3",
        endpoint_url=variables["AWS_DAILY_S3_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name="us-west-2",
    ).put_object(Bucket=variables["AWS_DAILY_S3_BUCKET"], Key=listed(sandbox)[poisoned], Body=POISON + bytes(1000))
    find(product, [poisoned, *others])
    product.wipe_broker()
    # six deaths take three minutes; here they are behind it
    product.execute(f"UPDATE recordings_recording SET attempts = 6 WHERE provider_recording_id = '{poisoned}'")
    product.environ["DIE_AT"] = "recordings.processing._probe"
    product.start_sweeper()
    workers = [product.start_worker(ready=False) for _ in range(2)]

    deaths, began, done_after = 0, time.monotonic(), None
    while rows(product)[poisoned].status != "quarantined":
        for number, worker in enumerate(workers):
            if worker.process.poll() is not None:  # whoever runs it starts it again
                deaths += 1
                workers[number] = product.start_worker(ready=False)
        now = rows(product)
        if done_after is None and all((now[name].status, now[name].heard) == ("done", "done") for name in others):
            done_after = time.monotonic() - began
        assert time.monotonic() - began < 150, now
        time.sleep(0.2)
    assert deaths == 2
    assert done_after is not None
    assert done_after < WITHIN_S
