"""The help text says what is checked by now; the database does not change."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rooms", "0012_moveorder_is_from_shell")]

    operations = [
        migrations.AlterField(
            model_name="wave",
            name="required_checks",
            field=models.JSONField(
                default=list, help_text="Keys of readiness checks that must have passed, besides all blocking ones."
            ),
        ),
    ]
