"""Empty for the uses that there are: whether an empty ``actor`` was the command line was not written down."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rooms", "0013_wave_required_checks_said")]

    operations = [
        migrations.AddField(
            model_name="platformswitch",
            name="is_from_shell",
            field=models.BooleanField(editable=False, null=True),
        ),
    ]
