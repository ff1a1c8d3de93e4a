"""Our own access to the S3 buckets that providers write recordings into."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from platforms.base import (
    Download,
    Finding,
    Named,
    PlatformError,
    PlatformRefused,
    PlatformUnavailable,
    ProviderRecording,
    RecordingPage,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
TRY_LATER = frozenset({"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "RequestTimeTooSkewed"})
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()\-]+)*")


def well_formed(setting: str) -> bool:
    """``bucket`` or ``bucket/sub/folder``."""
    return bool(BUCKET_NAME.fullmatch(setting))


READABLE: Named = {"key": "bucket.readable", "title": "Bucket readable"}
VERSIONED: Named = {"key": "bucket.versioned", "title": "Bucket keeps versions"}
NEWEST: Named = {"key": "bucket.newest", "title": "Recordings arrive in our bucket"}


def no_bucket(label: str) -> Finding:
    """For adapters whose account records into the provider's own storage."""
    what = f"{label} keeps recordings itself; they are fetched by links that it gives for the asking"
    return Finding(ok=True, applies=False, what=what, **READABLE)


class NotInBucket(PlatformRefused):
    """The object does not exist."""


class Bucket:
    """One bucket with optional sub-folder. Cheap to build; connects on first use; safe to share between threads."""

    def __init__(
        self, setting: str, *, access_key: str, secret_key: str, region: str, endpoint_url: str = "", label: str = ""
    ) -> None:
        self.name, _, folder = setting.strip("/").partition("/")
        self.folder = f"{folder}/" if folder else ""
        self.label = label or self.name
        self._access_key = access_key
        self._secret_key = secret_key
        self._region = region
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        self._connection: S3Client | None = None

    @property
    def readable(self) -> bool:
        """True when we hold credentials of our own."""
        return bool(self._access_key and self._secret_key)

    def arrivals(self, list_recordings: Callable[[], RecordingPage]) -> Iterator[Finding]:
        """``newest_arrived`` of the provider's list, where we can look; nothing when the provider does not answer."""
        if self.readable:
            try:
                yield self.newest_arrived(list_recordings().items)
            except PlatformError as error:
                logger.info("the newest recording of %s was not looked up: %s", self.label, error)

    @property
    def _client(self) -> S3Client:
        if not self.readable:
            raise PlatformRefused(
                f"we have no credentials for the bucket of {self.label}: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY"
            )
        with self._lock:
            if self._connection is None:
                self._connection = boto3.session.Session().client(
                    "s3",
                    aws_access_key_id=self._access_key,
                    aws_secret_access_key=self._secret_key,
                    region_name=self._region,
                    endpoint_url=self._endpoint_url or None,
                    config=Config(
                        signature_version="s3v4",
                        connect_timeout=5,
                        read_timeout=30,
                        retries={"max_attempts": 3, "mode": "standard"},
                        s3={"addressing_style": "path" if self._endpoint_url else "auto"},
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
            return self._connection

    @contextmanager
    def open(self, key: str) -> Iterator[Download]:
        """Stream one object. Raises ``NotInBucket``, else our two errors, also in the middle of the stream."""
        client = self._client
        try:
            answer = client.get_object(Bucket=self.name, Key=key)
        except (BotoCoreError, ClientError) as error:
            raise self._ours(error) from None
        body = answer["Body"]

        def chunks() -> Iterator[bytes]:
            try:
                yield from body.iter_chunks(CHUNK_BYTES)
            except (BotoCoreError, ClientError) as error:
                raise self._ours(error) from None

        try:
            yield Download(
                chunks=chunks(), size=answer.get("ContentLength"), content_type=answer.get("ContentType", "")
            )
        finally:
            body.close()

    def delete(self, keys: Iterable[str] = (), *, prefixes: Iterable[str] = ()) -> int:
        """Delete every version and delete marker of these keys, and of all keys with these prefixes; how many."""
        deleted = 0
        try:
            for key in keys:
                deleted += self._delete_versions(key, exact=True)
            for prefix in prefixes:
                deleted += self._delete_versions(prefix, exact=False)
        except (BotoCoreError, ClientError) as error:
            raise self._ours(error) from None
        return deleted

    def _delete_versions(self, prefix: str, *, exact: bool) -> int:
        if not prefix or prefix == "/":
            raise PlatformRefused("refusing to delete a whole bucket")
        deleted = 0
        for page in self._client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            for item in found:
                if exact and item["Key"] != prefix:
                    continue
                self._client.delete_object(Bucket=self.name, Key=item["Key"], VersionId=item["VersionId"])
                deleted += 1
        return deleted

    def check(self) -> list[Finding]:
        """Can we read it, is it versioned. Never raises."""
        named = f"the bucket {self.name} of {self.label}"
        if not self.readable:
            return [
                Finding(
                    ok=False,
                    what=f"no credentials of our own for {named}",
                    why="recordings are then fetched by access links only, and copies in the bucket cannot be deleted",
                    fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                    **READABLE,
                )
            ]
        try:
            some = self._client.list_objects_v2(Bucket=self.name, Prefix=self.folder, MaxKeys=1000)
            newest = max((item["LastModified"] for item in some.get("Contents", [])), default=None)
            versioning: str = self._client.get_bucket_versioning(Bucket=self.name).get("Status", "")
        except (BotoCoreError, ClientError) as error:
            return [
                Finding(
                    ok=False,
                    what=f"{named} cannot be read: {self._ours(error)}",
                    why="recordings would stay where they are",
                    fix="check the bucket's name, AWS_REGION and the rights of AWS_ACCESS_KEY_ID",
                    **READABLE,
                )
            ]
        seen = f"newest object seen {newest:%Y-%m-%d %H:%M} UTC" if newest else "empty so far"
        findings = [Finding(ok=True, what=f"{named} is readable, {seen}", **READABLE)]
        if versioning == "Enabled":
            findings.append(Finding(ok=True, what=f"{named} keeps versions", **VERSIONED))
        else:
            findings.append(
                Finding(
                    ok=False,
                    what=f"{named} keeps no versions",
                    why="providers may refuse a bucket without versions, and an overwritten recording is lost",
                    fix=f"aws s3api put-bucket-versioning --bucket {self.name} "
                    "--versioning-configuration Status=Enabled",
                    evidence={"versioning": versioning or "never enabled"},
                    **VERSIONED,
                )
            )
        return findings

    def newest_arrived(self, listed: Iterable[ProviderRecording]) -> Finding:
        """Whether the newest recording that the provider lists, newest first, lies in this bucket.

        Raises our two errors, also those of ``listed``.
        """
        finished = (item for item in listed if item.state == "finished")
        keys = ((item, next((track.key for track in item.tracks if track.key), item.key)) for item in finished)
        item, key = next(((item, key) for item, key in keys if key), (None, ""))
        if item is None:
            what = f"{self.label} has recorded nothing yet that would lie in our bucket"
            return Finding(ok=True, proven=False, what=what, fix="record a meeting of a minute", **NEWEST)
        started = f"{item.started_at:%Y-%m-%d %H:%M} UTC" if item.started_at else "an unknown time"
        evidence: dict[str, Any] = {"recording": item.recording_id, "started": started}
        try:
            size, written_at = self.head(key)
        except NotInBucket:
            return Finding(
                ok=False,
                what=f"the newest recording of {self.label}, from {started}, is not in the bucket {self.name}",
                why="recordings are written somewhere else, where they can be fetched by access links at best",
                fix=f"compare the bucket in {self.label}'s settings with ours, then record a meeting of a minute",
                evidence=evidence,
                blocks=False,
                **NEWEST,
            )
        evidence |= {"written": f"{written_at:%Y-%m-%d %H:%M:%S} UTC", "bytes": size}
        what = f"the newest recording of {self.label}, from {started}, was written into the bucket {self.name}"
        return Finding(ok=True, what=what, evidence=evidence, **NEWEST)

    def head(self, key: str) -> tuple[int, datetime]:
        """Size in bytes and time of the newest version. Raises ``NotInBucket``, else our two errors."""
        client = self._client
        try:
            answer = client.head_object(Bucket=self.name, Key=key)
        except (BotoCoreError, ClientError) as error:
            raise self._ours(error) from None
        return answer["ContentLength"], answer["LastModified"]

    def _ours(self, error: BotoCoreError | ClientError) -> PlatformRefused | PlatformUnavailable:
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if code in MISSING or status == 404:
                return NotInBucket(f"not in the bucket of {self.label}", status=404, code=code)
            if code in TRY_LATER or status == 429 or status >= 500:
                return PlatformUnavailable(f"the bucket of {self.label} answered {code or status}")
            return PlatformRefused(f"the bucket of {self.label} answered {code or status}", status=status, code=code)
        return PlatformUnavailable(f"the bucket of {self.label} failed ({type(error).__name__})")
