"""`openrtc dev`: run a worker on this machine, and show what happens in its calls."""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from openrtc.cli.lk_options import add_address_option
from openrtc.cli.setting_options import (
    add_worker_options,
    read_config,
    require_supervisor,
    runtime_arguments,
)
from openrtc.settings.config import Config, WorkerSettings

if TYPE_CHECKING:
    import logging

    from rich.console import Console

    from openrtc.runtime.runtime import Runtime

DEV_URL = "ws://127.0.0.1:7880"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--with-server", action="store_true", help="start a LiveKit server on this machine, too")
    parser.add_argument(
        "--playground",
        action="store_true",
        help="talk to the agents in a browser on this machine; starts a LiveKit server, too, where there is none",
    )
    parser.add_argument(
        "--no-open", dest="open", action="store_false", help="with --playground: open no browser, print the address"
    )
    add_address_option(parser, "--cli-addr")
    parser.add_argument(
        "--no-reload",
        dest="reload",
        action="store_false",
        help="do not take edits: the code stays as it is at the start",
    )
    add_worker_options(parser, without=("worker.processes",))


def run(args: argparse.Namespace) -> int:
    """Run a worker until it is stopped."""
    from openrtc.model.hung_package import take_hung
    from openrtc.server.settings import LIVEKIT_DEV_KEY, LIVEKIT_DEV_SECRET

    started = time.time()
    defaults = {
        "url": DEV_URL,
        "api_key": LIVEKIT_DEV_KEY,
        "api_secret": LIVEKIT_DEV_SECRET,
        "port": 0,
    }
    environ, hung = dict(os.environ), take_hung(os.environ)
    config = read_config(args, None, **defaults)
    require_supervisor(config)
    # A person reads along, unless the program `lk` does, which wants everything.
    shown = config.worker.log_format == "text" and not args.lk_address
    config = config.with_worker_defaults(log_level="info" if shown else "debug")
    config = replace(config, hung=hung, observe=replace(config.observe, terminal=True))
    if args.playground:
        from openrtc.cli.playground import require_playground

        require_playground(config)
    from openrtc.cli.output import build_console

    calls = build_console() if shown else None  # before the output goes through a pipe
    from openrtc.speedups.imports import speed_up_imports

    speed_up_imports(config.worker.speedups)
    from openrtc.cli.worker_output import log_files, open_output
    from openrtc.plugins.guard.clock import ThreadClock, use_clock
    from openrtc.supervisor.begin_again import BeginAgain
    from openrtc.worker.run import run_worker

    open_output(config.worker, hides_calls=shown and config.worker.log_level != "debug")
    log_files(config)
    _get_logger().info("importing livekit-agents and the agents")
    with contextlib.ExitStack() as server:
        # A server goes on when another program takes this process's place, and keeps its port.
        again = BeginAgain(environ, hung, clean_up=server.close)
        use_clock(ThreadClock(again, stop=again.stop, last_resort=again))
        if args.with_server or (args.playground and _is_server_missing(config.worker.url)):
            config = server.enter_context(_start_server(config, invites=not args.playground))
        elif _is_server_missing(config.worker.url):
            _warn_of_no_server()
        registered = None
        if args.playground:
            from openrtc.cli.playground import run_playground

            # Its start takes a second, in which this process imports what it needs.
            playground = run_playground(config.worker, settings_file=args.config or "", opens=args.open)
            registered = server.enter_context(playground)
        arguments, revise = runtime_arguments(args), partial(_revise, console=calls, registered=registered)
        # The program `lk` watches itself, and starts this one anew.
        since = started if args.reload and not args.lk_address else None
        return run_worker(
            config, arguments, lk_address=args.lk_address, revise=revise, patient=False, edits_since=since
        )


def _is_server_missing(url: str) -> bool:
    """Whether nobody has named another server than the one that `openrtc dev` looks for, and that is not there."""
    from openrtc.server.settings import is_port_free

    return url == DEV_URL and is_port_free(7880)


def _warn_of_no_server() -> None:
    from openrtc.server.settings import LOOPBACK

    text = "no LiveKit server listens at %s, port 7880: openrtc dev --with-server starts one, too"
    _get_logger().warning(text, LOOPBACK)


def _call_when_registered(runtime: Runtime, call: Callable[[], None]) -> None:
    """Call once, when the LiveKit server has registered the worker."""
    from openrtc.observe.events import Event, WorkerRegistered

    def note(event: Event) -> None:
        if isinstance(event, WorkerRegistered):
            stop()
            call()

    stop = runtime.events.subscribe(note)


def _revise(runtime: Runtime, console: Console | None, registered: Callable[[], None] | None) -> Runtime:
    """Show the calls, and take the offline models where nobody names others, as the console and the demo do.

    Args:
        runtime: What the calls share.
        console: Where the calls are shown, if anywhere.
        registered: Called when the worker is registered, if given.

    Raises:
        OpenRTCError: No agent can answer, since nobody names models and there are none.
    """
    if console:
        from openrtc.cli.call_screen import CallScreen
        from openrtc.observe.words import Words

        words = Words(runtime.config.observe.words_in_log, runtime.hooks.redact)
        runtime.events.subscribe(CallScreen(console, words))
    if registered:
        _call_when_registered(runtime, registered)
    from openrtc.runtime.offline_defaults import with_offline_defaults
    from openrtc.worker.start_checks import require_answers

    runtime = with_offline_defaults(runtime, offline=True)
    require_answers(runtime)
    return runtime


def _get_logger() -> logging.Logger:
    import logging  # --help does without

    return logging.getLogger("openrtc.worker")


@contextlib.contextmanager
def _start_server(config: Config, *, invites: bool) -> Iterator[Config]:
    from urllib.parse import urlsplit

    from openrtc.server.local import LocalServer

    port = urlsplit(config.worker.url).port or 7880
    with LocalServer(port=port) as server:
        worker = replace(config.worker, url=server.url, api_key=server.api_key, api_secret=server.api_secret)
        print(f"LiveKit server: {worker.url}  (this machine only)", flush=True)
        if invites:
            _print_invitation(worker)
        yield replace(config, worker=worker)


def _print_invitation(worker: WorkerSettings) -> None:
    from openrtc.dispatch.agent_request import AgentRequest
    from openrtc.dispatch.connection import LiveKitConnection
    from openrtc.dispatch.tokens import create_token

    room = "playground-1"
    connection = LiveKitConnection.of(worker)
    token = create_token("you", room, agents=[AgentRequest()] if connection.names.own else [], connection=connection)
    print("Call an agent, in another terminal: openrtc call AGENT")
    print(f"Or join the room {room!r} from any LiveKit client with this token:\n{token}\n", flush=True)
