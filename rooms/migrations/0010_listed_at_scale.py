from django.conf import settings
from django.db import migrations, models

from platforms.trigrams import trigram_index


class Migration(migrations.Migration):
    dependencies = [
        ("rooms", "0009_groups_see_deliveries_of_alerts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="move",
            index=models.Index(fields=["moved_at", "id"], name="move_listed"),
        ),
        migrations.AddIndex(
            model_name="outcome",
            index=models.Index(fields=["met_at", "id"], name="outcome_listed"),
        ),
        trigram_index("rooms_room", "name"),
        trigram_index("rooms_room", "slug"),
    ]
