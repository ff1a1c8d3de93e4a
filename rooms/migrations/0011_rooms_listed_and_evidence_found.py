from django.conf import settings
from django.db import migrations, models

from platforms.trigrams import trigram_index


class Migration(migrations.Migration):
    dependencies = [
        ("rooms", "0010_listed_at_scale"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="room",
            index=models.Index(fields=["name", "id"], name="room_listed"),
        ),
        trigram_index("rooms_outcome", "words"),
    ]
