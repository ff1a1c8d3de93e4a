"""What presence, entering and recording control remember."""

from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("meetings", "0004_guest_joins"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField("meeting", "presence_before_at", models.DateTimeField(null=True)),
        migrations.AddField("meeting", "session_seen_at", models.DateTimeField(null=True)),
        migrations.AddField("participant", "entered_at", models.DateTimeField(null=True)),
        migrations.AddField("participant", "named_at", models.DateTimeField(null=True)),
        migrations.AddField("capture", "ordered_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "capture",
            "accepted_at",
            models.DateTimeField(null=True, help_text="The provider took the order to start."),
        ),
        migrations.AddField("capture", "failed_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "capture",
            "ready_at",
            models.DateTimeField(null=True, help_text="The provider has the finished recording."),
        ),
        migrations.AddField("capture", "may_resume", models.BooleanField(default=False)),
        migrations.AddConstraint(
            "participant",
            models.UniqueConstraint(
                fields=["meeting", "user"], condition=Q(user__isnull=False), name="account_once_per_meeting"
            ),
        ),
    ]
