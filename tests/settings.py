"""The project's own settings in the environment of a test run.

What differs from production is said in variables only, so that processes which a test starts read the same.
"""

import os

from tests.environment import for_tests

_environment = for_tests(os.environ)
os.environ.clear()
os.environ.update(_environment)

from reflector_project.settings import *  # noqa: E402, F403

# what a test starts must read the settings that everybody else reads, under the variables above
os.environ["DJANGO_SETTINGS_MODULE"] = "reflector_project.settings"
