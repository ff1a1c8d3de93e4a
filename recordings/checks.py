"""Settings mistakes of storage and transcription."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from platforms.checks import messages
from platforms.environment import Variables
from recordings import transcribers
from recordings.filestore import filestore


@register(Tags.compatibility)
def storage_is_set_up(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    try:
        filestore()
    except ValueError as error:
        return [Error(f"MEDIA_STORAGE: {error}", hint="file:///path or s3://bucket/prefix", id="recordings.E002")]
    values = Variables(settings.PLATFORM_ENVIRON, ())
    values.url("MEDIA_S3_ENDPOINT_URL")
    return list(messages(values.problems, label="recordings"))


@register(Tags.compatibility)
def transcriber_is_set_up(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    return list(messages(transcribers.problems(), label="recordings"))
