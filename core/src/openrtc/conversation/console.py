"""Runs a chat in the terminal: the worker without a server, one job without a room, one frontend in text."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console

from openrtc.config import Config
from openrtc.conversation.broken_pipe import READER_GONE, when_reader_goes
from openrtc.conversation.calm_logs import ToldFailures, configure_calm_logs
from openrtc.conversation.chat_screen import YOU, ChatScreen
from openrtc.conversation.stop import Stop
from openrtc.conversation.text_chat import TextChat
from openrtc.conversation.typed_lines import TypedLines
from openrtc.providers.providers import OFFLINE
from openrtc.routing.decision import Decision
from openrtc.worker.containment import run_contained
from openrtc.worker.direct_job import (
    decide,
    launch_job,
    make_job,
    start_unregistered,
    stop_unregistered,
    wait_until_idle,
)
from openrtc.worker.run import require_agents
from openrtc.worker.runtime import Runtime, build_runtime
from openrtc.worker.server import WorkerServer

ROOM = "console"


def chat(config: Config, arguments: Mapping[str, Any], agent: str, console: Console) -> int:
    """Chat in the terminal with an agent.

    Args:
        config: The settings.
        arguments: Further arguments of ``build_runtime``.
        agent: The agent's name; empty leaves it to the routing.
        console: Where to print.

    Returns:
        The exit code: 0, 1 when the agent failed, or 128 and the number of the signal that ended the chat.

    Raises:
        OpenRTCError: There is no such agent, it is not ready, or there is none at all.
    """
    # Nobody listens to audio here: the end-of-turn weights of livekit-agents would be 240 MB for nothing.
    os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
    lines = TypedLines(YOU)
    failures = configure_calm_logs(config.worker.log_level, config.worker.log_format)
    runtime = build_runtime(config, **arguments)
    require_agents(runtime)
    assumed_offline = _assume_offline(runtime)
    try:
        return run_contained(_chat(runtime, agent, lines, console, failures, assumed_offline=assumed_offline))
    finally:
        lines.restore()


def _assume_offline(runtime: Runtime) -> bool:
    defaults = runtime.config.defaults
    if defaults.llm or defaults.offline or runtime.providers.why_unavailable(OFFLINE.rstrip(":")):
        return False
    runtime.config = replace(runtime.config, defaults=replace(defaults, llm=OFFLINE))
    return True


async def _chat(
    runtime: Runtime,
    agent: str,
    lines: TypedLines,
    console: Console,
    failures: ToldFailures,
    *,
    assumed_offline: bool,
) -> int:
    job = make_job(ROOM)
    decision = await decide(runtime, job, agent)
    name = decision.name
    screen = ChatScreen(name, lines, console)
    frontend = TextChat(lines, screen, failures, assumed_offline=assumed_offline)
    runtime.frontend = frontend
    server = WorkerServer(runtime, runtime.config.worker)

    def stopped() -> None:
        frontend.hang_up()
        if stop.times > 1:
            server.hurry()

    stop = Stop(stopped)
    when_reader_goes(console, frontend.hang_up)
    screen.note(_introduction(runtime, name, decision, chosen=bool(agent)))
    running = await start_unregistered(runtime, server)
    try:
        await launch_job(runtime, server, job, decision, without_room=True)
        await wait_until_idle(server)
    finally:
        await stop_unregistered(runtime, server, running)
    return stop.exit_code or (READER_GONE if console.quiet else _exit_code(frontend, lines))


def _introduction(runtime: Runtime, name: str, decision: Decision, *, chosen: bool) -> str:
    if chosen:
        return f"{name} answers"
    others = ", ".join(other for other in runtime.catalog.ready if other not in decision.agents)
    return f"{name} answers ({decision.rule}: {decision.reason})" + (f"; there are also: {others}" if others else "")


def _exit_code(frontend: TextChat, lines: TypedLines) -> int:
    if frontend.problem:
        print(f"openrtc: {frontend.problem}", file=sys.stderr)
        return 1
    if not frontend.started:
        return 1
    return 1 if frontend.unanswered and not lines.on_terminal else 0
