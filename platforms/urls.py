"""Addresses that machines call: webhooks and health. All work with and without a slash at the end."""

from collections.abc import Iterator

from django.urls import URLPattern, path

from platforms import health, registry
from platforms.views import WebhookDoor


def _doors() -> Iterator[URLPattern]:
    for slug, adapter_class in registry.adapter_classes().items():
        own = f"v1/webhooks/{slug}"
        for address in (own, *adapter_class.webhook_paths):
            view = WebhookDoor.as_view(platform=slug)
            yield path(address, view, name=f"webhook-{slug}" if address == own else None)
            yield path(f"{address}/", view)


urlpatterns: list[URLPattern] = [
    *_doors(),
    path("healthz", health.healthz, name="healthz"),
    path("healthz/", health.healthz),
    path("readyz", health.readyz, name="readyz"),
    path("readyz/", health.readyz),
]
