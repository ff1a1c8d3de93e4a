from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rooms", "0011_rooms_listed_and_evidence_found")]

    operations = [
        migrations.AddField(
            model_name="moveorder",
            name="is_from_shell",
            field=models.BooleanField(default=False, editable=False),
        ),
    ]
