"""The three groups of staff: what a new database gives them, and what each may do on every page of the admin."""

import os
import sqlite3
import subprocess
import sys

import pytest
from django.apps import apps
from django.conf import settings as here
from django.contrib.auth.models import Group, Permission

from rooms import rights
from tests.environment import for_tests

ANSWERS = {200, 301, 302, 403, 404, 405}


# -- the database


def manage(folder, *arguments):
    environment = for_tests(os.environ) | {"DATABASE_URL": f"sqlite:///{folder / 'db'}", "VAR_DIR": str(folder)}
    environment |= {"DJANGO_SETTINGS_MODULE": "reflector_project.settings"}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=here.BASE_DIR, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def granted(folder):
    """Group → {(app, codename, name)} as the database has it."""
    with sqlite3.connect(folder / "db") as database:
        rows = database.execute(
            "SELECT g.name, c.app_label, p.codename, p.name FROM auth_group g"
            " LEFT JOIN auth_group_permissions gp ON gp.group_id = g.id"
            " LEFT JOIN auth_permission p ON p.id = gp.permission_id"
            " LEFT JOIN django_content_type c ON c.id = p.content_type_id"
        ).fetchall()
    found = {}
    for name, *right in rows:
        found.setdefault(name, set()).add(tuple(right))
    return found


def test_a_new_database_has_the_groups_with_all_their_rights_and_takes_them_back(tmp_path):
    expected = {}
    for name, names in rights.GROUPS.items():
        for one in names:
            app, _, codename = one.partition(".")
            expected.setdefault(name, set()).add((app, codename, rights.known(app)[codename][1]))
    manage(tmp_path, "migrate", "-v0")
    assert granted(tmp_path) == expected
    manage(tmp_path, "migrate", "-v0", "rooms", "0006")
    assert granted(tmp_path) == {}
    manage(tmp_path, "migrate", "-v0")
    assert granted(tmp_path) == expected


def test_every_right_that_is_named_is_one_and_each_group_holds_the_one_before():
    for names in rights.GROUPS.values():
        assert [one for one in names if one.partition(".")[2] not in rights.known(one.partition(".")[0])] == []
        assert len(set(names)) == len(names)
    viewers, operators, leads = (set(rights.GROUPS[name]) for name in (rights.VIEWERS, rights.OPERATORS, rights.LEADS))
    assert viewers < operators < leads
    assert {one.partition(".")[2].partition("_")[0] for one in viewers} == {"view"}
    assert not [one for one in leads if "delete_" in one or one.startswith(("auth.add", "auth.change", "admin."))]


@pytest.mark.django_db
def test_names_are_those_that_django_gives():
    for app in rights.LOOK_AT:
        given = dict(Permission.objects.filter(content_type__app_label=app).values_list("codename", "name"))
        assert {codename: name for codename, (_, name) in rights.known(app).items()} == given


@pytest.mark.django_db
def test_what_staff_gave_a_group_besides_stays():
    group, _ = Group.objects.get_or_create(name=rights.VIEWERS)
    extra = Permission.objects.get(codename="add_user")
    group.permissions.set([extra])
    rights.grant(apps)
    rights.grant(apps)
    assert extra in group.permissions.all()
    assert group.permissions.count() == len(rights.GROUPS[rights.VIEWERS]) + 1
