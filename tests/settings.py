"""The project's own settings, loaded in an environment that holds nothing of this machine: no ``.env``, no account,
no sandbox that happens to run. What differs from production is said in variables only, so that processes which a
test starts read the same.

``TEST_DATABASE_URL`` chooses the database (default: SQLite in memory).
"""

import os
import re
from pathlib import Path

_EXAMPLE = Path(__file__).parent.parent / ".env.example"
for _name in re.findall(r"^#?([A-Z][A-Z0-9_]+)=", _EXAMPLE.read_text(), re.MULTILINE):
    os.environ.pop(_name, None)

os.environ.update(
    {
        "ENV_FILE": os.devnull,
        "DEBUG": "true",  # static files without a manifest; pages under test run with DEBUG off all the same
        "SECRET_KEY": "only-for-tests",
        "USE_SANDBOX": "false",
        "BROKER_URL": "stub://",
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", "sqlite://:memory:"),
        "EMAIL_URL": "memorymail://",
        "PUBLIC_URL": "http://testserver",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    }
)

from reflector_project.settings import *  # noqa: E402, F403

# what a test starts must read the settings that everybody else reads, under the variables above
os.environ["DJANGO_SETTINGS_MODULE"] = "reflector_project.settings"
