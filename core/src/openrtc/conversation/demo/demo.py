"""The demo: a conversation with every installed agent, side by side in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from openrtc.conversation.console_logging import ReportedErrors, configure_console_logs
from openrtc.conversation.demo.call_record import CallRecord
from openrtc.conversation.demo.demo_calls import DemoCalls, plan_calls
from openrtc.conversation.demo.demo_report import DemoReport
from openrtc.conversation.demo.preflight import Preflight, run_preflight
from openrtc.conversation.demo.transport import ChosenTransport, Transport, choose_transport
from openrtc.conversation.interrupts import READER_GONE, Interrupts, handle_broken_pipe
from openrtc.conversation.local_worker import run_local_worker
from openrtc.errors import OpenRTCError
from openrtc.model.dispatch_names import WorkerNames
from openrtc.observe.process_memory import resident_bytes
from openrtc.runtime.offline_defaults import with_offline_defaults
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.server.local import LocalServer
from openrtc.session.containment import run_contained
from openrtc.settings.config import Config
from openrtc.worker.prewarm import prewarm_agents
from openrtc.worker.run import require_agents
from openrtc.worker.server import WorkerServer

_ATTEMPTS = 2
"""How often the worker tries to reach a server: somebody waits at the terminal, where a worker would try 16 times."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """How the demo went.

    Args:
        exit_code: 0 when every agent answered, else 1; 128 and more after a signal.
        agent: An agent that can be talked to further; empty when there is none.
    """

    exit_code: int
    agent: str = ""


def demo(config: Config, arguments: Mapping[str, Any], console: Console, *, text: bool, only: str) -> DemoResult:
    """Hold a conversation with every installed agent.

    Args:
        config: The settings.
        arguments: Further arguments of ``build_runtime``.
        console: Where to print.
        text: Whether nobody speaks.
        only: The one agent to call; empty for all.

    Raises:
        OpenRTCError: There is no agent, or the given LiveKit server cannot be reached.
    """
    began = time.monotonic()
    report = DemoReport(console)
    show_log = report.show_log if console.is_terminal else None
    errors = configure_console_logs(config.worker.log_level, config.worker.log_format, show_log)
    report.show_title(os.getpid())
    runtime = build_runtime(_name_worker(config), **arguments)
    require_agents(runtime)
    names = _choose_agents(runtime, only)
    chosen = choose_transport(config.worker, runtime.providers, text=text)
    report.show_agents(runtime.catalog, names)
    runtime = with_offline_defaults(runtime, offline=True)
    report.show_transport(chosen, offline=runtime.config.defaults.offline)
    prewarm_agents(runtime, names)
    with _start_server(chosen, runtime) as runtime:
        return run_contained(_Demo(runtime, chosen, report, errors, began).run(names))


def _name_worker(config: Config) -> Config:
    """Return the settings with a name for the worker.

    On a server that others use, too, an automatic dispatch would bring us their calls, and them ours.
    """
    names = WorkerNames.parse(config.worker.agent_name)
    name = "" if names.per_agent else names.own[0]
    name = name or f"openrtc-demo-{secrets.token_hex(3)}"
    return replace(config, worker=replace(config.worker, agent_name=name, isolation="coroutine", port=0))


def _choose_agents(runtime: Runtime, only: str) -> tuple[str, ...]:
    if not only:
        return runtime.catalog.ready
    if problem := runtime.catalog.why_unusable(only):
        raise OpenRTCError(problem, origin="--agent")
    return (only,)


@contextlib.contextmanager
def _start_server(chosen: ChosenTransport, runtime: Runtime) -> Iterator[Runtime]:
    """Start the LiveKit server of this machine if it is needed."""
    if chosen.transport is not Transport.LOCAL_SERVER:
        yield runtime
        return
    config = runtime.config
    with LocalServer(port=0) as server:
        worker = replace(
            config.worker, url=server.url, api_key=server.api_key, api_secret=server.api_secret, agent_name=""
        )
        yield replace(runtime, config=replace(config, worker=worker))


class _Demo:
    """One run of the demo."""

    def __init__(
        self, runtime: Runtime, chosen: ChosenTransport, report: DemoReport, errors: ReportedErrors, began: float
    ) -> None:
        self._runtime = runtime
        self._chosen = chosen
        self._report = report
        self._errors = errors
        self._began = began

    async def run(self, names: Sequence[str]) -> DemoResult:
        server = WorkerServer(self._runtime, max_retry=_ATTEMPTS)
        over = asyncio.Event()
        interrupts = Interrupts(over.set)
        handle_broken_pipe(self._report.console, over.set)
        async with run_local_worker(server, registered=self._chosen.transport.in_rooms):
            working = asyncio.create_task(self._call_all(server, names))
            waiting = asyncio.create_task(over.wait())
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            server.shorten_close()  # scripted callers need no farewell
            if working.done():
                return working.result()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        return DemoResult(interrupts.exit_code or READER_GONE)

    async def _call_all(self, server: WorkerServer, names: Sequence[str]) -> DemoResult:
        how = {"text_only": self._chosen.voice is None, "in_rooms": self._chosen.transport.in_rooms}
        candidates = [await run_preflight(self._runtime, name, **how) for name in names]
        for candidate in candidates:
            if candidate.lacking:
                self._report.show_left_out(candidate.name, candidate.lacking)
        usable = [candidate for candidate in candidates if candidate.usable]
        # Rooms of this name may be there already on a server that others use, too.
        suffix = secrets.token_hex(2) if self._chosen.transport is Transport.GIVEN_SERVER else "1"
        calls = await plan_calls(self._runtime, usable, suffix=suffix)
        self._report.start_live(calls)
        try:
            await DemoCalls(server, self._chosen, self._errors).hold(calls, self._report.show_call)
        finally:
            self._report.stop_live()
        for call in calls:
            if call.lacking:
                self._report.show_left_out(call.agent, call.lacking)
        return self._finish(candidates, [call for call in calls if not call.lacking])

    def _finish(self, candidates: Sequence[Preflight], calls: Sequence[CallRecord]) -> DemoResult:
        seconds = time.monotonic() - self._began
        self._report.show_sum(calls, pid=os.getpid(), seconds=seconds, megabytes=resident_bytes() / 1e6)
        failed = [(candidate.name, candidate.problem) for candidate in candidates if candidate.problem]
        failed += [(call.agent, f"{call.room}: {call.problem}") for call in calls if call.problem]
        good = {call.agent for call in calls if call.good}
        self._report.show_failures(failed if good or failed else [("demo", "no agent could be called")])
        agent = max(good, default="")
        if agent:
            self._report.show_next_steps(agent, self._chosen.transport)
        return DemoResult(0 if good and not failed else 1, agent)
