"""Where a recording's bytes come from: our own bucket, else an access link that the provider's API gives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from platforms.base import Download, PlatformRefused, ProviderRecording
from platforms.buckets import Bucket
from platforms.http import open_link

logger = logging.getLogger(__name__)


@contextmanager
def open_recording(
    recording: ProviderRecording, *, label: str, bucket: Bucket | None, ask_link: Callable[[str], str], plain_http: bool
) -> Iterator[Download]:
    """Stream a recording with our own bucket credentials where we have them, else by ``ask_link(recording_id)``.

    The link takes over too when the bucket refuses: the recording may be older than the bucket's setting, or our
    rights too narrow.
    """
    with ExitStack() as stack:
        download = None
        if bucket and bucket.readable and recording.key:
            try:
                download = stack.enter_context(bucket.open(recording.key))
            except PlatformRefused as refused:
                logger.warning("recording %s: %s", recording.recording_id, refused)
        if download is None:
            link = ask_link(recording.recording_id)
            download = stack.enter_context(open_link(label, link, allow_http=plain_http))
        yield download
