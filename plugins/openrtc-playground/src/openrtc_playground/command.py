"""`openrtc playground`: serves the page until it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

from openrtc.cli.dispatch_options import add_server_options
from openrtc.cli.help import Formatter, show_examples
from openrtc.cli.setting_options import add_common_options, read_config
from openrtc.errors import OpenRTCError
from openrtc.server.settings import LOOPBACK

if TYPE_CHECKING:
    from openrtc.dispatch.connection import LiveKitConnection
    from openrtc_playground.app import Playground

DEFAULT_PORT = 7890
PORTS_TRIED = 10
"""So many ports from `DEFAULT_PORT` on are tried before any free one is taken."""
CHECK_SECONDS = 5.0
"""How long the LiveKit server may take to answer at the start."""
_EXAMPLES = (
    "openrtc playground",
    "openrtc playground --agent support",
    "openrtc playground --url wss://my-project.livekit.cloud --no-open",
)


def main() -> int:
    """Run the command."""
    args = _build_parser().parse_args()
    args.pool = None
    config = read_config(args)
    from openrtc.dispatch.local_server import find_connection
    from openrtc_playground.app import Playground

    playground = Playground(
        config=config,
        connection=find_connection(config.worker),
        key=secrets.token_urlsafe(24),
        agent=args.agent,
    )
    listener = _listen(args.page_port)
    playground.port = listener.getsockname()[1]
    return asyncio.run(_run(args, playground, listener))


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openrtc playground",
        description="Talk to agents in a browser on this machine, and see what happens in their calls.",
        epilog=show_examples(_EXAMPLES),
        allow_abbrev=False,
        formatter_class=Formatter,
    )
    parser.add_argument("--agent", default="", metavar="AGENT", help="the agent that the page has chosen at first")
    parser.add_argument(
        "--port",
        dest="page_port",  # the other one is a setting of workers
        type=_parse_port,
        metavar="PORT",
        help=f"where it listens (default: a free one from {DEFAULT_PORT} on)",
    )
    parser.add_argument("--no-open", dest="open", action="store_false", help="open no browser")
    # Of `openrtc dev`, whose end is the end of this one's stdin; the server may come later.
    parser.add_argument("--of-worker", action="store_true", help=argparse.SUPPRESS)
    add_server_options(parser)
    add_common_options(parser)
    return parser


def _parse_port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 1 to 65535")
    return int(text)


def _listen(port: int | None) -> socket.socket:
    wanted = [port] if port else [*range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED), 0]
    for one in wanted:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, one))
            listener.listen()
            return listener
        except OSError as error:
            listener.close()
            why = error
    raise OpenRTCError(
        f"it cannot listen on port {port} of {LOOPBACK}: {why.strerror}",
        origin="--port",
        fix="choose another one, or leave --port out",
    )


async def _run(args: argparse.Namespace, playground: Playground, listener: socket.socket) -> int:
    from aiohttp import web

    from openrtc.cli.browser import open_browser
    from openrtc_playground.app import build_app
    from openrtc_playground.tickets import Tickets

    stop = asyncio.Event()
    _stop_on_signals(stop)
    if args.of_worker:
        _stop_with_stdin(stop)
    else:
        await _require_server(playground.connection)
    tickets = Tickets()
    runner = web.AppRunner(build_app(playground, tickets), access_log=None, handle_signals=False, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        print(f"{'' if args.of_worker else 'playground: '}{playground.address}", flush=True)
        if args.open:
            page = f"http://{LOOPBACK}:{playground.port}/open/{tickets.make()}"
            # Some are waited for until they are closed.
            threading.Thread(target=open_browser, args=(page,), daemon=True, name="browser").start()
        await stop.wait()
    finally:
        await runner.cleanup()
    return 0


async def _require_server(connection: LiveKitConnection) -> None:
    from livekit import api

    from openrtc.dispatch.connection import open_api

    try:
        async with asyncio.timeout(CHECK_SECONDS), open_api(connection) as livekit:
            await livekit.room.list_rooms(api.ListRoomsRequest(names=["openrtc-playground"]))
    except TimeoutError:
        why = f"{connection.address} does not answer within {CHECK_SECONDS:g} s"
        raise OpenRTCError(why, fix="is the LiveKit server running?") from None


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows, where Ctrl-C raises
            loop.add_signal_handler(number, stop.set)


def _stop_with_stdin(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True, name="stdin").start()
