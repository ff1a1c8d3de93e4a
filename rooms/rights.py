"""Who may do what: three groups of staff, each of which may do all that the one before it may.

``GROUPS`` is the one place that says so. Migrations bring it into the database with ``grant``; who adds a line here
adds a migration that calls it again. Whoever may look at recordings may also play them: what was said in them stands
beside them in words. Who is in a group needs "staff status" besides, to get into the admin at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps

MOVE = "rooms.move_room"
PIN = "rooms.pin_room"
KILL_SWITCH = "rooms.add_platformswitch"

VIEWERS, OPERATORS, LEADS = "Viewers", "Room operators", "Migration leads"

LOOK_AT = {
    "rooms": (
        "room",
        "move",
        "moveorder",
        "wave",
        "waveroom",
        "experiment",
        "assignment",
        "outcome",
        "validation",
        "platformswitch",
        "waiver",
    ),
    "meetings": ("meeting", "participant", "participantsession", "consent", "consenttext", "capture"),
    "recordings": ("recording", "transcript"),
    "platforms": ("webhookevent", "heartbeat", "alert", "alertdelivery", "readinessresult", "webhookgap"),
}
#: to change a row that a provider or a machine wrote means to run it again; none of them can be edited
RUN_AGAIN = (
    "meetings.change_capture",
    "recordings.change_recording",
    "recordings.change_transcript",
    "platforms.change_webhookevent",
    "platforms.change_alertdelivery",
)

_look = tuple(f"{app}.view_{model}" for app, models in LOOK_AT.items() for model in models)
#: hosts and members of a room are picked by name, hence the accounts
_operate = ("rooms.add_room", "rooms.change_room", MOVE, PIN, *RUN_AGAIN, "auth.view_user")
_lead = (
    KILL_SWITCH,
    "rooms.add_wave",
    "rooms.change_wave",
    "rooms.add_waiver",
    "rooms.change_waiver",
    "rooms.add_experiment",
    "rooms.change_experiment",
)
GROUPS: Mapping[str, tuple[str, ...]] = {
    VIEWERS: _look,
    OPERATORS: (*_look, *_operate),
    LEADS: (*_look, *_operate, *_lead),
}


def grant(state: Any, groups: Mapping[str, Iterable[str]] = GROUPS) -> None:
    """Make the groups, and give each what is named here and it does not have. Takes nothing away.

    ``state`` are a migration's apps. Permission rows are made where they are missing: Django makes them only after
    the last migration, too late for a new database. Those of models that are gone by now are left out.
    """
    Group = state.get_model("auth", "Group")
    Permission = state.get_model("auth", "Permission")
    ContentType = state.get_model("contenttypes", "ContentType")
    for name, rights in groups.items():
        group, _ = Group.objects.get_or_create(name=name)
        for right in rights:
            app_label, _, codename = right.partition(".")
            if codename not in known(app_label):
                continue
            model, words = known(app_label)[codename]
            kind, _ = ContentType.objects.get_or_create(app_label=app_label, model=model)
            permission, _ = Permission.objects.get_or_create(
                content_type=kind, codename=codename, defaults={"name": words}
            )
            group.permissions.add(permission)


def take_away(state: Any, names: Iterable[str] = tuple(GROUPS)) -> None:
    """Remove the groups; the accounts in them stay."""
    state.get_model("auth", "Group").objects.filter(name__in=list(names)).delete()


def known(app_label: str) -> dict[str, tuple[str, str]]:
    """Codename → (model, name) of every permission of an app, as Django names them."""
    found: dict[str, tuple[str, str]] = {}
    for model in apps.get_app_config(app_label).get_models():
        meta = model._meta
        usual = [
            (f"{action}_{meta.model_name}", f"Can {action} {meta.verbose_name_raw}")
            for action in meta.default_permissions
        ]
        found |= {codename: (str(meta.model_name), name) for codename, name in (*usual, *meta.permissions)}
    return found
