"""Where the page of a call tells how the join went, and that it is gone (``navigator.sendBeacon``)."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from meetings import beacons
from meetings.entering import page_is_gone

LARGEST = 1024


@csrf_exempt  # a beacon cannot send the header; the signed token in it is this person's, for this meeting
@require_POST
def beacon(request: HttpRequest, slug: str) -> HttpResponse:
    """204, whatever is known already. Nothing is asked of the database before the token has proved itself, and what
    is known already is written no second time: that is the limit on its rate."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > LARGEST:
        return HttpResponse("A beacon has at most 1 kB.\n", status=413, content_type="text/plain")
    try:
        told = json.loads(request.body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return HttpResponse("A beacon is a JSON object.\n", status=400, content_type="text/plain")
    participant_id = beacons.participant_id_of(str(told.get("token", "")))
    if participant_id is None:
        return HttpResponse("This token is not ours, or too old.\n", status=403, content_type="text/plain")
    if told.get("what") == "gone":
        page_is_gone(participant_id)
    elif not beacons.take_in(participant_id, told, now=timezone.now()):
        return HttpResponse("“what” is joined, failed, left or gone.\n", status=400, content_type="text/plain")
    return HttpResponse(status=204)
