"""The webhook door: bytes in, a row, 200. Nothing is interpreted here.

Daily stops sending for a whole domain after three answers in a row that are not 200, so whatever is signed is taken,
and only a database that cannot store it makes the answer anything else.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from django.db import Error as DatabaseTrouble
from django.http import HttpRequest, UnreadablePostError
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from platforms import inbox, refusals, registry
from platforms.base import DeliveryRejected

logger = logging.getLogger(__name__)

MOST_BYTES = 1024 * 1024
RETRY_AFTER_S = 10
#: Daily's question "is anybody there?", sent before it can sign (docs.daily.co/reference/rest-api/webhooks)
PROBE = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"test"[ \t\r\n]*:[ \t\r\n]*"test"[ \t\r\n]*\}[ \t\r\n]*')


class WebhookDoor(APIView):
    """One platform's address. 200 taken (or the probe), 401 not the provider's, 413 too long, 503 not stored."""

    platform = ""
    authentication_classes = ()
    permission_classes = ()
    parser_classes = ()
    throttle_classes = ()
    http_method_names = ["post"]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """A sender's ``Accept`` is no reason to refuse what it brings."""
        renderer = self.get_renderers()[0]
        return renderer, renderer.media_type

    def post(self, request: Request) -> Response:
        now = timezone.now()
        try:
            body = read_at_most(request._request, MOST_BYTES)
        except UnreadablePostError:
            return Response({"detail": "the body broke off"}, status=400)
        if body is None:
            return Response({"detail": f"more than {MOST_BYTES} bytes"}, status=413)
        if PROBE.fullmatch(body):
            return Response({"status": "ready"})
        adapter = registry.get(self.platform)
        headers: Mapping[str, str] = request._request.headers
        try:
            signed = adapter.verify(headers, body)
        except DeliveryRejected as why:
            refusals.note(self.platform, str(why), now)
            return Response({"detail": "not signed with a secret of ours"}, status=401)
        try:
            status = inbox.store(adapter, headers=headers, body=body, signed=signed, now=now)
        except DatabaseTrouble as error:
            logger.error("a delivery from %s could not be stored: %s", self.platform, type(error).__name__)
            return Response({"detail": "cannot be stored now"}, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
        return Response({"status": status})


def read_at_most(request: HttpRequest, most: int) -> bytes | None:
    """The raw body; None when it is longer than ``most`` bytes, told from its length where one is given.

    A chunked body has no length. Servers that take the chunks apart say so with ``wsgi.input_terminated``; Django
    alone would read such a body as empty.
    """
    try:
        length = int(request.META.get("CONTENT_LENGTH") or -1)
    except ValueError:
        length = -1
    if length > most:
        return None
    stream = request
    if length < 0 and request.META.get("wsgi.input_terminated"):
        stream = request.META["wsgi.input"]
    parts: list[bytes] = []
    missing = most + 1
    while missing > 0 and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts) if missing > 0 else None
