"""What providers tell of a session without saying whose it is."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("meetings", "0007_names_for_staff")]

    operations = [
        migrations.CreateModel(
            name="NamelessSession",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("joined_at", models.DateTimeField(null=True)),
                ("last_joined_at", models.DateTimeField(null=True)),
                ("reported_left_at", models.DateTimeField(null=True)),
                ("last_seen_at", models.DateTimeField(null=True)),
                ("session_id", models.CharField(max_length=200)),
                ("name", models.CharField(blank=True, max_length=120)),
                ("named_at", models.DateTimeField(null=True)),
                ("is_host", models.BooleanField(default=False)),
                ("is_person", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "meeting",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="nameless_sessions",
                        to="meetings.meeting",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("meeting", "session_id"), name="nameless_session_once_per_meeting"),
                ],
            },
        ),
    ]
