"""Pages that say one thing: what happened, in a sentence, and the one thing to do next."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse


@dataclass(frozen=True, kw_only=True)
class Notice:
    """``action`` is the label of the one thing to do, ``url`` where it leads; ``detail`` one more sentence."""

    title: str
    sentence: str
    action: str
    url: str
    status: int = 200
    retry_after_s: int | None = None
    detail: str = ""
    #: fields to send along: the action is then a form that is posted to ``url``
    fields: tuple[tuple[str, str], ...] = ()
    shape: str = "info"  #: "info" | "wait" | "stop" | "done": a drawing, never the only sign


def show(request: HttpRequest, notice: Notice) -> HttpResponse:
    response = render(request, "meetings/notice.html", {"notice": notice}, status=notice.status)
    if notice.retry_after_s is not None:
        response.headers["Retry-After"] = str(notice.retry_after_s)
    response.headers["Cache-Control"] = "no-store"
    return response


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """The same page for what does not exist and for what the visitor may not see."""
    if request.user.is_authenticated:
        action, url = "See your rooms", reverse("home")
    else:
        action, url = "Sign in", f"{reverse('login')}?{urlencode({'next': request.path})}"
    notice = Notice(
        title="There is nothing at this address",
        sentence="The link is wrong or has expired, or it leads to a room that is not open to you.",
        action=action,
        url=url,
        status=404,
        shape="stop",
    )
    return show(request, notice)
