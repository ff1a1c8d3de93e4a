from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rooms", "0007_groups")]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="guarded_from",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
