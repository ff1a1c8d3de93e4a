"""Rooms learn which platform their next meeting opens on; those that existed before are on Whereby."""

from django.db import migrations, models

import platforms.registry


class Migration(migrations.Migration):
    dependencies = [("rooms", "0001_initial")]

    operations = [
        migrations.AddField(
            "room",
            "platform",
            models.CharField(
                choices=platforms.registry.platform_choices, default="whereby", editable=False, max_length=32
            ),
        ),
        migrations.AlterField(
            "room",
            "platform",
            models.CharField(
                choices=platforms.registry.platform_choices,
                default=platforms.registry.default_platform,
                editable=False,
                max_length=32,
            ),
        ),
    ]
