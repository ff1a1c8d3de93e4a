from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class PlatformsConfig(AppConfig):
    name = "platforms"
    verbose_name = "Platforms"

    def ready(self) -> None:
        from platforms import checks  # noqa: F401

        # every process knows all actors (it wakes them by name), all periodic jobs and all readiness checks
        autodiscover_modules("tasks", "periodic", "health")
