"""Our own access to provider buckets, against an S3 server."""

from typing import Any

import pytest

from platforms.base import PlatformRefused, PlatformUnavailable
from platforms.buckets import Bucket, NotInBucket, well_formed
from tests.platforms.s3 import s3, s3_url, versions_of

__all__ = ["s3", "s3_url"]


def bucket_at(url: str, setting: str = "daily-bucket", **changes: str) -> Bucket:
    how = {"access_key": "a", "secret_key": "b", "region": "us-west-2", "endpoint_url": url, "label": "Daily"}
    return Bucket(setting, **{**how, **changes})


@pytest.mark.parametrize(
    ("setting", "good"),
    [
        ("recordings", True),
        ("recordings/whereby/2026", True),
        ("Recordings", False),
        ("arn:aws:s3:::recordings", False),
        ("s3://recordings", False),
        ("re", False),
    ],
)
def test_bucket_settings(setting: str, good: bool) -> None:
    assert well_formed(setting) is good


def test_sub_folder_is_split_off() -> None:
    bucket = bucket_at("", "recordings/a/b")
    assert (bucket.name, bucket.folder) == ("recordings", "a/b/")


def test_object_is_streamed_in_pieces(s3: Any, s3_url: str) -> None:
    s3.put_object(Bucket="daily-bucket", Key="d/r/1", Body=b"x" * 700_000, ContentType="video/mp4")
    with bucket_at(s3_url).open("d/r/1") as download:
        pieces = list(download.chunks)
    assert (download.size, download.content_type) == (700_000, "video/mp4")
    assert (len(pieces), sum(map(len, pieces))) == (3, 700_000)


def test_missing_object_is_told_apart(s3: Any, s3_url: str) -> None:
    with pytest.raises(NotInBucket), bucket_at(s3_url).open("nothing"):
        pass


def test_missing_bucket_is_refused_and_no_server_is_unavailable(s3_url: str) -> None:
    with pytest.raises(PlatformRefused), bucket_at(s3_url, "no-such-bucket").open("x"):
        pass
    with pytest.raises(PlatformUnavailable), bucket_at("http://127.0.0.1:1").open("x"):
        pass


def test_without_credentials_nothing_is_asked(s3_url: str) -> None:
    bucket = bucket_at(s3_url, access_key="", secret_key="")
    assert not bucket.readable
    with pytest.raises(PlatformRefused, match="AWS_ACCESS_KEY_ID"), bucket.open("x"):
        pass


def test_delete_takes_every_version_of_these_keys_only(s3: Any, s3_url: str) -> None:
    for key in ("d/r/1", "d/r/1", "d/r/1.event.json", "d/r/1-a", "d/r/1-b", "d/r/10"):
        s3.put_object(Bucket="daily-bucket", Key=key, Body=b"x")
    s3.delete_object(Bucket="daily-bucket", Key="d/r/1")  # leaves a marker above two versions
    bucket = bucket_at(s3_url)
    assert bucket.delete(["d/r/1"]) == 3
    assert versions_of(s3, "daily-bucket") == ["d/r/1-a", "d/r/1-b", "d/r/1.event.json", "d/r/10"]
    assert bucket.delete(prefixes=["d/r/1-"]) == 2
    assert bucket.delete(["d/r/1"], prefixes=["d/r/1-"]) == 0
    assert versions_of(s3, "daily-bucket") == ["d/r/1.event.json", "d/r/10"]
    with pytest.raises(PlatformRefused):
        bucket.delete(prefixes=[""])


def test_check_says_readable_and_versioned(s3: Any, s3_url: str) -> None:
    assert [finding.ok for finding in bucket_at(s3_url).check()] == [True, True]
    s3.put_bucket_versioning(Bucket="daily-bucket", VersioningConfiguration={"Status": "Suspended"})
    assert [finding.ok for finding in bucket_at(s3_url).check()] == [True, False]
    assert [finding.ok for finding in bucket_at(s3_url, "no-such-bucket").check()] == [False]
    assert [finding.ok for finding in bucket_at(s3_url, access_key="").check()] == [False]
