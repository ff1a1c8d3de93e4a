"""What the platforms' side remembers: deliveries, signs of life, how the providers do, and alerts."""

from platforms.models.alerts import Alert, AlertDelivery
from platforms.models.health import ApiCallBucket, ReadinessResult, WebhookGap
from platforms.models.inbox import Heartbeat, Touched, WebhookEvent

__all__ = [
    "Alert",
    "AlertDelivery",
    "ApiCallBucket",
    "Heartbeat",
    "ReadinessResult",
    "Touched",
    "WebhookEvent",
    "WebhookGap",
]
