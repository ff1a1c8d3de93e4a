"""The set-up guides name only what exists, and their policies are what the providers ask for."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands

ROOT = Path(__file__).parents[2]
GUIDES = ["daily-setup.md", "whereby-setup.md"]
#: what Daily's role needs, and nothing more: https://github.com/daily-co/daily-recordings-bucket
DAILY_ACTIONS = {
    "s3:PutObject",
    "s3:GetObject",
    "s3:ListBucketMultipartUploads",
    "s3:AbortMultipartUpload",
    "s3:ListBucketVersions",
    "s3:ListBucket",
    "s3:GetObjectVersion",
    "s3:ListMultipartUploadParts",
}


def text_of(guide: str) -> str:
    return (ROOT / "docs" / guide).read_text()


def files_of(guide: str, folder: Path) -> dict[str, Any]:
    """The guide's here-documents as a shell writes them, read as JSON."""
    blocks = re.findall(r"^    cat > \w+\.json <<JSON\n.*?^    JSON$", text_of(guide), re.DOTALL | re.MULTILINE)
    script = "\n".join(re.sub("^    ", "", block, flags=re.MULTILINE) for block in blocks)
    environ = {"PATH": os.environ["PATH"], "BUCKET": "the-bucket", "DOMAIN": "the-domain"}
    subprocess.run(["bash", "-eu", "-c", script], cwd=folder, env=environ, check=True)
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}


@pytest.mark.parametrize("guide", GUIDES)
def test_every_variable_and_command_exists(guide: str) -> None:
    text = text_of(guide)
    known = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text))
    assert len(named) > 5
    assert {name for name in named - known if not hasattr(settings, name)} == set()
    commands = set(re.findall(r"manage\.py (\w+)", text))
    assert "doctor" in commands
    assert commands <= set(get_commands())


@pytest.mark.parametrize("guide", GUIDES)
def test_bucket_is_private_and_versioned(guide: str) -> None:
    text = text_of(guide)
    assert "put-bucket-versioning --bucket $BUCKET --versioning-configuration Status=Enabled" in text
    assert "RestrictPublicBuckets=true" in text


def test_role_of_daily(tmp_path: Path) -> None:
    files = files_of("daily-setup.md", tmp_path)
    (trust,) = files["trust.json"]["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::291871421005:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "the-domain"}},
    }
    (policy,) = files["daily.json"]["Statement"]
    assert set(policy["Action"]) == DAILY_ACTIONS
    assert policy["Resource"] == ["arn:aws:s3:::the-bucket", "arn:aws:s3:::the-bucket/*"]
    assert "--max-session-duration 43200" in text_of("daily-setup.md")


def test_only_we_may_delete(tmp_path: Path) -> None:
    for guide in GUIDES:
        folder = tmp_path / guide
        folder.mkdir()
        for name, document in files_of(guide, folder).items():
            actions = {action for statement in document["Statement"] for action in [*statement["Action"]]}
            may_delete = any("Delete" in action for action in actions)
            assert may_delete == (name == "ours.json"), (guide, name)
            if may_delete:
                assert {"s3:DeleteObjectVersion", "s3:ListBucketVersions", "s3:GetBucketVersioning"} <= actions
