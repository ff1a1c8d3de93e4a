"""The environment of a test run: nothing of this machine's ``.env``, sandbox or accounts in it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / ".env.example"


def for_tests(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without any variable of ours, plus what differs between a test run and production.

    ``TEST_DATABASE_URL`` chooses the database (default: SQLite in memory).
    """
    ours = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", EXAMPLE.read_text(), re.MULTILINE))
    return {name: value for name, value in environ.items() if name not in ours} | {
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "only-for-tests",
        "DEBUG": "true",
        "USE_SANDBOX": "false",
        "BROKER_URL": "stub://",
        "DATABASE_URL": environ.get("TEST_DATABASE_URL", "sqlite://:memory:"),
        "EMAIL_URL": "memorymail://",
        "PUBLIC_URL": "http://testserver",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    }
