from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MeetingsConfig(AppConfig):
    name = "meetings"
    verbose_name = "Meetings"

    def ready(self) -> None:
        from meetings import receivers, timeline  # noqa: F401

        post_migrate.connect(keep_platform_fixed, sender=self, dispatch_uid="meetings.keep_platform_fixed")


def keep_platform_fixed(using: str, **_: Any) -> None:
    """SQLite alters a table by building it anew, and drops its triggers with the old one: put ours back."""
    from django.db import connections

    connection = connections[using]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        columns = {column.name for column in connection.introspection.get_table_description(cursor, "meetings_meeting")}
        if "platform" in columns:
            cursor.execute(
                """
                CREATE TRIGGER IF NOT EXISTS meetings_meeting_platform_fixed
                BEFORE UPDATE OF platform ON meetings_meeting FOR EACH ROW WHEN NEW.platform IS NOT OLD.platform
                BEGIN SELECT RAISE(ABORT, 'a meeting never changes platform'); END
                """
            )
