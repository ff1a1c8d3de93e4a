"""Captures tell the room's trigger from a host's wish."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("meetings", "0005_presence_entry_and_capture")]

    operations = [
        migrations.AddField(
            "capture",
            "is_automatic",
            models.BooleanField(default=False, help_text="Started by the room's trigger, not by a host."),
        ),
    ]
