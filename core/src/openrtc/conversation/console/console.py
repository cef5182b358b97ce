"""Runs a chat in the terminal: the worker without a server, one job without a room, one frontend in text."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from livekit.protocol import agent as proto
from rich.console import Console

from openrtc.conversation.console.chat_screen import PROMPT, ChatScreen
from openrtc.conversation.console.terminal_input import TerminalInput
from openrtc.conversation.console.text_chat import TextChat
from openrtc.conversation.console_logging import ReportedErrors, configure_console_logs, print_to_stderr
from openrtc.conversation.interrupts import READER_GONE, Interrupts, handle_broken_pipe
from openrtc.conversation.local_worker import run_local_worker
from openrtc.errors import OpenRTCError
from openrtc.model.decision import Decision
from openrtc.runtime.offline_defaults import with_offline_defaults
from openrtc.runtime.providers import OFFLINE
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.session.containment import run_contained
from openrtc.settings.config import Config
from openrtc.worker.direct_job import build_job, choose_agent, launch_job, wait_until_idle
from openrtc.worker.run import require_agents
from openrtc.worker.server import WorkerServer

ROOM = "console"
"""The room that the routing sees; there is none."""


def chat(config: Config, arguments: Mapping[str, Any], agent: str, console: Console, *, metadata: str = "") -> int:
    """Chat in the terminal with an agent.

    Args:
        config: The settings.
        arguments: Further arguments of ``build_runtime``.
        agent: The agent's name; empty leaves it to the routing.
        console: Where to print.
        metadata: Metadata of the job.

    Returns:
        The exit code: 0, 1 when the agent failed, or 128 and the number of the signal that ended the chat.

    Raises:
        OpenRTCError: There is no such agent, it is not ready, or there is none at all.
    """
    # Nobody listens to audio here: the end-of-turn weights of livekit-agents would be 240 MB for nothing.
    os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
    terminal = TerminalInput(PROMPT)

    def show_log(line: str) -> None:
        with terminal.without_prompt():
            print_to_stderr(line)

    errors = configure_console_logs(config.worker.log_level, config.worker.log_format, show_log)
    config = replace(config, worker=replace(config.worker, isolation="coroutine", port=0))
    runtime = build_runtime(config, **arguments)
    require_agents(runtime)
    defaults = runtime.config.defaults
    if not (defaults.llm or defaults.offline):
        runtime = with_offline_defaults(runtime, llm=OFFLINE)
    assumed_offline = runtime.config.defaults is not defaults
    try:
        job = build_job(ROOM, job_metadata=metadata)
        return run_contained(_chat(runtime, job, agent, terminal, console, errors, assumed_offline=assumed_offline))
    finally:
        terminal.restore()


async def _chat(
    runtime: Runtime,
    job: proto.Job,
    agent: str,
    terminal: TerminalInput,
    console: Console,
    errors: ReportedErrors,
    *,
    assumed_offline: bool,
) -> int:
    decision = await choose_agent(runtime, job, agent)
    _require_text(runtime, decision)
    screen = ChatScreen(decision.name, terminal, console)
    frontend = TextChat(terminal, screen, errors, assumed_offline=assumed_offline)
    runtime.frontend = frontend
    server = WorkerServer(runtime)

    def stop() -> None:
        frontend.hang_up()
        if interrupts.count > 1:
            server.shorten_close()

    interrupts = Interrupts(stop)
    handle_broken_pipe(console, frontend.hang_up)
    screen.show_note(_introduce(runtime, decision, chosen=bool(agent)))
    async with run_local_worker(server, watched=True):
        await launch_job(server, job, decision, without_room=True)
        await wait_until_idle(server)
    return interrupts.exit_code or (READER_GONE if console.quiet else _find_exit_code(frontend, terminal))


def _require_text(runtime: Runtime, decision: Decision) -> None:
    """Raise where nobody can be talked to from here: an entrypoint waits in its room for somebody to join."""
    agent = runtime.catalog.get(decision.agents[0])
    if agent.spec is not None and agent.spec.entrypoint is not None:
        fix = "talk to it in a room: openrtc dev --with-server"
        raise OpenRTCError(f"agent {agent.name!r} is a LiveKit entrypoint, which makes its session in a room", fix=fix)


def _introduce(runtime: Runtime, decision: Decision, *, chosen: bool) -> str:
    name = decision.name
    if chosen:
        return f"{name} answers"
    others = ", ".join(other for other in runtime.catalog.ready if other not in decision.agents)
    return f"{name} answers ({decision.rule}: {decision.reason})" + (f"; there are also: {others}" if others else "")


def _find_exit_code(frontend: TextChat, terminal: TerminalInput) -> int:
    if frontend.problem:
        print(f"openrtc: {frontend.problem}", file=sys.stderr)
        return 1
    if not frontend.started:
        return 1
    # At a terminal, whoever asked has seen that there was no answer; a script sees the exit code alone.
    return 1 if frontend.unanswered and not terminal.on_terminal else 0
