from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("meetings", "0003_meeting_platform_fixed")]

    operations = [
        migrations.CreateModel(
            name="GuestJoins",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("who", models.CharField(max_length=64)),
                ("minute", models.DateTimeField()),
                ("count", models.PositiveIntegerField(default=0)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("who", "minute"), name="guest_joins_once_per_minute")],
            },
        ),
    ]
