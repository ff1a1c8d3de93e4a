"""The groups of staff, with what each may do (``rooms.rights``)."""

from django.db import migrations

from rooms import rights


def forwards(apps, schema_editor):
    rights.grant(apps)


def backwards(apps, schema_editor):
    rights.take_away(apps)


class Migration(migrations.Migration):
    dependencies = [
        ("rooms", "0006_move_orders_and_api_answers"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="room",
            options={
                "ordering": ["name", "pk"],
                "permissions": [
                    ("move_room", "Can move room to another platform"),
                    ("pin_room", "Can pin room to its platform"),
                ],
            },
        ),
        migrations.RunPython(forwards, backwards),
    ]
