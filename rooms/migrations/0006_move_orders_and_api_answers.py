import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rooms", "0005_outcome_looks_and_watched_kinds"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="moveorder",
            name="batch",
            field=models.UUIDField(default=uuid.uuid4, editable=False, help_text="Its moves share it."),
        ),
        migrations.AddField(
            model_name="moveorder",
            name="undoes",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="undone_by", to="rooms.moveorder"
            ),
        ),
        migrations.AlterField(
            model_name="moveorder",
            name="kind",
            field=models.CharField(
                choices=[("scheduled", "scheduled"), ("bulk", "many rooms at once"), ("undo", "taking back")],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="moveorderroom",
            name="state",
            field=models.CharField(
                choices=[
                    ("waiting", "waiting"),
                    ("moved", "moved"),
                    ("skipped", "was there already"),
                    ("refused", "not moved"),
                ],
                default="waiting",
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="ApiAnswer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=255)),
                ("request_hash", models.CharField(help_text="SHA-256 of path and body.", max_length=64)),
                ("status", models.PositiveSmallIntegerField(default=0)),
                ("body", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "key"), name="one_answer_per_key")],
            },
        ),
    ]
