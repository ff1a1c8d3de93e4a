"""Meetings learn which platform they are on; those that existed before were on Whereby."""

from django.db import migrations, models

import platforms.registry


class Migration(migrations.Migration):
    dependencies = [("meetings", "0001_initial"), ("rooms", "0002_room_platform")]

    operations = [
        migrations.AddField(
            "meeting",
            "platform",
            models.CharField(choices=platforms.registry.platform_choices, default="whereby", max_length=32),
        ),
        migrations.AlterField(
            "meeting", "platform", models.CharField(choices=platforms.registry.platform_choices, max_length=32)
        ),
    ]
