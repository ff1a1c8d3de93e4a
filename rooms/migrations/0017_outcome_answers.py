from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rooms", "0016_outcomes_left_out"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="outcome",
            index=models.Index(fields=["meeting_id", "kind", "status"], name="outcome_answers"),
        ),
    ]
