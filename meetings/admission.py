"""What a call page admits from elsewhere: this meeting's platform, exactly, and nothing on any other page."""

from __future__ import annotations

from django.http import HttpResponse

from platforms.base import Origins

#: features that a call uses and that a page has to delegate to the platform's frame
FEATURES = (
    "autoplay",
    "camera",
    "compute-pressure",
    "display-capture",
    "fullscreen",
    "microphone",
    "screen-wake-lock",
)


def admit(response: HttpResponse, origins: Origins, *, sdk_url: str = "") -> None:
    """Let ``response`` frame, load and connect to a platform. ``sdk_url`` where the SDK comes from a CDN."""
    more: dict[str, list[str]] = {"connect-src": ["'self'", *origins.connect]}
    if scripts := [*origins.script, *([sdk_url] if sdk_url else [])]:
        more["script-src"] = scripts
    if origins.style:
        more["style-src"] = list(origins.style)
    # read by csp.middleware.CSPMiddleware; its decorators can only say what is known when the module is loaded
    response._csp_update = more  # type: ignore[attr-defined]
    response._csp_replace = {"frame-src": list(origins.frame) or ["'none'"]}  # type: ignore[attr-defined]
    allowed = " ".join(["self", *(f'"{origin}"' for origin in origins.permissions)])
    response.headers["Permissions-Policy"] = ", ".join(
        [*(f"{feature}=({allowed})" for feature in FEATURES), "geolocation=()", "usb=()", "payment=()"]
    )
