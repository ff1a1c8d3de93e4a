from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("platforms", "0005_tokens_of_calls"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(fields=["received_at", "id"], name="webhookevent_listed"),
        ),
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(fields=["event_type"], name="webhookevent_type"),
        ),
    ]
