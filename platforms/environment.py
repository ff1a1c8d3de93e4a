"""Reading an adapter's variables: values with defaults, and what is wrong with them as ``Problem``s."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from platforms.base import Problem
from platforms.buckets import Bucket, well_formed


class Variables:
    """One group of environment variables. Collects problems while it is read; never raises."""

    def __init__(self, environ: Mapping[str, str], group: tuple[str, ...]) -> None:
        """``group``: the variables without a usable default. All of them empty = the platform is not configured."""
        self._environ = environ
        self.problems: list[Problem] = []
        self.in_use = any(self.get(name) for name in group)

    def get(self, name: str, default: str = "") -> str:
        return self._environ.get(name, "").strip() or default

    def wrong(self, name: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(variable=name, message=f"{name} {message}", hint=hint))

    def required(self, name: str, hint: str = "") -> str:
        value = self.get(name)
        if self.in_use and not value:
            self.wrong(name, "is empty while other settings of this platform are set", hint)
        return value

    def key(self, name: str, hint: str = "") -> str:
        """A required key that is sent in a header: no header carries spaces inside it or letters beyond ASCII."""
        value = self.required(name, hint)
        if not re.fullmatch(r"[!-~]*", value):
            self.wrong(name, "holds a space or a character that no key has", hint)
        return value

    def secrets(self, name: str, hint: str = "") -> tuple[str, ...]:
        """Comma-separated, the first is the newest."""
        value = self.required(name, hint)
        parts = tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
        if value and not parts:
            self.wrong(name, "holds no secret", hint)
        return parts

    def url(self, name: str, default: str = "") -> str:
        value = self.get(name, default).rstrip("/")
        if value and not is_http_url(value):
            self.wrong(name, "is not an http(s) URL", f"for example {default}" if default else "")
        return value

    def all_or_none(self, *names: str) -> bool:
        """True when all are set; a half-filled group is a problem of each that is missing."""
        missing = [name for name in names if not self.get(name)]
        if missing and len(missing) < len(names):
            present = ", ".join(name for name in names if name not in missing)
            for name in missing:
                self.wrong(name, f"is empty while {present} is set")
        return not missing

    def bucket(
        self, name: str, *, label: str, endpoint: str, fallback_keys: tuple[str, str] | None = None
    ) -> Bucket | None:
        """The bucket named by ``name`` with our own credentials (else those of ``fallback_keys``); None when unset."""
        setting = self.get(name).strip("/")
        endpoint_url = self.url(endpoint) or self.url("AWS_S3_ENDPOINT_URL")
        if not setting:
            return None
        if not well_formed(setting):
            self.wrong(name, "is not a bucket name, or bucket/folder", "for example my-recordings")
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        if not self.all_or_none(*keys) and fallback_keys:
            keys = fallback_keys
        return Bucket(
            setting,
            access_key=self.get(keys[0]),
            secret_key=self.get(keys[1]),
            region=self.get("AWS_REGION", "us-west-2"),
            endpoint_url=endpoint_url,
            label=label,
        )


def is_http_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def origin(url: str) -> str:
    """``scheme://host[:port]``; empty for what is not an http(s) URL."""
    if not is_http_url(url):
        return ""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"
