"""The admin's own order: what staff look for most stands first."""

import re

import pytest

pytestmark = pytest.mark.django_db


def test_rooms_stand_first_and_accounts_last(admin_client):
    page = admin_client.get("/admin/rooms/move/").content.decode()
    side = page[page.index('id="nav-sidebar"') :]
    apps = re.findall(r'<a href="/admin/(\w+)/" class="section"', side)
    assert apps[:4] == ["rooms", "meetings", "recordings", "platforms"]
    assert {"auth", "authtoken"} <= {*apps[4:]}
    lists = re.findall(r'<a href="/admin/rooms/(\w+)/"(?: aria-current="page")?>', side)
    assert lists[:3] == ["room", "wave", "experiment"]
    assert "waiver" in lists[3:]
