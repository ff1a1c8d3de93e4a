"""Indexes that find a part of a word, on PostgreSQL; elsewhere, or without its extension, the search reads the table.

``pg_trgm`` comes with PostgreSQL and any owner of a database may create it. Where it is missing, the migration says so
and goes on.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import DatabaseError, transaction
from django.db.migrations import RunPython

log = logging.getLogger(__name__)

EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"


def trigram_index(table: str, column: str) -> RunPython:
    """For ``icontains`` on a column of text, which Django asks for in capitals."""
    name = f"{table}_{column}_trigrams"

    def forwards(apps: Any, schema_editor: Any) -> None:
        connection = schema_editor.connection
        if connection.vendor != "postgresql":
            return
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute(EXTENSION)
                cursor.execute(f'CREATE INDEX "{name}" ON "{table}" USING gin (upper("{column}") gin_trgm_ops)')
        except DatabaseError as error:
            log.warning("No index for searching %s.%s, which will be slow: %s", table, column, error)

    def backwards(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f'DROP INDEX IF EXISTS "{name}"')

    return RunPython(forwards, backwards, elidable=False)
