from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class PlatformsConfig(AppConfig):
    name = "platforms"
    verbose_name = "Platforms"

    def ready(self) -> None:
        # every process knows all actors (it wakes them by name), periodic jobs, system and readiness checks
        autodiscover_modules("tasks", "periodic", "checks", "health")
        # ``platforms.periodic`` is where jobs are declared, so this app's own are elsewhere
        import_module("platforms.rounds")
