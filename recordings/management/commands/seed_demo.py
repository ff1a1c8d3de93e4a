"""``manage.py seed_demo``: a demo to look at, in an empty database only."""

from __future__ import annotations

import os
import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from platforms import registry
from rooms.models import Room


class Command(BaseCommand):
    help = "Rooms, a staff user and some days of history, only under DEBUG and only into an empty database."

    def handle(self, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo is for development: it needs DEBUG=true.")
        users = get_user_model()._default_manager
        if users.exists() or Room.objects.exists():
            self.stdout.write("The database is not empty; nothing was seeded.")
            return
        password = os.environ.get("DEMO_PASSWORD") or secrets.token_urlsafe(9)
        staff = users.create_superuser("staff", "staff@localhost", password, first_name="Sam", last_name="Staff")
        for adapter in registry.configured():
            Room.objects.create(
                name=f"Demo on {adapter.label}",
                slug=f"demo-{adapter.slug}",
                platform=adapter.slug,
                owner=staff,
                is_shared=True,
            )
        self.stdout.write(f"Sign in as staff with the password {password}")
