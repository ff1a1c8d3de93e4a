"""An S3 server of the test's own, with versioned buckets."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

BUCKETS = ("daily-bucket", "whereby-bucket")


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_url: str) -> Iterator[Any]:
    """A client; the buckets exist, are versioned and empty."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=s3_url,
        aws_access_key_id="AKIAMADEUPOURS000000",
        aws_secret_access_key="made-up",
        region_name="us-west-2",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    for name in BUCKETS:
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    yield client
    for name in BUCKETS:
        versions = client.list_object_versions(Bucket=name)
        for item in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=name, Key=item["Key"], VersionId=item["VersionId"])
        client.delete_bucket(Bucket=name)
    client.close()


def versions_of(client: Any, bucket: str) -> list[str]:
    """Keys of all versions and delete markers."""
    answer = client.list_object_versions(Bucket=bucket)
    return sorted(item["Key"] for item in [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])])
