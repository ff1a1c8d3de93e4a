"""Our media storage: a real folder, and a real S3 server (moto) through django-storages."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer
from pytest_django import Settings

from recordings.filestore import (
    ABANDONED_S,
    BucketStore,
    FileMissing,
    FileStore,
    FolderStore,
    StorageUnavailable,
    TransferIncomplete,
    filestore,
)

KEY = "recordings/0d9c/video.mp4"


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, settings: Settings) -> Iterator[str]:
    settings.MEDIA_S3_ENDPOINT_URL = s3_server
    settings.AWS_ACCESS_KEY_ID, settings.AWS_SECRET_ACCESS_KEY = "key", "secret-of-tests"
    settings.AWS_REGION = "us-west-2"
    client = _client(s3_server)
    client.create_bucket(Bucket="media", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    client.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    yield "media"
    requests.post(f"{s3_server}/moto-api/reset", timeout=10)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> FileStore:
    if request.param == "folder":
        settings.MEDIA_STORAGE = (tmp_path / "media files").as_uri()
    else:
        request.getfixturevalue("bucket")
        settings.MEDIA_STORAGE = "s3://media/some/prefix"
    return filestore()


def _client(url: str):  # noqa: ANN202
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-west-2",
        aws_access_key_id="key",
        aws_secret_access_key="secret-of-tests",
    )


def chunks(size: int) -> Iterator[bytes]:
    """Bytes that differ from place to place, in odd chunks."""
    content = bytes(range(251)) * (size // 251 + 1)
    for offset in range(0, size, 99_991):
        yield content[offset : min(offset + 99_991, size)]


@pytest.mark.parametrize("size", [0, 1, 300_000, 20_000_000])
def test_what_was_put_comes_back_counted_and_hashed(store: FileStore, size: int) -> None:
    whole = b"".join(chunks(size))

    stored = store.put(KEY, chunks(size), content_type="video/mp4", expected_size=size)

    assert (stored.key, stored.size) == (KEY, size)
    assert stored.sha256 == hashlib.sha256(whole).hexdigest()
    assert store.size(KEY) == size
    assert b"".join(store.read(KEY)) == whole
    with store.local_copy(KEY) as path:
        assert path.read_bytes() == whole


@pytest.mark.parametrize(("start", "length"), [(0, 10), (5, None), (299_990, 100), (100, 150_000), (7, 0)])
def test_a_range_is_read_alone(store: FileStore, start: int, length: int | None) -> None:
    whole = b"".join(chunks(300_000))
    store.put(KEY, chunks(300_000))

    end = None if length is None else start + length
    assert b"".join(store.read(KEY, start=start, length=length)) == whole[start:end]


def test_put_replaces(store: FileStore) -> None:
    store.put(KEY, [b"first, and longer"])
    store.put(KEY, [b"second"])

    assert b"".join(store.read(KEY)) == b"second"


@pytest.mark.parametrize("promised", [299_999, 300_001])
@pytest.mark.parametrize("size", [300_000, 20_000_000])
def test_a_stream_of_another_length_is_not_stored(store: FileStore, promised: int, size: int) -> None:
    with pytest.raises(TransferIncomplete):
        store.put(KEY, chunks(size), expected_size=promised - 300_000 + size)

    assert not store.exists(KEY)


class SourceBroke(OSError):
    """As requests' errors are: an OSError, which must not pass for the storage's."""


@pytest.mark.parametrize("size", [300_000, 20_000_000])
def test_a_stream_that_breaks_off_leaves_what_was_there(store: FileStore, size: int) -> None:
    store.put(KEY, [b"whole"])

    def broken() -> Iterator[bytes]:
        yield from chunks(size)
        raise SourceBroke("gone")

    with pytest.raises(SourceBroke):
        store.put(KEY, broken())

    assert b"".join(store.read(KEY)) == b"whole"


def test_nothing_partial_is_left_behind(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with pytest.raises(TransferIncomplete):
        store.put(KEY, [b"x"], expected_size=2)

    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_an_aborted_upload_leaves_no_parts_in_the_bucket(bucket: str, s3_server: str) -> None:
    store = BucketStore(bucket=bucket)
    with pytest.raises(TransferIncomplete):
        store.put(KEY, chunks(20_000_000), expected_size=30_000_000)

    assert "Uploads" not in _client(s3_server).list_multipart_uploads(Bucket=bucket)


def test_what_a_killed_process_left_is_cleared_by_the_next_put(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, [b"x"])
    old, fresh = (tmp_path / KEY).with_name(".video.mp4.1.part"), (tmp_path / KEY).with_name(".video.mp4.2.part")
    for path in (old, fresh):
        path.write_bytes(b"half")
    past = old.stat().st_mtime - ABANDONED_S - 1
    os.utime(old, (past, past))

    store.put(KEY, [b"y"])

    assert not old.exists()
    assert fresh.exists()  # somebody may still be writing it


def test_missing_files_are_said_to_be_missing(store: FileStore) -> None:
    assert not store.exists(KEY)
    with pytest.raises(FileMissing):
        store.size(KEY)
    with pytest.raises(FileMissing):
        store.read(KEY)
    with pytest.raises(FileMissing), store.local_copy(KEY):
        pass


def test_delete_is_final_and_repeatable(store: FileStore) -> None:
    store.put(KEY, [b"x"])
    store.put(KEY + ".json", [b"neighbour"])

    store.delete(KEY)
    store.delete(KEY)

    assert not store.exists(KEY)
    assert store.exists(KEY + ".json")


def test_delete_removes_every_version(bucket: str, s3_server: str) -> None:
    store = BucketStore(bucket=bucket, prefix="p")
    client = _client(s3_server)
    store.put(KEY, [b"first"])
    client.delete_object(Bucket=bucket, Key=f"p/{KEY}")
    store.put(KEY, [b"second"])

    store.delete(KEY)

    left = client.list_object_versions(Bucket=bucket)
    assert left.get("Versions", []) == []
    assert left.get("DeleteMarkers", []) == []


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a\\b", "a\x00b", ".hidden", "é", "a/.b"]
)
def test_a_key_that_is_not_ours_is_refused(store: FileStore, key: str) -> None:
    for action in (store.size, store.read, store.delete, store.url, lambda k: store.put(k, [b"x"])):
        with pytest.raises(ValueError, match="not one of our media keys"):
            action(key)


def test_a_bucket_plays_by_a_short_lived_address(bucket: str) -> None:
    store = BucketStore(bucket=bucket, prefix="p")
    store.put(KEY, [b"0123456789"], content_type="video/mp4")

    address = store.url(KEY, download_as='weekly "all hands".mp4')
    answer = requests.get(address, headers={"Range": "bytes=2-4"}, timeout=10)

    assert "X-Amz-Expires=300" in address
    assert "X-Amz-Signature=" in address
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="weekly-all-hands-.mp4"'


def test_a_folder_has_no_addresses(tmp_path: Path) -> None:
    assert FolderStore(tmp_path).url(KEY) is None


def test_no_server_is_unavailable_and_names_no_address(settings: Settings) -> None:
    settings.MEDIA_S3_ENDPOINT_URL = "http://127.0.0.1:9"
    settings.AWS_ACCESS_KEY_ID, settings.AWS_SECRET_ACCESS_KEY = "key", "secret-of-tests"
    store = BucketStore(bucket="media")

    for action in (store.check, lambda: store.put(KEY, [b"x"]), lambda: store.delete(KEY)):
        with pytest.raises(StorageUnavailable) as caught:
            action()
        assert "127.0.0.1" not in str(caught.value)


def test_a_bucket_that_does_not_exist_is_unavailable(bucket: str) -> None:
    store = BucketStore(bucket="other")

    with pytest.raises(StorageUnavailable):
        store.check()
    with pytest.raises(StorageUnavailable):
        store.put(KEY, [b"x"])


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = FolderStore(tmp_path / "file")

    with pytest.raises(StorageUnavailable):
        store.check()
    with pytest.raises(StorageUnavailable):
        store.put(KEY, [b"x"])


def test_check_passes_where_all_is_well(store: FileStore) -> None:
    store.check()


@pytest.mark.parametrize("value", ["", "media", "http://x/y", "file://host/share", "file:relative", "s3://"])
def test_a_storage_that_is_neither_is_said_to_be(settings: Settings, value: str) -> None:
    settings.MEDIA_STORAGE = value

    with pytest.raises(ValueError, match="MEDIA_STORAGE"):
        filestore()
