"""`openrtc dev`: run a worker on this machine, with debug logs."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace

from openrtc.cli.lk_options import add_address_option
from openrtc.cli.setting_options import (
    add_worker_options,
    read_config,
    runtime_arguments,
)
from openrtc.settings.config import Config, WorkerSettings

DEV_URL = "ws://127.0.0.1:7880"
DEV_KEY, DEV_SECRET = "devkey", "secret"
"""The credentials of ``livekit-server --dev``; they are public."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--with-server", action="store_true", help="start a LiveKit server on this machine, too")
    add_address_option(parser, "--cli-addr")
    add_worker_options(parser, without=("worker.processes",))


def run(args: argparse.Namespace) -> int:
    """Run a worker until it is stopped."""
    from openrtc.model.hung_package import take_hung

    defaults = {"url": DEV_URL, "api_key": DEV_KEY, "api_secret": DEV_SECRET, "port": 0, "log_level": "debug"}
    environ, hung = dict(os.environ), take_hung(os.environ)
    config = replace(read_config(args, None, **defaults), hung=hung)
    from openrtc.speedups.imports import speed_up_imports

    speed_up_imports(config.worker.speedups)
    from openrtc.cli.worker_output import log_files, open_output
    from openrtc.plugins.guard.clock import ThreadClock, use_clock
    from openrtc.supervisor.begin_again import BeginAgain
    from openrtc.worker.run import run_worker

    open_output(config.worker)
    log_files(config)
    with contextlib.ExitStack() as server:
        # A server goes on when another program takes this process's place, and keeps its port.
        again = BeginAgain(environ, hung, clean_up=server.close)
        use_clock(ThreadClock(again, stop=again.stop, last_resort=again))
        if args.with_server:
            config = server.enter_context(_start_server(config))
        return run_worker(config, runtime_arguments(args), lk_address=args.lk_address)


@contextlib.contextmanager
def _start_server(config: Config) -> Iterator[Config]:
    from urllib.parse import urlsplit

    from openrtc.server.local import LocalServer

    port = urlsplit(config.worker.url).port or 7880
    with LocalServer(port=port) as server:
        worker = replace(config.worker, url=server.url, api_key=server.api_key, api_secret=server.api_secret)
        _print_invitation(worker)
        yield replace(config, worker=worker)


def _print_invitation(worker: WorkerSettings) -> None:
    from openrtc.dispatch.agent_request import AgentRequest
    from openrtc.dispatch.connection import LiveKitConnection
    from openrtc.dispatch.tokens import create_token

    room = "playground-1"
    connection = LiveKitConnection.of(worker)
    token = create_token("you", room, agents=[AgentRequest()] if connection.names.own else [], connection=connection)
    keys = f"--url {worker.url} --api-key {worker.api_key} --api-secret {worker.api_secret}"
    named = f" --agent-name {worker.agent_name}" if worker.agent_name else ""
    print(f"LiveKit server: {worker.url}  (this machine only)")
    print(f"Join the room {room!r} from any LiveKit client with this token:\n{token}")
    print(f"Or call an agent: openrtc call AGENT {keys}{named}\n", flush=True)
