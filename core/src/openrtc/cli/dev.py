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
from openrtc.config import Config, WorkerSettings
from openrtc.worker.speed.imports import hurry_imports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--with-server", action="store_true", help="start a LiveKit server on this machine, too")
    add_worker_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run a worker until it is told to stop."""
    config = read_config(args, url=DEV_URL, api_key=DEV_KEY, api_secret=DEV_SECRET, port=0, log_level="debug")
    hurry_imports(config.worker.speedups)
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
        _invite(worker)
        yield replace(config, worker=worker)


def _invite(worker: WorkerSettings) -> None:
    from openrtc.dispatch.connection import LiveKitConnection
    from openrtc.dispatch.tokens import create_token
    from openrtc.dispatch.wish import AgentWish

    room = "playground-1"
    connection = LiveKitConnection.of(worker)
    token = create_token("you", room, agents=[AgentWish()] if connection.names.own else [], connection=connection)
    keys = f"--url {worker.url} --api-key {worker.api_key} --api-secret {worker.api_secret}"
    named = f" --agent-name {worker.agent_name}" if worker.agent_name else ""
    print(f"LiveKit server: {worker.url}  (this machine only)")
    print(f"Join the room {room!r} from any LiveKit client with this token:\n{token}")
    print(f"Or call an agent: openrtc call AGENT {keys}{named}\n", flush=True)
