"""Our own media: where recordings are kept, by ``MEDIA_STORAGE`` (``file:///…`` or ``s3://bucket/prefix``).

A file appears under its key whole or not at all; it is written in one pass with constant memory, counted and hashed
on the way. Keys are made by us: ASCII words joined by slashes.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from django.conf import settings

from recordings import scratch

if TYPE_CHECKING:
    from storages.backends.s3 import S3Storage

CHUNK = 64 * 1024
PART = 8 * 1024 * 1024  #: bytes per part of a long upload
#: a partial file that nobody has written to for this long was left by a killed process: whoever writes reads from a
#: local file under a lease, and the next one comes no sooner than the lease runs out
ABANDONED_S = 15
URL_LIFE_S = 300
KEY = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class FileMissing(Exception):
    """There is nothing under this key."""


class StorageUnavailable(Exception):
    """The storage did not do what was asked; try again later. The text holds no address and no key."""


class TransferIncomplete(Exception):
    """Fewer or more bytes came than were promised. Nothing was stored."""


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    key: str
    size: int  #: bytes
    sha256: str  #: 64 hexadecimal characters


class FileStore(ABC):
    """Every method may raise ``StorageUnavailable``, and ``ValueError`` for a key that cannot be ours."""

    @abstractmethod
    def put(
        self, key: str, chunks: Iterable[bytes], *, content_type: str = "", expected_size: int | None = None
    ) -> StoredFile:
        """Store a stream; replaces what was there. What ``chunks`` raises passes through, and nothing is stored then.

        Raises ``TransferIncomplete`` when ``expected_size`` bytes were promised and others came.
        """

    @abstractmethod
    def size(self, key: str) -> int:
        """In bytes. Raises ``FileMissing``."""

    @abstractmethod
    def read(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Bytes from ``start`` on, at most ``length``. Raises ``FileMissing`` at once, not while iterating."""

    @abstractmethod
    def url(self, key: str, *, content_type: str = "", download_as: str = "") -> str | None:
        """An address that plays the file for ``URL_LIFE_S``; None where the file is served by us. A secret."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Every version of it. Gone already is success."""

    @abstractmethod
    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """The file as a local path, for as long as the context lasts. Not to be written to. Raises ``FileMissing``."""

    @abstractmethod
    def check(self) -> None:
        """Prove that the storage can be reached; raises ``StorageUnavailable``."""

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except FileMissing:
            return False
        return True


def filestore() -> FileStore:
    """The storage that the settings name. Raises ``ValueError`` with a sentence for staff."""
    parts = urlsplit(settings.MEDIA_STORAGE)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        return FolderStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        return BucketStore(bucket=parts.netloc, prefix=parts.path.strip("/"))
    raise ValueError("MEDIA_STORAGE is neither file:///a/folder nor s3://bucket/prefix")


class FolderStore(FileStore):
    """A folder. Files are written beside their place and moved into it when complete and on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(
        self, key: str, chunks: Iterable[bytes], *, content_type: str = "", expected_size: int | None = None
    ) -> StoredFile:
        target = self._path(key)
        source = _Counted(chunks, expected_size)
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
        with _storage_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            for left in target.parent.glob(f".{target.name}.*.part"):
                if time.time() - left.stat().st_mtime > ABANDONED_S:
                    left.unlink(missing_ok=True)
            file = partial.open("xb")
        try:
            with file:
                for chunk in source:
                    with _storage_errors():
                        file.write(chunk)
                with _storage_errors():
                    file.flush()
                    os.fsync(file.fileno())
            with _storage_errors():
                partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return StoredFile(key=key, size=source.size, sha256=source.hash.hexdigest())

    def size(self, key: str) -> int:
        with _storage_errors():
            path = self._path(key)
            if not path.is_file():
                raise FileMissing
            return path.stat().st_size

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with _storage_errors():
            file = self._path(key).open("rb")
            file.seek(start)
        return _Limited(file, length)

    def url(self, key: str, *, content_type: str = "", download_as: str = "") -> None:
        self._path(key)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _storage_errors():
            path.unlink(missing_ok=True)
            for partial in path.parent.glob(f".{path.name}.*.part"):
                partial.unlink(missing_ok=True)

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        if not path.is_file():
            raise FileMissing
        yield path

    def check(self) -> None:
        with _storage_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass

    def _path(self, key: str) -> Path:
        return self.folder / _checked(key)


class BucketStore(FileStore):
    """An S3 bucket through django-storages, which holds the connection and its settings.

    Streams go by boto3's multipart upload, which shows nothing until it is complete and is aborted on any error.
    """

    def __init__(self, *, bucket: str, prefix: str = "") -> None:
        self.bucket, self.prefix = bucket, prefix
        self.storage = _s3_storage(bucket, prefix)

    @property
    def _client(self) -> Any:
        return self.storage.connection.meta.client

    def put(
        self, key: str, chunks: Iterable[bytes], *, content_type: str = "", expected_size: int | None = None
    ) -> StoredFile:
        from boto3.s3.transfer import TransferConfig

        source = _Counted(chunks, expected_size)
        # one part in memory at a time, sent in this thread: what interrupts the thread also ends the upload
        config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=False)
        try:
            with _storage_errors():
                self._client.upload_fileobj(
                    _Reader(source),
                    self.bucket,
                    self._name(key),
                    ExtraArgs={"ContentType": content_type} if content_type else None,
                    Config=config,
                )
        except (StorageUnavailable, FileMissing) as error:
            if source.failure is not None:  # not the bucket's fault
                raise source.failure from error
            if isinstance(error, FileMissing):
                raise StorageUnavailable("the media bucket does not exist") from error
            raise
        return StoredFile(key=key, size=source.size, sha256=source.hash.hexdigest())

    def size(self, key: str) -> int:
        with _storage_errors():
            return int(self._client.head_object(Bucket=self.bucket, Key=self._name(key))["ContentLength"])

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length is not None and length <= 0:
            return iter(())
        wanted = {} if start == 0 and length is None else {"Range": _range(start, length)}
        with _storage_errors():
            body = self._client.get_object(Bucket=self.bucket, Key=self._name(key), **wanted)["Body"]
        return _streamed(body)

    def url(self, key: str, *, content_type: str = "", download_as: str = "") -> str:
        parameters = {}
        if content_type:
            parameters["ResponseContentType"] = content_type
        if download_as:
            safe = re.sub(r"[^A-Za-z0-9._-]+", "-", download_as)
            parameters["ResponseContentDisposition"] = f'attachment; filename="{safe}"'
        with _storage_errors():
            return str(self.storage.url(_checked(key), parameters=parameters, expire=URL_LIFE_S))

    def delete(self, key: str) -> None:
        name = self._name(key)
        with _storage_errors():
            # the listing goes by prefix, so it also names keys that only begin like ours
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=name)
            for page in pages:
                for row in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                    if row["Key"] == name:
                        self._client.delete_object(Bucket=self.bucket, Key=name, VersionId=row["VersionId"])

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        with scratch.folder(Path(key).stem) as folder:
            path = folder / "media"
            with path.open("wb") as file:
                for chunk in self.read(key):
                    with _storage_errors():
                        file.write(chunk)
            yield path

    def check(self) -> None:
        try:
            with _storage_errors():
                self._client.head_bucket(Bucket=self.bucket)
        except FileMissing as error:
            raise StorageUnavailable("the bucket does not exist") from error

    def _name(self, key: str) -> str:
        key = _checked(key)
        return f"{self.prefix}/{key}" if self.prefix else key


# -- inside --------------------------------------------------------------------------------------------------------


def _s3_storage(bucket: str, prefix: str) -> S3Storage:
    from botocore.config import Config
    from storages.backends.s3 import S3Storage

    endpoint = settings.MEDIA_S3_ENDPOINT_URL or None
    return S3Storage(
        bucket_name=bucket,
        location=prefix,
        access_key=settings.AWS_ACCESS_KEY_ID or None,
        secret_key=settings.AWS_SECRET_ACCESS_KEY or None,
        region_name=settings.AWS_REGION,
        endpoint_url=endpoint,
        default_acl=None,
        querystring_auth=True,
        querystring_expire=URL_LIFE_S,
        client_config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint else "virtual"},
            connect_timeout=5,
            read_timeout=60,
            retries={"max_attempts": 3, "mode": "standard"},
        ),
    )


@contextmanager
def _storage_errors() -> Iterator[None]:
    """Whatever disk and S3 libraries raise, in our two words."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except FileNotFoundError as error:
        raise FileMissing from error
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in {"404", "NoSuchKey", "NotFound"}:
            raise FileMissing from error
        raise StorageUnavailable(f"the media bucket answered {code or 'an error'}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageUnavailable(f"the media bucket cannot be used ({type(error).__name__})") from error
    except OSError as error:
        raise StorageUnavailable(f"the media folder cannot be used ({os.strerror(error.errno or 0)})") from error


class _Counted:
    """Chunks on their way through, counted, hashed, and compared with what was promised."""

    def __init__(self, chunks: Iterable[bytes], expected_size: int | None) -> None:
        self.chunks, self.expected_size = chunks, expected_size
        self.size, self.hash = 0, hashlib.sha256()
        self.failure: BaseException | None = None  #: what the chunks themselves raised

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._watched():
            self.size += len(chunk)
            self.hash.update(chunk)
            if self.expected_size is not None and self.size > self.expected_size:
                raise TransferIncomplete(f"more than the promised {self.expected_size} bytes came")
            yield chunk
        if self.expected_size is not None and self.size != self.expected_size:
            raise TransferIncomplete(f"{self.size} of {self.expected_size} bytes came")

    def _watched(self) -> Iterator[bytes]:
        try:
            yield from self.chunks
        except BaseException as error:
            self.failure = error
            raise


class _Reader(io.RawIOBase):
    """Chunks as the file object that boto3 asks for."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = iter(chunks)
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.rest:
            chunk = next(self.chunks, None)
            if chunk is None:
                return 0
            self.rest = memoryview(chunk)
        size = min(len(buffer), len(self.rest))
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size


def _checked(key: str) -> str:
    if len(key) > 500 or not KEY.fullmatch(key):
        raise ValueError("not one of our media keys")
    return key


def _range(start: int, length: int | None) -> str:
    return f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"


class _Limited(Iterator[bytes]):
    """At most ``length`` bytes of an open file. Closes it at the end, or when told: also if nothing was ever read,
    which a generator would not."""

    def __init__(self, file: io.BufferedReader, length: int | None) -> None:
        self.file, self.left = file, length

    def __next__(self) -> bytes:
        if self.left is not None and self.left <= 0:
            self.close()
            raise StopIteration
        with _storage_errors():
            chunk = self.file.read(CHUNK if self.left is None else min(CHUNK, self.left))
        if not chunk:
            self.close()
            raise StopIteration
        if self.left is not None:
            self.left -= len(chunk)
        return chunk

    def close(self) -> None:
        self.file.close()


def _streamed(body: Any) -> Iterator[bytes]:
    try:
        while True:
            with _storage_errors():
                chunk = body.read(CHUNK)
            if not chunk:
                return
            yield chunk
    finally:
        body.close()
