"""What the sandbox is told at start, and the secrets it keeps across restarts."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platforms.sandbox.store import Store

PLATFORMS = ("daily", "whereby")
REGION = "us-west-2"
DAILY_BUCKET = "sandbox-daily"
WHEREBY_BUCKET = "sandbox-whereby"
#: where recordings go when a room names no bucket of its own
HOSTED_BUCKET = "sandbox-hosted"
DAILY_ROLE = "arn:aws:iam::000000000000:role/sandbox-daily"


@dataclass(kw_only=True)
class Config:
    state: Path
    base_url: str
    public_url: str = "http://localhost:8000"
    s3_url: str = ""
    platforms: tuple[str, ...] = PLATFORMS
    gone_after_s: float = 10.0  #: a page that is silent for this long has left
    empty_recording_s: float = 5.0  #: a recording of an empty room stops after this
    flush_s: float = 4.0  #: how long a stopped recording waits for pages to hand in their last chunk
    secrets: Mapping[str, str] = field(default_factory=dict)
    #: keys of a real account's bucket beside us: they take precedence over keys of the account's own, so ours must not
    #: be written over them; our buckets take any
    keys_beside: tuple[str, str] | None = None

    @property
    def objects(self) -> Path:
        return self.state / "objects"

    @property
    def takes(self) -> Path:
        return self.state / "takes"

    def environment(self) -> dict[str, str]:
        """The variables that point our service here. Only those of the platforms that are played."""
        daily = {
            "DAILY_API_URL": f"{self.base_url}/daily/v1",
            "DAILY_API_KEY": self.secrets["daily_api_key"],
            "DAILY_WEBHOOK_SECRET": self.secrets["daily_webhook_secret"],
            "DAILY_SUBDOMAIN": "sandbox",
            "DAILY_ROOM_URL_PATTERN": f"{self.base_url}/daily/rooms/{{room_name}}",
            "AWS_DAILY_S3_BUCKET": DAILY_BUCKET,
            "AWS_DAILY_ROLE_ARN": DAILY_ROLE,
            "AWS_DAILY_S3_ENDPOINT_URL": self.s3_url,
        }
        whereby = {
            "WHEREBY_API_URL": f"{self.base_url}/whereby/v1",
            "WHEREBY_API_KEY": self.secrets["whereby_api_key"],
            "WHEREBY_WEBHOOK_SECRET": self.secrets["whereby_webhook_secret"],
            "AWS_WHEREBY_S3_BUCKET": WHEREBY_BUCKET,
            "AWS_WHEREBY_ACCESS_KEY_ID": self.secrets["s3_key_id"],
            "AWS_WHEREBY_ACCESS_KEY_SECRET": self.secrets["s3_secret"],
            "AWS_WHEREBY_S3_ENDPOINT_URL": self.s3_url,
        }
        key_id, secret = self.keys_beside or (self.secrets["s3_key_id"], self.secrets["s3_secret"])
        daily |= {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": REGION}
        played = {"daily": daily, "whereby": whereby}
        return {k: v for name in self.platforms for k, v in played[name].items()}


def bucket_keys_beside(platforms: tuple[str, ...], environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The bucket keys of a real Whereby account that we run beside, where it has some of its own."""
    names = ("AWS_WHEREBY_ACCESS_KEY_ID", "AWS_WHEREBY_ACCESS_KEY_SECRET")
    found = [environ.get(name, "") for name in names]
    return (found[0], found[1]) if "whereby" not in platforms and all(found) else None


def load_secrets(store: Store, environ: Mapping[str, str]) -> dict[str, str]:
    """Made once and kept. A webhook secret in the environment wins: it is what the receiver checks with."""
    fresh = {
        "daily_api_key": secrets.token_hex(32),
        "daily_webhook_secret": base64.b64encode(secrets.token_bytes(32)).decode(),
        "whereby_api_key": secrets.token_hex(32),
        "whereby_webhook_secret": secrets.token_hex(32),
        "whereby_host_salt": secrets.token_hex(16),
        "s3_key_id": "SANDBOX" + secrets.token_hex(6).upper(),
        "s3_secret": secrets.token_hex(20),
        "daily_domain_id": secrets.token_hex(16),
    }
    kept = {**fresh, **(store.get("secrets", "all") or {})}
    kept.pop("seq", None)
    store.put("secrets", {**kept, "id": "all"})
    for name in ("daily_webhook_secret", "whereby_webhook_secret"):
        given = environ.get(name.upper(), "").split(",")[0].strip()
        if given:
            kept[name] = given
    return {name: str(kept[name]) for name in fresh}


def write_env_file(path: Path, variables: Mapping[str, str]) -> None:
    """Replace the file in one step; only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + f".{os.getpid()}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("# Written by the sandbox at every start; do not edit.\n")
        file.writelines(f"{name}={value}\n" for name, value in variables.items())
    draft.replace(path)
