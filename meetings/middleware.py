"""Headers that every page sends."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

#: nothing but a call page uses these; it sends a header of its own
NOTHING = "camera=(), microphone=(), display-capture=(), geolocation=(), usb=(), payment=()"


def permissions_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", NOTHING)
        return response

    return middleware
