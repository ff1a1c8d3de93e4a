"""Uses of a kill switch that still name somebody were not on the command line; of the others nobody can tell."""

from typing import Any

from django.db import migrations


def told(apps: Any, schema_editor: Any) -> None:
    switches = apps.get_model("rooms", "PlatformSwitch").objects
    switches.filter(actor__isnull=False, is_from_shell__isnull=True).update(is_from_shell=False)


class Migration(migrations.Migration):
    dependencies = [("rooms", "0014_platformswitch_is_from_shell")]

    operations = [migrations.RunPython(told, migrations.RunPython.noop, elidable=True)]
