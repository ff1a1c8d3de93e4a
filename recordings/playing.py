"""Giving a recording's file to a player: from our folder with ranges, or from our bucket by an address that lives
five minutes."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect

from recordings.filestore import FileMissing, filestore
from recordings.models import Recording
from recordings.ranges import serve


def send_file(request: HttpRequest, recording: Recording) -> HttpResponseBase:
    """The file of a recording whose ``file_key`` is set. Raises ``Http404`` when the file is gone."""
    store = filestore()
    address = store.url(recording.file_key, content_type=recording.content_type)
    if address is not None:
        response = HttpResponseRedirect(address)
        response["Cache-Control"] = "no-store"
        return response
    try:
        return serve(request, store, recording.file_key, content_type=recording.content_type, etag=recording.sha256)
    except FileMissing as error:
        raise Http404("the file is gone") from error


def admit_media(response: HttpResponse) -> HttpResponse:
    """Let the page's players follow the redirect to our bucket, where there is one."""
    address = filestore().url("recordings/any")
    if address is not None:
        parts = urlsplit(address)
        # read by csp.middleware.CSPMiddleware, as in meetings.admission
        response._csp_update = {"media-src": ["'self'", f"{parts.scheme}://{parts.netloc}"]}  # type: ignore[attr-defined]
    return response
