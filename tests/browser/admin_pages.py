"""Every page of the admin by its address, found from the addresses themselves: a new page is in it without a word here.

Where a page is of a row, it is looked at once for each state that its rows are in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from rooms.models import Move, Room, Wave
from rooms.waves.commands import ALLOWED as WAVE_COMMANDS

#: no pages: Django's catch-all, its redirect to the site's own page of a row, what a field asks while one types, files
NOT_PAGES = {
    "admin/(?P<url>.*)$",
    "admin/r/<path:content_type_id>/<path:object_id>/",
    "admin/autocomplete/",
    "admin/rooms/room/<int:pk>/logo/",
    "admin/recordings/recording/<uuid:pk>/media/",
}
#: pages of nothing without a query; ``asked_for`` has them
NEEDS_A_QUERY = {"admin/rooms/room/move/"}
ROW = {"object_id", "pk", "id"}
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^()]*\)")
#: states of one kind of row that are looked at
MOST_STATES = 6


@dataclass(frozen=True)
class Address:
    name: str  #: for the picture
    url: str
    route: str

    @property
    def is_of_admin(self) -> bool:
        return self.route.startswith("admin/")


def routes() -> Iterator[tuple[str, str]]:
    """(route, name) of everything below ``admin/`` and ``accounts/``."""

    def walk(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, str]]:
        for pattern in patterns:
            route = before + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, route)
            elif route.startswith(("admin/", "accounts/")) and route not in NOT_PAGES | NEEDS_A_QUERY:
                yield route, pattern.name or ""

    yield from walk(get_resolver().url_patterns, "")


def addresses() -> list[Address]:
    """All of them, with the rows that there are. Fails where a page has a parameter that nobody explains here."""
    found = []
    for route, name in routes():
        if not name:
            continue  # an old address of a row's page, which leads there
        for state, values in _values(route):
            url = _filled(route, values)
            label = re.sub(r"[^a-z0-9]+", "-", f"{route.split('/')[0]} {name} {state}".lower()).strip("-")
            found.append(Address(label, url, route))
    return found + asked_for()


def _filled(route: str, values: dict[str, str]) -> str:
    return "/" + PARAMETER.sub(lambda match: values[match[1] or match[2]], route).replace("^", "").rstrip("$")


def asked_for() -> list[Address]:
    """Pages that show something else when they are asked with more than their address."""
    pool = Room.objects.filter(slug__startswith="pool-").order_by("pk").values_list("pk", flat=True)
    some = ",".join(map(str, pool[:9]))
    running = Wave.objects.get(name="Running")
    return [
        Address(f"admin-{name}", url, "admin/")
        for name, url in {
            "find-board": "/admin/rooms/room/find/?q=board",
            "find-nothing": "/admin/rooms/room/find/?q=nowhere",
            "rooms-none": "/admin/rooms/room/?q=nowhere",
            "rooms-archived": "/admin/rooms/room/?archived=yes",
            "move-some": f"/admin/rooms/room/move/?to=daily&rooms={some}",
            "move-refused": f"/admin/rooms/room/move/?to=whereby&rooms={some}",
            "wave-shrink-10": f"/admin/rooms/wave/{running.pk}/shrink/?percent=10",
            "wave-shrink-wrong": f"/admin/rooms/wave/{running.pk}/shrink/?percent=much",
        }.items()
    ]


def _values(route: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(state, parameter → value) for each time that this route is looked at."""
    names = [first or second for first, second in PARAMETER.findall(route)]
    model = _model_of(route)
    if not names:
        yield "", {}
    elif "command" in names and model is not None:
        alternatives = re.search(r"\(\?P<command>([^)]*)\)", route)
        assert alternatives is not None
        for command in alternatives[1].split("|"):
            row = _row_for(model, command)
            yield command, {"pk": str(row.pk), "command": command}
    elif len(names) == 1 and names[0] in ROW and model is not None:
        # Django's own page of changes is the same for every row
        for state, row in _rows(model)[: 1 if route.endswith("/history/") else MOST_STATES]:
            yield state, {names[0]: str(row.pk)}
    elif names == ["app_label"]:
        yield from ((app, {"app_label": app}) for app in ("rooms", "meetings", "recordings", "platforms", "auth"))
    elif names == ["uidb64", "token"]:
        user = User.objects.get(username="vera")
        uid = urlsafe_base64_encode(force_bytes(user.pk))
        yield "", {"uidb64": uid, "token": default_token_generator.make_token(user)}
        yield "wrong", {"uidb64": uid, "token": "c0ffee-0123456789"}
    else:
        for platform in ("daily", "whereby"):
            yield platform, _explained(route, names, platform)


def _explained(route: str, names: list[str], platform: str) -> dict[str, str]:
    batch = Move.objects.filter(source=Move.Source.SCHEDULE).values_list("batch", flat=True).first()
    known = {"slug": platform, "platform": platform, "key": "bucket", "batch": str(batch)}
    unknown = set(names) - set(known)
    assert not unknown, f"{route}: say in {__name__} what {unknown} may be, so that this page is looked at"
    return {name: known[name] for name in names}


def _model_of(route: str) -> type[Model] | None:
    parts = route.split("/")
    try:
        return apps.get_model(parts[1], parts[2])
    except (LookupError, IndexError):
        return None


def _rows(model: type[Model]) -> list[tuple[str, Any]]:
    """A row for each state: of what the rows' page is made depends on it."""
    found: dict[str, Any] = {}
    for row in model._default_manager.order_by("pk")[:2000]:
        state = str(getattr(row, "status", None) or getattr(row, "state", None) or "")
        found.setdefault(state, row)
    assert found, f"there is no {model._meta.verbose_name} to look at: make one in tests/browser/everything.py"
    return list(found.items())


def _row_for(model: type[Model], command: str) -> Any:
    """A row that can be told to do this."""
    wanted = {str(one): states for one, states in WAVE_COMMANDS.items()}
    if model is not Wave:
        from rooms.experiments.commands import ALLOWED  # the same for experiments

        wanted = {str(one): states for one, states in ALLOWED.items()}
    return model._default_manager.filter(status__in=wanted[command]).order_by("pk")[0]


def nobody_may(address: Address, request: Any) -> bool:
    """A page that the admin has for every kind of row and that is closed to everybody for this one."""
    model = _model_of(address.route)
    page = admin.site._registry.get(model) if model else None
    if page is None:
        return False
    if address.route.endswith("/add/"):
        return not page.has_add_permission(request)
    if address.route.endswith("/delete/"):
        row = page.get_object(request, address.url.split("/")[4])
        return not page.has_delete_permission(request, row)
    return False
