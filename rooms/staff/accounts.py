"""Accounts and groups as Django has them, with fields that work without a script, by keyboard and on a phone."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class AccountAdmin(UserAdmin):
    filter_horizontal = ()
    #: what happened is not typed
    readonly_fields = ("last_login", "date_joined")


@admin.register(Group)
class RightsAdmin(GroupAdmin):
    filter_horizontal = ()
