"""Which platforms this deployment knows, and their adapters.

``settings.PLATFORMS`` lists Python packages; each is an installed app whose ``adapter`` module exports its class as
``ADAPTER``. ``settings.PLATFORM_ENVIRON`` is the environment (after ``.env``) that adapters are built from, and
``settings.PLATFORM_RATE_BUDGETS`` may narrow their request rates: slug → operation → (requests, per seconds).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils import timezone

from platforms.base import Adapter

WATCHED_SETTINGS = frozenset({"PLATFORMS", "PLATFORM_ENVIRON", "PLATFORM_RATE_BUDGETS"})


class UnknownPlatform(LookupError):
    """No installed platform has this slug."""


@cache
def adapter_classes() -> Mapping[str, type[Adapter]]:
    """Slug → adapter class, in the order of ``settings.PLATFORMS``."""
    classes: dict[str, type[Adapter]] = {}
    for package in settings.PLATFORMS:
        adapter_class: type[Adapter] = import_module(f"{package}.adapter").ADAPTER
        if adapter_class.slug in classes:
            raise ValueError(f"two platforms share the slug {adapter_class.slug!r}")
        classes[adapter_class.slug] = adapter_class
    return classes


@cache
def adapters() -> Mapping[str, Adapter]:
    """Slug → adapter, one of each per process, configured or not."""
    budgets = getattr(settings, "PLATFORM_RATE_BUDGETS", {})
    built: dict[str, Adapter] = {}
    for slug, adapter_class in adapter_classes().items():
        adapter = adapter_class.from_environment(settings.PLATFORM_ENVIRON, timezone.now)
        if slug in budgets:
            adapter.set_rate_budgets(budgets[slug])
        built[slug] = adapter
    return built


def get(slug: str) -> Adapter:
    """Raises ``UnknownPlatform``."""
    try:
        return adapters()[slug]
    except KeyError:
        known = ", ".join(adapters()) or "none"
        raise UnknownPlatform(f"no platform is called {slug!r}; known: {known}") from None


def configured() -> list[Adapter]:
    return [adapter for adapter in adapters().values() if adapter.configured]


def platform_choices() -> list[tuple[str, str]]:
    """For a model's ``choices=``: every known platform, configured or not, so that old rows keep their label."""
    return [(slug, str(adapter_class.label)) for slug, adapter_class in adapter_classes().items()]


def default_platform() -> str:
    return str(settings.DEFAULT_PLATFORM)


def reset(*, setting: str = "", **_: Any) -> None:
    """Forget the built adapters when a test overrides the settings that they come from."""
    if not setting or setting in WATCHED_SETTINGS:
        adapter_classes.cache_clear()
        adapters.cache_clear()


setting_changed.connect(reset, dispatch_uid="platforms.registry.reset")
