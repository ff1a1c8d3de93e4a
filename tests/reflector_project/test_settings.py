"""What is read from the environment: each variable is explained with its default, and what cannot be read is named."""

import ast
import re

import pytest
from django.conf import settings as here

from platforms import registry
from tests.environment import EXAMPLE
from tests.reflector_project.test_production import run

LINES = dict(re.findall(r"^#([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))
#: where the checkout itself is told from, and what runs it
NOT_FOR_OPERATORS = {"ENV_FILE", "DJANGO_SETTINGS_MODULE"}
PRINT = """
from reflector_project import settings
for name, value in sorted(vars(settings).items()):
    if name[0] != "_" and name.isupper() and name not in ("OPERATOR_ENVIRON", "PLATFORM_ENVIRON"):
        print(name, value)
import django
django.setup()
from platforms import registry
for slug, adapter in registry.adapters().items():
    print(slug, adapter.client.http.base_url, adapter.origins(), adapter.configured)
"""


def read_in(source):
    """Names of the environment variables that the settings read, by ``read``, ``env`` or ``os.environ``."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    asking = [call for call in calls if re.match(r"read$|env\.|os\.environ\.", ast.unparse(call.func))]
    words = [each.value for call in asking for each in call.args if isinstance(each, ast.Constant)]
    return {word for word in words if isinstance(word, str) and re.fullmatch(r"[A-Z][A-Z0-9_]+", word)}


def test_every_variable_is_explained():
    source = here.BASE_DIR / "reflector_project" / "settings.py"
    needed = read_in(source.read_text()) | {"DEMO_PASSWORD"}
    for adapter in registry.adapter_classes().values():
        needed |= {*adapter.required, *adapter.optional}
    assert len(needed) > 50
    assert needed - NOT_FOR_OPERATORS - LINES.keys() == set()


def test_every_line_shows_its_default(tmp_path):
    """A copy of the file in which every line is uncommented says what no file says."""
    alone = dict.fromkeys([*LINES, "ENV_FILE"]) | {"VAR_DIR": str(tmp_path), "SECRET_KEY": "x", "DEBUG": "false"}
    copy = tmp_path / "copy"
    copy.write_text("\n".join(f"{name}={value}" for name, value in LINES.items() if alone[name] is None))
    said = [run("-c", PRINT, **alone | more) for more in ({"ENV_FILE": "/dev/null"}, {"ENV_FILE": str(copy)})]
    assert [done.stderr for done in said] == ["", ""]
    assert said[0].stdout.replace("/dev/null", str(copy)) == said[1].stdout
    assert "DEFAULT_PLATFORM whereby" in said[0].stdout


@pytest.mark.parametrize(
    ("value", "folder"), [("/else/where", "/else/where"), ("here", here.BASE_DIR / "here"), ("", here.BASE_DIR / "var")]
)
def test_the_folder_of_what_we_make_may_stand_in_the_file(tmp_path, value, folder):
    (tmp_path / "file").write_text(f"VAR_DIR={value}")
    done = run(
        "-c",
        "from reflector_project import settings; print(settings.VAR_DIR, settings.MEDIA_STORAGE)",
        ENV_FILE=str(tmp_path / "file"),
        DATABASE_URL="postgres://nobody@nowhere/nothing",  # so that no folder is made
    )
    assert done.stdout.split() == [str(folder), f"file://{folder}/media"], done.stderr


def test_a_folder_that_is_not_there_is_made(tmp_path):
    alone = {"VAR_DIR": str(tmp_path / "a" / "b"), "SECRET_KEY": "", "DEBUG": "true", "PUBLIC_URL": None}
    said = [run("-c", "from reflector_project import settings; print(settings.SECRET_KEY)", **alone) for _ in range(2)]
    assert said[0].stdout == said[1].stdout != "\n", said[0].stderr
    assert (tmp_path / "a" / "b" / "secret_key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "ture"),
        ("BEHIND_PROXY", "maybe"),
        ("PORT", "99999"),
        ("SANDBOX_PORT", "0"),
        ("EMBEDDED_BROKER_PORT", "valkey"),
        ("MEETING_HOURS", "eight"),
        ("EMPTY_GRACE_S", "inf"),
        ("WEB_THREADS", "many"),
        ("DATABASE_URL", "localhost"),
        ("EMAIL_URL", "mail.example.org"),
        ("LOG_LEVEL", "loud"),
        ("TIME_ZONE", "Berlin"),
    ],
)
def test_what_cannot_be_read_is_named(name, value):
    done = run("-c", "from reflector_project import settings", **{name: value})
    assert done.returncode
    assert done.stderr.splitlines()[-1].startswith(f"django.core.exceptions.ImproperlyConfigured: {name} ")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"MEETING_HOURS": "x"}, "MEETING_HOURS cannot be read; .env.example shows what it looks like."),
        ({"SECRET_KEY": "", "DEBUG": "false"}, "SECRET_KEY is not set."),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(variables, said):
    done = run("manage.py", "doctor", **variables)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Settings: {said}")
    assert "Traceback" not in done.stderr
