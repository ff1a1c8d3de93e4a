"""The admin's pages of one platform: what they share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString

from platforms import registry
from platforms.base import Adapter
from platforms.moments import exact
from rooms.staff.display import numbered, platform_badge
from rooms.staff.pages import Section

ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:")
PAGES = (("platform-health", "Health"), ("platform-readiness", "Readiness"))


def adapter_of(slug: str) -> Adapter:
    try:
        return registry.get(slug)
    except registry.UnknownPlatform as error:
        raise Http404(str(error)) from error


def page(
    request: HttpRequest, adapter: Adapter, view: str, sections: Sequence[Section], **context: Any
) -> HttpResponse:
    title = dict(PAGES).get(view, "")
    return TemplateResponse(
        request,
        "admin/rooms/platform/page.html",
        {
            **admin.site.each_context(request),
            "title": f"{adapter.label}: {title.lower()}",
            "adapter": adapter,
            "page_title": title,
            "tabs": [(reverse(name, args=[adapter.slug]), words, name == view) for name, words in PAGES],
            "others": [
                (reverse(view, args=[other.slug]), platform_badge(other.slug))
                for other in registry.adapters().values()
                if other.slug != adapter.slug
            ],
            "sections": sections,
            **context,
        },
    )


#: lists of ids that lead to the rows they name; ``meetings`` cannot be imported here
LED_TO = {"meetings": "meetings.meeting", "rooms": "rooms.room"}


def evidence(values: dict[str, Any]) -> SafeString | str:
    """Names and values, one a line."""
    lines = [
        format_html("<div><dt>{}</dt><dd>{}</dd></div>", name.replace("_", " "), _value(name, value))
        for name, value in values.items()
    ]
    return format_html("<dl class=evidence>{}</dl>", SafeString("".join(lines))) if lines else ""


def _value(name: str, value: Any) -> str | SafeString:
    if name in LED_TO and isinstance(value, list) and value:
        return numbered(LED_TO[name], value)
    return _shown(value)


def _shown(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_shown(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str) and ISO_TIME.match(value) and (moment := parse_datetime(value)):
        return exact(moment)
    return str(value)
