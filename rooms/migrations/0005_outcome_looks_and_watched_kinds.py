import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rooms", "0004_waves_experiments_outcomes")]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="aa_waived",
            field=models.TextField(blank=True, editable=False),
        ),
        migrations.AddField(
            model_name="experiment",
            name="watched",
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name="outcome",
            name="look_at",
            field=models.DateTimeField(default=django.utils.timezone.now, null=True),
        ),
        migrations.AddIndex(
            model_name="outcome",
            index=models.Index(
                condition=models.Q(("look_at__isnull", False)), fields=["look_at"], name="outcome_to_look_at"
            ),
        ),
    ]
