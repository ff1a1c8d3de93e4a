from django.db import migrations, models

from platforms.trigrams import trigram_index


class Migration(migrations.Migration):
    dependencies = [
        ("meetings", "0011_listed_and_found_at_scale"),
        ("recordings", "0001_initial"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="recording",
            index=models.Index(fields=["found_at", "id"], name="recording_listed"),
        ),
        migrations.AddIndex(
            model_name="recording",
            index=models.Index(
                fields=["provider_recording_id"], name="recording_provider_id", opclasses=["varchar_pattern_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="recording",
            index=models.Index(fields=["sha256"], name="recording_sha256", opclasses=["varchar_pattern_ops"]),
        ),
        migrations.AddIndex(
            model_name="transcript",
            index=models.Index(fields=["created_at", "id"], name="transcript_listed"),
        ),
        trigram_index("recordings_transcriptsegment", "text"),
    ]
