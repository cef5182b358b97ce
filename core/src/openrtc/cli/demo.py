"""`openrtc demo`: hold a conversation with every installed agent; nothing is needed for it."""

from __future__ import annotations

import argparse
import sys

from openrtc.cli.setting_options import (
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
    from openrtc.conversation.console.console import chat
    from openrtc.errors import OpenRTCError

    while True:
        try:
            typed = input(f"\nTo chat on, type an agent's name, such as {agent}; Enter quits: ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not typed:
            return
        try:
            chat(config, runtime_arguments(args), typed, build_console())
            return
        except OpenRTCError as error:
            print(f"openrtc: {error}", file=sys.stderr)
