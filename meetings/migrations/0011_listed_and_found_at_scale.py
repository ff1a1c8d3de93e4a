from django.conf import settings
from django.db import migrations, models

from platforms.trigrams import trigram_index


class Migration(migrations.Migration):
    dependencies = [
        ("meetings", "0010_join_beacons"),
        ("rooms", "0010_listed_at_scale"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="capture",
            index=models.Index(fields=["wanted_at", "id"], name="capture_listed"),
        ),
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(fields=["answered_at", "id"], name="consent_listed"),
        ),
        migrations.AddIndex(
            model_name="meeting",
            index=models.Index(fields=["created_at", "id"], name="meeting_listed"),
        ),
        migrations.AddIndex(
            model_name="meeting",
            index=models.Index(
                fields=["provider_room_id"], name="meeting_provider_id", opclasses=["varchar_pattern_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="participant",
            index=models.Index(fields=["created_at", "id"], name="participant_listed"),
        ),
        migrations.AddIndex(
            model_name="participant",
            index=models.Index(
                fields=["provider_user_id"], name="participant_provider_id", opclasses=["varchar_pattern_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="participantsession",
            index=models.Index(fields=["joined_at", "id"], name="stay_listed"),
        ),
        migrations.AddIndex(
            model_name="participantsession",
            index=models.Index(
                condition=models.Q(("left_at__isnull", True)), fields=["joined_at", "id"], name="stay_open_listed"
            ),
        ),
        migrations.AddIndex(
            model_name="participantsession",
            index=models.Index(fields=["session_id"], name="stay_session_id", opclasses=["varchar_pattern_ops"]),
        ),
        trigram_index("meetings_participant", "name"),
    ]
