from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class PlatformsConfig(AppConfig):
    name = "platforms"
    verbose_name = "Platforms"

    def ready(self) -> None:
        # every process knows all actors (it wakes them by name), periodic jobs, system and readiness checks
        autodiscover_modules("tasks", "periodic", "checks", "health")
