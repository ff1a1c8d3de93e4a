"""The database itself refuses to change a meeting's platform, raw SQL included."""

from django.db import migrations

MESSAGE = "a meeting never changes platform"

FORWARD = {
    "sqlite": [
        f"""
        CREATE TRIGGER meetings_meeting_platform_fixed BEFORE UPDATE OF platform ON meetings_meeting
        FOR EACH ROW WHEN NEW.platform IS NOT OLD.platform
        BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END
        """
    ],
    "postgresql": [
        f"""
        CREATE FUNCTION meetings_refuse_platform_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$
        """,
        """
        CREATE TRIGGER meetings_meeting_platform_fixed BEFORE UPDATE OF platform ON meetings_meeting
        FOR EACH ROW WHEN (NEW.platform IS DISTINCT FROM OLD.platform)
        EXECUTE FUNCTION meetings_refuse_platform_change()
        """,
    ],
}
BACKWARD = {
    "sqlite": ["DROP TRIGGER IF EXISTS meetings_meeting_platform_fixed"],
    "postgresql": [
        "DROP TRIGGER IF EXISTS meetings_meeting_platform_fixed ON meetings_meeting",
        "DROP FUNCTION IF EXISTS meetings_refuse_platform_change()",
    ],
}


def run(statements):
    def apply(apps, schema_editor):
        for statement in statements[schema_editor.connection.vendor]:
            schema_editor.execute(statement, params=None)

    return apply


class Migration(migrations.Migration):
    dependencies = [("meetings", "0002_meeting_platform")]

    operations = [migrations.RunPython(run(FORWARD), run(BACKWARD))]
