"""Settings mistakes of storage and transcription."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from platforms.checks import messages
from platforms.environment import is_http_url
from recordings import transcribers
from recordings.filestore import filestore


@register(Tags.compatibility)
def storage_is_set_up(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    try:
        filestore()
    except ValueError as error:
        return [Error(f"MEDIA_STORAGE: {error}", hint="file:///path or s3://bucket/prefix", id="recordings.E002")]
    endpoint = settings.MEDIA_S3_ENDPOINT_URL
    if settings.MEDIA_STORAGE.startswith("s3:") and endpoint and not is_http_url(endpoint):
        words = "MEDIA_S3_ENDPOINT_URL (or AWS_S3_ENDPOINT_URL) is not an http(s) URL"
        return [Error(words, hint="Leave it empty for Amazon's S3.", id="recordings.E003")]
    return []


@register(Tags.compatibility)
def transcriber_is_set_up(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    return list(messages(transcribers.problems(), label="recordings"))
