"""What staff read in the admin: stays and recording orders."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("meetings", "0006_capture_is_automatic")]

    operations = [
        migrations.AlterModelOptions(
            name="capture", options={"ordering": ["wanted_at"], "verbose_name": "recording order"}
        ),
        migrations.AlterModelOptions(
            name="participantsession", options={"ordering": ["joined_at", "pk"], "verbose_name": "stay"}
        ),
    ]
