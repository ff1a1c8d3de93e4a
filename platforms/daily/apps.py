from django.apps import AppConfig


class DailyConfig(AppConfig):
    name = "platforms.daily"
    label = "platforms_daily"
    verbose_name = "Daily"
