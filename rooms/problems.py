"""Errors of the API: RFC 9457 problem details, each with a stable ``code`` and the id of the request."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

logger = logging.getLogger(__name__)

PROBLEM = "application/problem+json"


class Problem(exceptions.APIException):
    """An answer that is not what was asked for. ``detail`` is one sentence."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.more = more


def body_of(status: int, code: str, detail: str, request_id: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        **more,
    }


TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    415: "Unsupported media type",
    422: "Not valid",
    500: "Server error",
}


class ProblemView(APIView):
    """A view whose every answer carries ``X-Request-ID`` and whose errors are problems."""

    request_id: str

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        if request.user is None or not request.user.is_authenticated:
            raise exceptions.NotAuthenticated("Sign in, or send a token: Authorization: Token …")
        super().initial(request, *args, **kwargs)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self.request_id = uuid.uuid4().hex
        response = super().dispatch(request, *args, **kwargs)
        response.headers["X-Request-ID"] = self.request_id
        logger.info("request %s: %s %s %s", self.request_id, request.method, request.path, response.status_code)
        return response

    def handle_exception(self, exc: Exception) -> Response:
        try:
            response = super().handle_exception(exc)
        except Exception:  # noqa: BLE001  whatever goes wrong is answered in one shape
            logger.exception("request %s failed", self.request_id)
            return self.problem(500, "server_error", "Something went wrong here. Try again; tell us the request_id.")
        if isinstance(exc, Http404):
            exc = exceptions.NotFound()
        elif isinstance(exc, PermissionDenied):
            exc = exceptions.PermissionDenied()
        if isinstance(exc, exceptions.APIException):
            codes = exc.get_codes()
            code = codes if isinstance(codes, str) else exc.default_code
            more = exc.more if isinstance(exc, Problem) else {}
            response.data = body_of(response.status_code, code, _sentence(exc), self.request_id, **more)
            response.content_type = PROBLEM
        return response

    def problem(self, status: int, code: str, detail: str, **more: Any) -> Response:
        body = body_of(status, code, detail, self.request_id, **more)
        return Response(body, status=status, content_type=PROBLEM)

    def get_exception_handler(self) -> Any:
        return exception_handler


def _sentence(exc: exceptions.APIException) -> str:
    return exc.detail if isinstance(exc.detail, str) else str(exc.default_detail)
