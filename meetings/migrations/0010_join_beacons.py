import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("meetings", "0009_fell_back_from"),
        ("rooms", "0006_move_orders_and_api_answers"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="JoinBeacon",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("pressed_at", models.DateTimeField()),
                ("framed_ms", models.PositiveIntegerField(null=True)),
                ("joined_at", models.DateTimeField(null=True)),
                ("joined_ms", models.PositiveIntegerField(null=True)),
                ("failed_at", models.DateTimeField(null=True)),
                (
                    "failure",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("sdk", "the platform’s script did not load"),
                            ("connection", "the call could not be reached"),
                            ("full", "the call was full"),
                            ("other", "the call ended before it began"),
                        ],
                        max_length=12,
                    ),
                ),
                ("left_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "join",
            },
        ),
        migrations.AddField(
            model_name="meeting",
            name="outcomes_expected_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="meeting",
            index=models.Index(
                condition=models.Q(("outcomes_expected_at__isnull", True)),
                fields=["created_at"],
                name="meeting_to_be_judged",
            ),
        ),
        migrations.AddField(
            model_name="joinbeacon",
            name="participant",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="beacon", to="meetings.participant"
            ),
        ),
    ]
