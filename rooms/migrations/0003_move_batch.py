"""Moves of one decision share a batch, so that they can be taken back together."""

import uuid

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rooms", "0002_room_platform")]

    operations = [
        migrations.AddField(
            "move",
            "batch",
            models.UUIDField(db_index=True, default=uuid.uuid4, help_text="Moves of one decision share it."),
        ),
    ]
