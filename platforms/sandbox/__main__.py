"""``python -m platforms.sandbox``: start, write the environment file, serve until told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from platforms.sandbox.config import PLATFORMS, Config, bucket_keys_beside, write_env_file

logger = logging.getLogger("platforms.sandbox")

THREADS = 48  # a call that hangs on purpose holds one


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m platforms.sandbox", description="Plays Daily and Whereby.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--state", type=Path, default=Path("var/sandbox"), help="folder that survives a restart")
    parser.add_argument("--env-file", type=Path, help="written at start: the variables that point the service here")
    parser.add_argument("--public-url", default="http://localhost:8000", help="the service that receives webhooks")
    parser.add_argument("--platforms", default=",".join(PLATFORMS), help="comma-separated; those without an account")
    parser.add_argument("--leave-port", type=int, default=0, help="not for the buckets: somebody else's")
    parser.add_argument("--gone-after", type=float, default=10.0, help="seconds without a sign of life of a page")
    parser.add_argument("--die-with-parent", action="store_true")
    args = parser.parse_args(argv)
    args.platforms = tuple(name for name in args.platforms.split(",") if name)
    unknown = set(args.platforms) - set(PLATFORMS)
    if unknown:
        parser.error(f"unknown platform: {', '.join(sorted(unknown))}")
    return args


def refuses(environ: Mapping[str, str]) -> bool:
    """A development tool: only where DEBUG is on, as the service itself reads it."""
    return environ.get("DEBUG", "").strip().lower() not in ("1", "true", "yes", "on", "y", "ok")


def watch_parent(stop: threading.Event) -> None:
    parent = os.getppid()
    while not stop.wait(0.5):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    if refuses(os.environ):
        print("The sandbox is a development tool: it starts with DEBUG=true only.", file=sys.stderr)  # noqa: T201
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s sandbox %(levelname)s %(message)s")
    for noisy in ("botocore", "boto3", "urllib3", "werkzeug", "waitress.queue", "s3transfer"):
        logging.getLogger(noisy).setLevel(logging.ERROR)

    from waitress import wasyncore
    from waitress.server import create_server

    from platforms.sandbox.server import Sandbox
    from platforms.sandbox.storage import free_port

    config = Config(
        state=args.state.resolve(),
        base_url=f"http://localhost:{args.port}",
        public_url=args.public_url.rstrip("/"),
        platforms=args.platforms,
        gone_after_s=args.gone_after,
        keys_beside=bucket_keys_beside(args.platforms, os.environ),
    )
    sandbox = Sandbox(config, s3_port=free_port(args.port + 1, leave=args.leave_port), environ=os.environ)
    # The port first: a second sandbox on it must stop before it touches anything.
    sockets: dict[int, object] = {}
    try:
        server = create_server(
            sandbox.app, map=sockets, host=args.host, port=args.port, threads=THREADS, ident="sandbox"
        )
    except OSError as error:
        print(f"Port {args.port} cannot be used: {error.strerror}.", file=sys.stderr)  # noqa: T201
        return 1
    sandbox.start()
    if args.env_file:
        write_env_file(args.env_file, config.environment())

    stop = threading.Event()

    def interrupted(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupted)
    if args.die_with_parent:
        threading.Thread(target=watch_parent, args=(stop,), daemon=True).start()
    logger.info("listening on %s, buckets on %s", config.base_url, config.s3_url)
    # waitress would wait for hanging calls when it is interrupted itself; ours may hang for minutes.
    try:
        wasyncore.loop(timeout=0.5, use_poll=True, map=sockets)
    except KeyboardInterrupt:
        pass
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stop.set()
        server.task_dispatcher.shutdown(cancel_pending=True, timeout=0)
        sandbox.stop()
        logger.info("stopped")
        logging.shutdown()
        sys.stdout.flush()
        # Threads that hang on purpose must not hold up the end.
        os._exit(0)


if __name__ == "__main__":
    raise SystemExit(main())
