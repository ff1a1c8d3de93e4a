"""The groups of staff may look at tellings of alerts, and operators try them again (``rooms.rights``)."""

from django.db import migrations

from rooms import rights


def forwards(apps, schema_editor):
    rights.grant(apps)


class Migration(migrations.Migration):
    dependencies = [
        ("rooms", "0008_experiment_guarded_from"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
