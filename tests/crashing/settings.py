"""The project's settings plus the crashing app."""

from reflector_project.settings import *  # noqa: F403
from reflector_project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.crashing"]
