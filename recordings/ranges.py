"""Serving a file of ours so that a player can seek: one byte range per request (RFC 9110, section 14)."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from recordings.filestore import FileStore

RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


def wanted_range(header: str, size: int) -> tuple[int, int] | None:
    """(first, last) byte of a Range header; None when the whole file is meant.

    Raises ``ValueError`` when the range lies outside the file. Several ranges, and units that are not bytes, are
    answered with the whole file, as the standard allows.
    """
    match = RANGE.match(header.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        if int(last) == 0:
            raise ValueError(header)
        return max(0, size - int(last)), size - 1
    begin, end = int(first), min(int(last), size - 1) if last else size - 1
    if begin >= size:
        raise ValueError(header)
    return None if end < begin else (begin, end)


def serve(request: HttpRequest, store: FileStore, key: str, *, content_type: str, etag: str) -> HttpResponseBase:
    """The file, or the range of it that was asked for, streamed. Raises ``FileMissing``."""
    size = store.size(key)
    tag = f'"{etag}"'
    try:
        wanted = wanted_range(request.headers.get("Range", ""), size)
    except ValueError:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    if request.headers.get("If-Range", tag) != tag:
        wanted = None
    first, last = wanted or (0, size - 1)
    length = last - first + 1
    chunks = store.read(key, start=first, length=length) if request.method == "GET" else iter(())
    response = StreamingHttpResponse(chunks, status=206 if wanted else 200, content_type=content_type or "video/mp4")
    response["Content-Length"] = str(length)
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = tag
    response["Cache-Control"] = "private, max-age=300"
    if wanted:
        response["Content-Range"] = f"bytes {first}-{last}/{size}"
    return response
