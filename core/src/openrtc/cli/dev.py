"""`openrtc dev`: run a worker on this machine, with debug logs."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import replace

from openrtc.cli.worker_options import (
    DEV_KEY,
    DEV_SECRET,
    DEV_URL,
    add_worker_options,
    read_config,
    runtime_arguments,
)
from openrtc.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--with-server", action="store_true", help="start a LiveKit server on this machine, too")
    add_worker_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run a worker until it is told to stop."""
    config = read_config(args, url=DEV_URL, api_key=DEV_KEY, api_secret=DEV_SECRET, port=0, log_level="debug")
    from openrtc.observe.logs import configure_logs
    from openrtc.worker.run import run_worker

    configure_logs(config.worker.log_level, config.worker.log_format)
    with _server(config) if args.with_server else contextlib.nullcontext(config) as config:
        return run_worker(config, runtime_arguments(args))


@contextlib.contextmanager
def _server(config: Config) -> Iterator[Config]:
    from urllib.parse import urlsplit

    from openrtc.server.local import LocalServer

    port = urlsplit(config.worker.url).port or 7880
    with LocalServer(port=port) as server:
        worker = replace(config.worker, url=server.url, api_key=server.api_key, api_secret=server.api_secret)
        _invite(server.url, server.api_key, server.api_secret)
        yield replace(config, worker=worker)


def _invite(url: str, key: str, secret: str) -> None:
    from livekit import api

    room = "playground-1"
    token = api.AccessToken(key, secret).with_identity("you").with_grants(api.VideoGrants(room_join=True, room=room))
    print(f"LiveKit server: {url}  (this machine only)")
    print(f"Join the room {room!r} from any LiveKit client with this token:\n{token.to_jwt()}\n", flush=True)
