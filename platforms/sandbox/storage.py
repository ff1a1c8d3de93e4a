"""The providers' buckets: an S3 server in this process, and a copy of every object on disk.

The server keeps its objects in memory; the copy is what a restart brings back.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from platforms.sandbox.config import DAILY_BUCKET, HOSTED_BUCKET, REGION, WHEREBY_BUCKET

logger = logging.getLogger(__name__)

BUCKETS = (DAILY_BUCKET, WHEREBY_BUCKET, HOSTED_BUCKET)


def free_port(wanted: int, host: str = "127.0.0.1", *, leave: int = 0) -> int:
    """``wanted`` if nobody listens there and it is not the one to ``leave``, else any."""
    for port in (0,) if wanted == leave else (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


class Storage:
    def __init__(self, folder: Path, *, port: int, key_id: str, secret: str) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://localhost:{port}"
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        self._credentials = (key_id, secret)
        self._client: Any = None

    def start(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server.start()
        key_id, secret = self._credentials
        self._client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            region_name=REGION,
            config=BotoConfig(signature_version="s3v4", s3={"addressing_style": "path"}, proxies={}),
        )
        for bucket in BUCKETS:
            try:
                self._client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise
            self._client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            for key, file in self._kept(bucket):
                self._upload(bucket, key, file)

    def stop(self) -> None:
        self.prune()
        self._server.stop()

    def put(self, bucket: str, key: str, file: Path, content_type: str) -> int:
        """Take over ``file`` as an object; its size. Raises LookupError when there is no such bucket."""
        if bucket not in BUCKETS:
            raise LookupError(bucket)
        size = file.stat().st_size
        kept = self.folder / bucket / key
        if not kept.resolve().is_relative_to((self.folder / bucket).resolve()):
            raise LookupError(key)
        kept.parent.mkdir(parents=True, exist_ok=True)
        file.replace(kept)
        kept.with_name(kept.name + ".type").write_text(content_type)
        self._upload(bucket, key, kept)
        return size

    def _upload(self, bucket: str, key: str, file: Path) -> None:
        label = file.with_name(file.name + ".type")
        kind = label.read_text() if label.exists() else "application/octet-stream"
        self._client.upload_file(str(file), bucket, key, ExtraArgs={"ContentType": kind})

    def _kept(self, bucket: str) -> list[tuple[str, Path]]:
        root = self.folder / bucket
        files = [file for file in sorted(root.rglob("*")) if file.is_file() and file.suffix != ".type"]
        return [(str(file.relative_to(root)), file) for file in files]

    def link(self, bucket: str, key: str, seconds: int) -> str:
        link = self._client.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds
        )
        return str(link)

    def delete(self, bucket: str, key: str) -> None:
        self._client.delete_object(Bucket=bucket, Key=key)
        self.prune()

    def prune(self) -> None:
        """Forget on disk what somebody deleted over S3, so that a restart does not bring it back."""
        for bucket in BUCKETS:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            there = {item["Key"] for page in pages for item in page.get("Contents", [])}
            for key, file in self._kept(bucket):
                if key not in there:
                    file.unlink(missing_ok=True)
                    file.with_name(file.name + ".type").unlink(missing_ok=True)
