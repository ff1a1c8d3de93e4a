from django.apps import AppConfig


class WherebyConfig(AppConfig):
    name = "platforms.whereby"
    label = "platforms_whereby"
    verbose_name = "Whereby"
