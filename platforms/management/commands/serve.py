"""``manage.py serve``: the web server, on a laptop and in production.

waitress takes a request off the network completely before it takes a thread for it. Any number of senders that are
slow with headers or body (up to ``CONNECTIONS``) therefore hold up nobody, and a chunked body reaches Django whole.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from platforms.calls import writer

#: open connections; the next one waits in the kernel's queue
CONNECTIONS = 2000
#: bytes; the largest body is one that has exactly 1 MiB, and anything larger is answered 413 and not read
MAX_BODY = 1024 * 1024
MAX_HEADER = 32 * 1024
#: seconds without a byte after which a connection is closed
SILENCE_S = 60


class Command(BaseCommand):
    help = "Serve the site with waitress."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--listen", default="", help="address:port, default 127.0.0.1 and PORT; * for every address"
        )
        parser.add_argument("--threads", type=int, default=settings.WEB_THREADS)

    def handle(self, *, listen: str, threads: int, **options: Any) -> None:
        import waitress

        from reflector_project.wsgi import application

        writer.start()
        waitress.serve(application, listen=listen or f"127.0.0.1:{settings.PORT}", **server_options(threads))


def server_options(threads: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "threads": threads,
        "connection_limit": CONNECTIONS,
        "backlog": 1024,
        "channel_timeout": SILENCE_S,
        "asyncore_use_poll": True,  # select() ends at 1,024 descriptors
        "max_request_body_size": MAX_BODY + 1,
        "max_request_header_size": MAX_HEADER,
        "ident": None,
        "clear_untrusted_proxy_headers": True,
    }
    if settings.SECURE_PROXY_SSL_HEADER:
        options |= {
            "trusted_proxy": "*",
            "trusted_proxy_count": 1,
            "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
        }
    return options
