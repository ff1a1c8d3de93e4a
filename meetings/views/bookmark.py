"""Addresses of rooms from before: ``/<slug>``."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from meetings.pages import not_found
from meetings.views.room import visible_room


@require_safe
def bookmark(request: HttpRequest, slug: str) -> HttpResponse:
    """Only to a room that exists and is open to the visitor: anything else would tell which names are taken."""
    room = visible_room(request, slug)
    return redirect(room) if room else not_found(request)
