"""`openrtc demo`: hold a conversation with every installed agent; nothing is needed for it."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from openrtc.cli.setting_options import (
    COMMON_FLAGS,
    add_connection_options,
    add_session_options,
    read_config,
    runtime_arguments,
)
from openrtc.settings.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--text", action="store_true", help="write instead of speaking; starts no server")
    parser.add_argument("--agent", default="", metavar="AGENT", help="call only this agent")
    add_connection_options(parser)
    add_session_options(parser)


def run(args: argparse.Namespace) -> int:
    """Hold the conversations; on a terminal, offer to chat on."""
    config = read_config(args, log_level="warning")
    from openrtc.speedups.imports import speed_up_imports

    speed_up_imports(config.worker.speedups)
    from openrtc.cli.output import build_console

    out = build_console()
    with out.status("loading the agents"):
        from openrtc.conversation.demo.demo import demo
    result = demo(config, runtime_arguments(args), out, text=args.text, only=args.agent)
    if result.agent and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        _offer_chat(config, args, result.agent)
    return result.exit_code


def _offer_chat(config: Config, args: argparse.Namespace, agent: str) -> None:
    from openrtc.cli.output import build_console
    from openrtc.cli.playground import PLAYGROUND
    from openrtc.conversation.console.console import chat
    from openrtc.errors import OpenRTCError

    has_page = _has_playground(config, args)
    page = f'; "{PLAYGROUND}" opens all of them in a browser' if has_page else ""
    while True:
        try:
            typed = input(f"\nTo chat on, type an agent's name, such as {agent}{page}; Enter quits: ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not typed:
            return
        if has_page and typed == PLAYGROUND:
            _open_playground(config, args)
        try:
            chat(config, runtime_arguments(args), typed, build_console())
            return
        except OpenRTCError as error:
            print(f"openrtc: {error}", file=sys.stderr)


def _has_playground(config: Config, args: argparse.Namespace) -> bool:
    """Whether `openrtc dev --playground` shows these agents in a window here."""
    from openrtc.cli.browser import has_browser
    from openrtc.cli.playground import require_playground
    from openrtc.errors import OpenRTCError

    if args.pool or os.name != "posix" or not has_browser():
        return False
    try:
        require_playground(config)
    except OpenRTCError:
        return False
    return True


def _open_playground(config: Config, args: argparse.Namespace) -> NoReturn:
    """Let ``openrtc dev --playground`` take this process's place: it imports everything anew, and takes edits."""
    worker = config.worker
    given = {"LIVEKIT_URL": worker.url, "LIVEKIT_API_KEY": worker.api_key, "LIVEKIT_API_SECRET": worker.api_secret}
    options = {flag: getattr(args, flag.removeprefix("--").replace("-", "_"), None) for flag in COMMON_FLAGS}
    pairs = [(flag, one) for flag, text in options.items() for one in ([text] if isinstance(text, str) else text or ())]
    command = ["-m", "openrtc", "dev", "--playground", *(word for pair in pairs for word in pair)]
    environ = {**os.environ, **{name: text for name, text in given.items() if text}}
    os.execve(sys.executable, [sys.executable, *command], environ)
