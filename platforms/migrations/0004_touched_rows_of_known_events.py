from itertools import islice

from django.db import migrations


def index(apps, schema_editor):
    """A row for each pair that a delivery's ``touched`` holds."""
    WebhookEvent = apps.get_model("platforms", "WebhookEvent")
    Touched = apps.get_model("platforms", "Touched")
    known = WebhookEvent.objects.exclude(touched=[]).order_by("pk").values_list("pk", "touched", "received_at")
    rows = (
        Touched(event_id=pk, label=label, key=key, received_at=received_at)
        for pk, touched, received_at in known.iterator(chunk_size=1000)
        for label, key in touched
    )
    while some := list(islice(rows, 1000)):
        Touched.objects.bulk_create(some, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("platforms", "0003_touched_rows")]
    operations = [migrations.RunPython(index, migrations.RunPython.noop)]
