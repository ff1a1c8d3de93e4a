import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("meetings", "0008_nameless_sessions")]

    operations = [
        migrations.AddField(
            model_name="meeting",
            name="fell_back_from",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="fell_back_to",
                to="meetings.meeting",
            ),
        ),
    ]
